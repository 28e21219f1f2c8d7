"""The figures of a trace that depend on no hardware: parameters, work, bytes, intensity, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.formats import parse_format
from hwsim.spec.data import read_csv_rows
from hwsim.workload.footprint import memory_footprint, unknown_parts
from hwsim.workload.ops import STAGE_END, Gemm, ceil_div
from hwsim.workload.policy import Policy, apply_policy
from hwsim.workload.stated import formats_text, source_name
from hwsim.workload.trace import Trace
from hwsim.workload.training.optimizer import STAGE

#: What phases say about themselves, shown where it is known.
_SHOWN = (
    "seq_len", "context", "batch", "chunk", "new_tokens", "draft", "draft_tokens", "acceptance", "expected_tokens",
    "macs_per_token", "recipe", "recompute", "optimizer",
)  # fmt: skip

#: By where the stationary operand comes from; operands that stream and results are activations.
_TARGETS = {"dram": "weight_bytes", "kv": "kv_read_bytes", "activation": "activation_bytes"}

#: What formats are called that nobody names.
NO_POLICY = "fp16 (no policy given)"

#: Bytes that GEMMs move, by kind.
BYTES = tuple(_TARGETS.values())


def summarize(trace: Trace, policy: Policy | str | None = None) -> dict[str, Any]:
    """Return the figures of a trace that do not depend on any hardware.

    Bytes moved count the operands and results of each GEMM once per pass, in the formats of the trace, completed
    by ``policy``; a convolution's input counts once per window, as im2col streams it. Without a policy, what is left
    open is FP16; the key ``formats`` says whose formats they are. Bytes stored are those of
    :func:`~hwsim.workload.footprint.memory_footprint`, with ``stored_`` before their names.

    Keys: ``name, phase``, what the phase says of itself, ``parameters, macs, macs_linear, macs_attention, macs_conv,
    gemms, unique_gemms, vector_elements, formats, weight_bytes, kv_read_bytes, activation_bytes, optimizer_moved_bytes
    (training), kv_bytes_per_token_fp16, macs_per_byte, stored_…``, and ``stored_unknown`` where the trace does not say
    all that is stored; ``parameters`` and ``phase`` are ``None`` for a trace read from CSV, ``macs_per_byte`` for one
    without GEMMs.
    """
    filled = fill_formats(trace, policy)
    moved = moved_bits(filled)
    bits, gemms = sum(moved.values()), trace.gemms
    updates = _optimizer_bits(filled)
    return {
        "name": trace.name,
        "phase": trace.meta.get("phase"),
        **{key: trace.meta[key] for key in _SHOWN if key in trace.meta},
        "parameters": trace.meta.get("parameters"),
        "macs": trace.macs,
        **{f"macs_{kind}": macs for kind, macs in trace.macs_by_kind.items()},
        "gemms": sum(gemm.instances for gemm in gemms),
        "unique_gemms": len(trace.unique()),
        "vector_elements": sum(op.elements for op in trace.vector_ops),
        "formats": filled.meta.get("formats", f"as in {source_name(filled)}"),
        **{name: ceil_div(bits, 8) for name, bits in moved.items()},
        **({"optimizer_moved_bytes": ceil_div(updates, 8)} if updates else {}),
        "kv_bytes_per_token_fp16": trace.meta.get("kv_bytes_per_token_fp16"),
        "macs_per_byte": trace.macs * 8 / bits if bits else None,
        **{f"stored_{name}": value for name, value in memory_footprint(filled, "fp16").items()},
        **({"stored_unknown": unknown_parts(trace)} if unknown_parts(trace) else {}),
    }


def fill_formats(trace: Trace, policy: Policy | str | None = None) -> Trace:
    """Return ``trace`` with the formats that it leaves open as ``policy`` says, else in FP16; ``meta`` says which."""
    if policy is not None:
        return apply_policy(trace, policy)
    told = formats_text(trace, NO_POLICY)
    filled = apply_policy(trace, "fp16")
    return (
        filled if filled is trace else replace(filled, meta={**filled.meta, "formats": trace.meta.get("formats", told)})
    )


def gemm_bits(gemm: Gemm) -> dict[str, int]:
    """Return the bits of the operands and the result of a filled GEMM, once per pass, by kind."""
    w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
    found = dict.fromkeys(_TARGETS.values(), 0)
    found[_TARGETS[gemm.w_source]] += gemm.w_bits(w)
    found["activation_bytes"] += gemm.a_bits(a) + gemm.o_bits(o)
    return found


def moved_bits(filled: Trace) -> dict[str, int]:
    """Return the bits of every operand of every GEMM, once per pass; vector operations are taken as fused."""
    moved = dict.fromkeys(_TARGETS.values(), 0)
    for gemm in filled.gemms:
        for name, bits in gemm_bits(gemm).items():
            moved[name] += bits
    return moved


def _optimizer_bits(filled: Trace) -> int:
    """Return what the update of a training step reads and writes, in the formats of its states."""
    rows = {row["op"]: row for row in read_csv_rows("vector", "ops.csv") if row["per"] == "element"}
    return sum(
        int(rows[op.op]["reads"]) * parse_format(op.a_format).storage_bits(op.m, op.n) * op.instances
        + int(rows[op.op]["writes"]) * parse_format(op.o_format).storage_bits(op.m, op.n) * op.instances
        for op in filled.vector_ops
        if op.layer.startswith(f"{STAGE}{STAGE_END}")
    )


def layer_table(trace: Trace, policy: Policy | str | None = None) -> list[dict[str, Any]]:
    """Return one row per layer, with its stage if it has one, in the order of the trace: GEMMs of one name together.

    Keys: ``layer, kind, role, macs, weight_bytes, kv_read_bytes, activation_bytes`` (moved once per pass, as in
    :func:`summarize`), ``moved_bytes``, their sum, and ``macs_per_byte``.
    """
    filled = fill_formats(trace, policy)
    rows: dict[str, dict[str, Any]] = {}
    for gemm in filled.gemms:
        empty = {"layer": gemm.layer, "kind": gemm.kind, "role": gemm.role, "macs": 0, **dict.fromkeys(BYTES, 0)}
        row = rows.setdefault(gemm.layer, empty)
        row["macs"] += gemm.macs
        for name, bits in gemm_bits(gemm).items():
            row[name] += bits
    for row in rows.values():
        bits = sum(row[name] for name in BYTES)
        row |= {name: ceil_div(row[name], 8) for name in BYTES}
        row |= {"moved_bytes": ceil_div(bits, 8), "macs_per_byte": row["macs"] * 8 / bits}
    return list(rows.values())
