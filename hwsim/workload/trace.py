"""A trace: the operations of one model run, in order, and what is known about the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hwsim.spec.errors import ConservationError, UsageError
from hwsim.workload.ops import Gemm, Op, VectorOp

T = TypeVar("T", Gemm, VectorOp)

MAC_KINDS = ("linear", "attention", "conv")


@dataclass(frozen=True)
class Trace:
    """The operations of one model run.

    Parameters
    ----------
    name
        What tables call it, for example ``llama-2-7b prefill 2048``.
    ops
        Operations in program order; identical layers are one row with ``repeat``.
    meta
        What is known about the model: ``model``, ``phase``, ``batch``, ``seq_len`` or ``context``,
        ``parameters``, ``kv_bytes_per_token_fp16``, ``macs_linear`` … Not part of equality's hash.

    Raises
    ------
    UsageError
        If there are no operations.
    """

    name: str
    ops: tuple[Op, ...]
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", tuple(self.ops))
        object.__setattr__(self, "meta", dict(self.meta))
        if not self.ops:
            raise UsageError(f"trace {self.name!r}: holds no operation")

    @property
    def gemms(self) -> tuple[Gemm, ...]:
        """The matrix products, in order."""
        return tuple(op for op in self.ops if isinstance(op, Gemm))

    @property
    def vector_ops(self) -> tuple[VectorOp, ...]:
        """The vector operations, in order."""
        return tuple(op for op in self.ops if isinstance(op, VectorOp))

    @property
    def macs(self) -> int:
        """Multiply-accumulates in all."""
        return sum(gemm.macs for gemm in self.gemms)

    @property
    def macs_by_kind(self) -> dict[str, int]:
        """Multiply-accumulates of ``linear``, ``attention`` and ``conv``; they sum to :attr:`macs`."""
        totals = dict.fromkeys(MAC_KINDS, 0)
        for gemm in self.gemms:
            totals[gemm.kind] += gemm.macs
        return totals

    def unique(self) -> tuple[Gemm, ...]:
        """Return one GEMM per distinct shape, formats, sources and statistics.

        ``repeat`` sums those of all its twins; ``layer``, ``role`` and ``note`` are the first one's.
        """
        unnamed = {"layer": "", "role": "other", "note": "", "repeat": 1, "passes": 1, "weights_of": ""}
        return _merge(self.gemms, lambda gemm: replace(gemm, **unnamed))  # type: ignore[arg-type]

    def merged(self) -> Trace:
        """Return the trace with rows that differ in ``repeat`` alone merged into the first."""
        gemms, vectors = _merge(self.gemms, _one_layer), _merge(self.vector_ops, _one_layer)
        kept: dict[Op, Op] = {}
        kept.update((_one_layer(gemm), gemm) for gemm in gemms)
        kept.update((_one_layer(op), op) for op in vectors)
        order: dict[Op, None] = dict.fromkeys(replace(op, repeat=op.passes) for op in self.ops)
        return check_conserved(self, replace(self, ops=tuple(kept[key] for key in order)))

    def map(self, change: Callable[[Op], Op]) -> Trace:
        """Return the trace with ``change`` applied to every operation."""
        return replace(self, ops=tuple(change(op) for op in self.ops))


def _one_layer(op: T) -> T:
    return replace(op, repeat=op.passes)


def _merge(ops: Iterable[T], key: Callable[[T], T]) -> tuple[T, ...]:
    merged: dict[T, T] = {}
    for op in ops:
        same = key(op)
        first = merged.get(same)
        merged[same] = op if first is None else _added(first, op)
    return tuple(merged.values())


def _added(first: T, op: T) -> T:
    """Return ``first`` with the repeats of its twin; passes stay where both have as many."""
    passes = first.passes if first.passes == op.passes else 1
    return replace(first, repeat=first.repeat + op.repeat, passes=passes)


def check_conserved(before: Trace, after: Trace) -> Trace:
    """Return ``after`` if it does the same work as ``before``.

    Raises
    ------
    ConservationError
        If MACs (per kind), operand elements or vector elements differ.
    """
    old, new = _work(before), _work(after)
    lost = [f"{name} {old[name]:,} -> {new[name]:,}" for name in old if old[name] != new[name]]
    if lost:
        raise ConservationError(f"{before.name}: work was not conserved: {'; '.join(lost)}")
    return after


def _work(trace: Trace) -> dict[str, int]:
    gemms = trace.gemms
    return {
        **{f"{kind} MACs": macs for kind, macs in trace.macs_by_kind.items()},
        "weight elements": sum(gemm.w_elements for gemm in gemms),
        "activation elements": sum(gemm.a_elements for gemm in gemms),
        "output elements": sum(gemm.o_elements for gemm in gemms),
        "vector elements": sum(op.elements for op in trace.vector_ops),
    }
