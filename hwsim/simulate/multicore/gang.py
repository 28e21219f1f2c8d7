"""Cores that go from tile to tile together: to the mapper and the engines one large core.

A tile of a gang is cut for its cores (along M, N or K). All of them load, compute as long as the one
with the largest share, and store; only then does the next tile follow. Cut along M or N, one operand
(W or A) is the same for all cores: the network brings it to all of them when it is read, once. Cut along
K, sums of different cores belong together and meet whenever they leave the array's buffers.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NoReturn

from numpy.typing import NDArray

from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.simulate.dataflow import ArrayShape, Dataflow, DotUnit, Totals
from hwsim.simulate.dataflow.base import Extents, TileOperands, ceil_div
from hwsim.simulate.mapping import Machine, build_schedule, map_gemm
from hwsim.simulate.multicore.cut import share_of
from hwsim.simulate.schedule import Cycles, Schedule
from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Gemm

#: The operand that all cores of a gang share, by the loop that they are cut along.
COMMON = {"m": "w", "n": "a", "k": ""}


@dataclass(frozen=True)
class GangDataflow(Dataflow):
    """The dataflow of one core on tiles that are cut along ``split`` for ``cores``."""

    core: Dataflow
    split: str
    cores: int

    @property
    def name(self) -> str:  # type: ignore[override]
        """That of a core."""
        return self.core.name

    @property
    def dequant_site(self) -> str:  # type: ignore[override]
        """As in a core."""
        return self.core.dequant_site

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """Return the quantum of a core; along the cut that of all cores."""
        units = self.core.units(shape)
        return {**units, self.split: units[self.split] * self.cores}

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """As in a core: cores wait for each other at the end of tiles alone."""
        return self.core.lockstep(shape, m, k, n)

    def _share(self, shape: ArrayShape, extent: Any, core: int) -> Any:
        return share_of(extent, self.core.units(shape)[self.split], self.cores, core)

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Return the cycles of the first core, which has the largest share of every tile."""
        sizes = {"m": m, "k": k, "n": n}
        sizes[self.split] = int(self._share(shape, sizes[self.split], 0))
        return self.core.tile_cycles(shape, sizes["m"], sizes["k"], sizes["n"], first_k)

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Return the cycles of the first core and the SRAM accesses of all."""
        found = self.each(shape, {"m": m, "k": k, "n": n})
        counts = [sum(core[i] for core in found) for i in range(1, len(Totals._fields))]
        return Totals(found[0].compute_cycles, *counts)

    def each(self, shape: ArrayShape, loops: dict[str, Extents]) -> list[Totals]:
        """Return the totals of every core."""
        return [self._totals(shape, loops, core) for core in range(self.cores)]

    def _totals(self, shape: ArrayShape, loops: dict[str, Extents], core: int) -> Totals:
        """Return the totals of one core; nothing for one that gets nothing."""
        loop = loops[self.split]
        edge = loop.extent - (loop.trips - 1) * loop.tile
        tile, last = self._share(shape, loop.tile, core), self._share(shape, edge, core)
        own = Extents((loop.trips - 1) * tile + last, tile, loop.trips - (last == 0))
        works = own.extent > 0
        at = {**loops, self.split: own}
        return Totals(*(count * works for count in self.core.totals(shape, at["m"], at["k"], at["n"])))

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """As of a core: each has ports of its own."""
        return self.core.edge_bits(shape, bits)

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """As in a core."""
        return self.core.wire_bits_mm(shape, bits, pitch_mm)

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Refuse: the cycle-stepped engine has one core."""
        _no_steps()

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Refuse, likewise."""
        _no_steps()


def _no_steps() -> NoReturn:
    raise UsageError("several cores that go together are not stepped cycle by cycle; valid: --engine fast or event")


def gang_machine(machine: Machine, split: str, cores: int) -> Machine:
    """Return ``cores`` cores, each of them ``machine``, that are cut along ``split``, as one machine.

    Raises
    ------
    UsageError
        If the mapping follows the rule of another simulator.
    """
    if machine.policy != "search":
        raise UsageError(
            f"cores that go from tile to tile together (cores.multicast, or cores.reduce: network) need "
            f"mapper.policy: search, not {machine.policy!r}"
        )
    room = {operand: cores if split in loops else 1 for operand, loops in (("a", "mk"), ("w", "kn"), ("o", "mn"))}
    return replace(
        machine,
        dataflow=GangDataflow(machine.dataflow, split, cores),
        capacity_w_bits=machine.capacity_w_bits * room["w"],
        capacity_a_bits=machine.capacity_a_bits * room["a"],
        capacity_o_bits=machine.capacity_o_bits * room["o"],
    )


def gang_schedule(gemm: Gemm, gang: Machine, split: str) -> Schedule:
    """Return the schedule of a gang that is cut along ``split``.

    The tiling is that of a GEMM whose cut extent is rounded up to whole folds of all cores, so that the
    largest share of a tile is never more than its even share, and what fits all buffers fits each.
    """
    unit = gang.dataflow.units(gang.shape)[split]
    padded = replace(gemm, **{split: ceil_div(getattr(gemm, split), unit) * unit})
    return build_schedule(gemm, map_gemm(padded, gang).tiling, gang)


def clocked_cycles(schedule: Schedule, gang: Machine) -> Cycles:
    """Return the cycles in which the arrays of a gang compute, added up: one whose share is done waits for the rest."""
    assert isinstance(gang.dataflow, GangDataflow)
    gemm, tiling = schedule.gemm, schedule.tiling
    loops = {
        loop: Extents(extent, tiling.tile(loop), ceil_div(extent, tiling.tile(loop)))
        for loop, extent in (("m", gemm.m), ("k", gemm.k), ("n", gemm.n))
    }
    cycles: Cycles = sum(core.compute_cycles for core in gang.dataflow.each(gang.shape, loops))
    return cycles * gemm.batch
