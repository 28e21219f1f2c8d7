"""The first and last of identical layers: a trace has one row for all of them, which is cut in two."""

from __future__ import annotations

from dataclasses import replace

from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Op
from hwsim.workload.trace import Trace


def depth(trace: Trace) -> int:
    """Return how many identical layers the model has: the most that any row stands for."""
    return max(op.layers for op in trace.ops)


def cut_layers(op: Op, first: int, last: int, layers: int) -> tuple[Op | None, Op | None]:
    """Return ``op`` for the ``first`` and ``last`` of ``layers`` layers, and for those between; None if there are none.

    A row that stands for one layer of a deeper model is outside of its blocks (embedding, head) and is not cut.

    Raises
    ------
    UsageError
        If the row stands for some of the layers, and it is not known which.
    """
    if op.layers == 1 < layers:
        return None, op
    if first + last >= layers:
        return op, None
    if not first + last:
        return None, op
    if op.layers != layers:
        raise UsageError(
            f"{op.layer}: stands for {op.layers} of {layers} layers, and the trace does not say which; "
            "leave it out of first and last by match, or name it in an override of its own"
        )
    ends = first + last
    names = [f"first {first}" * (first > 0), f"last {last}" * (last > 0)]
    kept = replace(op, repeat=op.passes * ends, note=" and ".join(filter(None, names)) + f" of {layers} layers")
    return kept, replace(op, repeat=op.passes * (layers - ends), note=f"layers {first + 1} to {layers - last}")
