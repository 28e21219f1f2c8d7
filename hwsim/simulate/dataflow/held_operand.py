"""Systolic arrays in which one operand waits: K on rows, its own loop on columns, the other operand streams.

Weight- and input-stationary are mirror images: ``O^T = W^T · A^T`` turns one into the other. What is
said here of the *held* and the *streamed* operand holds for both. Per fold the held operand's
``rows · lanes`` × ``cols`` elements are shifted in from the top (``L = rows · load_interval`` cycles), then
the streamed operand enters from the left, one vector of K per ``interval`` (``X`` cycles in all), skewed
by one cycle per row; partial sums flow down. With every interval 1 and T vectors a fold takes
``2R + C + T − 2`` cycles (SCALE-Sim paper, arXiv 1811.02883; holds on all of its rows of both dataflows).
By default folds do not overlap and ragged folds cost a full one.

From the first vector of a fold to that of the next, with skew ``S = R + C − 2``:

=============== =================== ==============================================
                alone               with ``fold_overlap``
=============== =================== ==============================================
one register    ``X + S + L``       ``X + L``: a column is loaded from the top down
                                    as its PEs have done, one column after the other
double buffer   ``max(X + S, L)``   ``max(X, L)``: PEs change over one by one
=============== =================== ==============================================

A fold that overlaps with the one whose sums it adds to starts ``R`` cycles after it or later, when the
first sum has come out below. Where ragged folds cost what they use, R and C are the rows and columns in
use: sums leave the array below the last row in use.

Lockstep: streamed operands enter all rows together (each a hop later than the one above), when the last
ones have been worked on in all PEs. Every PE has held operands of its own; those of a row share what
streams. Partial sums move on after every step, so that each step of a PE goes into another sum.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.simulate.dataflow.base import (
    ArrayShape,
    Dataflow,
    DotUnit,
    Extents,
    TileOperands,
    Totals,
    ceil_div,
    folds,
    over_tiles,
)
from hwsim.simulate.dataflow.folds import Cut, Marked, Pair, Size, most, run_cycles, walk_marks
from hwsim.simulate.dataflow.held_array import HeldArray, HeldFold
from hwsim.simulate.dataflow.stepping import outputs, padded_lanes, step_starts


@dataclass(frozen=True)
class HeldRule:
    """Folds as the table of the module says; the mark of a fold is when its first vector enters."""

    shape: ArrayShape

    def load(self, size: Size) -> Any:
        """Return the cycles that filling the rows takes."""
        return size.rows * self.shape.load_interval

    def lead(self, size: Size, steps: Any, several: Any) -> Any:
        """The first fold is loaded."""
        return self.load(size)

    def period(self, pair: Pair) -> Any:
        """Return the cycles from first vector to first vector."""
        size, load = pair.size, self.load(pair.following)
        steps = pair.steps if self.shape.fold_overlap else self.tail(size, pair.steps)
        period = most(steps, load) if self.shape.double_buffer else steps + load
        if self.shape.fold_overlap and pair.chained:
            period = most(period, size.rows + pair.lag)
        return period

    def tail(self, size: Size, steps: Any) -> Any:
        """All vectors enter, the last one passes rows and columns."""
        return steps + size.rows + size.cols - 2


class HeldOperand(Dataflow):
    """K on rows, the held operand's loop on columns; partial sums are accumulated through the output SRAM."""

    dequant_site: ClassVar[str] = "edge"
    #: Loop over which the other operand streams: "m" or "n".
    stream_loop: ClassVar[str]

    @property
    def held_loop(self) -> str:
        """The loop that lies on the columns."""
        return "n" if self.stream_loop == "m" else "m"

    @property
    def streamed(self) -> str:
        """The operand that moves, "w" or "a"."""
        return "a" if self.stationary == "w" else "w"

    def _roles(self, m: Any, n: Any) -> tuple[Any, Any]:
        """Return what belongs to the held operand's loop and to the streamed one's."""
        return (n, m) if self.stationary == "w" else (m, n)

    def _pair(self, held: Any, streamed: Any) -> tuple[Any, Any]:
        """Return the same of weights and of activations."""
        return (held, streamed) if self.stationary == "w" else (streamed, held)

    def k_unit(self, shape: ArrayShape) -> int:
        """Reduction elements of one fold: the array's rows, or an even part of a scale group that fits them."""
        full = shape.rows * shape.lanes
        if shape.k_limit is None:
            return full
        steps = shape.k_limit // shape.lanes
        parts = next(p for p in range(1, steps + 1) if steps % p == 0 and steps // p <= shape.rows)
        return shape.k_limit // parts

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """One fold covers ``rows · lanes`` of K and ``cols`` of the held operand's loop; the other streams freely."""
        return {self.stream_loop: 1, "k": self.k_unit(shape), self.held_loop: shape.cols}

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """All PEs in use: per row as many held vectors as columns, and one streamed."""
        rows = ceil_div(min(k, self.k_unit(shape)), shape.lanes)
        held, _ = self._roles(m, n)
        cols = min(held, shape.cols)
        if self.stationary == "w":
            return Lockstep(groups=rows, weights=cols, sum_steps=1)
        return Lockstep(groups=rows, activations=cols, sum_steps=1)

    def fill_cycles(self, shape: ArrayShape) -> int:
        """Cycles of a fold that do not depend on what streams: load, row skew, column skew."""
        return shape.rows * shape.load_interval + shape.rows + shape.cols - 2

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Folds × (fill + T · interval), or what the table says; continuing sums enter from the top at no cost."""
        held, streams = self._roles(m, n)
        if not shape.plain:
            return self._run_cycles(shape, k, held, streams)  # type: ignore[no-any-return]
        count: int = ceil_div(k, self.k_unit(shape)) * ceil_div(held, shape.cols)
        cycles: int | Fraction = count * (self.fill_cycles(shape) + streams * shape.interval)
        return cycles

    def _run_cycles(self, shape: ArrayShape, k: Any, held: Any, streams: Any) -> Any:
        """Return the cycles of one tile, or of arrays of tiles, by the rule of its folds."""
        unit = self.k_unit(shape)
        if shape.used_only:
            rows = Cut.ragged(k, unit, lambda size: ceil_div(size, shape.lanes))
            cols = Cut.ragged(held, shape.cols, lambda size: size)
        else:
            rows, cols = Cut.even(k, unit, shape.rows), Cut.even(held, shape.cols, shape.cols)
        return run_cycles(HeldRule(shape), streams * shape.interval, cols, rows, lambda c, r: Size(r, c))

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; every tile of the streamed loop loads the held operand anew."""
        held, streams = self._roles(m, n)
        k_folds, held_folds = folds(k, self.k_unit(shape)), folds(held, shape.cols)
        results = m.extent * n.extent
        if shape.plain:
            per_fold = streams.trips * self.fill_cycles(shape) + streams.extent * shape.interval
            cycles = k_folds * held_folds * per_fold
        else:
            cycles = over_tiles(m, k, n, lambda tm, tk, tn, _: self._run_cycles(shape, tk, *self._roles(tm, tn)))
        reads = {
            self.stationary: k.extent * held.extent * streams.trips,
            self.streamed: streams.extent * k.extent * held_folds,
        }
        return Totals(
            compute_cycles=cycles,
            sram_w_read=reads["w"],
            sram_a_read=reads["a"],
            sram_psum_read=results * (k_folds - 1),
            sram_psum_write=results * k_folds,
        )

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """One row of held operands per load cycle, one skewed column of streamed ones, one row of results."""
        return {
            self.stationary: shape.cols * shape.lanes * bits[self.stationary],
            self.streamed: shape.rows * shape.lanes * bits[self.streamed],
            "o": shape.cols * bits["psum"],
        }

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Per PE step a streamed operand hops one PE to the right and a partial sum one PE down."""
        return {self.streamed: shape.lanes * bits[self.streamed] * pitch_mm, "psum": bits["psum"] * pitch_mm}

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Run the tile on :class:`HeldArray`."""
        out = outputs(pe, operands)
        program = self._program(shape, pe, operands, out)
        marks, _ = walk_marks(HeldRule(shape), [fold.marked for fold in program])
        if hurry:
            marks = [mark - (index >= hurry) for index, mark in enumerate(marks)]

        def step(acc: Any, held: NDArray[Any], streamed: NDArray[Any]) -> Any:
            start = pe.initial((1,))
            start[0] = acc
            w, a = self._pair(held[None, :], streamed[None, :])
            return pe.accumulate(start, w, a, operands.w_format, operands.a_format)[0]

        yield from HeldArray(shape, program, marks, step, pe.initial((shape.rows, shape.cols))).run()
        return out

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Walk over the folds for the cycles; sums take all their steps at a time."""
        out = outputs(pe, operands)
        folds = [fold.marked for fold in self._program(shape, pe, operands, out)]
        _, cycles = walk_marks(HeldRule(shape), folds)
        return cycles, pe.accumulate_many(out, operands.w, operands.a, operands.w_format, operands.a_format)

    def _program(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, out: NDArray[Any]) -> list[HeldFold]:
        """Return the folds of a tile, column folds outside, so that partial sums chain over K."""
        held_all, streamed_all = self._roles(operands.a.T, operands.w)
        sums, unit = (out if self.stationary == "w" else out.swapaxes(0, 1)), self.k_unit(shape)
        alike = None if shape.data_cycles else np.arange(1, streamed_all.shape[1] + 1) * int(shape.interval)
        program = []
        for first in range(0, held_all.shape[1], shape.cols):
            for k0 in range(0, len(held_all), unit):
                held = held_all[k0 : k0 + unit, first : first + shape.cols]
                streamed = streamed_all[k0 : k0 + unit]
                used = Size(ceil_div(len(held), shape.lanes), held.shape[1])
                size = used if shape.used_only else Size(shape.rows, shape.cols)
                ends = alike if alike is not None else self._ends(shape, pe, operands, streamed, held)
                marked = Marked(size, k0 > 0, ends)
                program.append(HeldFold(marked, held, streamed, sums[:, first : first + shape.cols]))
        return program

    def _ends(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, streamed: NDArray[Any], held: NDArray[Any]
    ) -> NDArray[np.int64]:
        """Return after how many cycles each vector of ``streamed`` (k, T) is done with ``held`` (k, columns)."""
        in_rows = padded_lanes(held, shape.lanes).swapaxes(1, 2)  # by row, column and lane
        waiting = np.broadcast_to(in_rows, (streamed.shape[1], *in_rows.shape))
        moving = padded_lanes(streamed, shape.lanes).transpose(2, 0, 1)[:, :, None]
        return step_starts(shape, pe, operands, *self._pair(waiting, moving), sum_steps=1)[1:]
