"""What a trace stores, moves and computes: bytes with all metadata, MACs by kind, intensity."""

from __future__ import annotations

from typing import Any

from hwsim.formats import parse_format
from hwsim.workload.ops import Gemm, Op, ceil_div
from hwsim.workload.policy import Policy, apply_policy
from hwsim.workload.trace import Trace


def _bytes(bits: int) -> int:
    return ceil_div(bits, 8)


def memory_footprint(trace: Trace, policy: Policy | str) -> dict[str, int]:
    """Return bytes that ``trace`` needs under ``policy``.

    Keys
    ----
    gemm_weight_bytes
        Weights that GEMMs multiply, with scales and zero points; each partial block has its own. Those
        that this run does not read, of experts and encoders, are stored all the same.
    other_weight_bytes
        Norms, biases, positions and embedding tables in ``other_format``. A table tied to the LM
        head is stored once, as the head's weight. Needs a trace built from a model, else 0.
    weight_bytes
        The sum of both.
    kv_cache_bytes
        K and V of every token in the cache at the end of the run, blocks along the head.
    activation_peak_bytes
        The largest sum of inputs and results of one operation (with its batch, without weights
        and cache): a lower bound on working memory that no schedule without fusion undercuts.

    Raises
    ------
    UsageError
        If a format is unknown or an override matches nothing.
    """
    chosen = Policy.parse(policy) if isinstance(policy, str) else policy
    filled = apply_policy(trace, chosen)
    gemm_bits = sum(g.w_bits(parse_format(g.w_format)) for g in filled.gemms if g.w_source == "dram")
    gemm_bits += _idle_bits(trace, chosen)
    other = int(trace.meta.get("other_parameters", 0))
    weights, rest = _bytes(gemm_bits), _bytes(parse_format(chosen.other_format).storage_bits(1, other))
    return {
        "gemm_weight_bytes": weights,
        "other_weight_bytes": rest,
        "weight_bytes": weights + rest,
        "kv_cache_bytes": _bytes(_kv_bits(trace, str(chosen.kv_format))),
        "activation_peak_bytes": _bytes(max(_live_bits(op) for op in filled.ops)),
    }


def _idle_bits(trace: Trace, policy: Policy) -> int:
    """Bits of stored weights that the run does not read, ``idle_weights`` of the trace's ``meta``."""
    idle = [
        Gemm(layer, 1, n, k, batch=count, role=role) for layer, role, n, k, count in trace.meta.get("idle_weights", ())
    ]
    return sum(g.w_bits(parse_format(policy.formats_for(g)["w_format"])) for g in idle)


def _kv_bits(trace: Trace, kv_format: str) -> int:
    vectors = int(trace.meta.get("kv_vectors", 0))
    return parse_format(kv_format).storage_bits(vectors, int(trace.meta["head_dim"])) if vectors else 0


def _live_bits(op: Op) -> int:
    """Bits of inputs and results of one layer's operation that are no stored weights."""
    a, o = parse_format(op.a_format), parse_format(op.o_format)
    if not isinstance(op, Gemm):
        inputs = 2 if op.op in ("add", "mul") else 1
        read = 0 if op.op == "embedding" else inputs * a.storage_bits(op.m, op.n)
        return (read + o.storage_bits(op.m, op.n)) * op.batch
    w = parse_format(op.w_format).storage_bits(op.n, op.k) if op.w_source == "activation" else 0
    return (a.storage_bits(op.m, op.k) + w + o.storage_bits(op.m, op.n)) * op.batch


def summarize(trace: Trace, policy: Policy | str | None = None) -> dict[str, Any]:
    """Return the figures of a trace that do not depend on any hardware.

    Bytes count the operands and results of each GEMM once, in the formats of the trace, completed
    by ``policy``; a convolution's input counts once per window, as im2col streams it. Without a
    policy, and with formats left open, all bytes are FP16 and the key ``formats`` says so.

    Keys: ``name, phase, parameters, macs, macs_linear, macs_attention, macs_conv, gemms,
    unique_gemms, vector_elements, formats, weight_bytes, kv_read_bytes, activation_bytes,
    kv_bytes_per_token_fp16, macs_per_byte``; ``parameters`` and ``phase`` are ``None`` for a trace
    read from CSV, ``macs_per_byte`` for one without GEMMs.
    """
    chosen = policy or "fp16"
    filled = apply_policy(trace, chosen)
    open_formats = any(not op.a_format for op in trace.ops)
    moved = _moved_bits(filled)
    bits, gemms = sum(moved.values()), trace.gemms
    return {
        "name": trace.name,
        "phase": trace.meta.get("phase"),
        "parameters": trace.meta.get("parameters"),
        "macs": trace.macs,
        **{f"macs_{kind}": macs for kind, macs in trace.macs_by_kind.items()},
        "gemms": sum(gemm.instances for gemm in gemms),
        "unique_gemms": len(trace.unique()),
        "vector_elements": sum(op.elements for op in trace.vector_ops),
        "formats": _policy_label(policy) if open_formats else "as in the trace",
        **{name: _bytes(bits) for name, bits in moved.items()},
        "kv_bytes_per_token_fp16": trace.meta.get("kv_bytes_per_token_fp16"),
        "macs_per_byte": trace.macs * 8 / bits if bits else None,
    }


def _policy_label(policy: Policy | str | None) -> str:
    if policy is None:
        return "fp16 (no policy given)"
    return policy if isinstance(policy, str) else f"{policy.w_format} × {policy.a_format}, kv {policy.kv_format}"


def _moved_bits(filled: Trace) -> dict[str, int]:
    """Bits of every operand of every GEMM, once; vector operations are taken as fused."""
    moved = {"weight_bytes": 0, "kv_read_bytes": 0, "activation_bytes": 0}
    target = {"dram": "weight_bytes", "kv": "kv_read_bytes", "activation": "activation_bytes"}
    for gemm in filled.gemms:
        w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
        moved[target[gemm.w_source]] += gemm.w_bits(w)
        moved["activation_bytes"] += gemm.a_bits(a) + gemm.o_bits(o)
    return moved
