"""Schemes by themselves: what the tensors of a module hold, for methods whose models are tested elsewhere or large."""

from __future__ import annotations

import pytest

from hwsim.formats import parse_format
from hwsim.spec.errors import Problem, SpecError
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
        "weight.nested_absmax": part("F32", elements // 64 // 256),
    }  # fmt: skip
    stored = method.stored("m", parts, refuse)
    assert stored.format == "nf4_g64_int8"
    assert stored.bits == elements * 4 + elements // 64 * 8
    assert stored.other_bits == 32 * (elements // 64 // 256)
    # ours has an FP32 scale per row of 256 where bitsandbytes has one per 16,384 elements
    assert parse_format(stored.format).storage_bits(256, 256) - stored.bits == 256 * 32


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
