"""Encoder-decoders: lengths of both sides, what a decode step leaves out, what is cached."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.spec.errors import UsageError
from hwsim.workload import Trace, load_workload, memory_footprint


def load(name: str, **options: Any) -> Trace:
    return load_workload({"model": name, **options})


def rows(trace: Trace, layer: str) -> int:
    return next(gemm.m for gemm in trace.gemms if gemm.layer == layer)


def test_lengths() -> None:
    both = load("t5-small", seq_len=70)
    assert (rows(both, "encoder.attn.q_proj"), rows(both, "decoder.attn.q_proj")) == (70, 70)
    apart = load("t5-small", settings={"source_tokens": 50, "decoder_tokens": 20})
    assert (rows(apart, "encoder.attn.q_proj"), rows(apart, "decoder.attn.q_proj")) == (50, 20)
    assert (rows(apart, "decoder.cross.q_proj"), rows(apart, "decoder.cross.k_proj")) == (20, 50)
    sound = load("whisper-tiny", seq_len=10)
    assert (rows(sound, "encoder.conv1"), rows(sound, "encoder.attn.q_proj"), rows(sound, "lm_head")) == (
        3000,
        1500,
        10,
    )
    assert rows(load("whisper-tiny"), "lm_head") == 448
    with pytest.raises(UsageError, match="seq_len: 449 tokens, but whisper takes 448"):
        load("whisper-tiny", seq_len=449)


def test_a_decode_step_reads_what_the_encoder_left() -> None:
    step = load("bart-large", phase="decode", context=30, batch=2, settings={"source_tokens": 100})
    layers = {gemm.layer for gemm in step.gemms}
    assert not any(layer.startswith("encoder.") for layer in layers)
    assert "decoder.cross.k_proj" not in layers
    scores = {g.layer: (g.m, g.n, g.batch, g.w_source) for g in step.gemms if g.role == "score"}
    assert scores == {"decoder.attn.score": (1, 31, 32, "kv"), "decoder.cross.score": (1, 100, 32, "kv")}
    # keys and values of 31 target and 100 source tokens, in each of 12 layers, for both sequences
    assert memory_footprint(step, "fp16")["kv_cache_bytes"] == 2 * 12 * 2 * 1024 * 2 * (31 + 100)


def test_a_step_after_another_is_the_difference_of_two_forwards() -> None:
    """The decoder over n+1 tokens costs what it costs over n and one step on top (with the mask's half)."""

    def forward(tokens: int) -> int:
        return load("bart-large", causal="half", settings={"source_tokens": 40, "decoder_tokens": tokens}).macs

    step = load("bart-large", phase="decode", settings={"source_tokens": 40, "decoder_tokens": 6})
    assert forward(7) - forward(6) == step.macs


def test_the_encoder_sees_all_tokens_whatever_the_mask() -> None:
    full, half = (load("t5-small", seq_len=64, causal=mask) for mask in ("full", "half"))
    encoder = [[g for g in trace.gemms if g.layer.startswith("encoder.")] for trace in (full, half)]
    assert encoder[0] == encoder[1]
    assert half.macs < full.macs
