"""Plans: every way in which the cores of a chip may share a GEMM, of which the best one is taken.

Cores that go their own ways have a schedule each, for a piece of every instance (along M, N, K) or for
whole instances (batch); the mapper counts with an even share of the bandwidth, the engines with the port
as it is. Cores that go together have one schedule (:mod:`hwsim.simulate.multicore.gang`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwsim.hardware.network.cores import Split
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, gemm_counts, sum_counts
from hwsim.simulate.mapping import Machine, map_gemm
from hwsim.simulate.multicore.cut import cut, pieces
from hwsim.simulate.multicore.gang import COMMON, clocked_cycles, gang_machine, gang_schedule
from hwsim.simulate.multicore.reduction import Reduction, with_rings
from hwsim.simulate.schedule import Cycles, Schedule, moved_bits, step_cycles
from hwsim.spec.errors import InfeasibleError
from hwsim.workload.ops import Gemm

#: Returns the machine of one core for (a piece of) a GEMM.
MachineOf = Callable[[Gemm], Machine]


@dataclass(frozen=True)
class Plan:
    """A schedule per core that works, or one for a ``gang`` of cores that go together.

    ``common`` is the operand (w, a) that a gang reads once for all its cores, ``clocked_cycles`` are those in
    which its arrays compute, added up.
    """

    split: Split | None
    schedules: tuple[Schedule, ...]
    gang: int = 1
    common: str = ""
    reduction: Reduction | None = None
    clocked_cycles: Cycles | None = None

    @property
    def cores(self) -> int:
        """Cores that work."""
        return self.gang * len(self.schedules)

    def core_counts(self, schedule: Schedule) -> Counts:
        """Return the bits that one of the schedules moves, with the copies of what all cores of a gang get."""
        counts = gemm_counts(schedule, *moved_bits(schedule.body))
        if not self.common:
            return counts
        copies = (self.gang - 1) * self.common_bits
        writes = {**counts.sram_write_bits, self.common: counts.sram_write_bits[self.common] + copies}
        return replace(counts, sram_write_bits=writes)

    @property
    def common_bits(self) -> int:
        """Bits that are read from DRAM for all cores at once."""
        if not self.common:
            return 0
        (schedule,) = self.schedules
        elements = schedule.traffic.dram_w if self.common == "w" else schedule.traffic.dram_a
        return schedule.bits.move(elements, self.common) * schedule.gemm.batch

    @property
    def ring_cycles(self) -> Cycles:
        """Cycles in which a gang's tiles wait for the ring."""
        if self.reduction is None or not self.reduction.over_network:
            return 0
        (schedule,) = self.schedules
        return (step_cycles(schedule.body) - schedule.compute_cycles) * schedule.gemm.batch

    def counts(self) -> Counts:
        """Return the bits that all cores move."""
        found = [self.core_counts(schedule) for schedule in self.schedules]
        return sum_counts([*found, self.reduction.counts()] if self.reduction else found)


def plans_of(simulated: Simulated, gemm: Gemm, machine_of: MachineOf) -> tuple[Plan, ...]:
    """Return the plans among which the objective decides.

    Raises
    ------
    InfeasibleError
        If no plan fits the buffers.
    """
    asked = simulated.spec.cores
    if asked is None or asked.count == 1:
        return (Plan(None, (map_gemm(gemm, machine_of(gemm)),)),)
    splits: tuple[Split, ...] = ("m", "n", "k", "batch") if asked.split == "auto" else (asked.split,)
    found: list[Plan] = []
    problems: list[InfeasibleError] = []
    alone = False  # whether there is a plan in which one core does all
    for split in splits:
        unit = 1 if split == "batch" else machine_of(gemm).dataflow.units(machine_of(gemm).shape)[split]
        single = len(cut(getattr(gemm, split), unit, asked.count)) == 1
        if single and alone:
            continue
        try:
            found.append(_plan(simulated, gemm, split, unit, machine_of))
            alone = alone or single
        except InfeasibleError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    return tuple(found)


def _plan(simulated: Simulated, gemm: Gemm, split: Split, unit: int, machine_of: MachineOf) -> Plan:
    asked = simulated.spec.cores
    assert asked is not None
    parts = pieces(gemm, split, unit, asked.count)
    if len(parts) > 1 and split == "k":
        reduced = _ring_plan if asked.reduce == "network" else _dram_plan
        return reduced(simulated, gemm, parts, machine_of)
    if len(parts) > 1 and asked.multicast and split in ("m", "n"):
        gang = gang_machine(machine_of(parts[0]), split, len(parts))
        schedule = gang_schedule(gemm, gang, split)
        return Plan(split, (schedule,), len(parts), COMMON[split], clocked_cycles=clocked_cycles(schedule, gang))
    return Plan(split, _own_ways(parts, machine_of))


def _own_ways(parts: tuple[Gemm, ...], machine_of: MachineOf, sums: bool = False) -> tuple[Schedule, ...]:
    """Return a schedule per piece; with ``sums`` they store partial sums as results.

    Those who work bear what the chip draws while they do, in even parts.
    """
    made: dict[Gemm, Schedule] = {}
    for part in parts:
        if part not in made:
            machine = machine_of(part)
            prices = replace(machine.prices, static_pj_per_cycle=machine.prices.static_pj_per_cycle / len(parts))
            bits = replace(machine.bits, o=machine.bits.psum) if sums else machine.bits
            share = machine.dram_bits_per_cycle / len(parts)
            made[part] = map_gemm(part, replace(machine, bits=bits, prices=prices, dram_bits_per_cycle=share))
    return tuple(made[part] for part in parts)


def _dram_plan(simulated: Simulated, gemm: Gemm, parts: tuple[Gemm, ...], machine_of: MachineOf) -> Plan:
    outputs = gemm.m * gemm.n * gemm.batch
    reduction = Reduction(outputs, len(parts), machine_of(gemm).bits, False, gemm.o_format, gemm.n)
    schedules = _own_ways(parts, machine_of, sums=True)
    return Plan("k", schedules, reduction=reduction)


def _ring_plan(simulated: Simulated, gemm: Gemm, parts: tuple[Gemm, ...], machine_of: MachineOf) -> Plan:
    asked = simulated.spec.cores
    assert asked is not None
    assert asked.link_bits is not None
    cores = len(parts)
    gang = gang_machine(machine_of(parts[0]), "k", cores)
    schedule = gang_schedule(gemm, gang, "k")
    leaving = (schedule.traffic.dram_o + schedule.traffic.dram_psum_write) * gemm.batch
    reduction = Reduction(leaving, cores, schedule.bits, True, gemm.o_format, gemm.n)
    waiting = with_rings(schedule, gang, simulated, cores, asked.link_bits)
    return Plan("k", (waiting,), cores, reduction=reduction, clocked_cycles=clocked_cycles(schedule, gang))
