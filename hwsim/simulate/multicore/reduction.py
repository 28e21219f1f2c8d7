"""Partial sums of cores that a GEMM is cut for along K: how they come together, and what that takes.

Over the network they go round in a ring (reduce-scatter): with P cores, P - 1 steps in each of which
every core sends 1/P of the sums to the next one, which adds it to its own; each core then holds the
result of 1/P (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
workstations", J. Parallel Distrib. Comput. 69(2), 2009: 2 (P - 1) / P of the data per node for an
all-reduce, of which the reduce-scatter is half). A tile waits for it before it is stored.

Through DRAM every core writes its sums as they are; when all have, the vector units read them back, add
them, quantize the result and write it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from hwsim.simulate.cost import Counts
from hwsim.simulate.dataflow.base import ceil_div
from hwsim.simulate.schedule import OperandBits, Schedule, tile_program
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import quantization, work

if TYPE_CHECKING:
    from hwsim.simulate.architecture import Simulated
    from hwsim.simulate.mapping import Machine


@dataclass(frozen=True)
class Reduction:
    """``elements`` sums, of a GEMM with its batch, of which each of ``cores`` has a part.

    ``over_network``: in a ring; else through DRAM, after the products. Results have rows of ``n``.
    """

    elements: int
    cores: int
    bits: OperandBits
    over_network: bool
    o_format: str
    n: int

    @property
    def added(self) -> int:
        """Additions."""
        return (self.cores - 1) * self.elements

    @property
    def network_bits(self) -> int:
        """Bits that go from core to core."""
        return self.bits.move(self.added, "psum") if self.over_network else 0

    def counts(self) -> Counts:
        """Return the bits moved: by the ring from and to output buffers, else by DRAM and activation buffers.

        In a ring a sum is read where it is and where it is added to, and written once. Through DRAM what is
        written by the products is theirs; here it is read back, and the result written.
        """
        if self.over_network:
            moved = self.network_bits
            return Counts(0, 0, {"o": 2 * moved}, {"o": moved})
        parts, result = self.bits.move(self.cores * self.elements, "psum"), self.bits.move(self.elements, "o")
        return Counts(parts, result, {"a": parts + result}, {"a": parts + result})

    def cost(self, simulated: Simulated) -> tuple[int, float]:
        """Return the cycles after the products and the energy in pJ of the additions.

        There is no product left to work on while what has come through DRAM is quantized.
        """
        lanes, energy_pj = work(simulated, vector_kind("add"), self.added, self.cores)
        if self.over_network:
            return 0, energy_pj
        lanes += quantization(simulated, self.o_format, self.elements, self.n, self.cores)[0]
        counts = self.counts()
        dram = ceil((counts.dram_read_bits + counts.dram_write_bits) / simulated.accelerator.dram_bits_per_cycle)
        return max(lanes, dram), energy_pj


def with_rings(schedule: Schedule, machine: Machine, simulated: Simulated, cores: int, link_bits: int) -> Schedule:
    """Return a gang's schedule in which every tile whose sums leave the buffers waits for the ring of ``cores``."""

    def ring(m: int, n: int) -> int:
        elements = ceil_div(m * n, cores)
        link = ceil_div(schedule.bits.move(elements, "psum"), link_bits)
        return int((cores - 1) * max(link, work(simulated, vector_kind("add"), elements)[0]))

    body = tile_program(
        schedule.gemm,
        schedule.tiling,
        schedule.bits,
        lambda m, k, n, first: machine.dataflow.tile_cycles(machine.shape, m, k, n, first),
        ring,
    )
    return replace(schedule, body=body)
