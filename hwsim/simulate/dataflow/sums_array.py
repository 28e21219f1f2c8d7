"""The array of :mod:`hwsim.simulate.dataflow.output_stationary`, cycle by cycle and PE by PE: slow, obvious, strict.

It is given folds and when each begins and ends, moves sums through the registers of its columns, and
refuses what hardware could not do: start a sum where another one lies, shift out one that is not complete,
use a column's way out for two folds at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import ArrayShape
from hwsim.simulate.dataflow.folds import Marked, Size
from hwsim.simulate.dataflow.stepping import refuse


@dataclass(frozen=True, eq=False)
class SumsFold:
    """Activations (rows, k) and weights (k, columns) of a fold, and the outputs (rows, columns) that it fills."""

    marked: Marked
    a: NDArray[Any]
    w: NDArray[Any]
    block: NDArray[Any]

    @property
    def size(self) -> Size:
        """Rows and columns that the fold takes up."""
        return self.marked.size


@dataclass(frozen=True)
class Shift:
    """Registers move down ``steps`` times, from ``begin`` on: one fold's results out, another's sums in."""

    begin: int
    steps: int
    leaves: int | None
    enters: int | None


@dataclass
class Register:
    """A sum of a fold and row, and how many steps it has taken."""

    fold: int
    row: int
    value: Any
    steps: int = 0


def moves(rows: Any, at_once: bool) -> Any:
    """Return the times that registers change until the sums of so many rows are out or in."""
    return 1 if at_once else rows


Registers = list[list[Register | None]]


class SumsArray:
    """Accumulators of every PE, and with ``double_buffer`` a second register each.

    ``step(acc, w, a)`` is the PE's arithmetic on one step, ``cleared`` an empty accumulator.
    """

    #: Whether sums move between edge and PEs all at once, instead of a row at a time.
    at_once: ClassVar[bool] = False

    def __init__(
        self,
        shape: ArrayShape,
        skewed: bool,
        program: Sequence[SumsFold],
        starts: Sequence[int],
        marks: Sequence[int],
        step: Callable[[Any, NDArray[Any], NDArray[Any]], Any],
        cleared: Any,
    ) -> None:
        self.shape, self.skewed, self.program, self.step, self.cleared = shape, skewed, program, step, cleared
        self.marks, self.starts = list(marks), list(starts)
        self.sums: Registers = [[None] * shape.cols for _ in range(shape.rows)]
        self.second: Registers = [[None] * shape.cols for _ in range(shape.rows)]
        self.left = [fold.size.rows * fold.size.cols for fold in program]

    def wave(self, row: int, col: int) -> int:
        """Return the cycles from the first PE to this one, of what goes through the array as operands do."""
        return row + col if self.skewed else 0

    def shifts(self, continues: bool) -> list[Shift]:
        """Return what is shifted and when in the first column."""
        program, marks, drain = self.program, self.marks, self.shape.drain_interval
        rows = [moves(fold.size.rows, self.at_once) for fold in program]
        later = [self.wave(fold.size.rows - 1, 0) if self.shape.fold_overlap else 0 for fold in program]
        found = [Shift(0, rows[0], None, 0)] if continues else []
        if self.shape.double_buffer and continues and len(program) > 1:
            found.append(Shift(self.starts[0] + later[0], rows[0], None, 1))
        for index, mark in enumerate(marks):
            begin = mark + later[index]
            behind = index + (2 if self.shape.double_buffer else 1)
            enters = behind if continues and behind < len(program) else None
            if enters is None or not (self.shape.double_buffer or self.shape.fold_overlap):
                found.append(Shift(begin, rows[index], index, None))
                if enters is not None:
                    found.append(Shift(begin + rows[index] * drain, rows[enters], None, enters))
            else:
                found.append(Shift(begin, rows[0], index, enters))
        return found

    def run(self, continues: bool) -> Generator[None, None, None]:
        """Step until every result is out; results are written where the program says."""
        if self.shape.double_buffer:  # PEs go on as soon as they have changed over
            first = moves(self.program[0].size.rows, self.at_once) * self.shape.drain_interval
            self.starts = [first * continues, *self.marks[:-1]]
        shifts = self.shifts(continues)
        for one, following in pairwise(shifts):
            busy = one.begin + one.steps * self.shape.drain_interval > following.begin
            refuse(busy, "a column is shifted for two folds at once")
        cycle = 0
        while any(self.left):
            if self.shape.double_buffer:
                self._exchange(cycle, continues)
            self._compute(cycle, continues)
            self._shift(cycle, shifts)
            yield
            cycle += 1

    def _pes(self, index: int) -> list[tuple[int, int]]:
        size = self.program[index].size
        return [(row, col) for row in range(size.rows) for col in range(size.cols)]

    def _exchange(self, cycle: int, continues: bool) -> None:
        """Change accumulators for second registers where a fold is done, or its sums are wanted."""
        begins = [self.starts[0], *self.marks] if continues else self.marks
        for number, begin in enumerate(begins):
            index = number - 1 if continues else number  # the fold that is done, if any
            following = index + 1 if continues and index + 1 < len(self.program) else None
            leaving = set(self._pes(index)) if index >= 0 else set()
            coming = set() if following is None else set(self._pes(following))
            for row, col in sorted(leaving | coming):
                if cycle != begin + (self.wave(row, col) if self.shape.fold_overlap else 0):
                    continue
                done, waits = self.sums[row][col], self.second[row][col]
                if (row, col) in leaving:
                    self._complete(done, index, row)
                if (row, col) in coming:
                    refuse(waits is None or (waits.fold, waits.row) != (following, row), "a sum is not yet in its PE")
                else:
                    refuse(waits is not None, "a second register is not yet free")
                self.sums[row][col], self.second[row][col] = waits, done

    def _complete(self, found: Register | None, index: int, row: int) -> None:
        steps = len(self.program[index].marked.ends)
        refuse(found is None or (found.fold, found.row, found.steps) != (index, row, steps), "a sum is not complete")

    def _compute(self, cycle: int, continues: bool) -> None:
        alone = not (self.shape.double_buffer or self.shape.fold_overlap)
        for index, (fold, start) in enumerate(zip(self.program, self.starts, strict=True)):
            ends = [int(end) for end in fold.marked.ends]
            for row, col in self._pes(index):
                since = cycle - start - self.wave(row, col)
                held = self.sums[row][col]
                if since == 0:
                    refuse(alone and any(self.left[:index]), "a fold enters an array that has not drained")
                    if continues:
                        refuse(held is None or (held.fold, held.row) != (index, row), "a sum is not yet in its PE")
                    else:
                        refuse(held is not None, "a sum is started where another one lies")
                        held = self.sums[row][col] = Register(index, row, self.cleared)
                if since + 1 in ends:
                    refuse(held is None or (held.fold, held.row) != (index, row), "a sum has left its PE")
                    assert held is not None
                    lanes = slice(held.steps * self.shape.lanes, (held.steps + 1) * self.shape.lanes)
                    if row < len(fold.a) and col < fold.w.shape[1]:
                        held.value = self.step(held.value, fold.w[lanes, col], fold.a[row, lanes])
                    held.steps += 1

    def _shift(self, cycle: int, shifts: Sequence[Shift]) -> None:
        for shift in shifts:
            for col in range(self.shape.cols):
                later = self.wave(0, col) if self.shape.fold_overlap else 0
                since = cycle + 1 - shift.begin - later
                if self.shape.drain_interval == 0:
                    steps = range(1, shift.steps + 1) if since == 0 else range(0)
                else:
                    step, rest = divmod(since, self.shape.drain_interval)
                    steps = range(step, step + 1) if not rest and 1 <= step <= shift.steps else range(0)
                for step in steps:
                    self._shift_once(shift, step, col)

    def _shift_once(self, shift: Shift, step: int, col: int) -> None:
        """Move one column down by a row: a result leaves below, a sum or nothing enters above."""
        registers = self.second if self.shape.double_buffer else self.sums
        rows = max(self.program[i].size.rows for i in (shift.leaves, shift.enters) if i is not None)
        if shift.leaves is not None:
            fold = self.program[shift.leaves]
            row = fold.size.rows - step
            if row >= 0 and col < fold.size.cols:
                found = registers[fold.size.rows - 1][col]
                self._complete(found, shift.leaves, row)
                assert found is not None
                if row < len(fold.a) and col < fold.w.shape[1]:
                    fold.block[row, col] = found.value
                self.left[shift.leaves] -= 1
        # Where nothing enters, rows that are empty already are left to the next fold.
        first = step if shift.enters is None else 1
        for row in reversed(range(first, rows)):
            registers[row][col] = registers[row - 1][col]
        if first <= rows:
            registers[first - 1][col] = None
        if shift.enters is not None:
            fold, row = self.program[shift.enters], shift.steps - step
            if row < fold.size.rows and col < fold.size.cols:
                inside = row < len(fold.a) and col < fold.w.shape[1]
                value = fold.block[row, col].copy() if inside else self.cleared
                registers[0][col] = Register(shift.enters, row, value)


class FaceArray(SumsArray):
    """The same array where every PE has wires of its own to the edge for its sum: all move in ``drain_interval``."""

    at_once: ClassVar[bool] = True

    def _shift_once(self, shift: Shift, step: int, col: int) -> None:
        """Move one column: its results leave, sums enter where they were."""
        registers = self.second if self.shape.double_buffer else self.sums
        if shift.leaves is not None:
            self._leave(shift.leaves, col, registers)
        if shift.enters is not None:
            self._enter(shift.enters, col, registers)

    def _leave(self, index: int, col: int, registers: Registers) -> None:
        fold = self.program[index]
        for row in range(fold.size.rows if col < fold.size.cols else 0):
            found = registers[row][col]
            self._complete(found, index, row)
            assert found is not None
            if row < len(fold.a) and col < fold.w.shape[1]:
                fold.block[row, col] = found.value
            self.left[index] -= 1
            registers[row][col] = None

    def _enter(self, index: int, col: int, registers: Registers) -> None:
        fold = self.program[index]
        for row in range(fold.size.rows if col < fold.size.cols else 0):
            refuse(registers[row][col] is not None, "a sum enters where another one lies")
            inside = row < len(fold.a) and col < fold.w.shape[1]
            value = fold.block[row, col].copy() if inside else self.cleared
            registers[row][col] = Register(index, row, value)
