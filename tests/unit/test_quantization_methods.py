"""Schemes by themselves: what the tensors of a module hold, for methods whose models are tested elsewhere or large."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.formats import parse_format
from hwsim.spec.errors import Problem, SpecError
from hwsim.workload import load_workload
from hwsim.workload.quantization import METHODS, read_scheme
from hwsim.workload.quantization.base import Part, matches


def refuse(message):
    return SpecError([Problem("config.json", 0, 0, "", message)])


def scheme(**config):
    return read_scheme({"quantization_config": config}, refuse)


def part(dtype, *shape):
    bits = {"U8": 8, "F32": 32, "F16": 16, "I32": 32, "I8": 8}[dtype]
    for size in shape:
        bits *= size
    return Part(dtype, shape, bits)


def bits_are_those_of_the_format(stored):
    return stored.bits == stored.experts * parse_format(stored.format).storage_bits(stored.rows, stored.columns)


def test_mxfp4_experts():
    method = scheme(quant_method="mxfp4", modules_to_not_convert=["model.layers.*.self_attn", "lm_head"])
    module = "model.layers.0.mlp.experts.gate_up_proj"
    stored = method.stored(module, {"blocks": part("U8", 4, 96, 2, 16), "scales": part("U8", 4, 96, 2)}, refuse)
    assert (stored.experts, stored.rows, stored.columns, stored.format) == (4, 96, 64, "mxfp4")
    assert bits_are_those_of_the_format(stored)
    assert method.quantizes(module)
    assert not method.quantizes("model.layers.0.self_attn.q_proj")
    assert not method.quantizes("model.layers.0.mlp.router")
    with pytest.raises(SpecError, match="blocks of 8 bytes"):
        method.stored(module, {"blocks": part("U8", 4, 96, 2, 8), "scales": part("U8", 4, 96, 2)}, refuse)


def test_double_quantization_says_what_the_file_has_besides():
    method = scheme(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    elements = 256 * 256
    parts = {
        "weight": part("U8", elements // 2, 1), "weight.absmax": part("U8", elements // 64),
        "weight.nested_absmax": part("F32", elements // 64 // 256), "weight.nested_quant_map": part("F32", 256),
    }  # fmt: skip
    stored = method.stored("m", parts, refuse)
    assert stored.format == "nf4_g64_dq8"
    assert stored.bits == elements * 4 + elements // 64 * 8 + elements // 64 // 256 * 32
    assert stored.other_bits == 256 * 32
    assert parse_format(stored.format).storage_bits(256, 256) == stored.bits


def test_asymmetric_int8_and_tiles():
    weights = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": False}
    method = scheme(quant_method="compressed-tensors", config_groups={"g": {"targets": ["Linear"], "weights": weights}})
    parts = {"weight": part("I8", 32, 64), "weight_scale": part("F16", 32, 1), "weight_zero_point": part("I8", 32, 1)}
    stored = method.stored("m", parts, refuse)
    assert stored.format == "int8_asym_g64"
    assert bits_are_those_of_the_format(stored)
    assert stored.codes.order[:2] == (128, 129)  # -128 is stored as 0x80: our unsigned code 0
    assert stored.codes.order[128] == 0


def test_groups_by_target_and_by_name():
    int4 = {"num_bits": 4, "type": "int", "group_size": 32}
    groups = {
        "a": {"targets": ["re:.*down_proj"], "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}},
        "b": {"targets": ["Linear"], "weights": int4},
    }
    method = scheme(quant_method="compressed-tensors", config_groups=groups, ignore=["model.layers.1.mlp.up_proj"])
    assert method.formats("model.layers.0.mlp.down_proj", 64) == ("int8_channel", "")
    assert method.formats("model.layers.0.mlp.up_proj", 64) == ("int4_g32", "")
    assert not method.quantizes("model.layers.1.mlp.up_proj")
    assert method.quantizes("lm_head")  # nothing is left out but what ignore names


@pytest.mark.parametrize(
    ("pattern", "module", "found"),
    [
        ("lm_head", "lm_head", True),
        ("gate", "model.layers.0.block_sparse_moe.gate", True),
        ("gate", "model.layers.0.mlp.gate_proj", False),
        ("model.layers.*.self_attn", "model.layers.7.self_attn.q_proj", True),
        ("layers.1", "model.layers.11.mlp.up_proj", False),
        ("re:.*self_attn.*", "model.layers.0.self_attn.q_proj", True),
        ("re:lm_head", "model.lm_head", False),
    ],
)
def test_patterns_name_whole_words(pattern, module, found):
    assert matches(pattern, module) is found


def test_every_method_is_registered():
    assert METHODS.names() == ["awq", "bitnet", "bitsandbytes", "compressed-tensors", "fp8", "gptq", "mxfp4"]


# Shipped models whose published checkpoint is quantized


def zoo_formats(name, **options):
    trace = load_workload(name, phase="decode", context=8, **options)
    return {gemm.layer: (gemm.w_format, gemm.a_format) for gemm in trace.gemms if gemm.w_source == "dram"}


def test_gpt_oss_has_mxfp4_experts_as_published():
    found = zoo_formats("gpt-oss-120b")
    assert {layer for layer, (w, _) in found.items() if w == "mxfp4"} == {"moe.gate_up_proj", "moe.down_proj"}
    assert {w for layer, (w, _) in found.items() if "_proj" not in layer or "attn" in layer} == {"bf16"}
    # 36 layers of 128 experts in 4.25 bits
    trace = load_workload("gpt-oss-120b", seq_len=4096)
    experts = [gemm for gemm in trace.gemms if gemm.w_format == "mxfp4"]
    assert {gemm.layer for gemm in experts} == {"moe.gate_up_proj", "moe.down_proj"}


def test_deepseek_v3_has_fp8_tiles_as_published():
    found = zoo_formats("deepseek-v3")
    tiles = ("fp8_e4m3_t128x128_fp32", "fp8_e4m3_g128_fp32")
    assert {layer for layer, one in found.items() if one != tiles} == {"moe.router", "lm_head"}
    assert found["moe.router"] == found["lm_head"] == ("bf16", "")


def test_bitnet_2b_is_ternary_as_published():
    found = zoo_formats("bitnet-b1.58-2b-4t")
    assert {one for layer, one in found.items() if layer != "lm_head"} == {("ternary_tensor", "int8")}
    assert found["lm_head"] == ("bf16", "")


@pytest.mark.parametrize("name", ["gpt-oss-120b", "deepseek-v3", "bitnet-b1.58-2b-4t"])
def test_a_policy_takes_the_place_of_published_formats(name):
    """So does null for quantization_config, which leaves them open, and training, whose weights are not quantized."""
    assert {w for w, _ in zoo_formats(name, policy="w4a16_g128").values()} == {"int4_g128"}
    assert {w for w, _ in zoo_formats(name, settings={"quantization_config": None}).values()} == {""}
    assert not any(gemm.w_format for gemm in load_workload(name, phase="training", seq_len=8).gemms)
    stated, opened = (
        sorted((g.m, g.n, g.k, g.batch, g.repeat) for g in load_workload(name, seq_len=8, **more).gemms)
        for more in ({}, {"policy": "fp16"})
    )
    assert stated == opened


@pytest.mark.parametrize("name", ["gpt-oss-120b", "bitnet-b1.58-2b-4t"])
def test_formats_of_published_checkpoints_can_be_compared_with_others(name, tmp_path):
    compared = hwsim.compare_formats("tpu_like_7nm", name, ["int8", "int4"], phase="decode", context=8)
    assert set(compared.frame[(compared.frame.op == "gemm")].w_format) == {"int8", "int4"}


@pytest.mark.parametrize(("bits", "columns", "words"), [(3, 512, 52), (3, 384, 39), (4, 512, 64), (6, 256, 52)])
def test_the_last_word_of_a_row_may_be_filled_up(bits, columns, words):
    """3 bits: ten to a word of 32, so that 512 columns take 52 words, of which 8 places and all spare bits are none."""
    weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True}
    method = scheme(quant_method="compressed-tensors", config_groups={"g": {"targets": ["Linear"], "weights": weights}})
    parts = {"weight_packed": part("I32", 16, words), "weight_scale": part("F16", 16, columns // 128)}
    stored = method.stored("m", parts, refuse)
    assert (stored.rows, stored.columns) == (16, columns)
    assert bits_are_those_of_the_format(stored)
    assert stored.bits + stored.other_bits == 16 * words * 32 + 16 * columns // 128 * 16


@pytest.mark.parametrize("dtype", ["U8", "F16", "F32"])
def test_packed_codes_may_stand_in_words_of_any_type(dtype):
    method = scheme(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_quant_storage="bfloat16")
    width = {"U8": 8, "F16": 16, "F32": 32}[dtype]
    parts = {"weight": part(dtype, 64 * 128 * 4 // width, 1), "weight.absmax": part("F32", 64 * 128 // 64)}
    stored = method.stored("m", parts, refuse)
    assert stored.bits == parse_format(stored.format).storage_bits(64, 128)
