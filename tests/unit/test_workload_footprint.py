from __future__ import annotations

import pytest

from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Policy, Trace, VectorOp, load_workload, memory_footprint, model_names, summarize
from hwsim.workload.zoo import open_settings

DECODERS = ["llama-2-7b", "llama-3.2-1b", "opt-125m", "phi-2", "qwen2.5-0.5b", "gpt2"]


#: Whose weights have a format of their own.
STATED = {"rag-embedding-search": 4, "cross-ntt": 1}


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_fp16_weights_are_two_bytes_per_parameter(name: str, phase: str) -> None:
    """Every parameter is stored exactly once, whichever GEMM or table it belongs to, used in this run or not."""
    try:
        trace = load_workload(name, phase=phase, settings=open_settings(name))
    except UsageError as error:
        assert phase == "decode"
        assert "has no decode phase" in str(error)
        return
    assert memory_footprint(trace, "fp16")["weight_bytes"] == STATED.get(name, 2) * trace.meta["parameters"]


@pytest.mark.parametrize("name", DECODERS)
def test_weights_do_not_depend_on_the_phase(name: str) -> None:
    found = {
        memory_footprint(load_workload(name, **options), "w4a16_g128")["weight_bytes"]
        for options in ({"batch": 3}, {"phase": "decode"}, {"lm_head": "last", "causal": "half"})
    }
    assert len(found) == 1


@pytest.mark.parametrize("name", DECODERS)
def test_cache_is_bytes_per_token_times_tokens(name: str) -> None:
    trace = load_workload(name, seq_len=100, batch=3)
    assert memory_footprint(trace, "fp16")["kv_cache_bytes"] == trace.meta["kv_bytes_per_token_fp16"] * 300
    step = load_workload(name, phase="decode", context=100, batch=3)
    assert memory_footprint(step, "fp16")["kv_cache_bytes"] == trace.meta["kv_bytes_per_token_fp16"] * 303


def test_a_sliding_window_bounds_the_cache() -> None:
    trace = load_workload("mistral-7b-v0.1", phase="decode", context=20_000)
    per_token = trace.meta["kv_bytes_per_token_fp16"]
    assert memory_footprint(trace, "fp16")["kv_cache_bytes"] == 4096 * per_token
    # Gemma 2: half of the layers keep 4096 tokens, half keep all
    gemma = load_workload("gemma-2-2b", phase="decode", context=8000)
    bytes_per_layer = gemma.meta["kv_bytes_per_token_fp16"] // 26
    assert memory_footprint(gemma, "fp16")["kv_cache_bytes"] == bytes_per_layer * 13 * (4096 + 8001)


def test_group_scales_count() -> None:
    trace = load_workload("llama-2-7b")
    plain, grouped = (memory_footprint(trace, name)["gemm_weight_bytes"] for name in ("w4a16", "w4a16_g128"))
    weights = sum(gemm.w_elements for gemm in trace.gemms if gemm.w_source == "dram")
    assert plain == weights // 2
    assert grouped == weights // 2 + weights // 128 * 2  # 4096 and 11008 are multiples of 128


def test_overrides_reach_the_footprint() -> None:
    trace = load_workload("llama-2-7b")
    base = memory_footprint(trace, "w4a16")["weight_bytes"]
    mapping = {"preset": "w4a16", "overrides": [{"match": "lm_head", "w_format": "int8"}]}
    mixed = memory_footprint(trace, Policy.from_mapping(mapping))["weight_bytes"]
    assert mixed - base == 4096 * 32000 // 2


def test_activation_peak_is_the_largest_operation() -> None:
    trace = Trace("t", (Gemm("a", 2, 3, 4, batch=5, repeat=9), VectorOp("b", "add", 6, 7), VectorOp("c", "silu", 6, 7)))
    assert memory_footprint(trace, "fp16")["activation_peak_bytes"] == 2 * 3 * 42
    own = Trace("t", (Gemm("s", 2, 3, 4, w_source="activation"),))
    assert memory_footprint(own, "fp16")["activation_peak_bytes"] == 2 * (8 + 12 + 6)
    lookup = Trace("t", (VectorOp("e", "embedding", 2, 3),))
    assert memory_footprint(lookup, "fp16")["activation_peak_bytes"] == 12


def test_summary_of_a_decode_step() -> None:
    summary = summarize(load_workload("llama-2-7b", phase="decode", context=2048))
    assert summary["parameters"] == 6_738_415_616
    assert summary["macs"] == summary["macs_linear"] + summary["macs_attention"] + summary["macs_conv"]
    assert summary["macs_attention"] == 537_133_056
    assert summary["unique_gemms"] == 6
    assert summary["kv_read_bytes"] == 2049 * 524_288
    assert summary["weight_bytes"] == 2 * 6_607_077_376
    assert summary["macs_per_byte"] == pytest.approx(0.5, rel=2e-3)
    assert "no policy given" in summary["formats"]


def test_intensity_rises_with_narrow_weights_and_long_prompts() -> None:
    step = load_workload("llama-2-7b", phase="decode", context=128)
    wide, narrow = summarize(step, "fp16"), summarize(step, "w4a16")
    assert narrow["macs_per_byte"] > 3.5 * wide["macs_per_byte"]
    assert narrow["formats"] == "w4a16"
    assert summarize(load_workload("llama-2-7b"))["macs_per_byte"] > 100 * wide["macs_per_byte"]


def test_summary_of_a_bare_trace() -> None:
    ops = (Gemm("a", 2, 3, 4, 1, 1, "int8", "int8", "int8"), VectorOp("b", "add", 2, 3, 1, 1, "int8", "int8"))
    summary = summarize(Trace("t", ops))
    assert (summary["parameters"], summary["phase"]) == (None, None)
    assert summary["formats"] == "as in the trace"
    assert (summary["weight_bytes"], summary["activation_bytes"]) == (12, 8 + 6)
    assert summary["vector_elements"] == 6


def test_a_trace_of_vector_operations_alone_has_no_intensity() -> None:
    summary = summarize(Trace("t", (VectorOp("b", "add", 2, 3),)))
    assert (summary["macs"], summary["macs_per_byte"]) == (0, None)
