"""A circuit: parametrised by widths, counted in primitive cells, with a depth in cell delays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

#: The primitive cell classes of the cost laws: eleven parts that are counted from widths.
CELLS = ("and", "fa", "ha", "cpa", "mux", "xor", "or", "inc", "cmp", "lzc", "reg")


class Circuit(ABC):
    """Something made of primitive cells; frozen and hashable, so that prices can be remembered."""

    @abstractmethod
    def cells(self) -> Mapping[str, float]:
        """Return how many cells of each class (:data:`CELLS`) the circuit has."""

    @abstractmethod
    def levels(self) -> float:
        """Return the critical path in full-adder delays."""


def log2_ceil(n: int) -> int:
    """Return ceil(log2(n)) for n >= 1."""
    return (n - 1).bit_length()
