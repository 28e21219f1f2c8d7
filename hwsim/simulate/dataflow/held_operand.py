"""Systolic arrays in which one operand waits: K on rows, its own loop on columns, the other operand streams.

Weight- and input-stationary are mirror images: ``O^T = W^T · A^T`` turns one into the other. What is
said here of the *held* and the *streamed* operand holds for both. Per fold the held operand's
``rows · lanes`` × ``cols`` elements are shifted in from the top (``rows · load_interval`` cycles), then
the streamed operand enters from the left, one vector of K per ``interval``, skewed by one cycle per
row; partial sums flow down. With every interval 1 and T vectors a fold takes ``2R + C + T − 2`` cycles
(SCALE-Sim paper, arXiv 1811.02883; holds on all of its rows of both dataflows). Folds do not overlap,
ragged folds cost a full one.

Lockstep: streamed operands enter all rows together (each a hop later than the one above), when the last
ones have been worked on in all PEs. Every PE has held operands of its own; those of a row share what
streams. Partial sums move on after every step, so that each step of a PE goes into another sum.
"""

from __future__ import annotations

from collections.abc import Generator
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
)
from hwsim.simulate.dataflow.stepping import accumulate_one, lane_groups, padded_lanes, step_starts


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
        """Folds × (fill + T · interval); continuing partial sums enters from the top at no cost."""
        held, streams = self._roles(m, n)
        count: int = ceil_div(k, self.k_unit(shape)) * ceil_div(held, shape.cols)
        cycles: int | Fraction = count * (self.fill_cycles(shape) + streams * shape.interval)
        return cycles

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; every tile of the streamed loop loads the held operand anew."""
        held, streams = self._roles(m, n)
        k_folds, held_folds = folds(k, self.k_unit(shape)), folds(held, shape.cols)
        outputs = m.extent * n.extent
        per_fold = streams.trips * self.fill_cycles(shape) + streams.extent * shape.interval
        reads = {
            self.stationary: k.extent * held.extent * streams.trips,
            self.streamed: streams.extent * k.extent * held_folds,
        }
        return Totals(
            compute_cycles=k_folds * held_folds * per_fold,
            sram_w_read=reads["w"],
            sram_a_read=reads["a"],
            sram_psum_read=outputs * (k_folds - 1),
            sram_psum_write=outputs * k_folds,
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

    def stepped(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> Generator[None, None, NDArray[Any]]:
        """Run the tile fold by fold, column folds outside, so that partial sums chain over K."""
        m, k = operands.a.shape
        n = operands.w.shape[1]
        out = pe.initial((m, n)) if operands.partial is None else operands.partial.copy()
        held_all, streamed_all = self._roles(operands.a.T, operands.w)
        sums, unit = (out if self.stationary == "w" else out.swapaxes(0, 1)), self.k_unit(shape)
        for first in range(0, held_all.shape[1], shape.cols):
            for k0 in range(0, k, unit):
                held = held_all[k0 : k0 + unit, first : first + shape.cols]
                streamed = streamed_all[k0 : k0 + unit]
                yield from self._fold(shape, pe, operands, streamed, held, sums[:, first : first + shape.cols])
        return out

    def _fold(
        self,
        shape: ArrayShape,
        pe: DotUnit,
        operands: TileOperands,
        streamed: NDArray[Any],
        held: NDArray[Any],
        sums: NDArray[Any],
    ) -> Generator[None, None, None]:
        """Step one fold of ``streamed`` (k, T) and ``held`` (k, columns).

        ``sums`` (T, columns) is read at the top and written from the bottom.
        """
        rows, cols = shape.rows, shape.cols
        streams, used = streamed.shape[1], held.shape[1]
        lanes = lane_groups(held.shape[0], shape.lanes)
        in_row: list[NDArray[Any] | None] = [None] * rows
        for row in reversed(range(rows)):  # what the bottom row holds enters first
            for _ in range(shape.load_interval):
                yield
            start, width = lanes[row] if row < len(lanes) else (0, 0)
            in_row = [held[start : start + width] if width else None, *in_row[:-1]]

        starts = self._starts(shape, pe, operands, streamed, held)
        enters = {int(start): index for index, start in enumerate(starts[:-1])}
        spent = np.append(np.diff(starts), 0)  # the last one for PEs that nothing has reached
        arrived = np.full((rows, cols), -1)  # index of the streamed vector that is in each PE
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
                index, waits = arrived[row, col], in_row[row]
                if col >= used:
                    continue
                above = sums[index, col] if row == 0 else before[row - 1, col]
                if waits is not None:
                    start, width = lanes[row]
                    pair = self._pair(waits[:, col], streamed[start : start + width, index])
                    above = accumulate_one(pe, operands, above, *pair)
                result[row, col] = above
                if row == rows - 1:
                    sums[index, col] = above
            yield
            cycle += 1
            if busy[-1, -1] == 1 and arrived[-1, -1] == streams - 1:
                return

    def _starts(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, streamed: NDArray[Any], held: NDArray[Any]
    ) -> NDArray[np.int64]:
        """Return when the vectors of ``streamed`` (k, T) enter a fold that holds ``held`` (k, columns)."""
        in_rows = padded_lanes(held, shape.lanes).swapaxes(1, 2)  # by row, column and lane
        waiting = np.broadcast_to(in_rows, (streamed.shape[1], *in_rows.shape))
        moving = padded_lanes(streamed, shape.lanes).transpose(2, 0, 1)[:, :, None]
        return step_starts(shape, pe, operands, *self._pair(waiting, moving), sum_steps=1)
