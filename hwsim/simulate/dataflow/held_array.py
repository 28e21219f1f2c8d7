"""The array of :mod:`hwsim.simulate.dataflow.held_operand`, cycle by cycle and PE by PE: slow, obvious, and strict.

It is given folds and when each begins, moves tags through its registers, and refuses what hardware could
not do: overwrite an operand that is still needed, compute with one that has not arrived, take a sum from
above before it is there. That a program runs shows that it is legal; that it is refused a cycle earlier
shows that it is tight.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import ArrayShape
from hwsim.simulate.dataflow.folds import Marked, Size
from hwsim.simulate.dataflow.stepping import refuse

NONE = -1


@dataclass(frozen=True, eq=False)
class HeldFold:
    """What a fold holds (k, columns), what streams past it (k, T), and the sums (T, columns) that it adds to."""

    marked: Marked
    held: NDArray[Any]
    streamed: NDArray[Any]
    sums: NDArray[Any]

    @property
    def size(self) -> Size:
        """Rows and columns that the fold passes through."""
        return self.marked.size


class HeldArray:
    """Registers of every PE: what it holds, what is on its way down, the vector in work, the last sum.

    ``step(acc, held, streamed)`` is the PE's arithmetic on one step; ``sums`` are cleared accumulators.
    """

    def __init__(
        self,
        shape: ArrayShape,
        program: Sequence[HeldFold],
        starts: Sequence[int],
        step: Callable[[Any, NDArray[Any], NDArray[Any]], Any],
        sums: NDArray[Any],
    ) -> None:
        self.shape, self.program, self.starts, self.step = shape, program, starts, step
        full = (shape.rows, shape.cols)
        self.chain = np.full((*full, 2), NONE)  # fold and row of what each PE's shift register has
        self.active = np.full((*full, 2), NONE)  # of what it computes with
        self.work = np.full((*full, 2), NONE)  # fold and index of the vector that it works on
        self.busy = np.zeros(full, dtype=int)
        self.done = np.zeros(full, dtype=int)  # vectors that it has worked on
        self.sums, self.sum_of = sums, np.full((*full, 2), NONE)
        self.left = [len(fold.marked.ends) * fold.size.cols for fold in program]  # what must still leave the last row
        self.out = [np.zeros(fold.sums.shape[:2], dtype=bool) for fold in program]
        self.enters = {
            start + int(begin): (index, vector)
            for index, (fold, start) in enumerate(zip(program, starts, strict=True))
            for vector, begin in enumerate([0, *fold.marked.ends[:-1]])
        }
        vectors = sum(len(fold.marked.ends) for fold in program)
        refuse(len(self.enters) < vectors, "two vectors enter the array in one cycle")

    def load_begin(self, index: int) -> int:
        """Return when the loading of a fold begins in the first column."""
        shape, before = self.shape, index - 1
        if index == 0:
            return 0
        if shape.double_buffer:
            return self.starts[before]
        if shape.fold_overlap:
            return self.starts[before] + int(self.program[before].marked.ends[-1])
        return self.starts[index] - int(self.program[index].size.rows) * shape.load_interval

    def run(self) -> Generator[None, None, None]:
        """Step until every sum is out; sums are written where the program says."""
        cycle, fresh = 0, np.full((*self.busy.shape, 2), NONE)
        begins = [self.load_begin(index) for index in range(len(self.program))]
        alone = not (self.shape.double_buffer or self.shape.fold_overlap)
        while any(self.left):
            if alone and cycle in begins:
                refuse(any(self.left[: begins.index(cycle)]), "a fold is loaded into an array that has not drained")
            fresh = self._move(cycle, fresh)
            self._take(fresh)
            self._compute()
            self._shift(cycle, begins)
            yield
            cycle += 1

    def _move(self, cycle: int, before: NDArray[Any]) -> NDArray[Any]:
        """Return the vectors that reach PEs now: from the left neighbour, or from the edge, a row later per row."""
        moved = np.full_like(before, NONE)
        moved[:, 1:] = before[:, :-1]
        for row in range(self.shape.rows):
            moved[row, 0] = self.enters.get(cycle - row, (NONE, NONE))
        for row, col in np.argwhere(moved[..., 0] >= 0):
            size = self.program[moved[row, col, 0]].size
            if row >= size.rows or col >= size.cols:
                moved[row, col] = NONE
        return moved

    def _take(self, fresh: NDArray[Any]) -> None:
        for row, col in np.argwhere(fresh[..., 0] >= 0):
            index, vector = (int(x) for x in fresh[row, col])
            refuse(self.busy[row, col] > 0, "a PE gets a vector while it works on another")
            if vector == 0 and row == col == 0 and not self.shape.fold_overlap:
                refuse(any(self.left[:index]), "a fold enters an array that has not drained")
            ends = self.program[index].marked.ends
            self.work[row, col] = index, vector
            self.busy[row, col] = int(ends[vector]) - (int(ends[vector - 1]) if vector else 0)
            if self.shape.double_buffer and vector == 0:
                self.active[row, col] = self.chain[row, col]
            held = self.active if self.shape.double_buffer else self.chain
            refuse(tuple(held[row, col]) != (index, row), "a PE starts with what it does not hold")

    def _compute(self) -> None:
        before, before_of = self.sums.copy(), self.sum_of.copy()
        for row, col in np.argwhere(self.busy == 1):
            index, vector = (int(x) for x in self.work[row, col])
            fold = self.program[index]
            held = self.active if self.shape.double_buffer else self.chain
            refuse(tuple(held[row, col]) != (index, row), "a PE computes with what it does not hold")
            self.done[row, col] += 1
            self.left[index] -= row == fold.size.rows - 1
            if col >= fold.held.shape[1]:
                continue
            if row == 0:
                refuse(fold.marked.chained and not self.out[index - 1][vector, col], "a sum is not yet out below")
                above = fold.sums[vector, col]
            else:
                refuse(tuple(before_of[row - 1, col]) != (index, vector), "the sum from above is another")
                above = before[row - 1, col]
            lanes = slice(row * self.shape.lanes, (row + 1) * self.shape.lanes)
            if len(fold.held[lanes]):
                above = self.step(above, fold.held[lanes, col], fold.streamed[lanes, vector])
            self.sums[row, col], self.sum_of[row, col] = above, (index, vector)
            if row == fold.size.rows - 1:
                fold.sums[vector, col] = above
                self.out[index][vector, col] = True
        self.busy = np.maximum(self.busy - 1, 0)

    def _shift(self, cycle: int, begins: Sequence[int]) -> None:
        """Move what is being loaded one row down: row by row in turn, and where folds meet column after column."""
        interval, skewed = self.shape.load_interval, self.shape.double_buffer or self.shape.fold_overlap
        for index, begin in enumerate(begins):
            fold = self.program[index]
            for col in range(fold.size.cols):
                since = cycle + 1 - begin - (col if skewed else 0)
                step, rest = divmod(since, interval)
                if rest or not 1 <= step <= fold.size.rows:
                    continue
                for row in range(step):
                    if self.chain[row, col, 0] != index:
                        self._free(index, row, col)
                self.chain[1:step, col] = self.chain[: step - 1, col]
                self.chain[0, col] = index, fold.size.rows - step

    def _free(self, index: int, row: int, col: int) -> None:
        """Refuse to overwrite what an earlier fold still needs in this PE."""
        before = enumerate(self.program[:index])
        visits = [(i, f) for i, f in before if row < f.size.rows and col < f.size.cols]
        if self.shape.double_buffer:
            taken = int(self.active[row, col, 0])
            refuse(taken < max((i for i, _ in visits), default=NONE), "what a PE has not yet taken over is overwritten")
        else:
            needed = sum(len(f.marked.ends) for _, f in visits)
            refuse(int(self.done[row, col]) < needed, "what a PE still needs is overwritten")
