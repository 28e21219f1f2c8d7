"""What a training step holds besides weights, against sums that are made here from the numbers of a model."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hwsim.workload import Gemm, Policy, Trace, VectorOp, apply_policy, load_workload, memory_footprint
from hwsim.workload.footprint import _live_bits
from hwsim.workload.phases.training import Training


@pytest.mark.parametrize(("name", "width", "tokens"), [("llama-3.2-1b", 2048, 64), ("opt-125m", 768, 128)])
def test_gradients_of_weights_are_no_working_memory(name, width, tokens):
    """The largest operation is the head's dgrad: gradients of logits in, of its input out, two bytes each."""
    trace = load_workload(name, phase="training", seq_len=tokens)
    vocabulary = next(gemm.n for gemm in trace.gemms if gemm.role == "lm_head")
    found = memory_footprint(trace, "bf16")
    assert found["activation_peak_bytes"] == 2 * tokens * (vocabulary + width)
    # Nobody stores them: the head's wgrad reads logits' gradients and its input, and makes the weight's gradient.
    left = load_workload(name, phase="training", seq_len=tokens, optimizer="none")
    whole = 2 * (tokens * (vocabulary + width) + vocabulary * width)
    assert memory_footprint(left, "bf16")["activation_peak_bytes"] == whole


def test_copies_of_weights_are_no_working_memory():
    """What quantizes a weight reads one that is stored and makes a copy that is counted; Quartet's rotated one is not.

    Llama 3.2 1B: the largest weights of a block are 8192 x 2048.
    """
    peaks = {
        recipe: memory_footprint(load_workload("llama-3.2-1b", phase="training", policy=recipe, seq_len=64), "bf16")[
            "activation_peak_bytes"
        ]
        for recipe in ("nvfp4_training", "fp8_training", "quartet_training")
    }
    logits = 2 * 64 * (128256 + 2048)
    assert (peaks["nvfp4_training"], peaks["fp8_training"]) == (logits, logits)
    rotated = 2 * 8192 * 2048  # BF16; in dgrad it is rounded to MXFP4, 4 bits and 8 bits per 32, for the product alone
    masks = 2 * 8192 * 2048  # the other factor of the weight gradient, which is masked in place
    assert peaks["quartet_training"] == max(rotated + 8192 * 2048 * 17 // 32, masks)


def test_weights_that_are_updated_in_place_are_stored_in_their_format() -> None:
    """Plain SGD in FP32: 4 bytes of weight and of gradient; where products read two bytes, these come on top."""

    def found(policy: Policy, **run: Any) -> list[int]:
        step = memory_footprint(load_workload("gpt2", phase="training", seq_len=16, optimizer="sgd", **run), policy)
        return [step[f"{part}_bytes"] for part in ("weight", "gradient", "optimizer")]

    count = 124_439_808
    tables = 1024 * 768 + (12 * (2 * 2 + 3 + 1 + 4 + 1) + 2) * 768  # positions, norms, biases; the head is tied
    assert found(Policy("fp32", "bf16", other_format="fp32")) == [4 * count, 4 * count, 0]
    assert found(Policy("bf16", "bf16", other_format="bf16")) == [2 * count, 4 * count, 4 * count]
    assert found(Policy("bf16", "bf16", other_format="fp32"))[2] == 4 * (count - tables)
    assert found(Policy("fp32", "bf16", other_format="bf16"), recompute="all")[2] == 4 * tables
    recipe = load_workload("gpt2", phase="training", seq_len=16, optimizer="sgd", policy="quartet_training")
    assert memory_footprint(recipe, "bf16")["optimizer_bytes"] == 4 * count


def test_gradients_of_activations_read_what_was_kept_too():
    own = Trace("own", (Gemm("a", 4, 8, 16), VectorOp("b", "silu", 4, 8), Gemm("c", 4, 2, 8)))
    peaks = {op.layer: _live_bits(op, {}) for op in apply_policy(Training().of(own), "bf16").ops}
    assert peaks["dgrad/b"] == 16 * 3 * 4 * 8  # input, gradient of the result, gradient of the input
    gate = VectorOp("g", "mul_backward", 4, 8, a_format="bf16", o_format="bf16")
    assert _live_bits(gate, {}) == 16 * 5 * 4 * 8  # two factors, a gradient; two gradients


def kept(name: str, recipe: str | None = None, **run: Any) -> int:
    policy = {"policy": recipe} if recipe else {}
    trace = load_workload(name, phase="training", **policy, **run)
    return memory_footprint(trace, "bf16")["activation_kept_bytes"]


def opt_kept(tokens: int, read_by_products: int | Fraction) -> int | Fraction:
    """Bytes that OPT-125m keeps, 12 layers of width 768 and FFN 3072, 12 heads, 50272 tokens; all else in two bytes.

    In rows of 768 per token, projections alone read two norms, the weighted values and ReLU (FFN: four rows); not so
    q, k, v, the projection of attention, two sums, and both of the FFN's products.
    """
    shared, others = 1 + 1 + 1 + 4, 3 + 1 + 2 + 4 + 1
    scores = 2 * 12 * tokens * tokens  # and their softmax
    layer = tokens * 768 * (2 * others + read_by_products * shared) + 2 * scores
    ends = 2 * tokens * (3 * 768 + 50272)  # table, positions, final norm, logits
    return 12 * layer + ends


def test_a_copy_that_is_read_in_its_place_is_kept_alone() -> None:
    """FP8: one byte of what q, k and v, o, up and down read; inputs of norms and of ReLU in BF16."""
    assert kept("opt-125m", seq_len=128) == opt_kept(128, 2) == 65_363_968
    assert kept("opt-125m", "fp8_training", seq_len=128) == opt_kept(128, 1) == 57_106_432


def test_layers_that_run_again_keep_what_they_hand_on() -> None:
    """OPT-125m: one layer is held, each hands on 768 per token; embedding, positions, final norm and logits stay."""
    ends = 2 * 128 * (3 * 768 + 50272)
    layer = (opt_kept(128, 2) - ends) // 12
    assert kept("opt-125m", seq_len=128, recompute="all") == ends + layer + 12 * 2 * 128 * 768


def test_layers_without_blocks_are_products_and_what_follows() -> None:
    """VGG-like: each hands on its last result; the largest, product and ReLU of the second, is held."""
    ops = (Gemm("a", 16, 8, 27, role="conv"), VectorOp("a.act", "relu", 16, 8), Gemm("b", 16, 32, 72, role="conv"),
           VectorOp("b.act", "relu", 16, 32), Gemm("c", 4, 8, 128))  # fmt: skip
    step = memory_footprint(Training(recompute="all").of(Trace("own", ops)), "bf16")
    assert step["activation_kept_bytes"] == 2 * (16 * 8 + 16 * 32 + 4 * 8) + 2 * 2 * 16 * 32


def test_copies_that_the_backward_pass_makes_itself_are_not_kept() -> None:
    """NVFP4: it rotates and rounds the tensor of two bytes; the forward product's copy is not rotated, and left."""
    assert kept("opt-125m", "nvfp4_training", seq_len=128) == kept("opt-125m", seq_len=128)


def test_copies_that_the_backward_pass_rotates_are_kept() -> None:
    """Quartet saves MXFP4, 4 bits and 8 bits per 32, and rotates these once more; what rotates first is not kept."""
    assert kept("opt-125m", "quartet_training", seq_len=128) == opt_kept(128, Fraction(17, 32)) == 53_235_712


def test_copies_of_maps_are_as_large_as_the_maps() -> None:
    """Not as their im2col windows; a byte less of each map that convolutions alone read, none of the image.

    ResNet-18 at 224: pooled stem and four of 56 x 56 x 64, four of 28 x 28 x 128 and 14 x 14 x 256, three of
    7 x 7 x 512: the last is pooled. A shortcut and the convolution beside it read one map. The classifier has its own
    copy of 512 averages.
    """
    maps = 5 * 56 * 56 * 64 + 4 * 28 * 28 * 128 + 4 * 14 * 14 * 256 + 3 * 7 * 7 * 512
    assert kept("resnet-18") - kept("resnet-18", "fp8_training") == maps - 512


def test_a_tensor_that_a_gradient_reads_is_kept_beside_its_copy() -> None:
    """The product b reads what a made, and so does the gradient of SiLU, if it comes first behind a."""
    a, b = Gemm("a", 4, 8, 16, role="ffn"), Gemm("b", 4, 2, 8, role="ffn", note="reads a")
    act = VectorOp("act", "silu", 4, 8)

    def found(*ops: Gemm | VectorOp) -> int:
        step = Training(recipe="fp8_training").of(Trace("own", (VectorOp("e", "embedding", 4, 16), *ops)))
        return memory_footprint(step, "bf16")["activation_kept_bytes"]

    first = 4 * 16  # what a reads is no more than its copy
    assert found(a, b) == first + 4 * 8 + 2 * 4 * 2
    assert found(a, act, b) == first + (2 + 1) * 4 * 8 + 2 * 4 * 8 + 2 * 4 * 2


def test_a_router_reads_what_its_experts_do_in_two_bytes() -> None:
    tokens, width, ffn = 4, 16, 32
    ops = (
        VectorOp("attn.residual", "add", tokens, width),
        VectorOp("mlp.norm", "rmsnorm", tokens, width),
        Gemm("moe.router", tokens, 2, width, role="router"),
        Gemm("moe.gate_proj", tokens, ffn, width, batch=2, role="ffn"),
        Gemm("moe.up_proj", tokens, ffn, width, batch=2, role="ffn"),
        VectorOp("moe.act", "silu", tokens, ffn, batch=2),
    )
    step = Training(recipe="fp8_training").of(Trace("own", (VectorOp("embed", "embedding", tokens, width), *ops)))
    found = memory_footprint(step, "bf16")["activation_kept_bytes"]
    shared = 2 * tokens * width  # FP8, one for both products of two experts
    assert found == 2 * (3 * tokens * width + 2 * tokens + 3 * 2 * tokens * ffn) + shared
