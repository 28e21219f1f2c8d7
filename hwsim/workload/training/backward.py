"""Gradients of operations.

For ``O[M,N] = A[M,K] · W[K,N]`` with the gradient ``G[M,N]`` of O:

* ``dgrad``: the gradient of A, ``G[M,N] · Wᵀ[N,K]``;
* ``wgrad``: the gradient of W, ``Aᵀ[K,M] · G[M,N]``.

Each has as many multiply-accumulates as the forward product. A convolution is its im2col product. In attention
W is an activation (keys, values), and ``wgrad`` its gradient; nothing comes from a cache.

Formats and statistics that a forward operation states are those of its own tensors: W keeps its own in ``dgrad``, A
in ``wgrad``. Gradients are other tensors, so theirs are left open, whatever the forward operation states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwsim.spec.errors import UsageError
from hwsim.workload.ops import STAGE_END, Gemm, Op, VectorOp, vector_op_names

#: Linear operations whose gradient is the same operation; the sum of two has the sum of two gradients.
SELF_ADJOINT = ("add", "rope", "transpose", "hadamard", "hadamard_32", "hadamard_full")

#: Operations that round or rescale on the way; their gradient passes straight through.
STRAIGHT_THROUGH = ("quantize", "dequantize", "quantize_stochastic")

#: Stages of gradients, and of forward operations that run once more before these.
DGRAD, WGRAD, RECOMPUTE = f"dgrad{STAGE_END}", f"wgrad{STAGE_END}", f"recompute{STAGE_END}"


def reads_the_input(ops: Sequence[Op]) -> int | None:
    """Return which operation multiplies the model's input, which needs no gradient; None if an embedding is trained."""
    for at, op in enumerate(ops):
        if isinstance(op, Gemm):
            return at
        if op.op == "embedding":
            return None
    return None


def forward_gemm(gemm: Gemm) -> Gemm:
    """Return the forward product of training: keys and values are activations, no cache."""
    return replace(gemm, w_source="activation") if gemm.w_source == "kv" else gemm


def dgrad(gemm: Gemm) -> Gemm:
    """Return the product that makes the gradient of ``gemm``'s streamed operand."""
    return replace(
        forward_gemm(gemm), layer=DGRAD + gemm.layer, n=gemm.k, k=gemm.n, a_format="", o_format="", a_stats="",
        a_source="activation",
    )  # fmt: skip


def wgrad(gemm: Gemm) -> Gemm:
    """Return the product that makes the gradient of ``gemm``'s stationary operand."""
    role = "linear" if gemm.role == "other" and gemm.w_source == "dram" else gemm.role
    return replace(
        gemm, layer=WGRAD + gemm.layer, m=gemm.k, k=gemm.m, w_format="", o_format="", w_source="activation", role=role,
        w_stats="",
    )  # fmt: skip


def vector_gradient(op: VectorOp) -> VectorOp | None:
    """Return the operation that makes the gradient of ``op``'s input, None where it passes unchanged.

    Raises
    ------
    UsageError
        If its gradient has no cost.
    """
    if op.op in STRAIGHT_THROUGH:
        return None
    name = op.op if op.op in SELF_ADJOINT else f"{op.op}_backward"
    if name not in vector_op_names():
        known = sorted(n.removesuffix("_backward") for n in vector_op_names() if n.endswith("_backward"))
        raise UsageError(f"training: {op.layer}: the gradient of {op.op!r} has no cost; known: {', '.join(known)}")
    return replace(op, layer=DGRAD + op.layer, op=name, a_format="", o_format="")
