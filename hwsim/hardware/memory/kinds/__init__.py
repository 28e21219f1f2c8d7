"""Kinds of on-chip memory behind one interface: one file per kind.

A kind registers an object with the members of :class:`MemoryKind`; ``hwsim explain memory KIND`` and
``hwsim list memory`` then know it. What it builds is a :class:`Memory`, whatever it is made of.
"""

from __future__ import annotations

from typing import Any, Protocol

from hwsim.hardware.memory.candidates import Candidate
from hwsim.hardware.memory.explain import MemorySheet
from hwsim.hardware.memory.figures import MemoryRow
from hwsim.spec.bind import Spec
from hwsim.spec.registry import Registry


class Memory(Protocol):
    """A priced memory: what an accelerator takes from it.

    Energies in pJ are per access of ``width_bits``; leakage in mW, area in mm² and times in ns are of
    the whole memory.
    """

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
    def access_ns(self) -> float:
        """Time from address to data."""

    @property
    def cycle_ns(self) -> float:
        """Least time from one access to the next."""

    @property
    def answered_by(self) -> str:
        """What answered."""

    def rows(self) -> list[MemoryRow]:
        """Return every figure with unit and source."""


class MemoryKind(Protocol):
    """A kind of memory: what a user says of one, and what there is to say about it."""

    @property
    def settings(self) -> type[Spec]:
        """What a user says of one."""

    def build(self, settings: Any) -> Memory:
        """Return the memory that ``settings`` describe.

        Raises
        ------
        UsageError, MissingFigureError, InfeasibleError
            If it cannot be built; the message says what would.
        """

    def sheet(self, settings: Any) -> MemorySheet:
        """Return everything that is known of it."""

    def candidates(self, settings: Any) -> list[Candidate]:
        """Return every model that could answer, from the highest fidelity to the lowest; empty if there is one."""


MEMORIES: Registry[MemoryKind] = Registry("memory", "hwsim.hardware.memory.kinds")

__all__ = ["MEMORIES", "Memory", "MemoryKind"]
