"""A training step: work as whole numbers, recipes, optimizers, what is kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from hwsim.spec.errors import UsageError
from hwsim.workload import (
    Gemm,
    Trace,
    VectorOp,
    load_workload,
    model_names,
    read_trace,
    summarize,
    vector_op_names,
    write_trace,
)
from hwsim.workload.phases.training import Training
from hwsim.workload.training.backward import SELF_ADJOINT, STRAIGHT_THROUGH
from hwsim.workload.training.optimizer import find_optimizer, optimizers, stored_bits
from hwsim.workload.training.recipe import Recipe, find_recipe, recipe_names

MODELS = model_names()


def first_product(trace: Trace) -> Gemm:
    return trace.gemms[0]


def has_gradient(op: VectorOp) -> bool:
    known = (*SELF_ADJOINT, *STRAIGHT_THROUGH)
    return op.op in known or f"{op.op}_backward" in vector_op_names()


def reads_an_embedding(trace: Trace) -> bool:
    return isinstance(trace.ops[0], VectorOp) and trace.ops[0].op == "embedding"


@pytest.mark.parametrize("name", MODELS)
def test_training_is_three_times_the_forward_pass(name: str) -> None:
    """But for the gradient of the input of the first product, where no embedding is trained before it."""
    forward = load_workload(name)
    if not all(has_gradient(op) for op in forward.vector_ops):  # a workload that nobody trains
        with pytest.raises(UsageError, match="has no cost; known"):
            load_workload(name, phase="training")
        return
    step, first = load_workload(name, phase="training"), first_product(forward)
    saved = 0 if reads_an_embedding(forward) else first.macs
    assert step.macs == 3 * forward.macs - saved
    for kind, macs in forward.macs_by_kind.items():
        assert step.macs_by_kind[kind] == 3 * macs - (saved if first.kind == kind else 0), kind


@pytest.mark.parametrize(("name", "saved"), [("resnet-18", 118_013_952), ("vit-base-16", 115_605_504)])
def test_the_image_needs_no_gradient(name: str, saved: int) -> None:
    """ResNet's stem has 112·112·64·7·7·3 products, ViT's patches 196·768·16·16·3."""
    forward, step = load_workload(name), load_workload(name, phase="training")
    assert 3 * forward.macs - step.macs == saved
    assert not [op for op in step.ops if op.layer == f"dgrad/{first_product(forward).layer}"]


@pytest.mark.parametrize(("recompute", "times"), [("none", 3), ("attention", 4), ("all", 4)])
def test_recomputed_attention_runs_twice_forward(recompute: str, times: int) -> None:
    options: dict[str, Any] = {"seq_len": 64, "batch": 2, "causal": "half"}
    forward = load_workload("llama-3-8b", **options)
    step = load_workload("llama-3-8b", phase="training", recompute=recompute, **options)
    assert step.macs_by_kind["attention"] == times * forward.macs_by_kind["attention"]
    head = 4096 * 128256 * 128
    linear = forward.macs_by_kind["linear"]
    assert step.macs_by_kind["linear"] == 3 * linear + (linear - head if recompute == "all" else 0)


@pytest.mark.parametrize(
    ("model", "outside"),
    [
        ("llama-3.2-1b", ["embed", "final_norm", "lm_head"]),
        ("bert-base", ["embed", "embed.positions", "embed.types", "embed.norm", "pooler", "pooler.act"]),
        ("vit-base-16", ["patch_embed", "embed.positions", "final_norm", "classifier"]),
        ("resnet-18", []),
        ("whisper-tiny", ["encoder.conv1", "encoder.conv1.act", "encoder.conv2", "encoder.conv2.act",
                          "encoder.embed.positions", "encoder.final_norm", "decoder.embed", "decoder.embed.positions",
                          "decoder.final_norm", "lm_head"]),
    ],
)  # fmt: skip
def test_what_is_outside_of_the_layers_does_not_run_again(model: str, outside: list[str]) -> None:
    step = load_workload(model, phase="training", recompute="all")
    again = {op.layer.removeprefix("recompute/") for op in step.ops if op.layer.startswith("recompute/")}
    assert [op.layer for op in load_workload(model).ops if op.layer not in again] == outside


def test_parts_follow_one_another_and_gradients_go_backwards() -> None:
    step = load_workload("gpt2", phase="training", seq_len=16)
    stages = [op.layer.rpartition("/")[0] for op in step.ops]
    forward = stages.count("")
    assert set(stages[:forward]) == {""}
    assert stages[-4:] == ["optimizer"] * 4
    assert set(stages[forward:-4]) == {"dgrad", "wgrad"}
    assert [op.layer for op in step.ops[forward : forward + 2]] == ["dgrad/lm_head", "wgrad/lm_head"]
    assert step.ops[-5].layer == "dgrad/embed"


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_updates_touch_every_parameter(name: str) -> None:
    step = load_workload("gpt2", phase="training", seq_len=16, optimizer=name)
    updates = [op for op in step.vector_ops if op.layer.startswith("optimizer/")]
    assert [op.op for op in updates] == [t.op for t in find_optimizer(name)]
    assert {op.elements for op in updates} <= {124_439_808}


def test_adam_in_mixed_precision_is_sixteen_bytes_per_parameter() -> None:
    """ZeRO (arXiv 1910.02054) section 3.1: 2 + 2 + 12 bytes; the first 2 are the weights themselves."""
    bits = stored_bits("adam", 1000)
    assert (bits["gradient"], bits["optimizer"]) == (8 * 2000, 8 * 12000)
    assert stored_bits("adam_8bit", 2048)["optimizer"] == 8 * (4 * 2048 + 2 * (2048 + 4))
    assert stored_bits("none", 1000) == {"gradient": 0, "optimizer": 0}


def low(trace: Trace, fmt: str) -> dict[str, set[str]]:
    """Return the roles of GEMMs of each stage with both operands in ``fmt``."""
    found: dict[str, set[str]] = {}
    for gemm in trace.gemms:
        if gemm.w_format == gemm.a_format == fmt:
            found.setdefault(gemm.layer.rpartition("/")[0], set()).add(gemm.role)
    return found


def test_fp8_has_e4m3_forward_and_e5m2_gradients() -> None:
    step = load_workload("llama-3-8b", phase="training", seq_len=32, policy="fp8_training")
    pairs = {(g.layer.rpartition("/")[0], g.w_format, g.a_format, g.o_format) for g in step.gemms if g.role == "ffn"}
    assert pairs == {
        ("", "fp8_e4m3", "fp8_e4m3", "bf16"), ("dgrad", "fp8_e4m3", "fp8_e5m2", "bf16"),
        ("wgrad", "fp8_e5m2", "fp8_e4m3", "bf16"),
    }  # fmt: skip
    assert {g.w_format for g in step.gemms if g.role in ("score", "value", "lm_head")} == {"bf16"}
    assert step.macs == load_workload("llama-3-8b", phase="training", seq_len=32).macs


def unmade(trace: Trace, high: str = "bf16") -> set[str]:
    """Return operands in other than the high format that no operation makes: of the first run of each product."""
    made = {(op.layer.rpartition(".")[0], op.o_format) for op in trace.vector_ops if "." in op.layer}
    found = set()
    for gemm in trace.gemms:
        layer = gemm.layer.rpartition("/")[2]
        forward_a, forward_w, gradient = f"{layer}.a", f"{layer}.w", f"dgrad/{layer}.a"
        sources = {"": (forward_a, forward_w), "dgrad": (gradient, forward_w), "wgrad": (forward_a, gradient)}
        stage = gemm.layer.rpartition("/")[0]
        operands = zip("aw", (gemm.a_format, gemm.w_format), sources[stage], strict=True)
        for name, fmt, shared in operands:
            if fmt != high and not {(f"{gemm.layer}.{name}", fmt), (shared, fmt)} & made:
                found.add(f"{gemm.layer}.{name}")
    return found


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("model", ["opt-125m", "vit-base-16", "resnet-18"])
def test_every_operand_of_a_recipe_is_made(name: str, model: str) -> None:
    """Also the gradient that the first product alone reads, which has no dgrad whose steps it could share."""
    assert not unmade(load_workload(model, phase="training", policy=name))


def test_the_first_product_prepares_its_gradient_itself() -> None:
    step = load_workload("resnet-18", phase="training", policy="fp8_training")
    made = [op for op in step.vector_ops if op.layer.startswith("wgrad/")]
    assert [(op.layer, op.o_format, op.elements) for op in made] == [
        ("wgrad/stem.w.quantize", "fp8_e5m2", 112 * 112 * 64)
    ]


def test_a_trace_with_stated_formats_leaves_gradients_to_the_policy(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\n"
        "l0,gemm,4,16,16,1,1,int4_g8,int8,fp16\nl1,gemm,4,8,16,1,1,int4_g8,int8,fp16\n"
    )
    step = load_workload(tmp_path / "t.csv", phase="training", policy="bf16")
    found = {g.layer: (g.w_format, g.a_format, g.o_format) for g in step.gemms}
    assert found["l1"] == ("int4_g8", "int8", "fp16")
    assert found["dgrad/l1"] == ("int4_g8", "bf16", "bf16")
    assert found["wgrad/l1"] == ("bf16", "int8", "bf16")


def fixed(folder: Path, *rows: str) -> str:
    """Write products of no role; return the path of the trace."""
    lines = "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format,w_source"
    (folder / "rows.csv").write_text("\n".join([lines, *rows]))
    return str(folder / "rows.csv")


@pytest.mark.parametrize("name", recipe_names())
def test_products_of_no_role_are_linear_layers(name: str, tmp_path: Path) -> None:
    """Modules, ONNX graphs and SCALE-Sim's rows do not say what a product is for; one of two activations is none."""
    rows = [f"l{at},gemm,4,64,64,1,1,,,,dram" for at in range(8)] + ["own,gemm,4,64,64,1,1,,,,activation"]
    step = load_workload(fixed(tmp_path, *rows), phase="training", policy=name)
    own = find_recipe(name)
    first, last = own.ends(8)
    found = {gemm.layer: gemm.w_format for gemm in step.gemms}
    low_layers = {f"l{at}" for at in range(first, 8 - last)}
    for product, fmt in (("", own.forward.w.format), ("dgrad/", own.dgrad.w.format), ("wgrad/", own.wgrad.w.format)):
        names = {f"{product}l{at}" for at in range(8)} & set(found)
        assert {layer.removeprefix(product) for layer in names if found[layer] == fmt} == low_layers - (
            {"l0"} if product == "dgrad/" else set()
        )
    assert found["own"] == "bf16"
    assert "policy_note" not in step.meta


def test_classifiers_stay_as_heads_do() -> None:
    for model, head in (("vit-base-16", "classifier"), ("bert-base", "pooler")):
        step = load_workload(model, phase="training", policy="fp8_training")
        assert {g.w_format for g in step.gemms if g.layer == head} == {"bf16"}


def test_a_recipe_that_is_for_no_product_says_so(tmp_path: Path) -> None:
    note = load_workload("resnet-18", phase="training", policy="nvfp4_training").meta["policy_note"]
    assert note.startswith("recipe nvfp4_training: none of 21 GEMMs run in its formats")
    assert summarize(load_workload("resnet-18", phase="training", policy="nvfp4_training"))["formats"] in note
    stated = fixed(tmp_path, "a,gemm,4,64,64,1,1,int4,int8,fp16,dram", "b,gemm,4,64,64,1,1,int4,int8,fp16,dram")
    step = load_workload(stated, phase="training", policy="fp8_training")
    assert "none of 2 GEMMs run in its formats" in step.meta["policy_note"]
    assert not [op.layer for op in step.vector_ops if op.layer.startswith(("a.", "b."))]  # nothing is left to quantize


def test_nvfp4_keeps_layers_and_rounds_gradients_stochastically() -> None:
    """Of 62 blocks the first 2 and last 8 stay in BF16; Hadamard for wgrad, stochastic rounding for gradients alone."""
    assert find_recipe("nvfp4_training").ends(62) == (2, 8)
    plain = load_workload("llama-2-7b", phase="training", seq_len=64)
    step = load_workload("llama-2-7b", phase="training", seq_len=64, policy="nvfp4_training")
    assert step.macs_by_kind == plain.macs_by_kind
    q = [(g.w_format, g.layers) for g in step.gemms if g.layer == "attn.q_proj"]
    assert q == [("bf16", 2 + 5), ("nvfp4", 25)]
    assert low(step, "nvfp4") == {stage: {"qkv", "attn_out", "ffn"} for stage in ("", "dgrad", "wgrad")}
    stages: dict[str, set[str]] = {}
    for op in step.vector_ops:
        if op.layer.startswith(("dgrad/attn.q_proj", "wgrad/attn.q_proj", "attn.q_proj")):
            stages.setdefault(op.op, set()).add(op.layer.replace("attn.q_proj", "q").rsplit(".", 1)[0])
    assert stages == {
        "quantize": {"q.a", "q.w", "wgrad/q.a"}, "quantize_stochastic": {"dgrad/q.a", "wgrad/q.w"},
        "hadamard": {"wgrad/q.a", "wgrad/q.w"},
    }  # fmt: skip


def test_quartet_rotates_both_operands_of_all_products() -> None:
    step = load_workload("llama-2-7b", phase="training", seq_len=64, policy="quartet_training")
    ops = [op for op in step.vector_ops if "attn.q_proj" in op.layer]
    assert sum(op.op == "hadamard_32" for op in ops) == 3 * 2 + 2
    assert sum(op.op == "quantize_stochastic" for op in ops) == 4
    assert {op.elements for op in ops if op.layer.startswith("attn.q_proj.w")} == {32 * 4096 * 4096}
    assert {op.elements for op in ops if op.layer.startswith("attn.q_proj.a")} == {32 * 64 * 4096}
    assert low(step, "mxfp4")["wgrad"] == {"qkv", "attn_out", "ffn"}


def test_quartet_reads_its_copies_again() -> None:
    """Algorithm 1 saves MXFP4 copies of activations and weights; gradients come in BF16."""
    step = load_workload("opt-125m", phase="training", seq_len=64, policy="quartet_training")
    read = {op.layer.removesuffix(".hadamard_32"): op.a_format for op in step.vector_ops if op.op == "hadamard_32"}
    layer = "attn.q_proj"
    assert {name: fmt for name, fmt in read.items() if layer in name and not name.endswith(".o")} == {
        f"{layer}.a": "bf16", f"{layer}.w": "bf16", f"dgrad/{layer}.a": "bf16", f"dgrad/{layer}.w": "mxfp4",
        f"wgrad/{layer}.a": "mxfp4", f"wgrad/{layer}.w": "bf16",
    }  # fmt: skip


@pytest.mark.parametrize(("product", "operand"), [("forward", "a"), ("dgrad", "a"), ("wgrad", "w"), ("wgrad", "o")])
def test_a_copy_is_of_what_the_forward_product_makes(product: str, operand: str) -> None:
    own = find_recipe("quartet_training").model_dump()
    own[product][operand]["of"] = "copy"
    with pytest.raises(ValueError, match=f"{product}: {operand}: the forward product makes no copy"):
        Recipe.model_validate(own)


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("model", ["opt-125m", "gemma-2-2b", "bert-base", "vit-base-16", "resnet-18"])
def test_recipes_fill_every_format_and_survive_a_csv(name: str, model: str) -> None:
    step = load_workload(model, phase="training", policy=name)
    assert all(op.a_format and op.o_format for op in step.ops)
    text = io.StringIO()
    write_trace(step, text)
    assert read_trace(io.StringIO(text.getvalue())).ops == step.ops


def test_a_trace_at_hand_can_be_trained() -> None:
    own = Trace("own", (Gemm("a", 4, 8, 16), VectorOp("b", "relu", 4, 8), Gemm("c", 4, 2, 8)))
    step = Training(optimizer="sgd").of(own)
    assert step.macs == 3 * own.macs - 4 * 8 * 16
    assert step.meta["trained_parameters"] == 16 * 8 + 8 * 2


def test_the_first_product_is_one_not_all_of_its_name() -> None:
    own = Trace("own", (Gemm("fc", 4, 8, 16), Gemm("fc", 4, 8, 8)))
    assert Training().of(own).macs == 3 * own.macs - 4 * 8 * 16


def test_a_written_trace_can_be_trained(tmp_path: Path) -> None:
    forward = load_workload("resnet-18")
    write_trace(forward, tmp_path / "r.csv")
    step = load_workload(tmp_path / "r.csv", phase="training", optimizer="sgd")
    assert step.macs == load_workload("resnet-18", phase="training").macs
    weights = sum(g.w_elements for g in forward.gemms)
    assert {op.elements for op in step.vector_ops if op.layer.startswith("optimizer/")} == {weights}
    with pytest.raises(UsageError, match="is fixed; batch cannot change it"):
        load_workload(tmp_path / "r.csv", phase="training", batch=2)
    with pytest.raises(UsageError, match="draft: .*is fixed"):
        load_workload("gpt2", phase="speculative", draft=str(tmp_path / "r.csv"), draft_tokens=2, acceptance=0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"phase": "training", "optimizer": "adma"}, "unknown optimizer 'adma'.*did you mean 'adam'"),
        ({"phase": "training", "recompute": "some"}, "recompute"),
        ({"phase": "training", "policy": "nvfp4_trainin"}, "unknown policy 'nvfp4_trainin'"),
        ({"policy": "nvfp4_training"}, "nvfp4_training is a recipe of phase training, not of prefill"),
        ({"optimizer": "adam"}, "optimizer: has no meaning in prefill"),
        ({"phase": "training", "lm_head": "last"}, "lm_head: has no meaning in training"),
    ],
)
def test_mistakes(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_workload({"model": "opt-125m", **fields})
