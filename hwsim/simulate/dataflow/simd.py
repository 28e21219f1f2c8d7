"""SIMD cores: instructions of loads, conversions and multiply-accumulates, with sums in registers.

Rows of the array are cores, columns the lanes of a vector along N. A core keeps ``rows`` × ``vectors`` vectors of sums
in registers (:class:`~hwsim.simulate.dataflow.base.Issue`), so that a fold covers R · rows of M and C · vectors
of N; all cores run the same program, on rows of M of their own. Of a fold, a core works on a ≤ rows rows and
b ≤ vectors vectors, as many as it needs: kernels of every size are taken to exist. Per ``unroll`` steps along K it
issues

    ``b (load_weights + convert_weights) + a (load_activations + convert_activations)``

instructions of the other kind, and ``a b · mac`` per step and cycle of the PE (``interval``). What is loaded stays
in registers for these steps alone. Ports that are narrower than what a load brings to all cores make loads longer.

One pipe (a core that issues one instruction per cycle: microcontrollers, a CPU's vector port): the sum of both.
Two pipes (tensor cores beside the lanes that load and convert): operands of the next group of steps are made
ready, in second registers, while the MACs of this one run,

=========== ==================================================================
one pipe    ``G · other + s · mac``
two pipes   ``other + (G − 1) · max(other, unroll · mac) + rest · mac``
=========== ==================================================================

for s steps in G groups, the last one of ``rest``. Then a b vectors of sums per core are stored, each in
``store`` cycles or as long as the port takes for all cores; sums that are continued are loaded first, likewise.
Instructions that prepare activations once for a whole tile (tables of partial sums as T-MAC makes them, quantization)
come before its folds: ``ceil(M / R) · ceil(K / lanes) · prepare_activations``. They read activations once more; what
they write is not counted, and what is read of it afterwards counts as activations of the format that they came
in. There is no loop overhead and no cache miss: loads come from the buffers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
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
    cycles_per_step,
    over_tiles,
)
from hwsim.simulate.dataflow.broadcast import Broadcast
from hwsim.simulate.dataflow.folds import choose, most
from hwsim.simulate.dataflow.simd_core import Core, Instruction
from hwsim.simulate.dataflow.stepping import outputs

SEQUENCE = "a core issues its instructions one after the other"


@dataclass(frozen=True)
class Kernel:
    """The instructions of one fold: ``rows`` × ``vectors`` vectors of sums per core."""

    shape: ArrayShape
    rows: Any
    vectors: Any

    @property
    def other(self) -> Any:
        """Cycles of loads and conversions per group of steps."""
        issue = self.shape.issue
        weights = self.vectors * (issue.load_weights + issue.convert_weights)
        return weights + self.rows * (issue.load_activations + issue.convert_activations)

    @property
    def mac(self) -> Any:
        """Cycles of multiply-accumulates per step."""
        return self.rows * self.vectors * self.shape.interval * self.shape.issue.mac

    @property
    def store(self) -> Any:
        """Cycles of moving all sums out or in."""
        return self.rows * self.vectors * most(self.shape.issue.store, self.shape.drain_interval)

    def steps(self, count: Any) -> Any:
        """Return the cycles of so many steps."""
        issue = self.shape.issue
        groups = ceil_div(count, issue.unroll)
        if not issue.separate:
            return groups * self.other + count * self.mac
        rest = count - (groups - 1) * issue.unroll
        return self.other + (groups - 1) * most(self.other, issue.unroll * self.mac) + rest * self.mac

    def cycles(self, count: Any, continues: bool) -> Any:
        """Return the cycles of the fold."""
        return self.steps(count) + self.store * (2 if continues else 1)


class Simd(Broadcast):
    """Cores with vector lanes along N, sums in registers, one or two pipes for instructions."""

    name: ClassVar[str] = "simd"
    summary: ClassVar[str] = "cores × vector lanes: loads, conversions and MACs are issued as instructions"
    at_once: ClassVar[bool] = True
    follows_data: ClassVar[bool] = False
    needs: ClassVar[str] = "issue"
    without_effect: ClassVar[Mapping[str, str]] = {
        "weight_double_buffer": f"{SEQUENCE}, and its registers are those of array.issue",
        "fold_overlap": SEQUENCE,
        "ragged": "kernels of every size exist: a fold costs what it uses",
    }

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """One fold covers the rows and vectors in the registers of all cores."""
        issue = shape.issue
        return {"m": shape.rows * issue.rows, "k": shape.k_limit or shape.lanes, "n": shape.cols * issue.vectors}

    def per_pe(self, shape: ArrayShape) -> dict[str, int]:
        """Return the sums of a lane."""
        return {"m": shape.issue.rows, "k": shape.lanes, "n": shape.issue.vectors}

    def held(self, shape: ArrayShape) -> int:
        """Return the sums of a lane."""
        return shape.issue.rows * shape.issue.vectors

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """A vector of weights and each core's activations per load, a vector of sums from each core."""
        return {**super().edge_bits(shape, bits), "o": shape.rows * shape.cols * bits["psum"]}

    def timed(self, shape: ArrayShape, needed: Mapping[str, int], widths: Mapping[str, int]) -> ArrayShape:
        """Return ``shape`` with loads as long as the ports need for those of all cores, ``unroll`` steps at a time."""
        issue, together = shape.issue, cycles_per_step(needed, widths, shape.issue.unroll)
        loads = {
            name: max(getattr(issue, name), together[key])
            for name, key in (("load_weights", "w"), ("load_activations", "a"))
        }
        return replace(shape, issue=replace(issue, **loads), drain_interval=cycles_per_step(needed, widths)["o"])

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int:
        """Activations are prepared, then fold after fold."""
        return self._tile(shape, m, k, n, first_k)  # type: ignore[no-any-return]

    def _tile(self, shape: ArrayShape, m: Any, k: Any, n: Any, first_k: bool) -> Any:
        """Return the cycles of one tile, or of arrays of tiles."""
        units, steps = self.units(shape), ceil_div(k, shape.lanes)
        cycles = ceil_div(m, shape.rows) * steps * shape.issue.prepare_activations
        for m_count, m_size in _cut(m, units["m"]):
            for n_count, n_size in _cut(n, units["n"]):
                cycles = cycles + m_count * n_count * self._kernel(shape, m_size, n_size).cycles(steps, not first_k)
        return cycles

    def _kernel(self, shape: ArrayShape, m: Any, n: Any) -> Kernel:
        """Return the kernel of a fold of ``m`` × ``n`` sums."""
        return Kernel(shape, ceil_div(m, shape.rows), ceil_div(n, shape.cols))

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """As a broadcast array of the sums in registers; activations that are prepared are read once more per tile."""
        units = self.units(shape)
        alike = replace(
            shape, rows=units["m"], cols=units["n"], double_buffer=False, fold_overlap=False, used_only=False
        )
        found = super().totals(alike, m, k, n)
        prepared = m.extent * k.extent * n.trips if shape.issue.prepare_activations else 0
        cycles = over_tiles(m, k, n, lambda *tile: self._tile(shape, *tile))
        return found._replace(compute_cycles=cycles, sram_a_read=found.sram_a_read + prepared)

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Run the tile on :class:`~hwsim.simulate.dataflow.simd_core.Core`, all cores alike."""
        out = outputs(pe, operands)
        core, (m, k) = Core(shape.issue.separate), operands.a.shape
        prepare = ceil_div(m, shape.rows) * ceil_div(k, shape.lanes) * shape.issue.prepare_activations
        program = [Instruction("other", 0, prepare, "prepare", 0)] if prepare else []
        start = prepare
        for index, (rows, cols) in enumerate(self._blocks(shape, out)):
            kernel = self._kernel(shape, rows.stop - rows.start, cols.stop - cols.start)
            begin = start - (index >= hurry > 0)
            program += _listing(kernel, ceil_div(k, shape.lanes), begin, index, operands.partial is not None)
            start += kernel.cycles(ceil_div(k, shape.lanes), operands.partial is not None)
        for done in core.run(program):
            if done is None:
                yield
                continue
            index, step = done
            rows, cols = list(self._blocks(shape, out))[index]
            lanes = slice(step * shape.lanes, (step + 1) * shape.lanes)
            out[rows, cols] = pe.accumulate(
                out[rows, cols], operands.w[lanes, cols].T[None], operands.a[rows, None, lanes],
                operands.w_format, operands.a_format,
            )  # fmt: skip
        return out

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Add up the folds for the cycles; sums take all their steps at a time."""
        out, (m, k) = outputs(pe, operands), operands.a.shape
        steps = ceil_div(k, shape.lanes)
        cycles = ceil_div(m, shape.rows) * steps * shape.issue.prepare_activations
        for rows, cols in self._blocks(shape, out):
            kernel = self._kernel(shape, rows.stop - rows.start, cols.stop - cols.start)
            cycles += kernel.cycles(steps, operands.partial is not None)
        return cycles, pe.accumulate_many(out, operands.w, operands.a, operands.w_format, operands.a_format)

    def _blocks(self, shape: ArrayShape, out: NDArray[Any]) -> Iterator[tuple[slice, slice]]:
        """Yield the rows and columns of each fold."""
        units, (m, n) = self.units(shape), out.shape
        for m0 in range(0, m, units["m"]):
            for n0 in range(0, n, units["n"]):
                yield slice(m0, min(m0 + units["m"], m)), slice(n0, min(n0 + units["n"], n))


def _cut(extent: Any, unit: int) -> tuple[tuple[Any, Any], ...]:
    """Return full folds and the rest of a loop, each as (count, size)."""
    rest = extent % unit
    return (extent // unit, unit), (choose(rest > 0, 1, 0), rest)


def _listing(kernel: Kernel, steps: int, begin: int, fold: int, continues: bool) -> list[Instruction]:
    """Return the instructions of a fold, those of a kind that follow each other as one, each with its cycle."""
    issue, found, at = kernel.shape.issue, [], begin
    if continues:
        found.append(Instruction("other", at, kernel.store, "fill", fold))
        at += kernel.store
    ready = at + kernel.other
    found.append(Instruction("other", at, kernel.other, "load", fold, 0))
    for group, first in enumerate(range(0, steps, issue.unroll)):
        count = min(issue.unroll, steps - first)
        found += [
            Instruction("mac", ready + i * kernel.mac, kernel.mac, "mac", fold, group, first + i) for i in range(count)
        ]
        done = ready + count * kernel.mac
        if first + count < steps:
            begins = ready if issue.separate else done
            found.append(Instruction("other", begins, kernel.other, "load", fold, group + 1))
            ready = max(done, begins + kernel.other)
    found.append(Instruction("other", done, kernel.store, "store", fold))
    return found


DATAFLOWS.register("simd")(Simd())
