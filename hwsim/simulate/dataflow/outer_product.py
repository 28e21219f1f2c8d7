"""Outer-product array: a column of A and a row of W update all sums of a tile, K is the outermost loop.

What OuterSPACE (HPCA 2018) and the outer-product instructions of matrix extensions (Arm SME's FMOPA) do,
dense: every update is a product of rank ``lanes``, or of a whole scale group where group sums are scaled, so
that no sum leaves its PE unscaled. PEs hold sums of M on rows and N on columns; operands come on buses, as in
:mod:`hwsim.simulate.dataflow.broadcast`.

A tile that is one fold keeps its sums in the PEs over all of K and takes the cycles of a broadcast array:
``ceil(K / lanes) · interval + D`` with ``D = R · drain_interval``, another D where it continues sums. In a
larger tile the sums of every fold pass through the output buffer in every update: with F folds and
``U = ceil(K / depth)`` updates of ``s = ceil(depth / lanes)`` steps

    ``U · F · (s · interval + 2D) − F · D``,

the last term because the first update reads nothing. The folds of an update follow one another by the rule of
:class:`~hwsim.simulate.dataflow.output_stationary.SumsRule`, with all its options; an update begins when the
results of the one before are all out.

Accesses: W's row is read once per fold of M, as anywhere. The part of A's column that lies on the rows waits
in the PEs' operand registers while W's row passes, so that it is read once per tile instead of once per fold of N,
if an update is one step deep: the registers hold ``lanes`` elements. Sums are written in every update of a
tile of several folds, and read in all but the first.

Lockstep: as in a broadcast array, but PEs wait for the slowest at the end of every update, also where their
sums stay.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar

from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import (
    DATAFLOWS,
    ArrayShape,
    DotUnit,
    Extents,
    TileOperands,
    Totals,
    ceil_div,
    folds,
    over_tiles,
)
from hwsim.simulate.dataflow.broadcast import Broadcast
from hwsim.simulate.dataflow.folds import choose, most
from hwsim.simulate.dataflow.stepping import outputs


class OuterProduct(Broadcast):
    """A broadcast array that goes through all sums of a tile per step of K."""

    name: ClassVar[str] = "outer_product"
    summary: ClassVar[str] = "K outermost: each column of A and row of W updates all sums of a tile, in PEs or SRAM"
    streams_outside: ClassVar[bool] = True

    def depth(self, shape: ArrayShape) -> int:
        """Return the elements of K of one update."""
        return self.units(shape)["k"]

    def updates(self, shape: ArrayShape, m: Any, k: Any, n: Any) -> Any:
        """Return how many times the sums of a tile leave the PEs: once per update, or once if they all fit."""
        return choose(self._several(shape, m, n), ceil_div(k, self.depth(shape)), 1)

    def _several(self, shape: ArrayShape, m: Any, n: Any) -> Any:
        return ceil_div(m, shape.rows) * ceil_div(n, shape.cols) > 1

    def sum_steps(self, shape: ArrayShape, k: int) -> int:
        """Return the steps of one update, at the end of which all PEs wait for the slowest."""
        return int(ceil_div(min(k, self.depth(shape)), shape.lanes))

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Return the cycles of all updates, one after the other, or of the only fold."""
        return self._tile(shape, m, k, n, first_k)  # type: ignore[no-any-return]

    def _tile(self, shape: ArrayShape, m: Any, k: Any, n: Any, first_k: bool) -> Any:
        """Return the cycles of one tile, or of arrays of tiles: first update, those of full depth, the last."""
        cycles: Any = super().tile_cycles
        depth = self.depth(shape)
        count = self.updates(shape, m, k, n)
        found = cycles(shape, m, choose(count > 1, depth, k), n, first_k)
        between = most(count - 2, 0) * cycles(shape, m, depth, n, False)
        last = cycles(shape, m, k - (count - 1) * depth, n, False)
        return found + between + choose(count > 1, last, 0)

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Sum over all tiles; what is written and not read again is the result."""
        written = over_tiles(m, k, n, lambda tm, tk, tn, _: tm * tn * self.updates(shape, tm, tk, tn))
        waits = self.depth(shape) == shape.lanes
        return Totals(
            compute_cycles=over_tiles(m, k, n, lambda *tile: self._tile(shape, *tile)),
            sram_w_read=k.extent * n.extent * folds(m, shape.rows),
            sram_a_read=m.extent * k.extent * (n.trips if waits else folds(n, shape.cols)),
            sram_psum_read=written - m.extent * n.extent,
            sram_psum_write=written,
        )

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Run every update as a tile that continues the sums of the one before; ``hurry`` is of the first one."""
        out = operands.partial
        for update in self._parts(shape, operands):
            out = yield from super().stepped(shape, pe, replace(update, partial=out), hurry)
            hurry = 0
        return outputs(pe, operands) if out is None else out

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Add up the updates, each with all of its steps at a time."""
        cycles, out = 0, operands.partial
        for update in self._parts(shape, operands):
            spent, out = super().carried(shape, pe, replace(update, partial=out))
            cycles += spent
        return cycles, outputs(pe, operands) if out is None else out

    def _parts(self, shape: ArrayShape, operands: TileOperands) -> Iterator[TileOperands]:
        """Yield the operands of each update, or of the only fold."""
        (m, k), n = operands.a.shape, operands.w.shape[1]
        depth = self.depth(shape) if self._several(shape, m, n) else k
        for start in range(0, k, depth):
            part = slice(start, start + depth)
            yield replace(operands, a=operands.a[:, part], w=operands.w[part])


DATAFLOWS.register("outer_product")(OuterProduct())
