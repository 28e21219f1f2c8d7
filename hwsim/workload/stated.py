"""Who gave a trace its formats: its source (a file, a recipe), a policy, or both; in words for people."""

from __future__ import annotations

from pathlib import Path

from hwsim.workload.ops import VectorOp
from hwsim.workload.trace import Trace

#: Formats of models that nothing has quantized; their tables and norms are in the same one.
PLAIN_FLOATS = ("fp32", "bf16", "fp16")
#: What there is to say of a trace whose source is not known.
THE_TRACE = "the trace"
#: Sources that state formats, by their suffixes; importers of checkpoints say so in ``formats_source``.
FILES = (".csv", ".onnx")


def source_name(trace: Trace) -> str:
    """Return what stated the formats of ``trace`` so far."""
    meta = trace.meta
    if meta.get("recipe"):
        return f"recipe {meta['recipe']}"
    source = Path(str(meta.get("source", "")))
    named = source.name if source.suffix in FILES else meta.get("model", THE_TRACE)
    return str(meta.get("formats_source", named))


def stated_gemms(trace: Trace) -> tuple[int, int]:
    """Return how many GEMMs state the format of W, and how many there are: one per layer, each pass the same."""
    return sum(gemm.layers for gemm in trace.gemms if gemm.w_format), sum(gemm.layers for gemm in trace.gemms)


def is_filled(trace: Trace) -> bool:
    """Whether every operation of ``trace`` has all its formats."""
    return all(op.a_format and op.o_format and (isinstance(op, VectorOp) or op.w_format) for op in trace.ops)


def formats_text(trace: Trace, policy: str) -> str:
    """Return whose formats ``trace`` has once ``policy`` has filled it."""
    if is_filled(trace):
        return f"as in {source_name(trace)}"
    stated, gemms = stated_gemms(trace)
    if not stated:
        return policy
    return f"W of {stated:,} of {gemms:,} GEMMs as in {source_name(trace)}, the rest {policy}"


def plain_hint(trace: Trace) -> str:
    """Return how the plain floats that the source of ``trace`` states give way, to end a message with; or ``""``."""
    plain = trace.meta.get("plain_floats")
    return f"; or let a policy of the workload quantize {plain}: --policy w8a8, say" if plain else ""


def kept_note(trace: Trace, policy: str) -> str:
    """Return what a policy that a user names replaces or cannot change in ``trace`` as its source gives it, or none."""
    stated, gemms = stated_gemms(trace)
    found = [f"in the place of {trace.meta['requantized']}"] if "requantized" in trace.meta else []
    if stated:
        whole = all(gemm.a_format for gemm in trace.gemms if gemm.w_format)
        what = "formats" if whole else "formats of W"
        found.append(f"{stated:,} of {gemms:,} GEMMs keep the {what} that {source_name(trace)} states")
    return f"policy {policy}: {'; '.join(found)}" if found else ""
