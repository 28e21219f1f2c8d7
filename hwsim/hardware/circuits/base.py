"""A circuit: parametrised by widths, counted in primitive cells, with a depth in cell delays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

#: The primitive cell classes of the cost laws, counted from widths. ``and`` is any two-input AND or OR.
CELLS = ("and", "fa", "ha", "cpa", "mux", "tree", "shift", "xor", "cmp", "lzc", "reg")

#: A NAND or NOR, an inverter and a buffer over an AND: ASAP7's NAND2xp5 0.0583, INVx1 0.0437 and BUFx2 0.0729 um2
#: of AND2x2's 0.0875. Trees alternate NAND and NOR.
NAND, INVERTER, BUFFER = 0.0583 / 0.0875, 0.0437 / 0.0875, 0.0729 / 0.0875

#: Levels of a two-way multiplexer in a tree, without the fan-out of its select line (rows c_mux2 of 4 and 32
#: bits, 1.6 and 2.8 levels: 1.2 and 0.3 per doubling of the bits).
MUX_LEVELS, SELECT_LEVELS = 1.2, 0.3


class Circuit(ABC):
    """Something made of primitive cells; frozen and hashable, so that prices can be remembered."""

    @abstractmethod
    def cells(self) -> Mapping[str, float]:
        """Return how many cells of each class (:data:`CELLS`) the circuit has."""

    @abstractmethod
    def levels(self) -> float:
        """Return the critical path in levels of a technology (ASAP7: 30.1 ps), about 1.3 rippling carries."""

    def ripple_levels(self) -> float:
        """Return by how much the highest bit of the result comes after the lowest; 0: all come together.

        What takes its bits from the lowest up, such as an adder, may begin so much earlier.
        """
        return 0.0

    @property
    def takes_ripples(self) -> bool:
        """Whether it can begin with the lowest bits of what it takes."""
        return self.ripple_levels() > 0

    @property
    def passes_ripples(self) -> bool:
        """Whether every bit of the result needs the same bit of what it takes alone."""
        return False

    @abstractmethod
    def live_bits(self, progress: float) -> float:
        """Return the bits that a register holds which cuts the circuit when a share of its path is done.

        At ``progress`` 1 these are the bits of the result; before, of what is still to be used.
        """


def log2_ceil(n: int) -> int:
    """Return ceil(log2(n)) for n >= 1."""
    return (n - 1).bit_length()
