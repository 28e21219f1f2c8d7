"""What every priced memory has, whatever it is made of."""

from __future__ import annotations

from typing import Protocol

from hwsim.hardware.memory.figures import MemoryRow


class Cell(Protocol):
    """A priced memory: energies in pJ per access of ``width_bits``; leakage, area and times of the whole of it."""

    @property
    def width_bits(self) -> int:
        """Bits per access."""

    @property
    def read_pj(self) -> float:
        """Energy of a read."""

    @property
    def write_pj(self) -> float:
        """Energy of a write."""

    @property
    def leakage_mw(self) -> float:
        """Leakage."""

    @property
    def area_mm2(self) -> float:
        """Area; 0 for a block of a chip that is bought whole."""

    @property
    def cycle_ns(self) -> float:
        """Least time from one access to the next."""

    def rows(self) -> list[MemoryRow]:
        """Return every figure with unit and source."""
