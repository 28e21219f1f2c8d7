"""Integer-only softmax, GELU and LayerNorm as published, and the memory traffic of softmax.

Figures are in ``hwsim/data/vector/integer_ops.csv`` and ``softmax_traffic.csv``, with their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

#: Operations that are counted.
COUNTED = ("shift", "add", "mul", "div", "cmp")


class SoftmaxTraffic(NamedTuple):
    """Elements that softmax reads and writes per element of a row that does not fit on chip."""

    name: str
    reads: int
    writes: int
    source: str

    @property
    def total(self) -> int:
        """Reads and writes."""
        return self.reads + self.writes

    def speedup_bound(self, over: SoftmaxTraffic) -> float:
        """Return how much faster this can be than ``over`` where memory is the limit."""
        return over.total / self.total


@lru_cache(maxsize=1)
def _operations() -> dict[tuple[str, str], dict[str, int]]:
    rows = read_csv_rows("vector", "integer_ops.csv")
    return {(row["op"], row["per"]): {key: int(row[key]) for key in COUNTED} for row in rows}


def integer_operations(name: str, per: str = "element") -> Mapping[str, int]:
    """Return the operations of ``shiftmax``, ``shiftgelu`` or ``i_layernorm`` per ``element`` or ``row``.

    Raises
    ------
    UsageError
        If there is no such row.
    """
    found = _operations()
    if (name, per) not in found:
        raise UsageError(f"{name} per {per}: {did_you_mean(name, sorted({op for op, _ in found}))}; per element, row")
    return found[name, per]


def softmax_traffic(name: str) -> SoftmaxTraffic:
    """Return the traffic of ``two_pass``, ``three_pass_recompute`` or ``three_pass_reload``.

    Raises
    ------
    UsageError
        If there is no such algorithm.
    """
    rows = {
        row["name"]: SoftmaxTraffic(row["name"], int(row["reads"]), int(row["writes"]), row["source"])
        for row in read_csv_rows("vector", "softmax_traffic.csv")
    }
    if name not in rows:
        raise UsageError(f"softmax traffic {name!r}: {did_you_mean(name, sorted(rows))}")
    return rows[name]
