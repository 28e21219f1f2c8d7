"""Small accelerators in a ring, and a transformer layer for them."""

from __future__ import annotations

from hwsim.workload import Gemm, Trace, VectorOp, apply_policy
from tests.support.small import small

LINKS = {"link_bandwidth": "10 GB/s", "link_energy": "8 pJ/bit"}


def chips(count, parallel="tensor", fields=None, **more):
    """Small accelerators in a ring; ``fields`` are those of each."""
    return small("int8", chips={"count": count, "parallel": parallel, **LINKS, **more}, **(fields or {}))


def block(layers=2, m=8, hidden=16, heads=4):
    """A small transformer layer with everything that is cut in a way of its own."""
    wide = 4 * hidden
    return Trace(
        "block",
        (
            VectorOp("embed", "embedding", m, hidden),
            VectorOp("norm", "rmsnorm", m, hidden, repeat=layers),
            Gemm("qkv", m, 3 * hidden, hidden, repeat=layers, role="qkv"),
            VectorOp("rope", "rope", m, 2 * hidden, repeat=layers),
            Gemm("score", m, m, hidden // heads, batch=heads, repeat=layers, w_source="kv", role="score"),
            VectorOp("softmax", "softmax", m, m, heads, repeat=layers),
            Gemm("value", m, hidden // heads, m, batch=heads, repeat=layers, w_source="kv", role="value"),
            Gemm("out", m, hidden, hidden, repeat=layers, role="attn_out"),
            VectorOp("residual", "add", m, hidden, repeat=layers),
            Gemm("up", m, wide, hidden, repeat=layers, role="ffn"),
            VectorOp("act", "gelu", m, wide, repeat=layers),
            Gemm("down", m, hidden, wide, repeat=layers, role="ffn"),
            Gemm("head", m, 5 * hidden, hidden, role="lm_head"),
        ),
        {},
    )


def filled(trace):
    return apply_policy(trace, small("int8").policy)
