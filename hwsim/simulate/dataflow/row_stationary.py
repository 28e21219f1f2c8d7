"""Row-stationary array (Eyeriss, ISCA 2016 and JSSC 2017) in terms of a GEMM: blocks of weights in scratchpads.

K lies on rows, the rows of M on columns. A PE keeps ``k`` × ``n`` weights, ``k`` activations and ``n`` sums
(:class:`~hwsim.simulate.dataflow.base.Block`): an activation is used n times in its PE, a weight once per
vector that passes. All PEs of a row have the same weights, which come on the row's bus; every PE gets
activations of its own, on the same kind of bus; sums go down from PE to PE. Of a convolution (im2col) that
is Eyeriss's mapping with ``k`` weights of a filter row and some channels and ``n`` filters in a PE. Two things of
it are not here, because a GEMM's trace has no geometry: pixels that neighbouring windows have in common are
fetched once per window, neither kept in a PE as its window slides nor shared along diagonals. And
Eyeriss adds up sums that the PEs of a column found at the same time; here a PE starts from the sums of the one
above, so that sums are added in the order of K, as the PE's own dot product does. That makes rows late, each by
nearly a whole vector (S below): deep blocks cost time where a tile has few vectors, which Eyeriss does not pay.

The vectors of M are dealt out to the columns, ``T = ceil(M / C)`` each. With κ steps of ``lanes`` along k, a PE
gives step i to every sum in turn, so that one of κ takes ``p = max(n · interval, feed)``: ``feed`` cycles the
port needs for ``lanes`` activations of every PE. A vector keeps a PE busy for ``B = (κ − 1)p + n · interval``; the
next one follows after ``X = max(κp, n · drain)``, as n sums per column leave below. A row begins
``S = (κ − 1)p + interval`` after the one above, when its first sum is there. Weights of all rows are loaded
side by side, ``L = κn · load_interval``. From fold to fold, with ``A = (T − 1)X + B + (R − 1)S``:

=============== ========================== ==============================================
                alone                      with ``fold_overlap``
=============== ========================== ==============================================
one pad         ``max(A + L, TX)``         ``max((T − 1)X + B + L, TX)``: a row is loaded
                                           when its PEs have done
double buffer   ``max(A, L, TX)``          ``max(TX, L)``: PEs change over row by row
=============== ========================== ==============================================

A fold that overlaps with the one whose sums it adds to begins ``RS`` after it or later. Where ragged folds cost
what they use, rows, κ and n are those in use, and S may differ from fold to fold: the last row in use then
decides.

Which block: the mapper tries all that fit the pads, for every GEMM.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.network.topologies.bus import line_pitches
from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.simulate.dataflow.base import (
    DATAFLOWS,
    ArrayShape,
    Block,
    Dataflow,
    DotUnit,
    Extents,
    Pads,
    TileOperands,
    Totals,
    ceil_div,
    cycles_per_step,
    folds,
    over_tiles,
)
from hwsim.simulate.dataflow.folds import Cut, Marked, Pair, Size, most, run_cycles, walk_marks
from hwsim.simulate.dataflow.row_array import RowArray, RowFold
from hwsim.simulate.dataflow.stepping import outputs
from hwsim.spec.errors import InfeasibleError


@lru_cache(maxsize=4096)
def blocks(pads: Pads, lanes: int, k_limit: int | None) -> tuple[Block, ...]:
    """Return the blocks that fit ``pads``, the largest one first; whole steps, whole parts of a scale group.

    Raises
    ------
    InfeasibleError
        If not even a step fits.
    """
    found = [
        Block(k, min(pads.sums, pads.weights // k))
        for k in range(lanes, pads.activations + 1, lanes)
        if k <= pads.weights and (k_limit is None or k_limit % k == 0)
    ]
    if not found:
        raise InfeasibleError(
            f"array.scratchpads: {pads.weights} weights and {pads.activations} activations do not hold one step; "
            f"valid: at least the PE's {lanes} lanes each"
        )
    return tuple(sorted(found, key=lambda block: (-block.k * block.n, -block.n)))


def block_of(shape: ArrayShape) -> Block:
    """Return the block that a shape is set up for; one step and one sum where PEs have no scratchpads."""
    if shape.block is not None:
        return shape.block
    return Block(shape.lanes, 1) if shape.pads is None else blocks(shape.pads, shape.lanes, shape.k_limit)[0]


@dataclass(frozen=True)
class RowRule:
    """Folds as the table of the module says; sizes are elements of K and N, steps are vectors per column.

    The mark of a fold is when its first row begins.
    """

    shape: ArrayShape

    def rows(self, size: Size) -> Any:
        """Return the rows that a fold passes through."""
        return ceil_div(size.rows, block_of(self.shape).k)

    def depth(self, size: Size) -> Any:
        """Return κ, the steps along K in a PE."""
        full = block_of(self.shape).k
        least = np.minimum(size.rows, full) if isinstance(size.rows, np.ndarray) else min(size.rows, full)
        return ceil_div(least, self.shape.lanes)

    def pace(self, size: Size) -> Any:
        """Return p, the cycles from one of the κ steps to the next."""
        return most(size.cols * self.shape.interval, self.shape.feed_interval)

    def busy(self, size: Size) -> Any:
        """Return B, the cycles that a vector keeps a PE busy."""
        return (self.depth(size) - 1) * self.pace(size) + size.cols * self.shape.interval

    def slot(self, size: Size) -> Any:
        """Return X, the cycles from vector to vector."""
        return most(self.depth(size) * self.pace(size), size.cols * self.shape.drain_interval)

    def skew(self, size: Size) -> Any:
        """Return S, the cycles from row to row."""
        return (self.depth(size) - 1) * self.pace(size) + self.shape.interval

    def load(self, size: Size) -> Any:
        """Return L, the cycles of filling the pads of all rows."""
        return self.depth(size) * size.cols * self.shape.load_interval

    def work(self, size: Size, steps: Any) -> Any:
        """Return the cycles that a fold keeps a PE busy, or its slot taken."""
        return (steps - 1) * self.slot(size) + self.busy(size)

    def lead(self, size: Size, steps: Any, several: Any) -> Any:
        """The first fold is loaded."""
        return self.load(size)

    def tail(self, size: Size, steps: Any) -> Any:
        """The last row has done."""
        return self.work(size, steps) + (self.rows(size) - 1) * self.skew(size)

    def period(self, pair: Pair) -> Any:
        """Return the cycles from first row to first row."""
        shape, size, following = self.shape, pair.size, pair.following
        load, slots = self.load(following), pair.steps * self.slot(size)
        late = (self.rows(following) - 1) * most(self.skew(size) - self.skew(following), 0)
        if not shape.fold_overlap:
            alone = self.tail(size, pair.steps)
            return most(alone, load + late, slots) if shape.double_buffer else most(alone + load, slots)
        if shape.double_buffer:
            period = most(slots, load) + late
        else:
            period = most(slots, self.work(size, pair.steps) + load) + late
        if pair.chained:
            apart = (pair.steps - 1) * most(self.slot(size) - self.slot(following), 0)
            period = most(period, self.rows(size) * self.skew(size) + apart)
        return period


class RowStationary(Dataflow):
    """Blocks of weights wait in scratchpads, vectors of M are dealt out to the columns."""

    name: ClassVar[str] = "row_stationary"
    summary: ClassVar[str] = "blocks of weights, activations and sums in scratchpads of the PEs (Eyeriss)"
    stationary: ClassVar[str] = "w"
    dequant_site: ClassVar[str] = "edge"
    held_on_bus: ClassVar[bool] = True
    deals_stream: ClassVar[bool] = True
    follows_data: ClassVar[bool] = False
    needs: ClassVar[str] = "scratchpads"

    def k_unit(self, shape: ArrayShape) -> int:
        """Reduction elements of one fold: the rows' blocks, or an even part of a scale group that fits them."""
        block = block_of(shape)
        if shape.k_limit is None:
            return shape.rows * block.k
        steps = shape.k_limit // block.k
        return shape.k_limit // next(p for p in range(1, steps + 1) if steps % p == 0 and steps // p <= shape.rows)

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """One fold covers the rows' blocks of K and the sums of a PE; a vector per column goes past at a time."""
        return {"m": shape.cols, "k": self.k_unit(shape), "n": block_of(shape).n}

    def per_pe(self, shape: ArrayShape) -> dict[str, int]:
        """Return a block of weights, and a vector at a time."""
        return {"m": 1, "k": block_of(shape).k, "n": block_of(shape).n}

    def held(self, shape: ArrayShape) -> int:
        """Return the weights of a block."""
        block = block_of(shape)
        return block.k * block.n

    def settings(self, shape: ArrayShape, m: int, k: int, n: int) -> tuple[ArrayShape, ...]:
        """Return the array with every block that fits; where N is cut into so many folds anyway, into even ones."""
        if shape.pads is None:
            return (shape,)
        fitting = blocks(shape.pads, shape.lanes, shape.k_limit)
        even = dict.fromkeys(Block(block.k, ceil_div(n, ceil_div(n, block.n))) for block in fitting)
        return tuple(replace(shape, block=block) for block in even)

    def timed(self, shape: ArrayShape, needed: Mapping[str, int], widths: Mapping[str, int]) -> ArrayShape:
        """Return ``shape`` with its ports; activations and sums wait in the pads, and hold up no single step."""
        per_step = cycles_per_step(needed, widths)
        return replace(shape, feed_interval=per_step["a"], load_interval=per_step["w"], drain_interval=per_step["o"])

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """All PEs in use: each row's weights meet every column's activations."""
        rows = ceil_div(min(k, self.k_unit(shape)), block_of(shape).k)
        return Lockstep(groups=rows, activations=min(m, shape.cols), sum_steps=1)

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int:
        """Folds one after the other; sums that are continued enter from the top at no cost."""
        return self._run_cycles(shape, m, k, n)  # type: ignore[no-any-return]

    def _run_cycles(self, shape: ArrayShape, m: Any, k: Any, n: Any) -> Any:
        """Return the cycles of one tile, or of arrays of tiles, by the rule of its folds."""
        unit, block = self.k_unit(shape), block_of(shape)
        if shape.used_only:
            deep, wide = (Cut.ragged(x, step, lambda size: size) for x, step in ((k, unit), (n, block.n)))
        else:
            deep, wide = Cut.even(k, unit, shape.rows * block.k), Cut.even(n, block.n, block.n)
        return run_cycles(RowRule(shape), ceil_div(m, shape.cols), wide, deep, lambda n, k: Size(k, n))

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; every tile of M loads the weights anew, every fold of N fetches the activations."""
        k_folds, n_folds = folds(k, self.k_unit(shape)), folds(n, block_of(shape).n)
        results = m.extent * n.extent
        return Totals(
            compute_cycles=over_tiles(m, k, n, lambda tm, tk, tn, _: self._run_cycles(shape, tm, tk, tn)),
            sram_w_read=k.extent * n.extent * m.trips,
            sram_a_read=m.extent * k.extent * n_folds,
            sram_psum_read=results * (k_folds - 1),
            sram_psum_write=results * k_folds,
        )

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """A step of weights for each row, of activations for each PE, a sum from each column."""
        return {
            "w": shape.rows * shape.lanes * bits["w"],
            "a": shape.rows * shape.cols * shape.lanes * bits["a"],
            "o": shape.cols * bits["psum"],
        }

    def port_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """Activations are used once per sum of a full block."""
        edge = self.edge_bits(shape, bits)
        return {**edge, "a": ceil_div(edge["a"], block_of(shape).n)}

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Once per κ steps a sum goes one PE down."""
        return {"psum": bits["psum"] * pitch_mm * shape.lanes / block_of(shape).k}

    def bus_mm(self, shape: ArrayShape, pitch_mm: float) -> dict[str, float]:
        """Weights and activations drive a wire past all rows and the bus of one row."""
        length = (line_pitches(shape.rows) + line_pitches(shape.cols)) * pitch_mm
        return {"w": length, "a": length}

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Run the tile on :class:`RowArray`."""
        out = outputs(pe, operands)
        program = self._program(shape, operands, out)
        rule = RowRule(shape)
        marks, _ = walk_marks(rule, [fold.marked for fold in program])
        if hurry:
            marks = [mark - (index >= hurry) for index, mark in enumerate(marks)]

        def step(acc: Any, w: NDArray[Any], a: NDArray[Any]) -> Any:
            start = pe.initial((1,))
            start[0] = acc
            return pe.accumulate(start, w[None, :], a[None, :], operands.w_format, operands.a_format)[0]

        yield from RowArray(shape, block_of(shape), rule, program, marks, step).run()
        return out

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Walk over the folds for the cycles; sums take all their steps at a time."""
        out = outputs(pe, operands)
        folds = [fold.marked for fold in self._program(shape, operands, out)]
        _, cycles = walk_marks(RowRule(shape), folds)
        return cycles, pe.accumulate_many(out, operands.w, operands.a, operands.w_format, operands.a_format)

    def _program(self, shape: ArrayShape, operands: TileOperands, out: NDArray[Any]) -> list[RowFold]:
        """Return the folds of a tile, those of N outside, so that partial sums chain over K."""
        unit, block = self.k_unit(shape), block_of(shape)
        vectors = np.arange(1, ceil_div(len(out), shape.cols) + 1)
        program = []
        for n0 in range(0, out.shape[1], block.n):
            for k0 in range(0, len(operands.w), unit):
                w = operands.w[k0 : k0 + unit, n0 : n0 + block.n]
                size = Size(*w.shape) if shape.used_only else Size(shape.rows * block.k, block.n)
                marked = Marked(size, k0 > 0, vectors)
                program.append(RowFold(marked, operands.a[:, k0 : k0 + unit], w, out[:, n0 : n0 + block.n]))
        return program


DATAFLOWS.register("row_stationary")(RowStationary())
