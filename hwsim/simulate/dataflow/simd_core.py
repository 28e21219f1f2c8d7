"""A core of :mod:`hwsim.simulate.dataflow.simd`, cycle by cycle: it refuses what its pipes and registers cannot do.

It is given instructions and when each is issued. A pipe works on one at a time; a MAC needs operands that are in
registers and sums that are there; operands are loaded into the registers that MACs have left, of which a core with two
pipes has two sets.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

from hwsim.simulate.dataflow.stepping import refuse


@dataclass(frozen=True)
class Instruction:
    """What a pipe does from cycle ``at`` on, for a fold, a group of steps and a step of it."""

    pipe: Literal["other", "mac"]
    at: int
    cycles: int
    kind: Literal["prepare", "fill", "load", "mac", "store"]
    fold: int
    group: int = 0
    step: int = 0

    @property
    def end(self) -> int:
        """The cycle after its last one."""
        return self.at + self.cycles


class Core:
    """Its pipes, its operand registers, and the fold whose sums it has."""

    def __init__(self, separate: bool) -> None:
        self.separate = separate
        self.busy_until = {"other": 0, "mac": 0}
        self.loaded: tuple[int, int] | None = None  # group that waits in registers
        self.used: tuple[int, int] | None = None  # group that MACs read
        self.fold = -1  # whose sums are in registers
        self.stored = True

    def run(self, program: Sequence[Instruction]) -> Generator[tuple[int, int] | None, None, None]:
        """Step until all is done: yields fold and step of each one that ends, and None at the end of each cycle."""
        waiting = sorted(program, key=lambda one: (one.at, one.pipe))
        running: list[Instruction] = []
        cycle = 0
        while waiting or running:
            for one in [one for one in running if one.end == cycle]:
                running.remove(one)
                self._finish(one)
                if one.kind == "mac":
                    yield one.fold, one.step
            if not waiting and not running:
                return
            refuse(bool(waiting) and waiting[0].at < cycle, "an instruction is issued before the program begins")
            while waiting and waiting[0].at == cycle:
                one = waiting.pop(0)
                self._begin(one)
                running.append(one)
            yield None
            cycle += 1

    def _begin(self, one: Instruction) -> None:
        pipe = one.pipe if self.separate else "other"
        refuse(self.busy_until[pipe] > one.at, "a pipe gets an instruction while it works on another")
        self.busy_until[pipe] = one.end
        if one.kind in ("fill", "load") and one.fold != self.fold:
            refuse(not self.stored, "sums are overwritten that are not yet stored")
            self.fold, self.stored = one.fold, False
        if one.kind == "load":
            refuse(self.loaded is not None, "operands are loaded over others that wait")
        if one.kind == "mac":
            if self.used != (one.fold, one.group):
                refuse(self.loaded != (one.fold, one.group), "a MAC reads operands that are not there")
                self.used, self.loaded = self.loaded, None
            refuse(self.fold != one.fold, "a MAC adds to the sums of another fold")
        if one.kind == "store":
            refuse(self.busy_until["mac"] > one.at, "sums are stored that are not complete")

    def _finish(self, one: Instruction) -> None:
        if one.kind == "load":
            self.loaded = one.fold, one.group
        if one.kind == "store":
            self.stored = True
