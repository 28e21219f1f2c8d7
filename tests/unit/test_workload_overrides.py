"""Formats of some layers and of a share of the reduction: what is cut, and that nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim
from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError
from hwsim.workload import (
    Gemm,
    Override,
    Policy,
    Trace,
    VectorOp,
    apply_policy,
    check_conserved,
    decode,
    load_workload,
    memory_bits,
    memory_footprint,
    policy_names,
    prefill,
    summarize,
)
from hwsim.workload.cutting import share_notes
from hwsim.workload.phases.generation import Generation
from hwsim.workload.phases.training import Training
from hwsim.workload.places import places
from hwsim.workload.policy import preset_policies

BLOCK = Trace("t", (
    VectorOp("embed", "embedding", 3, 64), Gemm("attn.q", 3, 64, 64, repeat=12, role="qkv"),
    VectorOp("mlp.act", "silu", 3, 64, repeat=12), Gemm("mlp.up", 3, 96, 64, repeat=24, passes=2, role="ffn"),
    Gemm("lm_head", 3, 100, 64, role="lm_head"),
))  # fmt: skip


def formats(trace: Trace, layer: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for gemm in trace.gemms:
        if gemm.layer == layer:
            found[gemm.w_format] += gemm.layers
    return found


def test_first_and_last_layers_are_cut_off() -> None:
    policy = Policy("int4", "fp16", overrides=(Override(w_format="bf16", first=2, last=1),))
    filled = apply_policy(BLOCK, policy)
    assert formats(filled, "attn.q") == formats(filled, "mlp.up") == {"bf16": 3, "int4": 9}
    assert formats(filled, "lm_head") == {"int4": 1}  # not one of the layers
    check_conserved(BLOCK, filled)
    assert [g.passes for g in filled.gemms if g.layer == "mlp.up"] == [2, 2]


def test_later_overrides_win_in_the_layers_that_they_share() -> None:
    rules = (Override(w_format="bf16", first=4), Override("qkv", w_format="int8", layers="3-5"))
    filled = apply_policy(BLOCK, Policy("int4", "fp16", overrides=rules))
    assert formats(filled, "attn.q") == {"bf16": 3, "int8": 3, "int4": 6}
    assert formats(filled, "mlp.up") == {"bf16": 4, "int4": 8}


@given(st.integers(0, 14), st.integers(0, 14), st.integers(1, 12), st.integers(1, 3))
def test_cutting_conserves(first: int, last: int, layers: int, passes: int) -> None:
    trace = Trace("t", (
        Gemm("q", 3, 5, 7, 2, layers * passes, passes=passes), VectorOp("a", "add", 3, 5, 1, layers * passes,
        passes=passes), Gemm("head", 3, 5, 7, repeat=passes, passes=passes),
    ))  # fmt: skip
    if not first + last:
        return
    filled = apply_policy(
        trace, Policy("int4", "int4", overrides=(Override("*", "int8", "int8", first=first, last=last),))
    )
    check_conserved(trace, filled)
    kept = formats(filled, "q").get("int8", 0)
    if layers > 1:
        assert kept == min(layers, first + last)
        assert formats(filled, "head") == {"int4": 1}
    else:  # no row stands for several layers: the two products are the layers, in their order
        assert kept == (first > 0 or last > 1)
        assert formats(filled, "head").get("int8", 0) == (last > 0 or first > 1)


def test_rules_of_layers_are_those_of_llama_cpp() -> None:
    """use_more_bits of 32 layers: the first and last eighth, and every third between."""
    rule = Override("ffn", w_format="int8", layers="use_more_bits")
    chosen = [i for i in range(32) if rule.holds_in(i, 32)]
    assert chosen == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]


def test_rows_of_some_layers_are_refused_not_guessed() -> None:
    gemma = load_workload("gemma-2-2b", seq_len=8)
    with pytest.raises(UsageError, match="attn.score: stands for 13 of 26 layers, and the trace does not say which"):
        apply_policy(gemma, Policy("int4", "fp16", overrides=(Override(kv_format="bf16", first=1),)))
    whole = apply_policy(gemma, Policy("int4", "fp16", overrides=(Override(w_format="bf16", first=1),)))
    assert formats(whole, "attn.o_proj") == {"bf16": 1, "int4": 25}  # K and V have other formats: nothing to guess
    filled = apply_policy(gemma, Policy("int4", "fp16", overrides=(Override("mlp.*", w_format="bf16", first=1),)))
    assert formats(filled, "mlp.up_proj") == {"bf16": 1, "int4": 25}


def test_vector_patterns_leave_gemms_alone() -> None:
    filled = apply_policy(BLOCK, Policy("int4", "int4", overrides=(Override("vector:*", a_format="fp16"),)))
    assert {op.a_format for op in filled.vector_ops} == {"fp16"}
    assert {gemm.a_format for gemm in filled.gemms} == {"int4"}


@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 700), st.integers(1, 99), st.sampled_from([1, 16, 128]))
def test_a_share_of_the_reduction_conserves_macs_and_weights(m: int, n: int, k: int, percent: int, block: int) -> None:
    share = Override("q", w_format="fp16", a_format="fp16", share=Fraction(percent, 100), block=block)
    trace = Trace("t", (Gemm("q", m, n, k, 2, 3),))
    apart = share.features(k)
    assert apart % block == 0 or apart == k
    assert bool(apart) == (k > block)
    if apart > block:
        assert abs(apart - k * Fraction(percent, 100)) <= Fraction(block, 2) + (block if apart == k else 0)
    policy = Policy("int8", "int8", o_format="fp16", overrides=(share,))
    if apart >= k:
        with pytest.raises(UsageError, match="leave none"):
            apply_policy(trace, policy)
        return
    filled = apply_policy(trace, policy)
    assert filled.macs == trace.macs
    assert sum(g.w_elements for g in filled.gemms) == 2 * 3 * n * k
    if apart:
        assert [(g.layer, g.k, g.w_format) for g in filled.gemms] == [
            ("q", k - apart, "int8"),
            ("q.outliers", apart, "fp16"),
        ]
        assert [(op.op, op.m, op.n) for op in filled.vector_ops] == [
            ("quantize", m, k - apart), ("dequantize", m, n), ("add", m, n),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("share", "block", "k", "apart", "note"),
    [
        ("1/1000", 128, 1024, 128, "share 1/1000 of k = 1024 is rounded up to a block of 128"),
        ("1/1000", 1, 300, 1, "share 1/1000 of k = 300 is rounded up to a block of 1"),
        ("1/16", 128, 1024, 128, ""),  # half a block is rounded up as anywhere
        ("16/100", 128, 4096, 5 * 128, ""),
        ("16/100", 128, 128, 0, "share 4/25 of k = 128 is not cut off: blocks are of 128"),
        ("1/2", 128, 64, 0, "share 1/2 of k = 64 is not cut off: blocks are of 128"),
    ],
)
def test_a_share_below_a_block_does_not_vanish_in_silence(share: str, block: int, k: int, apart: int, note: str):
    override = Override("q", w_format="fp16", a_format="fp16", share=Fraction(share), block=block)
    policy = Policy("int8", "int8", o_format="fp16", overrides=(override,))
    filled = apply_policy(Trace("t", (Gemm("q", 4, 8, k, note="own"), Gemm("r", 4, 8, k))), policy)
    assert filled.macs == 2 * 4 * 8 * k
    assert [g.k for g in filled.gemms if g.layer == "q.outliers"] == [apart] * bool(apart)
    named = [g.note for g in filled.gemms if g.note not in ("", "own")]
    assert named == ([f"own; {note}"] if note else [])
    assert share_notes(filled) == ((f"policy: {note} (q)",) if note else ())


def test_runs_and_traces_tell_of_rounded_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = {"preset": "w8a8", "overrides": [{"match": "ffn", "share": 0.0001, "block": 128, "w_format": "int4"}]}
    spec = {"model": "opt-125m", "seq_len": 4, "policy": policy}
    notes = [
        f"policy: share 1/10000 of k = {k} is rounded up to a block of 128 ({name})"
        for k, name in ((768, "mlp.up_proj"), (3072, "mlp.down_proj"))
    ]
    assert set(notes) <= set(hwsim.run("edge_16x16_45nm", spec).notes)
    (tmp_path / "w.yaml").write_text(json.dumps(spec))
    assert run_command(["trace", str(tmp_path / "w.yaml"), "--summary"]) == 0
    assert set(notes) <= set(capsys.readouterr().err.splitlines())


def test_llm_int8_stores_what_its_format_stores() -> None:
    """INT8 by K - outliers and FP16 by outliers: as the format of the same name lays a tensor out."""
    trace = load_workload("llama-2-7b", seq_len=16)
    filled = apply_policy(trace, "llm_int8")
    whole = parse_format("llm_int8")
    for layer in ("attn.q_proj", "mlp.down_proj"):
        parts = [g for g in filled.gemms if g.layer in (layer, f"{layer}.outliers")]
        n, k = parts[0].n, sum(g.k for g in parts)
        assert sum(g.w_bits(parse_format(g.w_format)) for g in parts) == 32 * whole.storage_bits(n, k)
    q = [g.k for g in filled.gemms if g.layer == "attn.q_proj.outliers"]
    assert q == [4]  # 4096 / 1000
    assert {g.w_format for g in filled.gemms if g.role == "lm_head"} == {"fp16"}
    assert {(g.w_format, g.a_format) for g in filled.gemms if g.role == "score"} == {("fp16", "fp16")}
    assert filled.macs == trace.macs


def test_comet_multiplies_at_least_84_percent_in_four_bits() -> None:
    trace = load_workload("llama-2-7b", seq_len=16)
    filled = apply_policy(trace, "comet")
    linear = [g for g in filled.gemms if g.role in ("qkv", "attn_out", "ffn")]
    narrow = sum(g.macs for g in linear if (g.w_format, g.a_format) == ("int4_g128", "int4_g128"))
    wide = sum(g.macs for g in linear if (g.w_format, g.a_format) == ("int4_g128", "int8_g128"))
    assert narrow + wide == sum(g.macs for g in linear)
    assert narrow / (narrow + wide) == pytest.approx(0.84, abs=0.01)  # whole blocks of 128 of 4096 and 11008
    assert {g.k % 128 for g in linear} == {0}
    assert {g.w_format for g in filled.gemms if g.role == "score"} == {"int4_g128"}


NAMED = [
    "w8a8", "w4a16_g128", "w4a8", "w4a4kv4", "w6a6", "bitnet", "mxfp4", "nvfp4", "llm_int8", "comet", "qserve", "awq",
]  # fmt: skip


@pytest.mark.parametrize("name", [*NAMED, *(name for name in policy_names() if ":" not in name)])
@pytest.mark.parametrize("model", ["llama-3.2-1b", "resnet-18"])
def test_policies_by_name_fill_any_model(name: str, model: str) -> None:
    """Presets name roles that an image model lacks; that is no mistake."""
    trace = load_workload(model, **({} if model == "resnet-18" else {"seq_len": 8}))
    filled = apply_policy(trace, name)
    assert all(op.a_format and op.o_format for op in filled.ops)
    assert filled.macs == trace.macs
    assert name in policy_names()


@pytest.mark.parametrize("name", sorted(preset_policies()))
def test_presets_have_a_source_and_are_open_to_change(name: str) -> None:
    assert "arXiv" in preset_policies()[name]["source"] or "COMET" in preset_policies()[name]["source"]
    changed = Policy.from_mapping(
        {"preset": name, "kv_format": "int8", "overrides": [{"match": "ffn", "w_format": "int2"}]}
    )
    assert changed.kv_format == "int8"
    assert changed.overrides[:-1] == Policy.parse(name).overrides
    assert changed.w_format == Policy.parse(name).w_format


def test_bitnet_is_two_bits_a_weight_with_a_wide_head() -> None:
    found = memory_footprint(load_workload("bitnet-b1.58-2b-4t"), "bitnet")
    trace = load_workload("bitnet-b1.58-2b-4t")
    inner = sum(g.w_elements for g in trace.gemms if g.role in ("qkv", "attn_out", "ffn"))
    head = sum(g.w_elements for g in trace.gemms if g.role == "lm_head")
    assert found["gemm_weight_bytes"] == inner * 2 // 8 + head * 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"w_format": "int8"}, "name exactly one of match, layer, role"),
        ({"first": -1, "w_format": "int8"}, "first must be a whole number of at least 0, not -1"),
        ({"first": 1, "layers": "2", "w_format": "int8"}, "name either layers or first and last"),
        ({"layers": "4-2", "w_format": "int8"}, "layers '4-2'; valid: numbers and ranges"),
        ({"layers": "use_more_bit", "w_format": "int8"}, "use_more_bits"),
        ({"match": "q", "share": 1.5, "w_format": "int8"}, "share must be between 0 and 1"),
        ({"match": "q", "share": "x", "w_format": "int8"}, "share must be between 0 and 1"),
        ({"match": "q", "frist": 1, "w_format": "int8"}, "did you mean 'first'"),
        ({"first": 2}, "names no format"),
    ],
)
def test_mistakes(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Policy.from_mapping({"preset": "w8a8", "overrides": [entry]})


def test_policies_name_accumulators() -> None:
    overrides = [{"role": "lm_head", "accumulator": "int40"}]
    policy = {"preset": "w8a8", "accumulator": "int32", "overrides": overrides}
    trace = load_workload({"model": "opt-125m", "seq_len": 4, "policy": policy})
    assert {gemm.role: gemm.accumulator for gemm in trace.gemms}["lm_head"] == "int40"
    assert {gemm.accumulator for gemm in trace.gemms if gemm.role != "lm_head"} == {"int32"}
    with pytest.raises(UsageError, match="int99 is wider than 53 bits"):
        Policy.from_mapping({"preset": "w8a8", "accumulator": "int99"})


def test_accumulators_reach_rows_that_state_their_formats() -> None:
    filled = apply_policy(load_workload({"model": "opt-125m", "seq_len": 4}), "w8a8")
    asked = apply_policy(filled, Policy("fp16", "fp16", accumulator="fp32"))
    assert {gemm.accumulator for gemm in asked.gemms} == {"fp32"}
    assert [replace(gemm, accumulator="") for gemm in asked.gemms] == list(filled.gemms)


def test_recipes_are_no_policies() -> None:
    with pytest.raises(UsageError, match="'fp8_training' is a recipe of training: name it as the policy of phase"):
        Policy.from_mapping({"preset": "fp8_training"})


def test_yaml_takes_layers_and_shares() -> None:
    overrides = [{"first": 1, "last": 1, "w_format": "int8"}, {"match": "ffn", "share": 0.01, "w_format": "fp16"}]
    trace = load_workload({"model": "opt-125m", "seq_len": 4, "policy": {"preset": "w4a16", "overrides": overrides}})
    assert formats(trace, "attn.q_proj") == {"int8": 2, "int4": 10}
    assert formats(trace, "mlp.up_proj.outliers") == {"fp16": 12}


# --- footprint and summary of phases


def test_weights_that_stages_share_are_stored_once() -> None:
    plain = load_workload("llama-3.2-1b", seq_len=64)
    for options in (
        {"phase": "generation", "seq_len": 64, "new_tokens": 20}, {"phase": "chunked_prefill", "seq_len": 64, "chunk": 24},
        {"phase": "training", "seq_len": 64}, {"phase": "mixed", "requests": ["prefill:9", "decode@5"]},
    ):  # fmt: skip
        trace = load_workload("llama-3.2-1b", **options)
        for policy in ("fp16", "w4a16_g128", "mxfp4"):
            found = memory_bits(trace, policy)["gemm_weight_bytes"]
            assert found == memory_bits(plain, policy)["gemm_weight_bytes"], options


def test_two_models_are_stored_beside_each_other() -> None:
    trace = load_workload(
        "llama-3-8b", phase="speculative", draft="llama-3.2-1b", draft_tokens=4, acceptance=0.8, context=100
    )
    alone = [memory_bits(load_workload(n), "int8")["gemm_weight_bytes"] for n in ("llama-3-8b", "llama-3.2-1b")]
    assert memory_bits(trace, "int8")["gemm_weight_bytes"] == sum(alone)
    per_token = [load_workload(n).meta["kv_bytes_per_token_fp16"] for n in ("llama-3-8b", "llama-3.2-1b")]
    assert memory_footprint(trace, "fp16")["kv_cache_bytes"] == per_token[0] * 105 + per_token[1] * 104


def test_experts_and_latents_are_stored_once() -> None:
    """A prefill touches 6 experts of 8 and expands the latent; a decode step touches 2 and absorbs it."""

    def model(phase: Any) -> Trace:
        experts, rows = (2, 1) if phase.decode else (6, phase.tokens)
        latent = (
            (Gemm("attn.absorb_k", rows, 16, 4, 2, 3, role="qkv"), Gemm("attn.absorb_v", rows, 4, 16, 2, 3, role="qkv"))
            if phase.decode else (Gemm("attn.kv_b_proj", rows, 2 * (4 + 4), 16, repeat=3, role="qkv"),)
        )  # fmt: skip
        ops = (*latent, Gemm("moe.up_proj", 1, 32, 8, experts, 3, role="ffn"))
        idle = [Gemm("moe.up_proj", 1, 32, 8, 8 - experts, 3, role="ffn")]
        length = {"context": phase.tokens} if phase.decode else {"seq_len": phase.tokens}
        return Trace(f"m {phase.kind}", ops, {"phase": phase.kind, "idle_weights": idle, **length})

    stored = 8 * (3 * 16 * 16 + 3 * 8 * 32 * 8)
    made = Generation(4, 5).trace(model)
    assert made.meta["idle_weights"] == [Gemm("moe.up_proj", 1, 32, 8, 2, 3, role="ffn")]
    for trace in (made, model(prefill(4)), model(decode(4)), Training(4).trace(model)):
        assert memory_bits(trace, "int8")["gemm_weight_bytes"] == stored


def test_experts_are_in_the_last_layers_and_dense_ones_in_the_first() -> None:
    trace = Trace("t", (
        Gemm("attn.q", 1, 8, 8, repeat=10, role="qkv"), Gemm("mlp.up", 1, 8, 8, repeat=3, role="ffn"),
        Gemm("moe.up", 2, 8, 8, 4, 7, role="ffn"), Gemm("moe.up", 1, 8, 8, 2, 7, role="ffn"),
        Gemm("modulation", 1, 8, 8, repeat=11),
    ))  # fmt: skip
    rules = (Override("attn*", "bf16", first=2, last=1), Override("m[lo][pe].*", "bf16", first=2, last=1))
    filled = apply_policy(trace, Policy("int4", "fp16", overrides=rules))
    assert formats(filled, "attn.q") == {"bf16": 3, "int4": 7}
    assert formats(filled, "mlp.up") == {"bf16": 2, "int4": 1}
    assert formats(filled, "moe.up") == {"bf16": 2, "int4": 2 * 6}
    with pytest.raises(UsageError, match="modulation: stands for 11 of 10 layers"):
        apply_policy(trace, Policy("int4", "fp16", overrides=(Override(w_format="bf16", first=1),)))


def test_keys_and_values_may_differ_in_format() -> None:
    trace = load_workload("llama-2-7b", phase="decode", context=99)
    mixed = Policy("int4", "fp16", "int8", overrides=(Override("value", kv_format="int4"),))
    vectors = trace.meta["kv_vectors"]
    assert memory_bits(trace, mixed)["kv_cache_bytes"] == vectors // 2 * 128 * (8 + 4)


def test_metadata_is_what_scales_take() -> None:
    trace = load_workload("llama-2-7b", phase="decode", context=99)
    bits = memory_bits(trace, "int4_g128")
    weights = sum(g.w_elements for g in trace.gemms if g.w_source == "dram")
    assert bits["metadata_bytes"] == (weights // 128 + trace.meta["kv_vectors"]) * 16  # one FP16 scale per 128
    assert memory_bits(trace, "int4")["metadata_bytes"] == 0


def test_training_stores_what_zero_counts() -> None:
    """16 bytes per parameter (ZeRO, arXiv 1910.02054, section 3.1) for weights, gradients, Adam's states."""
    trace = load_workload("gpt2", phase="training", seq_len=32)
    found = memory_footprint(trace, Policy("bf16", "bf16", other_format="bf16"))
    parameters = trace.meta["parameters"]
    stored = found["weight_bytes"] + found["gradient_bytes"] + found["optimizer_bytes"]
    assert stored == 16 * parameters
    parts = ("weight", "kv_cache", "gradient", "optimizer", "activation_kept", "activation_peak")
    assert found["total_bytes"] == sum(found[f"{part}_bytes"] for part in parts)


def test_recomputation_keeps_less() -> None:
    kept = [
        memory_footprint(load_workload("gpt2", phase="training", seq_len=256, recompute=how), "bf16")[
            "activation_kept_bytes"
        ]
        for how in ("none", "attention", "all")
    ]
    scores = 2 * 2 * 12 * 256 * 256 + 2 * 256 * 768  # of a layer: scores, their softmax, results of values
    assert kept[0] - kept[1] == 11 * scores
    logits = 2 * 256 * 50257
    assert kept[2] - logits < (kept[1] - logits) / 5


def test_summaries_say_what_the_phase_is() -> None:
    found = summarize(load_workload("gpt2", phase="generation", seq_len=10, new_tokens=5))
    assert (found["seq_len"], found["new_tokens"], found["phase"]) == (10, 5, "generation")
    assert found["stored_weight_bytes"] == 2 * found["parameters"]
    training = summarize(load_workload("gpt2", phase="training", seq_len=10))
    # gradient 2 read; two moments and the master copy 4 each, read and written; weights 2 written
    assert training["optimizer_moved_bytes"] == (2 + 2 * 12 + 2) * training["parameters"]


def test_depth_is_the_most_layers() -> None:
    assert {place.depth for place in places(BLOCK)} == {12}
