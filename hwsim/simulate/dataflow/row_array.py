"""The array of :mod:`hwsim.simulate.dataflow.row_stationary`, cycle by cycle: slow, obvious, and strict.

PEs of a row do the same at the same time, each with activations of its own; what is said of a row is said of all
of them. The array is told when folds begin, and refuses what hardware could not do: a step in a PE that still
works, with weights that are not in its pad, from a sum that is not there yet; vectors that follow closer than
the ports bring and take operands; a pad that is filled over what is still needed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import ArrayShape, Block
from hwsim.simulate.dataflow.folds import Marked, Size
from hwsim.simulate.dataflow.stepping import refuse

NONE = -1
#: Later than any cycle.
NEVER = 1 << 62


class Timetable(Protocol):
    """When a row does what within a fold, in cycles; see :class:`.row_stationary.RowRule`."""

    def rows(self, size: Size) -> Any:
        """Rows in use."""
        ...

    def depth(self, size: Size) -> Any:
        """Steps along K in a PE."""
        ...

    def pace(self, size: Size) -> Any:
        """From one of these to the next."""
        ...

    def slot(self, size: Size) -> Any:
        """From vector to vector."""
        ...

    def skew(self, size: Size) -> Any:
        """From row to row."""
        ...

    def load(self, size: Size) -> Any:
        """Filling the pads."""
        ...

    def work(self, size: Size, steps: Any) -> Any:
        """Until a row has done."""
        ...


@dataclass(frozen=True, eq=False)
class RowFold:
    """Activations (m, k) and weights (k, n) of a fold, and the sums (m, n) that it adds to."""

    marked: Marked
    a: NDArray[Any]
    w: NDArray[Any]
    sums: NDArray[Any]

    @property
    def size(self) -> Size:
        """Elements of K and N that the fold takes the time of."""
        return self.marked.size


class RowArray:
    """Pads and sums of every row, and when its PEs and ports are free again."""

    def __init__(
        self,
        shape: ArrayShape,
        block: Block,
        timetable: Timetable,
        program: Sequence[RowFold],
        starts: Sequence[int],
        step: Callable[[Any, NDArray[Any], NDArray[Any]], Any],
    ) -> None:
        self.shape, self.block, self.program, self.starts, self.step = shape, block, program, starts, step
        sizes = [fold.size for fold in program]
        self.rows = [int(timetable.rows(size)) for size in sizes]
        self.depth = [int(timetable.depth(size)) for size in sizes]
        self.pace = [int(timetable.pace(size)) for size in sizes]
        self.slot = [int(timetable.slot(size)) for size in sizes]
        self.skew = [int(timetable.skew(size)) for size in sizes]
        self.load = [int(timetable.load(size)) for size in sizes]
        self.work = [int(timetable.work(fold.size, len(fold.marked.ends))) for fold in program]
        self.pad = [NONE] * shape.rows  # the fold whose weights a row computes with
        self.second = [NONE] * shape.rows  # and those that wait beside them
        self.free_at = [0] * shape.rows  # the cycle from which a row's PEs may take a step
        self.ports_at = [0] * shape.rows  # and from which its ports may serve a vector
        #: By row, column and sum: its value, and the fold, vector and steps behind it.
        self.sums: dict[tuple[int, int, int], tuple[Any, int, int, int]] = {}
        self.done = [[0] * shape.rows for _ in program]  # steps by fold and row
        self.finished = [False] * len(program)  # whether all sums of a fold were out before this cycle
        #: The cycle in which each sum came out, by fold, vector and sum.
        self.out = [np.full((len(fold.marked.ends), int(fold.size.cols)), NEVER) for fold in program]

    def total(self, index: int) -> int:
        """Return the steps of a fold in one row."""
        fold = self.program[index]
        return len(fold.marked.ends) * self.depth[index] * int(fold.size.cols)

    def run(self) -> Generator[None, None, None]:
        """Step until every sum is out; sums are written where the program says."""
        cycle = 0
        while not all(self.finished):
            self._load(cycle)
            for row in reversed(range(self.shape.rows)):  # what a row takes from above is not yet overwritten
                for index in range(len(self.program)):
                    if row < self.rows[index]:
                        self._work(cycle, index, row)
            if self.shape.double_buffer:
                self._check_second(cycle)
            self.finished = [bool((out < NEVER).all()) for out in self.out]
            yield
            cycle += 1

    def load_begin(self, index: int, row: int) -> int:
        """Return when the weights of a fold begin to fill a row's pad."""
        before = index - 1
        if index == 0:
            return 0
        if self.shape.double_buffer:
            return self.starts[before] + row * self.skew[before]
        if self.shape.fold_overlap:
            return self.starts[before] + self.work[before] + row * self.skew[before]
        return self.starts[index] - self.load[index]

    def _load(self, cycle: int) -> None:
        alone = not (self.shape.double_buffer or self.shape.fold_overlap)
        for index in range(len(self.program)):
            for row in range(self.rows[index]):
                begin = self.load_begin(index, row)
                if cycle == begin and not self.shape.double_buffer:
                    refuse(alone and not all(self.finished[:index]), "a pad is filled before all sums are out")
                    needed = [i for i in range(index) if row < self.rows[i] and self.done[i][row] < self.total(i)]
                    refuse(bool(needed), "a pad is filled over weights that are needed")
                if cycle == begin + self.load[index]:
                    pads = self.second if self.shape.double_buffer else self.pad
                    pads[row] = index

    def _check_second(self, cycle: int) -> None:
        """Refuse to fill a second pad whose weights have not yet been taken over."""
        for index in range(len(self.program)):
            for row in range(self.rows[index]):
                waits = cycle == self.load_begin(index, row) and self.second[row] != NONE
                refuse(waits, "a second pad is filled before it is free")

    def _work(self, cycle: int, index: int, row: int) -> None:
        """Begin and end the step of a row that falls on this cycle, if one does."""
        fold, interval = self.program[index], int(self.shape.interval)
        since = cycle - self.starts[index] - row * self.skew[index]
        vector, within = divmod(since, self.slot[index])
        if since < 0 or vector >= len(fold.marked.ends):
            return
        if within == 0:
            self._begin_vector(cycle, index, row, vector)
        depth, within = divmod(within, self.pace[index])
        number, within = divmod(within, interval)
        if depth >= self.depth[index] or number >= fold.size.cols:
            return
        if within == 0:
            refuse(self.free_at[row] > cycle, "a PE gets a step while it works on another")
            self.free_at[row] = cycle + interval
            refuse(self.pad[row] != index, "a PE works with weights that it does not hold")
            if depth == 0:
                self._take(cycle, index, row, vector, number)
        if within == interval - 1:
            self._finish(cycle, index, row, vector, depth, number)

    def _begin_vector(self, cycle: int, index: int, row: int, vector: int) -> None:
        if vector == 0:
            if not self.shape.fold_overlap:
                refuse(row == 0 and not all(self.finished[:index]), "a fold begins before all sums are out")
            if self.shape.double_buffer:
                refuse(self.second[row] != index, "weights are not yet in the second pad")
                self.pad[row], self.second[row] = index, NONE
        refuse(self.ports_at[row] > cycle, "a vector comes before the ports have served the last one")
        feed = self.depth[index] * self.shape.feed_interval
        self.ports_at[row] = cycle + max(feed, int(self.program[index].size.cols) * self.shape.drain_interval)

    def _take(self, cycle: int, index: int, row: int, vector: int, number: int) -> None:
        """Begin a sum with that of the row above, or with what lies in the buffer."""
        fold = self.program[index]
        if row == 0:
            chained = fold.marked.chained
            refuse(chained and self.out[index - 1][vector, number] >= cycle, "a sum is not yet out below")
        for col in range(self.shape.cols):
            at = vector * self.shape.cols + col
            if at >= len(fold.a) or number >= fold.w.shape[1]:
                continue
            if row == 0:
                value = fold.sums[at, number]
            else:
                value, of, whose, steps = self.sums[row - 1, col, number]
                refuse((of, whose, steps) != (index, vector, self.depth[index]), "the sum from above is not there")
            self.sums[row, col, number] = value, index, vector, 0

    def _finish(self, cycle: int, index: int, row: int, vector: int, depth: int, number: int) -> None:
        fold = self.program[index]
        self.done[index][row] += 1
        last = depth == self.depth[index] - 1
        for col in range(self.shape.cols):
            at = vector * self.shape.cols + col
            if at >= len(fold.a) or number >= fold.w.shape[1]:
                continue
            value, of, whose, steps = self.sums[row, col, number]
            refuse((of, whose, steps) != (index, vector, depth), "a sum was overwritten")
            first = row * self.block.k + depth * self.shape.lanes
            lanes = slice(first, min(first + self.shape.lanes, (row + 1) * self.block.k))
            if len(fold.w[lanes]):
                value = self.step(value, fold.w[lanes, number], fold.a[at, lanes])
            self.sums[row, col, number] = value, index, vector, depth + 1
            if last and row == self.rows[index] - 1:
                fold.sums[at, number] = value
        if last and row == self.rows[index] - 1:
            self.out[index][vector, number] = cycle
