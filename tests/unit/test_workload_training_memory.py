"""What a training step holds besides weights, against sums that are made here from the numbers of a model."""

from __future__ import annotations

import pytest

from hwsim.workload import Gemm, Trace, VectorOp, apply_policy, load_workload, memory_footprint
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


def test_gradients_of_activations_read_what_was_kept_too():
    own = Trace("own", (Gemm("a", 4, 8, 16), VectorOp("b", "silu", 4, 8), Gemm("c", 4, 2, 8)))
    peaks = {op.layer: _live_bits(op, {}) for op in apply_policy(Training().of(own), "bf16").ops}
    assert peaks["dgrad/b"] == 16 * 3 * 4 * 8  # input, gradient of the result, gradient of the input
    gate = VectorOp("g", "mul_backward", 4, 8, a_format="bf16", o_format="bf16")
    assert _live_bits(gate, {}) == 16 * 5 * 4 * 8  # two factors, a gradient; two gradients
