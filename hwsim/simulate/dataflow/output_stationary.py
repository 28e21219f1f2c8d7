"""Output-stationary systolic array: M on rows, N on columns, K streams.

Per fold: ``ceil(K / lanes)`` operand pairs enter from the left and the top, skewed by one cycle
per hop, then the results are shifted out of the bottom: ``R + C + K·interval − 2`` cycles of
compute and ``R · drain_interval`` of drain, so ``2R + C + K − 2`` with every interval 1 (the
SCALE-Sim paper's figure; the tool itself leaves out the drain, a bug that its authors confirm).
A tile that continues partial sums first shifts them in, another ``R · drain_interval`` cycles.
Folds do not overlap, ragged folds cost a full one.

Lockstep: the operands of a step enter together, when the last ones have been worked on in all PEs
(the edges, where operands are encoded, know how long that takes; further in, both come a hop later). In
a fold every column has one stream of weights for all rows, every row one stream of activations.
"""

from __future__ import annotations

from collections.abc import Generator
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
)
from hwsim.simulate.dataflow.stepping import accumulate_one, lane_groups, padded_lanes, step_starts


class OutputStationary(Dataflow):
    """M on rows, N on columns, K streams; every PE keeps one output until K is done."""

    name: ClassVar[str] = "output_stationary"
    summary: ClassVar[str] = "systolic; each PE accumulates one output, both operands stream"
    stationary: ClassVar[str] = "o"
    dequant_site: ClassVar[str] = "pe"

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """One fold covers ``rows`` of M and ``cols`` of N; K streams, ``lanes`` or a scale group at a time."""
        return {"m": shape.rows, "k": shape.k_limit or shape.lanes, "n": shape.cols}

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """All PEs in use: each row's activations meet each column's weights, and K goes into one sum."""
        return Lockstep(weights=min(n, shape.cols), activations=min(m, shape.rows), sum_steps=ceil_div(k, shape.lanes))

    def skew_cycles(self, shape: ArrayShape) -> int:
        """Cycles until the last PE sees the first operands."""
        return shape.rows + shape.cols - 2

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Folds × (skew + K steps · interval + drain, and a refill when K continues)."""
        count: int = ceil_div(m, shape.rows) * ceil_div(n, shape.cols)
        moves = shape.rows * shape.drain_interval * (1 if first_k else 2)
        steps: int = ceil_div(k, shape.lanes)
        return count * (self.skew_cycles(shape) + moves + steps * shape.interval)

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; each tile of K writes its partial sums and the next reads them."""
        m_folds, n_folds = folds(m, shape.rows), folds(n, shape.cols)
        per_k = self.skew_cycles(shape) + shape.rows * shape.drain_interval
        cycles = k.trips * per_k + folds(k, shape.lanes) * shape.interval
        refills = (k.trips - 1) * shape.rows * shape.drain_interval
        outputs = m.extent * n.extent
        return Totals(
            compute_cycles=m_folds * n_folds * (cycles + refills),
            sram_w_read=k.extent * n.extent * m_folds,
            sram_a_read=m.extent * k.extent * n_folds,
            sram_psum_read=outputs * (k.trips - 1),
            sram_psum_write=outputs * k.trips,
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

    def arrival(self, shape: ArrayShape, row: int, col: int) -> int:
        """Cycle at which the first operands reach PE (row, col)."""
        return row + col

    def stepped(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> Generator[None, None, NDArray[Any]]:
        """Run the tile fold by fold: refill, stream, drain."""
        m, n = operands.a.shape[0], operands.w.shape[1]
        out = pe.initial((m, n)) if operands.partial is None else operands.partial.copy()
        for m0 in range(0, m, shape.rows):
            for n0 in range(0, n, shape.cols):
                block = out[m0 : m0 + shape.rows, n0 : n0 + shape.cols]
                a = operands.a[m0 : m0 + shape.rows]
                w = operands.w[:, n0 : n0 + shape.cols]
                sums = pe.initial((shape.rows, shape.cols))
                if operands.partial is not None:
                    for row in range(shape.rows):
                        yield from (None for _ in range(shape.drain_interval))
                        if row < block.shape[0]:
                            sums[row, : block.shape[1]] = block[row]
                yield from self._stream(shape, pe, operands, a, w, sums)
                for row in reversed(range(shape.rows)):
                    yield from (None for _ in range(shape.drain_interval))
                    if row < block.shape[0]:
                        block[row] = sums[row, : block.shape[1]]
        return out

    def _stream(
        self,
        shape: ArrayShape,
        pe: DotUnit,
        operands: TileOperands,
        a: NDArray[Any],
        w: NDArray[Any],
        sums: NDArray[Any],
    ) -> Generator[None, None, None]:
        """Stream K through the fold; a PE starts when its operands arrive and is done when the next ones do."""
        groups = lane_groups(a.shape[1], shape.lanes)
        weights, activations = (padded_lanes(each, shape.lanes).swapaxes(1, 2)[:, None] for each in (w, a.T))
        starts = step_starts(shape, pe, operands, weights, activations)
        ends = {int(end) - 1: step for step, end in enumerate(starts[1:])}
        done = np.zeros((shape.rows, shape.cols), dtype=int)
        cycle = 0
        while (done < len(groups)).any():
            for row in range(shape.rows):
                for col in range(shape.cols):
                    since = cycle - self.arrival(shape, row, col)
                    if since not in ends:
                        continue
                    step = ends[since]
                    done[row, col] += 1
                    if row < a.shape[0] and col < w.shape[1]:
                        start, width = groups[step]
                        span = slice(start, start + width)
                        sums[row, col] = accumulate_one(pe, operands, sums[row, col], w[span, col], a[row, span])
            yield
            cycle += 1


DATAFLOWS.register("output_stationary")(OutputStationary())
