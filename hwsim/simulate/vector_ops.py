"""Vector operations: what one element of softmax, a norm or an activation takes.

Operation counts per element and tensor passes come from ``hwsim/data/vector/ops.csv``, each row
with its derivation; those of the online softmax of fused attention from ``online_softmax.csv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

PRIMITIVES = ("add", "mul", "cmp", "div", "exp")


@dataclass(frozen=True, slots=True)
class VectorKind:
    """Primitive operations, reads and writes per element; ``rows_coupled`` if a result needs its whole row."""

    name: str
    primitives: tuple[tuple[str, int], ...]
    reads: int
    writes: int
    rows_coupled: bool
    source: str


@lru_cache(maxsize=1)
def vector_kinds() -> dict[str, VectorKind]:
    """Return all known vector operations by name."""
    return _read("ops.csv")


@lru_cache(maxsize=1)
def _online_kinds() -> dict[str, VectorKind]:
    return _read("online_softmax.csv")


def online_kind(name: str) -> VectorKind:
    """Return a part of the online softmax, which is no operation of a trace of its own."""
    return _online_kinds()[name]


def _read(file: str) -> dict[str, VectorKind]:
    return {
        row["op"]: VectorKind(
            name=row["op"],
            primitives=tuple((p, int(row[p])) for p in PRIMITIVES if int(row[p])),
            reads=int(row["reads"]),
            writes=int(row["writes"]),
            rows_coupled=row["rows_coupled"] == "1",
            source=row["source"],
        )
        for row in read_csv_rows("vector", file)
    }


def vector_kind(name: str) -> VectorKind:
    """Return the operation called ``name``; UsageError with the valid names otherwise."""
    kinds = vector_kinds()
    if name not in kinds:
        raise UsageError(f"vector op {name!r} has no cost; {did_you_mean(name, kinds)}")
    return kinds[name]
