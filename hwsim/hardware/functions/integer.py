"""Integer-only softmax, GELU and LayerNorm as published, and the memory traffic of softmax.

Figures are in ``hwsim/data/vector/ops.csv``, with their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

#: Operations that are counted; divisions are of whole numbers.
COUNTED = {"shift": "shift", "add": "add", "mul": "mul", "div": "idiv", "cmp": "cmp"}
#: What I-ViT has instead of the operations of floats (arXiv 2207.01405).
I_VIT = {"softmax": "shiftmax", "gelu": "shiftgelu", "layernorm": "i_layernorm"}
#: Algorithms of softmax by the names of architecture files; the operation of each in ``ops.csv``.
SOFTMAX = {
    "held": "softmax",
    "three_pass": "softmax_three_pass_recompute",
    "three_pass_recompute": "softmax_three_pass_recompute",
    "three_pass_reload": "softmax_three_pass_reload",
    "two_pass": "softmax_two_pass",
    "online": "softmax_online",
    "fused": "softmax_fused",
}


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
def _rows() -> dict[tuple[str, str], dict[str, str]]:
    return {(row["op"], row["per"]): row for row in read_csv_rows("vector", "ops.csv")}


def integer_operations(name: str, per: str = "element") -> Mapping[str, int]:
    """Return the operations of ``shiftmax``, ``shiftgelu`` or ``i_layernorm`` per ``element`` or ``row``.

    Raises
    ------
    UsageError
        If there is no such row.
    """
    if name not in I_VIT.values() or (name, per) not in _rows():
        raise UsageError(f"{name} per {per}: {did_you_mean(name, sorted(I_VIT.values()))}; per element, row")
    row = _rows()[name, per]
    return {key: int(row[column]) for key, column in COUNTED.items()}


def softmax_traffic(name: str) -> SoftmaxTraffic:
    """Return the traffic of a softmax algorithm, such as ``two_pass`` or ``three_pass_recompute``.

    Raises
    ------
    UsageError
        If there is no such algorithm.
    """
    if name not in SOFTMAX:
        raise UsageError(f"softmax traffic {name!r}: {did_you_mean(name, sorted(SOFTMAX))}")
    row = _rows()[SOFTMAX[name], "element"]
    return SoftmaxTraffic(name, int(row["reads"]), int(row["writes"]), row["source"])
