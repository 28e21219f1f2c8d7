"""Which layers rows stand for: first and last of every kind of model, mixes and shares beside overrides by layer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats.block.ggml import ggml_type
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import (
    Gemm,
    Override,
    Policy,
    Trace,
    VectorOp,
    apply_policy,
    load_workload,
    memory_footprint,
    prefill,
)
from hwsim.workload.ggml import facts_of, mix_type
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.notes import noted_layers, with_layers
from hwsim.workload.overrides import read_overrides
from hwsim.workload.places import places
from tests.unit.test_workload_ggml import more_bits as raised
from tests.unit.test_workload_overrides import formats


def more_bits(layer: int) -> bool:
    return raised(layer, 32)


def weights(model: str, policy: Any, **settings: Any) -> int:
    return memory_footprint(load_workload(model, policy=policy, settings=settings), "fp32")["gemm_weight_bytes"]


def over(preset: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"preset": preset, "overrides": list(entries)}


def test_models_without_blocks_count_their_products_as_layers() -> None:
    """VGG-16: 13 convolutions and 3 products; the first has 3 · 3 · 3 · 64 weights, the last 4096 · 1000."""
    ends = weights("vgg-16", over("w4a8", {"first": 1, "last": 1, "w_format": "int8"}))
    assert ends - weights("vgg-16", "w4a8") == (27 * 64 + 4096 * 1000) // 2
    assert {p.depth for p in places(load_workload("vgg-16"))} == {16}
    unet = places(load_workload("sd-v1.5-unet"))
    assert {p.depth for p in unet} == {sum(g.w_source == "dram" for g in load_workload("sd-v1.5-unet").gemms)}


def test_a_model_of_one_block_has_its_head_outside() -> None:
    hidden, ffn, vocab = 4096, 11008, 32000
    block = 4 * hidden * hidden + 3 * hidden * ffn
    found = weights("llama-2-7b", over("w4a16", {"first": 1, "w_format": "int8"}), num_hidden_layers=1)
    assert found == block + vocab * hidden // 2
    both = load_workload("bart-large", settings={"decoder_layers": 1})
    filled = apply_policy(both, Policy("int4", "int8", overrides=(Override("*.attn.q_proj", "int8", first=1, last=1),)))
    assert formats(filled, "encoder.attn.q_proj") == {"int8": 2, "int4": 10}
    assert formats(filled, "decoder.attn.q_proj") == {"int8": 1}


@pytest.mark.parametrize(("layers", "count"), [(0, 1), ("0", 1), ([0, 31], 2), ([3], 1), ("0-3,31", 5)])
def test_layers_are_numbers_lists_or_ranges(layers: Any, count: int) -> None:
    entry = {"match": "mlp.up_proj", "layers": layers, "w_format": "int8"}
    trace = load_workload("llama-2-7b", policy=over("w4a16", entry), seq_len=4)
    assert formats(trace, "mlp.up_proj") == {"int8": count, "int4": 32 - count}


@pytest.mark.parametrize("layers", [[], [True], {"a": 1}, [1.5], -1, ["0"]])
def test_other_layers_are_refused(layers: Any) -> None:
    with pytest.raises(UsageError, match="valid: numbers and ranges such as 0-3,28-31"):
        read_overrides([{"match": "mlp.*", "layers": layers, "w_format": "int8"}])


@pytest.mark.parametrize("where", ["policy", "overrides"])
@pytest.mark.parametrize(
    ("mix", "entry", "layers"),
    [("Q4_K_M", {"layers": "10"}, [10]), ("Q4_K_M", {"layers": "5-10"}, range(5, 11)), ("Q3_K_M", {"first": 4}, range(4)),
     ("Q4_K_M", {"layers": "use_more_bits"}, [i for i in range(32) if more_bits(i)])],
)  # fmt: skip
def test_a_mix_gives_the_layers_that_overrides_leave_their_own_types(where, mix, entry, layers) -> None:
    named = {"match": "mlp.down_proj", "w_format": "q8_0", **entry}
    given = (
        {"policy": over(f"gguf:{mix}", named)} if where == "policy" else {"policy": f"gguf:{mix}", "overrides": [named]}
    )
    trace = load_workload("llama-3-8b", **given)
    facts = facts_of(load_workload("llama-3-8b"))
    expected = Counter(
        "int8_g32" if i in layers else ggml_type(mix_type(mix, "ffn_down", 14336, facts, i)).format for i in range(32)
    )
    assert formats(trace, "mlp.down_proj") == expected
    for gemm in trace.gemms:
        if gemm.layer == "mlp.down_proj":
            assert len(noted_layers(gemm.note)) in (gemm.layers, 0)
    a_only = load_workload("llama-3-8b", policy=over(f"gguf:{mix}", {**named, "w_format": "", "a_format": "int8"}))
    assert formats(a_only, "mlp.down_proj") == formats(
        load_workload("llama-3-8b", policy=f"gguf:{mix}"), "mlp.down_proj"
    )


@pytest.mark.parametrize("mix", ["Q4_K_M", "Q2_K", "IQ3_XXS", "IQ2_M"])
@pytest.mark.parametrize("match", ["ffn", "attn_out", "lm_head"])
def test_a_share_of_a_mix_leaves_the_rest_its_types(mix, match) -> None:
    entry = {"match": match, "share": "1/1000", "a_format": "int8"}
    trace = load_workload("llama-3-8b", policy=over(f"gguf:{mix}", entry))
    plain = load_workload("llama-3-8b", policy=f"gguf:{mix}")
    for layer in {gemm.layer for gemm in plain.gemms}:
        assert formats(trace, layer) == formats(plain, layer)
        if any(gemm.layer == f"{layer}.outliers" for gemm in trace.gemms):
            assert formats(trace, f"{layer}.outliers") == formats(plain, layer)


SPARSE = {
    "model_type": "llama4_text", "hidden_size": 512, "intermediate_size": 256, "intermediate_size_mlp": 1024,
    "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000, "head_dim": 64,
    "num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2, "max_position_embeddings": 512,
    "attention_chunk_size": 64,
}  # fmt: skip


def test_experts_in_every_second_layer_have_its_number() -> None:
    trace = build_trace(SPARSE, prefill(8))
    found = {op.layer: place.layers for op, place in zip(trace.ops, places(trace), strict=True)}
    assert found["moe.router"] == (1, 3, 5, 7)
    assert found["mlp.up_proj"] == (0, 2, 4, 6)
    for match, base, layers in (("mlp.up_proj", 4, 1), ("moe.router", 4, 1)):
        filled = apply_policy(trace, Policy("int4", "fp16", overrides=(Override(match, "int8", first=2),)))
        assert formats(filled, match) == {"int8": layers, "int4": base - layers}


def test_each_half_and_a_draft_count_their_own_layers() -> None:
    run = {"phase": "speculative", "draft": "llama-3.2-1b", "draft_tokens": 2, "acceptance": 0.5, "context": 16}
    trace = load_workload("llama-3-8b", policy=over("w4a16", {"first": 2, "last": 2, "w_format": "int8"}), **run)
    assert formats(trace, "draft.mlp.up_proj")["int8"] == 4
    assert formats(trace, "verify/mlp.up_proj")["int8"] == 4
    assert formats(trace, "draft.mlp.up_proj")["int4"] == 12
    short = load_workload(
        "bart-large", settings={"decoder_layers": 6}, policy=over("w4a8", {"first": 1, "w_format": "int8"})
    )
    assert formats(short, "encoder.attn.q_proj") == {"int8": 1, "int4": 11}
    assert formats(short, "decoder.cross.q_proj") == {"int8": 1, "int4": 5}


@pytest.mark.parametrize(
    ("model", "entry"),
    [("llama-2-7b", {"match": "lm_head", "first": 1, "w_format": "fp16"}),
     ("llama-2-7b", {"match": "final_norm", "last": 1, "a_format": "fp32"}),
     ("llama-2-7b", {"match": "embed", "first": 1, "a_format": "fp32"}),
     ("bert-base", {"match": "pooler", "last": 1, "w_format": "fp16"})],
)  # fmt: skip
def test_what_is_outside_of_the_layers_has_no_first_and_last(model, entry) -> None:
    with pytest.raises(SpecError, match="outside of all layers"):
        load_workload(model, policy=over("w8a8", entry))


@pytest.mark.parametrize(
    ("policy", "words"),
    [({"preset": "gguf:Q4_K_M", "w_format": "int8"}, "w_format: gguf:Q4_K_M names the formats of all tensors"),
     ({"preset": "gguf:Q4_K_M", "other_format": "int8"}, "other_format: gguf:Q4_K_M names"),
     ({"preset": "w4a16", "mix": "Q4_K_M"}, "write preset: gguf:Q4_K_M")],
)  # fmt: skip
def test_a_mix_names_all_formats_of_weights(policy, words) -> None:
    with pytest.raises(UsageError, match=words):
        Policy.from_mapping(policy)


@given(st.lists(st.integers(0, 70), max_size=9), st.sampled_from(["", "im2col: 3×3", "6 rows over 8 experts: uniform"]))
def test_notes_say_the_layers_that_they_were_given(numbers: list[int], note: str) -> None:
    if not numbers:
        assert noted_layers(note) == ()
        return
    made = with_layers(note, numbers)
    assert noted_layers(made) == tuple(sorted(set(numbers)))
    assert with_layers(with_layers(note, [99]), numbers) == made
    assert made.startswith(note)


def test_steps_of_a_recurrent_layer_are_no_layers() -> None:
    trace = Trace("t", (
        Gemm("lstm.input", 300, 80, 12), Gemm("lstm.state", 3, 80, 20, repeat=100, passes=100),
        VectorOp("lstm.act", "tanh", 3, 20, repeat=200), Gemm("head", 3, 5, 20),
    ))  # fmt: skip
    filled = apply_policy(trace, Policy("int4", "int8", overrides=(Override(w_format="int8", last=1),)))
    assert [(g.layer, g.w_format, g.repeat) for g in filled.gemms] == [
        ("lstm.input", "int4", 1), ("lstm.state", "int4", 100), ("head", "int8", 1),
    ]  # fmt: skip
    assert [op.repeat for op in filled.vector_ops] == [200]
