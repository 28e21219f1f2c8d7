"""LUT array: activations become tables of their partial sums, weights select from them bit by bit.

What LUT Tensor Core (arXiv 2408.06003) and UNPU do with :mod:`hwsim.hardware.pe.families.lut` as PEs. A row of the
array is a row of M, a column a column of N, and M × N × K is elongated: a few rows, many columns, the lanes of a step
along K. The activations of a row become a step's tables once, which go to all columns of the row; a step takes the
PEs as many cycles as weights have bits (``interval``). Sums stay in the PEs, as in a broadcast array.

Tables take ``g`` cycles to make (:class:`~hwsim.simulate.dataflow.base.Tables`), by generators in the array or by the
vector unit. With one table register, PEs wait meanwhile; with a second one the next step's tables are made
``ahead``, behind this step:

=================== =========================================
one table register  ``s(interval + g)``
made ahead          ``g + (s − 1)·max(interval, g) + interval``
=================== =========================================

for the s steps of a fold. A fold's activations come as it begins, and its first tables with them; else folds follow
one another as in :mod:`hwsim.simulate.dataflow.broadcast`. Each fold along N makes its tables anew: they
are not kept.

Wires: tables drive their row's bus, ``expansion`` bits for each bit of activations; weights their column's.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

from hwsim.simulate.dataflow.base import DATAFLOWS, ArrayShape
from hwsim.simulate.dataflow.broadcast import Broadcast
from hwsim.simulate.dataflow.folds import least_of, most
from hwsim.simulate.dataflow.stepping import refuse
from hwsim.simulate.dataflow.sums_array import SumsArray


class TableArray(SumsArray):
    """The array with its table registers; all rows do the same at the same time."""

    def run(self, continues: bool) -> Generator[None, None, None]:
        """Step with nothing in the registers."""
        self.queue = [(index, step) for index, fold in enumerate(self.program) for step in range(len(fold.marked.ends))]
        self.making: tuple[int, int] | None = None
        self.ready: tuple[int, int] | None = None  # made, and not yet in use
        self.ready_at = self.busy_until = 0
        yield from super().run(continues)

    def _compute(self, cycle: int, continues: bool) -> None:
        self._finish_table(cycle)
        interval = int(self.shape.interval)
        for index, (fold, start) in enumerate(zip(self.program, self.starts, strict=True)):
            begins = [start + int(end) - interval for end in fold.marked.ends]
            if cycle in begins:
                refuse(self.busy_until > cycle, "tables change while PEs still read them")
                if self.shape.tables.cycles:
                    refuse(self.ready != (index, begins.index(cycle)), "PEs read tables that are not made yet")
                self.ready, self.busy_until = None, cycle + interval
        self._begin_table(cycle)
        super()._compute(cycle, continues)

    def _finish_table(self, cycle: int) -> None:
        """Tables that are made wait in their register: the second one, or the only one."""
        self._begin_table(cycle)
        if self.making is not None and self.ready_at == cycle:
            self.making, self.ready = None, self.making

    def _begin_table(self, cycle: int) -> None:
        """Begin the next tables, if their fold has begun and their register is free."""
        if not self.queue or not self.shape.tables.cycles or self.making or self.ready:
            return
        index, _ = self.queue[0]
        free = self.shape.tables.ahead or self.busy_until <= cycle
        if free and cycle >= self.starts[index]:
            self.making, self.ready_at = self.queue.pop(0), cycle + self.shape.tables.cycles


class LutArray(Broadcast):
    """A broadcast array whose rows carry tables instead of activations."""

    name: ClassVar[str] = "lut_array"
    summary: ClassVar[str] = (
        "activations become tables once per row, from which weights of all columns select bit by bit"
    )
    array_kind: ClassVar[type[SumsArray]] = TableArray
    follows_data: ClassVar[bool] = False
    needs: ClassVar[str] = "tables"

    def pace(self, shape: ArrayShape) -> tuple[Any, Any]:
        """Tables are made between steps, or behind the step before."""
        made = shape.tables.cycles
        if not shape.tables.ahead:
            return 0, shape.interval + made
        return least_of(shape.interval, made), most(shape.interval, made)

    def bus_mm(self, shape: ArrayShape, pitch_mm: float) -> dict[str, float]:
        """Tables drive a row of the array, weights a column."""
        buses = super().bus_mm(shape, pitch_mm)
        return {**buses, "a": buses["a"] * float(shape.tables.expansion)}


DATAFLOWS.register("lut_array")(LutArray())
