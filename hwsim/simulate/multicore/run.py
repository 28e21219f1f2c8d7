"""A plan on an engine: cycles of every core and of the chip, energy of all cores and of what is between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, UnitCosts, dram_energy, gemm_energy, leakage_energy, sram_energy
from hwsim.simulate.engine import ENGINES, SHARED_ENGINES, Context
from hwsim.simulate.multicore.plan import Plan
from hwsim.simulate.schedule import Schedule, Timing
from hwsim.spec.errors import ConservationError


@dataclass(frozen=True)
class Run:
    """``cores`` are the timings of a plan's schedules, ``timing`` that of the chip.

    Its compute cycles are those of the core that computes longest; ``vector_pj`` is the energy of additions
    across cores.
    """

    plan: Plan
    cores: tuple[Timing, ...]
    timing: Timing
    vector_pj: float = 0.0

    def parts(self) -> Iterator[tuple[Schedule, Timing, Counts]]:
        """Yield each schedule with its timing and the bits that it moves."""
        for schedule, timing in zip(self.plan.schedules, self.cores, strict=True):
            yield schedule, timing, self.plan.core_counts(schedule)

    def energy(self, timing: Timing, counts: Counts, unit: UnitCosts) -> dict[str, float]:
        """Return the energy parts in pJ, where the chip takes ``timing`` and moves ``counts`` in all."""
        each = [gemm_energy(s, t, moved, unit, self.plan.clocked_cycles) for s, t, moved in self.parts()]
        energy = {part: sum(core[part] for core in each) for part in each[0]}
        dram_bits = counts.dram_read_bits + counts.dram_write_bits
        common, reduction = self.plan.common_bits, self.plan.reduction
        between = reduction.network_bits if reduction else 0
        energy["energy_dram_pj"] = dram_energy(counts, timing.cycles, unit)
        energy["energy_leakage_pj"] = leakage_energy(timing.cycles, unit)
        energy["energy_network_pj"] += (dram_bits - common + between) * unit.cores_pj_per_bit
        energy["energy_network_pj"] += common * unit.multicast_pj_per_bit
        if reduction:
            moved = reduction.counts()
            energy["energy_sram_pj"] += sram_energy(moved.sram_read_bits, moved.sram_write_bits, unit)
        return energy


def run_plan(simulated: Simulated, plan: Plan, context: Context, engine: str) -> Run:
    """Time ``plan`` on ``engine``.

    Raises
    ------
    UsageError
        If the engine does not know several cores.
    ConservationError
        If the port is busy for longer than its cores run.
    """
    asked = simulated.spec.cores
    if asked is None or asked.count == 1:
        (schedule,) = plan.schedules
        timing = Timing(*ENGINES.get(engine)(schedule, context).whole())
        return Run(plan, (timing,), timing)
    shared = SHARED_ENGINES.get(engine)(plan.schedules, context)
    cores = tuple(Timing(*core.whole()) for core in shared.cores)
    if shared.port_busy_cycles > shared.cycles:
        raise ConservationError(f"{simulated.spec.name}: the DRAM port is busy for longer than its cores run")
    after, vector_pj = plan.reduction.cost(simulated) if plan.reduction else (0, 0.0)
    chip = Timing(max(core.cycles for core in cores) + after, max(core.compute_cycles for core in cores))
    return Run(plan, cores, chip, vector_pj)
