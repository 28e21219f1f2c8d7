"""Output-stationary systolic array: M on rows, N on columns, K streams.

Per fold: ``ceil(K / lanes)`` operand pairs enter from the left and the top (``X = steps · interval`` cycles),
skewed by one cycle per hop, then the results are shifted out of the bottom: ``R + C + X − 2`` cycles of
compute and ``D = R · drain_interval`` of drain, so ``2R + C + K − 2`` with every interval 1 (the
SCALE-Sim paper's figure; the tool itself leaves out the drain, a bug that its authors confirm).
A tile that continues partial sums first shifts them in, another D. By default folds do not overlap and
ragged folds cost a full one.

From fold to fold, with skew ``S = R + C − 2``; in parentheses where partial sums are continued:

=============== ====================== =====================================================
                alone                  with ``fold_overlap``
=============== ====================== =====================================================
one register    ``X + S + D (+ D)``    ``X + D (+ R − 1)``: a column is shifted out when its
                                       last PE has done, and zeros, or the next sums, follow
double buffer   ``max(X + S, D)``      ``max(X, D (+ R − 1))``: PEs change over one by one
=============== ====================== =====================================================

Where ragged folds cost what they use, R and C are the rows and columns in use (sums that follow others
into the array take the rows of the tile's first fold), and no fold is out before the one before it:
a fold of fewer rows waits for the difference.

Lockstep: the operands of a step enter together, when the last ones have been worked on in all PEs (the
edges, where operands are encoded, know how long that takes; further in, both come a hop later). In
a fold every column has one stream of weights for all rows, every row one stream of activations.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.simulate.dataflow.base import (
    DATAFLOWS,
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
from hwsim.simulate.dataflow.folds import Cut, Marked, Pair, Size, choose, least_of, most, run_cycles, walk_marks
from hwsim.simulate.dataflow.stepping import outputs, padded_lanes, step_starts
from hwsim.simulate.dataflow.sums_array import SumsArray, SumsFold, moves


@dataclass(frozen=True)
class SumsRule:
    """Folds as the table of the module says; ``tallest`` are the rows of the tile's first fold.

    The mark of a fold is the end of its last step: in the first PE where folds overlap, else in the last.
    """

    shape: ArrayShape
    skewed: bool
    continues: bool
    tallest: Any
    at_once: bool = False

    def drain(self, rows: Any) -> Any:
        """Return the cycles of moving the sums of so many rows out or in."""
        return moves(rows, self.at_once) * self.shape.drain_interval

    def row_skew(self, rows: Any) -> Any:
        """Return the cycles from the first row's operands to the last row's."""
        return rows - 1 if self.skewed else 0

    def skew(self, size: Size) -> Any:
        """Return the cycles from the first PE's operands to the last PE's."""
        return size.rows + size.cols - 2 if self.skewed else 0

    def body(self, size: Size, steps: Any) -> Any:
        """Return the cycles of a fold up to its mark."""
        return steps if self.shape.fold_overlap else steps + self.skew(size)

    @property
    def exchange(self) -> Any:
        """Cycles of shifting sums out and the next ones in behind them, while the array computes."""
        return self.drain(self.tallest) + (self.row_skew(self.tallest) if self.shape.fold_overlap else 0)

    def lead(self, size: Size, steps: Any, several: Any) -> Any:
        """Sums that are continued are shifted in; then those of the next fold, into the second registers."""
        body = self.body(size, steps)
        if not self.continues:
            return body
        if self.shape.double_buffer:
            body = choose(several, most(body, self.exchange), body)
        return self.drain(size.rows) + body

    def period(self, pair: Pair) -> Any:
        """Return the cycles from mark to mark."""
        size, following = pair.size, pair.following
        body, drain = self.body(following, pair.next_steps), self.drain(size.rows)
        behind = self.row_skew(size.rows) - self.row_skew(following.rows)  # a fold of fewer rows would be out first
        if self.shape.double_buffer:
            if self.continues:
                return most(body, self.exchange)
            return most(body, drain + (most(behind, 0) if self.shape.fold_overlap else 0))
        if not self.shape.fold_overlap:
            return drain + body + (self.drain(following.rows) if self.continues else 0)
        if self.continues:
            return body + self.row_skew(size.rows) + self.drain(self.tallest)
        return drain + most(body, behind)

    def tail(self, size: Size, steps: Any) -> Any:
        """The last PE has done, and the results are shifted out."""
        return self.drain(size.rows) + (self.skew(size) if self.shape.fold_overlap else 0)


class OutputStationary(Dataflow):
    """M on rows, N on columns, K streams; every PE keeps one output until K is done."""

    name: ClassVar[str] = "output_stationary"
    summary: ClassVar[str] = "systolic; each PE accumulates one output, both operands stream"
    stationary: ClassVar[str] = "o"
    dequant_site: ClassVar[str] = "pe"
    #: Whether operands hop from PE to PE, a cycle each.
    skewed: ClassVar[bool] = True
    #: The array that is stepped.
    array_kind: ClassVar[type[SumsArray]] = SumsArray

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """One fold covers ``rows`` of M and ``cols`` of N; K streams, ``lanes`` or a scale group at a time."""
        return {"m": shape.rows, "k": shape.k_limit or shape.lanes, "n": shape.cols}

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """All PEs in use: each row's activations meet each column's weights, and K goes into one sum."""
        return Lockstep(weights=min(n, shape.cols), activations=min(m, shape.rows), sum_steps=self.sum_steps(shape, k))

    def sum_steps(self, shape: ArrayShape, k: int) -> int:
        """Return the successive steps of a PE between which it need not wait for others."""
        return int(ceil_div(k, shape.lanes))

    def pace(self, shape: ArrayShape) -> tuple[Any, Any]:
        """Return the cycles that the steps of a fold take once, and each."""
        return 0, shape.interval

    def skew_cycles(self, shape: ArrayShape) -> int:
        """Cycles until the last PE sees the first operands."""
        return shape.rows + shape.cols - 2 if self.skewed else 0

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Folds × (skew + K steps · interval + drain, and a refill when K continues), or what the table says."""
        if not shape.plain:
            return self._run_cycles(shape, m, k, n, first_k)  # type: ignore[no-any-return]
        count: int = ceil_div(m, shape.rows) * ceil_div(n, shape.cols)
        drains = moves(shape.rows, self.at_once) * shape.drain_interval * (1 if first_k else 2)
        steps: int = ceil_div(k, shape.lanes)
        once, each = self.pace(shape)
        cycles: int | Fraction = count * (self.skew_cycles(shape) + drains + once + steps * each)
        return cycles

    def _run_cycles(self, shape: ArrayShape, m: Any, k: Any, n: Any, first_k: bool) -> Any:
        """Return the cycles of one tile, or of arrays of tiles, by the rule of its folds."""
        if shape.used_only:
            rows, cols = (
                Cut.ragged(size, unit, lambda rest: rest) for size, unit in ((m, shape.rows), (n, shape.cols))
            )
        else:
            rows, cols = Cut.even(m, shape.rows, shape.rows), Cut.even(n, shape.cols, shape.cols)
        once, each = self.pace(shape)
        steps = once + ceil_div(k, shape.lanes) * each

        def cycles(used: ArrayShape) -> Any:
            return run_cycles(
                SumsRule(used, self.skewed, not first_k, rows.first, self.at_once), steps, rows, cols, Size
            )

        ways = [cycles(used) for used in _ways(shape, not first_k)]
        return ways[0] if len(ways) == 1 else least_of(*ways)

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; each tile of K writes its partial sums and the next reads them."""
        m_folds, n_folds = folds(m, shape.rows), folds(n, shape.cols)
        if shape.plain:
            drain = moves(shape.rows, self.at_once) * shape.drain_interval
            once, each = self.pace(shape)
            per_k = self.skew_cycles(shape) + drain + once
            cycles = k.trips * per_k + folds(k, shape.lanes) * each
            refills = (k.trips - 1) * drain
            cycles = m_folds * n_folds * (cycles + refills)
        else:
            cycles = over_tiles(m, k, n, lambda *tile: self._run_cycles(shape, *tile))
        results = m.extent * n.extent
        return Totals(
            compute_cycles=cycles,
            sram_w_read=k.extent * n.extent * m_folds,
            sram_a_read=m.extent * k.extent * n_folds,
            sram_psum_read=results * (k.trips - 1),
            sram_psum_write=results * k.trips,
        )

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """One column of weights and one row of activations per step, one row of results per drain."""
        return {
            "w": shape.cols * shape.lanes * bits["w"],
            "a": shape.rows * shape.lanes * bits["a"],
            "o": shape.cols * bits["psum"],
        }

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Per PE step an activation hops right and a weight hops down."""
        return {"a": shape.lanes * bits["a"] * pitch_mm, "w": shape.lanes * bits["w"] * pitch_mm}

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Run the tile on :class:`SumsArray`."""
        out = outputs(pe, operands)
        program = self._program(shape, pe, operands, out)
        rule, marks, _ = self._walk(shape, operands, program)
        shape = rule.shape
        if hurry:
            marks = [mark - (index >= hurry) for index, mark in enumerate(marks)]
        starts = [
            mark - int(rule.body(fold.size, int(fold.marked.ends[-1])))
            for mark, fold in zip(marks, program, strict=True)
        ]

        def step(acc: Any, w: NDArray[Any], a: NDArray[Any]) -> Any:
            start = pe.initial((1,))
            start[0] = acc
            return pe.accumulate(start, w[None, :], a[None, :], operands.w_format, operands.a_format)[0]

        array = self.array_kind(shape, self.skewed, program, starts, marks, step, pe.initial((1,))[0])
        yield from array.run(continues=operands.partial is not None)
        return out

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Walk over the folds for the cycles; sums take all their steps at a time."""
        out = outputs(pe, operands)
        program = self._program(shape, pe, operands, out)
        _, _, cycles = self._walk(shape, operands, program)
        return cycles, pe.accumulate_many(out, operands.w, operands.a, operands.w_format, operands.a_format)

    def _walk(
        self, shape: ArrayShape, operands: TileOperands, program: list[SumsFold]
    ) -> tuple[SumsRule, list[int], int]:
        """Return the rule by which the folds take the fewest cycles, their marks, and the cycles."""
        continues, folds = operands.partial is not None, [fold.marked for fold in program]
        rules = [
            SumsRule(used, self.skewed, continues, program[0].size.rows, self.at_once)
            for used in _ways(shape, continues)
        ]
        return min(((rule, *walk_marks(rule, folds)) for rule in rules), key=lambda found: found[2])

    def _program(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, out: NDArray[Any]) -> list[SumsFold]:
        """Return the folds of a tile, rows outside."""
        steps = ceil_div(operands.a.shape[1], shape.lanes)
        once, each = self.pace(shape)
        alike = None if shape.data_cycles else int(once) + np.arange(1, steps + 1) * int(each)
        program = []
        for m0 in range(0, len(out), shape.rows):
            for n0 in range(0, out.shape[1], shape.cols):
                a = operands.a[m0 : m0 + shape.rows]
                w = operands.w[:, n0 : n0 + shape.cols]
                size = Size(len(a), w.shape[1]) if shape.used_only else Size(shape.rows, shape.cols)
                ends = alike if alike is not None else _ends(shape, pe, operands, a, w, self.sum_steps(shape, len(w)))
                block = out[m0 : m0 + shape.rows, n0 : n0 + shape.cols]
                program.append(SumsFold(Marked(size, False, ends), a, w, block))
        return program


def _ways(shape: ArrayShape, continues: bool) -> list[ArrayShape]:
    """Return the array as it is and, where sums go both ways, with each of its options left unused.

    What an option gains while the array computes may be less than what the first fold waits for the sums of the second,
    or than sums of the last rows come later.
    """
    if not continues:
        return [shape]
    double, overlap = ((True, False) if option else (False,) for option in (shape.double_buffer, shape.fold_overlap))
    return [replace(shape, double_buffer=d, fold_overlap=o) for d in double for o in overlap]


def _ends(
    shape: ArrayShape, pe: DotUnit, operands: TileOperands, a: NDArray[Any], w: NDArray[Any], sum_steps: int
) -> NDArray[np.int64]:
    """Return after how many cycles each step of ``a`` (rows, k) and ``w`` (k, columns) is done."""
    weights, activations = (padded_lanes(each, shape.lanes).swapaxes(1, 2)[:, None] for each in (w, a.T))
    return step_starts(shape, pe, operands, weights, activations, sum_steps)[1:]


DATAFLOWS.register("output_stationary")(OutputStationary())
