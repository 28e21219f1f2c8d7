"""Attention in chunks: which keys a query sees, against a count of every pair."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.workload import decode, prefill
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.phase import attention_spans
from hwsim.workload.spans import Chunk, key_spans

MODULES = Path(__file__).parents[1] / "data" / "recorded_modules.jsonl"


@given(st.integers(1, 200), st.integers(1, 70))
def test_pairs_of_a_prefill_are_those_of_one_chunk(tokens: int, chunk: int) -> None:
    pairs = sum(q // chunk == k // chunk and k <= q for q in range(tokens) for k in range(tokens))
    spans = key_spans(prefill(tokens, causal="half"), tokens, Chunk(chunk))
    assert sum(queries * keys for queries, keys in spans) == pairs
    assert sum(queries for queries, _ in spans) == tokens


@given(st.integers(1, 200), st.integers(1, 70))
def test_a_step_sees_its_chunk_up_to_itself(context: int, chunk: int) -> None:
    keys = sum(k // chunk == context // chunk for k in range(context + 1))
    assert key_spans(decode(context), context, Chunk(chunk)) == ((1, keys),)


@pytest.mark.parametrize("phase", [prefill(50), prefill(50, causal="half"), decode(50)])
def test_windows_and_full_attention_are_as_before(phase) -> None:
    for window in (None, 7, 50, 100):
        assert key_spans(phase, 50, window) == attention_spans(phase, 50, window)
    assert key_spans(phase, 50, Chunk(64)) == attention_spans(phase, 50)


def test_llama_4_attends_to_all_tokens_in_one_layer_of_four() -> None:
    entries = {entry["name"]: entry for entry in map(json.loads, MODULES.open(encoding="utf-8"))}
    config = {**entries["llama4_text"]["config"], "attention_chunk_size": 100}

    def seen(**changed: object) -> list[tuple[int, int]]:
        trace = build_trace({**config, **changed}, decode(250))
        return [(gemm.n, gemm.repeat) for gemm in trace.gemms if gemm.role == "score"]

    assert seen() == [(51, 36), (251, 12)]
    assert seen(layer_types=None) == [(51, 36), (251, 12)]
    assert seen(layer_types=None, no_rope_layers=[], no_rope_layer_interval=2) == [(51, 24), (251, 24)]
    assert seen(attention_chunk_size=None) == [(251, 48)]
