"""Properties that the trace of every shipped model keeps, whatever the phase."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload import Phase, Trace, VectorOp, decode, model_config, model_names, prefill
from hwsim.workload.importers.hf_config import build_trace


def has(name: str, *keys: str) -> bool:
    return any(key in model_config(name) for key in keys)


TEXT = [name for name in model_names() if has(name, "vocab_size")]
PAIRS = [name for name in TEXT if has(name, "decoder_layers", "num_decoder_layers")]
TEXT_ENCODERS = [name for name in TEXT if model_config(name)["model_type"] in ("bert", "roberta", "clip_text_model")]
#: Decoder-only language models, and of these those with ordinary attention.
DECODERS = [name for name in TEXT if name not in (*PAIRS, *TEXT_ENCODERS)]
ATTENDING = [name for name in DECODERS if not has(name, "kv_lora_rank", "expand_ratio")]
IMAGES = [name for name in model_names() if has(name, "image_size", "sample_size")]
#: Searches and transforms.
OTHERS = [name for name in model_names() if name not in (*TEXT, *IMAGES)]
ENCODERS = [*TEXT_ENCODERS, *IMAGES, *OTHERS]

phases = st.builds(
    Phase,
    st.sampled_from(["prefill", "decode"]),
    st.integers(1, 1024),
    st.integers(1, 5),
    st.sampled_from(["full", "half"]),
    st.sampled_from(["all", "last"]),
)


def build(name: str, phase: Phase) -> Trace:
    return build_trace(model_config(name), phase, name)


def vector(trace: Trace, op: str) -> list[VectorOp]:
    return [found for found in trace.vector_ops if found.op == op]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([*DECODERS, *PAIRS]), phases)
def test_weights_are_all_parameters_outside_tables(name: str, phase: Phase) -> None:
    trace = build(name, phase)
    weights = sum(gemm.w_elements for gemm in trace.gemms if gemm.w_source == "dram")
    idle = sum(gemm.w_elements for gemm in trace.meta.get("idle_weights", ()))
    assert weights + idle + trace.meta["other_parameters"] == trace.meta["parameters"]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(DECODERS), phases)
def test_batch_scales_all_work(name: str, phase: Phase) -> None:
    single = build(name, Phase(phase.kind, phase.tokens, 1, phase.causal, phase.lm_head))
    several = build(name, phase)
    assert several.macs == phase.batch * single.macs
    # More rows may touch more experts, unevenly: then one layer is several products.
    assert list(dict.fromkeys(op.layer for op in several.ops)) == list(dict.fromkeys(op.layer for op in single.ops))
    for one, many in zip(single.vector_ops, several.vector_ops, strict=True):
        assert many.elements == phase.batch * one.elements


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ATTENDING), st.integers(1, 500))
def test_a_prefill_is_the_sum_of_its_steps(name: str, tokens: int) -> None:
    """With the mask's half, S tokens at once cost what S decode steps cost, as long as no window ends."""
    tokens = min(tokens, model_config(name).get("sliding_window") or tokens)
    whole = build(name, prefill(tokens, causal="half"))
    assert whole.macs_by_kind["linear"] == tokens * build(name, decode(tokens)).macs_by_kind["linear"]
    first = build(name, decode(1)).macs_by_kind["attention"] // 2
    assert whole.macs_by_kind["attention"] == first * tokens * (tokens + 1) // 2


@pytest.mark.parametrize("name", ATTENDING)
def test_softmax_has_the_shape_of_the_scores(name: str) -> None:
    trace = build(name, prefill(64, causal="half"))
    scores = [gemm for gemm in trace.gemms if gemm.role == "score"]
    values = [gemm for gemm in trace.gemms if gemm.role == "value"]
    softmaxes = [op for op in vector(trace, "softmax") if op.layer == "attn.softmax"]
    for score, value, softmax in zip(scores, values, softmaxes, strict=True):
        assert (softmax.m, softmax.n, softmax.batch) == (score.m, score.n, score.batch)
        assert (value.m, value.k, value.n, value.batch) == (score.m, score.n, score.k, score.batch)
        assert score.repeat == value.repeat == softmax.repeat
        assert score.w_source == value.w_source == "kv"


@pytest.mark.parametrize("name", ATTENDING)
def test_gqa_reads_each_kv_head_once(name: str) -> None:
    trace = build(name, decode(99, batch=2))
    read = sum(gemm.w_elements for gemm in trace.gemms if gemm.w_source == "kv")
    assert 2 * read == trace.meta["kv_bytes_per_token_fp16"] * 100 * 2


@pytest.mark.parametrize("name", TEXT)
def test_default_lengths_are_noted(name: str) -> None:
    trace = build(name, Phase())
    config = model_config(name)
    keys = ("max_position_embeddings", "n_positions", "max_target_positions")
    longest = next((config[key] for key in keys if key in config), 2048)
    longest -= 2 if name == "roberta-base" else 0  # the first two rows of its table are padding's
    assert trace.meta["seq_len"] == min(2048, longest)
    assert trace.name == f"{name} prefill {trace.meta['seq_len']}"


@pytest.mark.parametrize("name", ["opt-125m", "gpt2", "bert-base"])
def test_learned_positions_bound_the_length(name: str) -> None:
    config = model_config(name)
    longest = config.get("max_position_embeddings") or config["n_positions"]
    assert build(name, prefill(longest)).meta["seq_len"] == longest
    with pytest.raises(UsageError, match=f"seq_len: {longest + 1:,} tokens, but .* has {longest:,} learned positions"):
        build(name, prefill(longest + 1))


def test_rotary_positions_do_not() -> None:
    assert build("llama-2-7b", prefill(10_000)).meta["seq_len"] == 10_000


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_have_no_decode_phase_and_no_cache(name: str) -> None:
    with pytest.raises(UsageError, match="no decode phase"):
        build(name, decode(5))
    trace = build(name, prefill())
    assert trace.meta["kv_bytes_per_token_fp16"] == 0
    assert "kv" not in {gemm.w_source for gemm in trace.gemms}


@pytest.mark.parametrize("name", IMAGES)
def test_image_models_take_images(name: str) -> None:
    with pytest.raises(UsageError, match="takes images"):
        build(name, prefill(5))
    assert build(name, prefill(batch=3)).macs == 3 * build(name, prefill()).macs
    assert build(name, prefill()).name == f"{name} prefill"


def test_lm_head_on_the_last_position() -> None:
    last = build("llama-3-8b", prefill(100, batch=2, lm_head="last"))
    assert next(gemm for gemm in last.gemms if gemm.layer == "lm_head").m == 2


def test_vector_operations_of_a_llama_layer() -> None:
    found = [(op.layer, op.op, op.m, op.n, op.batch, op.repeat) for op in build("llama-2-7b", prefill(8)).vector_ops]
    assert found == [
        ("embed", "embedding", 8, 4096, 1, 1),
        ("attn.norm", "rmsnorm", 8, 4096, 1, 32),
        ("attn.rope", "rope", 8, 64 * 128, 1, 32),
        ("attn.softmax", "softmax", 8, 8, 32, 32),
        ("attn.residual", "add", 8, 4096, 1, 32),
        ("mlp.norm", "rmsnorm", 8, 4096, 1, 32),
        ("mlp.act", "silu", 8, 11008, 1, 32),
        ("mlp.gate", "mul", 8, 11008, 1, 32),
        ("mlp.residual", "add", 8, 4096, 1, 32),
        ("final_norm", "rmsnorm", 8, 4096, 1, 1),
    ]


def test_family_details() -> None:
    def layers(name: str) -> set[str]:
        return {op.layer for op in build(name, prefill(8)).ops}

    assert "mlp.norm" not in layers("phi-2")  # one norm feeds both branches
    assert {"attn.sub_norm", "mlp.sub_norm"} <= layers("bitnet-b1.58-2b-4t")
    assert {"attn.post_norm", "mlp.post_norm"} <= layers("gemma-2-2b")
    assert "attn.qk_norm" in layers("qwen3-8b")
    assert {"attn.qkv_proj", "mlp.gate_up_proj"} <= layers("phi-3-mini-4k")
    assert "attn.rope" not in layers("opt-125m")
    assert {"embed.types", "pooler.act"} <= layers("bert-base")
    assert vector(build("bitnet-b1.58-2b-4t", prefill(8)), "relu2")


@pytest.mark.parametrize("name", model_names())
def test_norms_account_for_their_parameters(name: str) -> None:
    """Norm parameters seen in the operations never exceed the parameters outside GEMMs."""
    trace = build(name, prefill())
    norms = [op for op in trace.vector_ops if op.op in ("rmsnorm", "layernorm") and op.layer != "attn.qk_norm"]
    norms = [op for op in norms if op.note != "group norm"]  # sized by a group's pixels
    assert sum(op.n * op.repeat for op in norms) <= trace.meta["other_parameters"]


@pytest.mark.parametrize("name", model_names())
def test_traces_are_deterministic_and_sourced(name: str) -> None:
    first, second = build(name, prefill()), build(name, prefill())
    assert first == second
    meta: dict[str, Any] = dict(first.meta)
    assert meta["model"] == name
    assert meta["macs"] == first.macs == sum(meta[f"macs_{kind}"] for kind in first.macs_by_kind)
