"""Kinds of on-chip memory behind one interface: one file per kind.

A kind registers an object with the members of :class:`MemoryKind`; ``hwsim explain memory KIND`` and
``hwsim list memory`` then know it. What it builds is a :class:`Memory`, whatever it is made of.
"""

from __future__ import annotations

from typing import Any, Protocol

from hwsim.hardware.memory.candidates import Candidate
from hwsim.hardware.memory.cell import Cell
from hwsim.hardware.memory.explain import MemorySheet
from hwsim.spec.bind import Spec
from hwsim.spec.registry import Registry


class Memory(Cell, Protocol):
    """A priced memory: what an accelerator takes from it."""

    @property
    def access_ns(self) -> float:
        """Time from address to data."""

    @property
    def answered_by(self) -> str:
        """What answered."""


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
