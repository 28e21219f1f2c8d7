from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload
from hwsim.workload.ops import Gemm, VectorOp
from hwsim.workload.policy import PRESETS, Override, Policy, apply_overrides, apply_policy, read_overrides
from hwsim.workload.trace import Trace

TRACE = Trace(
    "t",
    (
        Gemm("attn.q_proj", 4, 8, 8, role="qkv"),
        Gemm("attn.score", 4, 4, 8, w_source="kv", role="score"),
        VectorOp("attn.softmax", "softmax", 4, 4),
        Gemm("mlp.up_proj", 4, 8, 8, role="ffn", w_format="int8"),
        Gemm("lm_head", 4, 8, 8, role="lm_head"),
    ),
)


@pytest.mark.parametrize(
    ("name", "w", "a", "kv"),
    [
        ("w8a8", "int8", "int8", "int8"),
        ("w4a16", "int4", "fp16", "fp16"),
        ("w4a16_g128", "int4_g128", "fp16", "fp16"),
        ("w4a8", "int4", "int8", "int8"),
        ("w4a8kv4_g128", "int4_g128", "int8", "int4"),
        ("w16a16", "fp16", "fp16", "fp16"),
        ("w3a16_g64", "int3_g64", "fp16", "fp16"),
        ("fp16", "fp16", "fp16", "fp16"),
        ("mxfp4", "mxfp4", "mxfp4", "mxfp4"),
        ("fp8_e4m3", "fp8_e4m3", "fp8_e4m3", "fp8_e4m3"),
    ],
)
def test_short_names(name: str, w: str, a: str, kv: str) -> None:
    policy = Policy.parse(name)
    assert (policy.w_format, policy.a_format, policy.kv_format, policy.o_format) == (w, a, kv, a)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fill_a_trace(name: str) -> None:
    for op in apply_policy(TRACE, name).ops:
        assert parse_format(op.a_format).name == op.a_format
        assert op.o_format
        assert not isinstance(op, Gemm) or op.w_format


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown policy 'w4a61_g128x'.*did you mean 'w4a16_g128'"):
        Policy.parse("w4a61_g128x")
    with pytest.raises(UsageError, match="fp16 weights have no group"):
        Policy.parse("w16a16_g128")
    with pytest.raises(UsageError, match="int99"):
        Policy.parse("w99a8")


def test_stated_formats_stay_and_blanks_are_filled() -> None:
    filled = apply_policy(TRACE, Policy("int4", "fp16", kv_format="int8", o_format="bf16"))
    q, score, softmax, up, head = filled.ops
    assert isinstance(q, Gemm)
    assert isinstance(score, Gemm)
    assert isinstance(up, Gemm)
    assert isinstance(head, Gemm)
    assert (q.w_format, q.a_format, q.o_format) == ("int4", "fp16", "bf16")
    assert score.w_format == "int8"
    assert (softmax.a_format, softmax.o_format) == ("fp16", "bf16")
    assert up.w_format == "int8"
    assert head.w_format == "int4"


def test_applying_twice_changes_nothing() -> None:
    once = apply_policy(TRACE, "w4a16")
    assert apply_policy(once, "w8a8") == once
    assert once.macs == TRACE.macs


def test_activations_by_activations_take_the_kv_format() -> None:
    trace = Trace("t", (Gemm("score", 1, 1, 1, w_source="activation", role="score"),))
    assert apply_policy(trace, Policy("int4", "fp16", kv_format="int8")).gemms[0].w_format == "int8"


@pytest.mark.parametrize("match", ["lm_head", "lm_*", "mlp.*", "softmax", "attn.softmax", "ffn"])
def test_overrides_match_layers_roles_and_vector_ops(match: str) -> None:
    policy = Policy("int4", "fp16", overrides=(Override(match, a_format="int8"),))
    changed = [op.layer for op in apply_policy(TRACE, policy).ops if op.a_format == "int8"]
    expected = {"softmax": "attn.softmax", "ffn": "mlp.up_proj", "mlp.*": "mlp.up_proj", "lm_*": "lm_head"}
    assert changed == [expected.get(match, match)]


def test_the_last_override_wins_and_blanks_keep_the_earlier() -> None:
    rules = (Override("*", w_format="int8", o_format="bf16"), Override("qkv", w_format="int3"))
    q = apply_policy(TRACE, Policy("int4", "fp16", overrides=rules)).gemms[0]
    assert (q.w_format, q.a_format, q.o_format) == ("int3", "fp16", "bf16")


def test_an_override_that_matches_nothing_is_an_error() -> None:
    policy = Policy("int4", "fp16", overrides=(Override("lm_haed", w_format="int8"),))
    with pytest.raises(UsageError, match="'lm_haed' matches nothing in t; .*did you mean 'lm_head'"):
        apply_policy(TRACE, policy)
    with pytest.raises(UsageError, match="matches nothing"):
        apply_overrides(TRACE, policy.overrides)


def test_overrides_alone_leave_the_rest_open() -> None:
    partly = apply_overrides(TRACE, [Override("lm_head", w_format="int8"), Override("score", kv_format="int4")])
    assert [gemm.w_format for gemm in partly.gemms] == ["", "int4", "int8", "int8"]
    assert {op.a_format for op in partly.ops} == {""}
    filled = apply_policy(partly, "w4a16")
    assert [gemm.w_format for gemm in filled.gemms] == ["int4", "int4", "int8", "int8"]


def test_bad_overrides() -> None:
    with pytest.raises(UsageError, match="names no format"):
        Override("lm_head")
    with pytest.raises(UsageError, match="must name a layer or role"):
        Override("", w_format="int8")
    with pytest.raises(UsageError, match="unknown format"):
        Override("lm_head", w_format="int8x")


def test_from_mapping() -> None:
    assert Policy.from_mapping({"preset": "w4a16_g128"}) == Policy("int4_g128", "fp16")
    assert Policy.from_mapping({"preset": "w4a16", "kv_format": "int8"}) == Policy("int4", "fp16", "int8")
    mapping = {"w_format": "int4", "a_format": "int8", "overrides": [{"role": "lm_head", "w_format": "int8"}]}
    assert Policy.from_mapping(mapping) == Policy("int4", "int8", overrides=(Override("lm_head", "int8"),))
    # KV and outputs follow the activations that the mapping names, not those of the preset
    assert Policy.from_mapping({"preset": "w4a16", "a_format": "int8"}) == Policy("int4", "int8")
    # what the preset itself states stays
    assert Policy.from_mapping({"preset": "w4a8kv4", "a_format": "fp16"}) == Policy("int4", "fp16", "int4")
    assert Policy.from_mapping({"preset": "llm_int8", "a_format": "int8"}).kv_format == "fp16"
    assert Policy.from_mapping({"preset": "awq", "a_format": "int8"}).kv_format == "int8"


def test_from_mapping_mistakes() -> None:
    with pytest.raises(UsageError, match="unknown key 'w_fromat'.*did you mean 'w_format'"):
        Policy.from_mapping({"w_fromat": "int4", "a_format": "int8"})
    with pytest.raises(UsageError, match="a_format missing"):
        Policy.from_mapping({"w_format": "int4"})
    with pytest.raises(UsageError, match="exactly one of match, layer, role"):
        read_overrides([{"w_format": "int8"}])
    with pytest.raises(UsageError, match="exactly one of match, layer, role"):
        read_overrides([{"layer": "a", "role": "b", "w_format": "int8"}])
    with pytest.raises(UsageError, match="unknown key 'bits'"):
        read_overrides([{"layer": "a", "bits": "int8"}])
    with pytest.raises(UsageError, match="must be a mapping"):
        read_overrides(["lm_head"])


def test_missing_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="w_format must name a format"):
        Policy("", "fp16")
    with pytest.raises(UsageError, match="unknown format"):
        Policy("int4", "fp17x")


def test_policies_are_values() -> None:
    policy = Policy("int4", "fp16", overrides=[Override("x", w_format="int8")])  # type: ignore[arg-type]
    assert hash(policy) == hash(replace(policy))
    assert policy.overrides == (Override("x", w_format="int8"),)


def test_a_mix_of_llama_cpp_gives_weights_their_formats_layer_by_layer():
    trace = load_workload("llama-2-7b", phase="decode", context=16, policy="gguf:Q4_K_M")
    found = {}
    for gemm in trace.gemms:
        found.setdefault(gemm.layer, {})[gemm.w_format] = gemm.repeat
    assert found["attn.v_proj"] == {"q6_k": 16, "q4_k": 16}
    assert found["mlp.up_proj"] == {"q4_k": 32}
    assert found["lm_head"] == {"q6_k": 1}
    assert found["attn.score"] == {"fp16": 32}
    assert {gemm.a_format for gemm in trace.gemms} == {"fp16"}


def test_overrides_come_before_a_mix():
    policy = Policy.from_mapping({"preset": "gguf:Q8_0", "overrides": [{"match": "mlp.*", "w_format": "int4_g32"}]})
    trace = apply_policy(load_workload("gpt2"), policy)
    assert {gemm.w_format for gemm in trace.gemms if gemm.role == "ffn"} == {"int4_g32"}
    assert {gemm.w_format for gemm in trace.gemms if gemm.role == "qkv"} == {"int8_g32"}
    with pytest.raises(UsageError, match="unknown mix 'Q4_KM'.*did you mean 'Q4_K_M'"):
        Policy.parse("gguf:Q4_KM")
