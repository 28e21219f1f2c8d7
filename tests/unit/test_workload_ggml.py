"""Rules of llama.cpp's mixes: which layers get more bits, fallbacks, experts; and rows that are split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import format_names, parse_format
from hwsim.formats.block.ggml import ggml_types
from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload
from hwsim.workload.footprint import memory_footprint
from hwsim.workload.ggml import Facts, apply_mix, mix_type, mixes
from hwsim.workload.notes import ranges

SMALL = Facts(layers=32, gqa=1, experts=1, is_70b=False, tied=False)


def more_bits(layer: int, layers: int) -> bool:
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


@pytest.mark.parametrize("tensor", ["attn_v", "ffn_down"])
def test_q4_k_m_raises_the_layers_that_llama_cpp_raises(tensor):
    found = [mix_type("Q4_K_M", tensor, 4096, SMALL, layer) for layer in range(32)]
    assert found == ["Q6_K" if more_bits(layer, 32) else "Q4_K" for layer in range(32)]


def test_each_type_has_its_exact_storage():
    for kind in ggml_types().values():
        if kind.format:
            fmt = parse_format(kind.format)
            assert fmt.bits_per_element == kind.bits_per_element
            assert fmt.storage_bits(5, 3 * kind.block) == 15 * 8 * kind.bytes
    assert {kind.name for kind in ggml_types().values() if not kind.format} == {"I64", "F64"}


@given(rows=st.integers(1, 9), k=st.integers(1, 700))
def test_no_format_stores_less_than_its_codes(rows, k):
    every = {*format_names(), *(kind.format for kind in ggml_types().values() if kind.format)}
    for fmt in map(parse_format, sorted(every)):
        assert 0 < fmt.code_bits(rows, k) <= fmt.storage_bits(rows, k), fmt.name


@pytest.mark.parametrize(
    ("name", "elements", "indices"),  # bits of indices, signs and digits of so many elements (ggml-common.h)
    [("iq2_xxs", 8, 8 + 7), ("iq2_xs", 8, 9 + 7), ("iq2_s", 8, 10 + 8), ("iq3_xxs", 8, 2 * 8 + 7),
     ("iq3_s", 8, 2 * 9 + 8), ("iq1_s", 8, 11), ("iq1_m", 8, 11), ("tq1_0", 256, 8 * (48 + 4)), ("q4_k", 1, 4)],
)  # fmt: skip
def test_codes_of_lattices_are_indices_and_signs(name, elements, indices):
    fmt = parse_format(name)
    assert fmt.code_bits(3, 512) == 3 * 512 // elements * indices
    found = memory_footprint(load_workload("llama-2-7b", policy=f"gguf:{name.upper()}"), "fp16") if name in (
        "iq2_xxs", "iq1_s") else {"metadata_bytes": 1}  # fmt: skip
    assert found["metadata_bytes"] > 0


def test_llama_cpp_names_of_types_are_names_of_formats():
    for kind in ggml_types().values():
        if "_" in kind.name and kind.format:
            assert parse_format(kind.name.lower()) == parse_format(kind.format)


def test_a_ragged_super_block_is_stored_whole():
    q4_k = parse_format("q4_k")
    assert q4_k.storage_bits(2, 257) == 2 * q4_k.storage_bits(1, 512)


def test_lattice_types_say_that_they_do_not_quantize():
    with pytest.raises(UsageError, match="lattice"):
        parse_format("iq2_xxs").quantize([1.0, 2.0])


@pytest.mark.parametrize(
    ("mix", "columns", "found"),
    [("Q4_K_S", 96, "Q5_0"), ("Q6_K", 96, "Q8_0"), ("Q5_K_S", 96, "Q5_1"), ("Q2_K_S", 96, "Q4_0"),
     ("IQ2_XXS", 96, "IQ4_NL"), ("Q4_K_S", 80, "F16"), ("Q8_0", 80, "F16"), ("F16", 80, "F16")],
)  # fmt: skip
def test_rows_of_no_whole_blocks_fall_back(mix, columns, found):
    assert mix_type(mix, "attn_q", columns, SMALL) == found


def test_eight_experts_raise_keys_values_and_outputs():
    mixtral = Facts(32, 4, 8, False, False)
    found = {name: mix_type("Q4_K_S", name, 4096, mixtral, 9) for name in ("attn_k", "attn_v", "attn_output", "attn_q")}
    assert found == {"attn_k": "Q8_0", "attn_v": "Q8_0", "attn_output": "Q5_K", "attn_q": "Q4_K"}
    assert mix_type("MXFP4_MOE", "ffn_up", 4096, mixtral, experts=8) == "MXFP4"
    assert mix_type("MXFP4_MOE", "attn_q", 4096, mixtral) == "Q8_0"


@pytest.mark.parametrize("mix", sorted(mixes()))
@pytest.mark.parametrize("model", ["gpt2", "gemma-2-2b", "phi-3-mini-4k"])
def test_every_mix_fills_every_weight_and_conserves_work(mix, model):
    trace = load_workload(model, phase="decode", context=64)
    done = apply_mix(trace, mix)
    assert all(gemm.w_format for gemm in done.gemms if gemm.w_source == "dram")
    assert done.macs == trace.macs
    by_layer = {}
    for gemm in done.gemms:
        by_layer[gemm.layer] = by_layer.get(gemm.layer, 0) + gemm.repeat
    assert by_layer == {name: sum(g.repeat for g in trace.gemms if g.layer == name) for name in by_layer}


def test_formats_that_a_trace_states_stay():
    trace = load_workload("gpt2", overrides=[{"match": "attn.*", "w_format": "int4"}])
    done = apply_mix(trace, "Q8_0")
    assert {gemm.w_format for gemm in done.gemms if gemm.role == "qkv"} == {"int4"}
    assert {gemm.w_format for gemm in done.gemms if gemm.role == "ffn"} == {"int8_g32"}


def test_unknown_mixes_and_models_without_a_head_are_named():
    with pytest.raises(UsageError, match="Q4_K_M"):
        apply_mix(load_workload("gpt2"), "Q4_KM")
    with pytest.raises(UsageError, match="language models"):
        apply_mix(load_workload("resnet-18"), "Q4_K_M")


def test_ranges():
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2 5 7-8"
