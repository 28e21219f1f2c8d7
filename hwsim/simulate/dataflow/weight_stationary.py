"""Weight-stationary systolic array: K on rows, N on columns, M streams.

Per fold: the weights of ``rows · lanes`` × ``cols`` are shifted in from the top
(``rows · load_interval`` cycles), then M activation rows enter from the left, one per
``interval``, skewed by one cycle per row; partial sums flow down. With every interval 1 a fold
takes ``2R + C + M − 2`` cycles (SCALE-Sim paper, arXiv 1811.02883; holds on all of its
weight-stationary reference rows). Folds do not overlap, ragged folds cost a full one.

Lockstep: activations enter all rows together (each a hop later than the one above), when the last ones
have been worked on in all PEs. Every PE has weights of its own; those of a row share their activations.
Partial sums move on after every step, so that each step of a PE goes into another sum.
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
from hwsim.simulate.dataflow.stepping import fire, lane_groups, padded_lanes, step_starts


class WeightStationary(Dataflow):
    """K on rows, N on columns, M streams; partial sums are accumulated through the output SRAM."""

    name: ClassVar[str] = "weight_stationary"
    summary: ClassVar[str] = "systolic; weights wait in the PEs, activations stream, partial sums flow down"
    stationary: ClassVar[str] = "w"
    dequant_site: ClassVar[str] = "edge"

    def k_unit(self, shape: ArrayShape) -> int:
        """Reduction elements of one fold: the array's rows, or an even part of a scale group that fits them."""
        full = shape.rows * shape.lanes
        if shape.k_limit is None:
            return full
        steps = shape.k_limit // shape.lanes
        parts = next(p for p in range(1, steps + 1) if steps % p == 0 and steps // p <= shape.rows)
        return shape.k_limit // parts

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """One fold covers ``rows · lanes`` of K and ``cols`` of N; M streams freely."""
        return {"m": 1, "k": self.k_unit(shape), "n": shape.cols}

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """All PEs in use: per row as many vectors of weights as columns, and one of activations."""
        rows = ceil_div(min(k, self.k_unit(shape)), shape.lanes)
        return Lockstep(groups=rows, weights=min(n, shape.cols), sum_steps=1)

    def fill_cycles(self, shape: ArrayShape) -> int:
        """Cycles of a fold that do not depend on M: weight load, row skew, column skew."""
        return shape.rows * shape.load_interval + shape.rows + shape.cols - 2

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Folds × (fill + M · interval); continuing partial sums enters from the top at no cost."""
        count: int = ceil_div(k, self.k_unit(shape)) * ceil_div(n, shape.cols)
        return count * (self.fill_cycles(shape) + m * shape.interval)

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; every tile of M loads the array's weights anew."""
        k_folds, n_folds = folds(k, self.k_unit(shape)), folds(n, shape.cols)
        outputs = m.extent * n.extent
        return Totals(
            compute_cycles=k_folds * n_folds * (m.trips * self.fill_cycles(shape) + m.extent * shape.interval),
            sram_w_read=k.extent * n.extent * m.trips,
            sram_a_read=m.extent * k.extent * n_folds,
            sram_psum_read=outputs * (k_folds - 1),
            sram_psum_write=outputs * k_folds,
        )

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """One row of weights per load cycle, one skewed activation column, one row of results."""
        return {
            "w": shape.cols * shape.lanes * bits["w"],
            "a": shape.rows * shape.lanes * bits["a"],
            "o": shape.cols * bits["psum"],
        }

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Per PE step an activation hops one PE to the right and a partial sum one PE down."""
        return {"a": shape.lanes * bits["a"] * pitch_mm, "psum": bits["psum"] * pitch_mm}

    def stepped(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> Generator[None, None, NDArray[Any]]:
        """Run the tile fold by fold, column folds outside, so that partial sums chain over K."""
        rows_m, k = operands.a.shape
        n = operands.w.shape[1]
        out = pe.initial((rows_m, n)) if operands.partial is None else operands.partial.copy()
        unit = self.k_unit(shape)
        for n0 in range(0, n, shape.cols):
            for k0 in range(0, k, unit):
                w = operands.w[k0 : k0 + unit, n0 : n0 + shape.cols]
                a = operands.a[:, k0 : k0 + unit]
                columns = out[:, n0 : n0 + shape.cols]
                yield from self._fold(shape, pe, operands, a, w, columns)
        return out

    def _fold(
        self,
        shape: ArrayShape,
        pe: DotUnit,
        operands: TileOperands,
        a: NDArray[Any],
        w: NDArray[Any],
        sums: NDArray[Any],
    ) -> Generator[None, None, None]:
        """Step one fold; ``sums`` (m, columns) is read at the top and written from the bottom."""
        rows, cols = shape.rows, shape.cols
        streams, used = a.shape[0], w.shape[1]
        lanes = lane_groups(w.shape[0], shape.lanes)
        held: list[NDArray[Any] | None] = [None] * rows
        for row in reversed(range(rows)):  # the bottom row's weights enter first
            for _ in range(shape.load_interval):
                yield
            start, width = lanes[row] if row < len(lanes) else (0, 0)
            held = [w[start : start + width] if width else None, *held[:-1]]

        of_rows = padded_lanes(w, shape.lanes)  # held weights by row, lane and column; activations by row, lane and m
        weights = np.broadcast_to(of_rows.swapaxes(1, 2), (streams, *of_rows.swapaxes(1, 2).shape))
        activations = padded_lanes(a.T, shape.lanes).transpose(2, 0, 1)[:, :, None]
        starts = step_starts(shape, pe, operands, weights, activations, sum_steps=1)
        enters = {int(start): index for index, start in enumerate(starts[:-1])}
        spent = np.append(np.diff(starts), 0)  # the last one for PEs that nothing has reached
        arrived = np.full((rows, cols), -1)  # index of the activation row that is in each PE
        busy = np.zeros((rows, cols), dtype=int)
        result = pe.initial((rows, cols))
        cycle = 0
        while True:
            moved = np.full((rows, cols), -1)
            moved[:, 1:] = np.where((busy > 0) & (busy == spent[arrived]), arrived, -1)[:, :-1]
            for row in range(rows):
                moved[row, 0] = enters.get(cycle - row, -1)
            busy = np.maximum(busy - 1, 0)
            fresh = moved >= 0
            arrived = np.where(fresh, moved, arrived)
            busy = np.where(fresh, spent[arrived], busy)
            before = result.copy()
            for row, col in np.argwhere(busy == 1):
                m_index = arrived[row, col]
                if col >= used:
                    continue
                above = sums[m_index, col] if row == 0 else before[row - 1, col]
                result[row, col] = fire(pe, operands, above, held[row], a, lanes, row, col, m_index)
                if row == rows - 1:
                    sums[m_index, col] = result[row, col]
            yield
            cycle += 1
            if busy[-1, -1] == 1 and arrived[-1, -1] == streams - 1:
                return


DATAFLOWS.register("weight_stationary")(WeightStationary())
