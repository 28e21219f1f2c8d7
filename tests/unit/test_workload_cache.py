"""Bytes of the KV cache where formats differ between caches, layers, keys and values, against sums made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.workload import load_workload, memory_footprint


def cache(name: str, preset: str, entry: dict[str, Any], kv_format: str = "", **run: Any) -> int:
    policy = {"preset": preset, "overrides": [entry], **({"kv_format": kv_format} if kv_format else {})}
    return memory_footprint(load_workload(name, policy=policy, **run), "fp32")["kv_cache_bytes"]


@pytest.mark.parametrize(
    ("match", "own", "cross"), [("decoder.attn.*", 1, 2), ("decoder.cross.*", 2, 1), ("score", 1.5, 1.5)]
)
def test_own_and_cross_attention_have_caches_of_their_own(match, own, cross):
    """T5 small: 6 layers of keys and values of 512 in 2 bytes, halved by INT8; ``score`` is keys alone."""
    run = {"phase": "decode", "context": 63, "settings": {"source_tokens": 1024}}
    found = cache("t5-small", "w4a16", {"match": match, "kv_format": "int8"}, **run)
    assert found == 2 * 6 * 512 * (64 * own + 1024 * cross)


def test_a_draft_has_a_cache_of_its_own():
    run = {"phase": "speculative", "draft": "llama-3.2-1b", "draft_tokens": 3, "acceptance": 0.5, "context": 64}
    found = cache("llama-3-8b", "w4a16", {"match": "draft.attn.*", "kv_format": "int8"}, "int4", **run)
    assert found == 32 * 2 * 8 * 128 * 68 // 2 + 16 * 2 * 8 * 64 * 67


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_share_of_keys_is_one_of_their_width(share):
    """Llama 2 7B, 16 tokens: 32 layers of 4096 keys and as many values; a share of the keys in INT8."""
    found = cache("llama-2-7b", "fp16", {"match": "score", "share": share, "kv_format": "int8"}, seq_len=16)
    assert found == 32 * 16 * 4096 * (2 + 2 - share)


@pytest.mark.parametrize("run", [{"seq_len": 16}, {"phase": "decode", "context": 15}])
def test_a_latent_cache_follows_the_overrides_of_attention(run):
    found = cache("deepseek-v3", "w8a16", {"match": "attn.*", "kv_format": "int8"}, **run)
    assert found == 61 * 16 * (512 + 64)


def test_sequences_of_a_batch_share_the_kinds_of_caches():
    """Whisper tiny: two halves of 4 layers of 384; a source of 1500 per sequence."""
    run = {"phase": "mixed", "requests": ["decode@5x3", "decode@10x2"]}
    found = cache("whisper-tiny", "w8a16", {"match": "decoder.cross.*", "kv_format": "int8"}, **run)
    assert found == 4 * 2 * 384 * (2 * (3 * 6 + 2 * 11) + 5 * 1500)


@pytest.mark.parametrize("preset", ["comet", "w4a16_g128", "int8_channel_fp32"])
def test_latent_weights_are_stored_alike_in_every_phase(preset):
    runs = [{"seq_len": 8}, {"phase": "decode", "context": 8}, {"phase": "generation", "seq_len": 8, "new_tokens": 3}]
    entry = {"match": "attn.kv_b_proj", "w_format": "int8_channel_fp32"}
    # comet cuts the reduction, which differs between phases, and each part has scales of its own per channel
    for overrides in ([],) if preset == "comet" else ([], [entry]):
        policy = {"preset": preset, "overrides": overrides}
        found = {
            memory_footprint(load_workload("deepseek-v3", policy=policy, **run), "fp32")["weight_bytes"] for run in runs
        }
        assert len(found) == 1


def test_an_override_of_an_expansion_holds_where_it_is_absorbed():
    policy = {"preset": "w4a16", "overrides": [{"match": "attn.kv_b_proj", "w_format": "int8"}]}
    trace = load_workload("deepseek-v3", policy=policy, phase="generation", seq_len=8, new_tokens=3)
    of_kv_b = {g.layer: g.w_format for g in trace.gemms if g.layer.endswith(("kv_b_proj", "absorb_k", "absorb_v"))}
    assert len(of_kv_b) == 3
    assert set(of_kv_b.values()) == {"int8"}
