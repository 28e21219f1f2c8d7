"""Vector operations: what one element of softmax, a norm or an activation takes, and what a row takes once.

Operation counts per element and per row and tensor passes come from ``hwsim/data/vector/ops.csv``, each
row with its derivation; those of the online softmax of fused attention from ``online_softmax.csv``. A row is
what an operation reduces along ``n``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from hwsim.hardware.functions.integer import I_VIT
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

PRIMITIVES = ("add", "mul", "cmp", "shift", "div", "exp", "rsqrt", "idiv")

#: A count that depends on the row: log2 of its length, which is a power of two.
LOG2_N = "log2_n"


@dataclass(frozen=True, slots=True)
class VectorKind:
    """Primitive operations per element and per row, reads and writes per element.

    ``rows_coupled`` if a result needs its whole row; ``whole`` if whole numbers are shifted and divided;
    ``stages`` are additions per element and per factor of two of the row's length.
    """

    name: str
    primitives: tuple[tuple[str, int], ...]
    row: tuple[tuple[str, int], ...]
    reads: int
    writes: int
    rows_coupled: bool
    whole: bool
    source: str
    row_source: str = ""
    stages: int = 0


def _counts(row: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    return tuple((p, int(row[p])) for p in PRIMITIVES if row[p] not in ("0", LOG2_N))


@lru_cache(maxsize=1)
def vector_kinds() -> dict[str, VectorKind]:
    """Return all known vector operations by name; counts that depend on the row are left to :func:`vector_kind`."""
    return _read("ops.csv")


@lru_cache(maxsize=1)
def _online_kinds() -> dict[str, VectorKind]:
    return _read("online_softmax.csv")


def online_kind(name: str) -> VectorKind:
    """Return a part of the online softmax, which is no operation of a trace of its own."""
    return _online_kinds()[name]


def _read(file: str) -> dict[str, VectorKind]:
    rows = read_csv_rows("vector", file)
    once = {row["op"]: row for row in rows if row["per"] == "row"}
    return {
        row["op"]: VectorKind(
            name=row["op"],
            primitives=_counts(row),
            row=_counts(once[row["op"]]) if row["op"] in once else (),
            reads=int(row["reads"]),
            writes=int(row["writes"]),
            rows_coupled=row["rows_coupled"] == "1",
            whole=row["op"] in I_VIT.values(),
            source=row["source"],
            row_source=once[row["op"]]["source"] if row["op"] in once else "",
            stages=int(row["add"] == LOG2_N),
        )
        for row in rows
        if row["per"] == "element"
    }


def vector_kind(name: str, n: int | None = None) -> VectorKind:
    """Return the operation called ``name`` on rows of ``n``.

    Raises
    ------
    UsageError
        If it is unknown, or its rows must be powers of two and are not.
    """
    kinds = vector_kinds()
    if name not in kinds:
        raise UsageError(f"vector op {name!r} has no cost; {did_you_mean(name, kinds)}")
    kind = kinds[name]
    if not kind.stages or n is None:
        return kind
    if n & (n - 1):
        raise UsageError(f"vector op {name!r}: n must be a power of two, not {n:,}; hadamard has blocks of 16")
    return replace(kind, primitives=(*kind.primitives, ("add", kind.stages * (n.bit_length() - 1))), stages=0)
