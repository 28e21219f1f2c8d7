"""The row of a fused attention, where fusing pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.formats import parse_format
from hwsim.formats.operand import read_operand_stats
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.context import engine_context
from hwsim.simulate.cost import (
    ENERGY_PARTS,
    Counts,
    UnitCosts,
    dram_energy,
    gemm_energy,
    leakage_energy,
    moved_bytes,
    sram_energy,
    sram_parts,
)
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.figures import merit, refuse_broken, utilization
from hwsim.simulate.mapping import Machine
from hwsim.simulate.residency.chain import Fused
from hwsim.simulate.residency.fused import FusedPlan, fused_plans
from hwsim.simulate.residency.prefetch import Timed
from hwsim.simulate.schedule import Schedule, Timing
from hwsim.simulate.vector_unit import requantization, table_cycles
from hwsim.workload.ops import Gemm

Row = dict[str, Any]

_NOTHING = Counts(0, 0, {}, {})


def fused_row(
    simulated: Simulated, fused: Fused, machines: tuple[Machine, Machine], apart: Sequence[Row], engine: str
) -> tuple[Row | None, str]:
    """Return the cost of one instance of ``fused`` (with its batch), or None and why it is not fused.

    Asked for by ``true``, it is where it takes no more cycles, moves no more over the DRAM port and is no
    worse by the mapper's objective than ``apart``, the rows of the three operations one after the other; by
    ``always`` wherever a tile fits.
    """
    objective = simulated.spec.mapper.objective
    found = [_plan_row(simulated, fused, plan, machines, engine) for plan in fused_plans(simulated, fused, machines)]
    if not found:
        return None, "no tile fits the buffers"
    total = {key: sum(row[key] for row in apart) for key in ("cycles", *_DRAM, *ENERGY_PARTS)}
    better = [row for row in found if _no_worse(row, total) and merit(row, objective) <= merit(total, objective)]
    chosen = min(better or found, key=lambda row: merit(row, objective))
    if better or simulated.spec.residency.fused_attention == "always":
        return chosen, ""
    moved, before = (sum(row[key] for key in _DRAM) for row in (chosen, total))
    return None, (
        f"it would take {chosen['cycles']:,} cycles instead of {total['cycles']:,} and move {moved:,} bytes of DRAM "
        f"instead of {before:,} (fused_attention: always)"
    )


def _no_worse(row: Row, total: Row) -> bool:
    return all(row[key] <= total[key] for key in ("cycles", *_DRAM))


_DRAM = ("dram_read_bytes", "dram_write_bytes")


def _plan_row(
    simulated: Simulated, fused: Fused, plan: FusedPlan, machines: tuple[Machine, Machine], engine: str
) -> Row:
    score, value = (_Side(simulated, gemm) for gemm in (fused.score, fused.value))
    context = engine_context(simulated, machines[0], score.formats, score.operands)
    timing = Timing(*ENGINES.get(engine)(plan.program, context).whole())
    quantize_cycles, quantize_pj = requantization(simulated, fused.value)
    # The vector unit quantizes results while the array works; it has the softmax to do as well.
    tables = sum(table_cycles(simulated, [schedule]) for schedule in (plan.score, plan.value))
    vector_cycles = plan.vector_cycles + quantize_cycles + tables
    timing = Timing(max(timing.cycles, vector_cycles), timing.compute_cycles)
    counts = plan.counts()
    _check(simulated, fused, plan, timing, counts)
    energy = _energy(plan, timing, counts, (score.unit, value.unit))
    macs = fused.score.macs // fused.repeat + fused.value.macs // fused.repeat
    return {
        "macs": macs,
        "cycles": timing.cycles,
        "compute_cycles": timing.compute_cycles,
        "utilization": score.utilization(timing) + value.utilization(timing),
        "bound": _bound(plan, timing),
        **moved_bytes(counts),
        **energy,
        **sram_parts(counts, value.unit),
        "energy_vector_pj": energy["energy_vector_pj"] + plan.vector_pj + quantize_pj,
        "overlapped": plan.overlapped,
        "dram_bits": counts.dram_read_bits + counts.dram_write_bits,
        "timed": Timed(plan.program, context, vector_cycles, _rooms(machines)),
    }


def _rooms(machines: tuple[Machine, Machine]) -> tuple[int, int]:
    """Return what tiles may take of the weights and of the activation buffer."""
    score, value = machines
    return min(score.capacity_w_bits, value.capacity_w_bits), min(score.capacity_a_bits, value.capacity_a_bits)


class _Side:
    """One product of an attention: its formats, what is stated of its operands, its prices."""

    def __init__(self, simulated: Simulated, gemm: Gemm) -> None:
        self.formats = parse_format(gemm.w_format), parse_format(gemm.a_format)
        self.operands = Operands(read_operand_stats(gemm.w_stats), read_operand_stats(gemm.a_stats))
        self.unit = simulated.unit_costs(*self.formats, self.operands)
        self._simulated, self._macs = simulated, gemm.m * gemm.n * gemm.k * gemm.batch

    def utilization(self, timing: Timing) -> float:
        """Return the share of the array's slots over all of ``timing`` that this product uses."""
        return utilization(self._simulated, self._macs, timing.cycles, *self.formats, self.operands.data)


def _energy(plan: FusedPlan, timing: Timing, counts: Counts, units: tuple[UnitCosts, UnitCosts]) -> dict[str, float]:
    """Return the energy parts in pJ: arrays by product, memories and leakage of the whole."""

    def product(schedule: Schedule, unit: UnitCosts) -> dict[str, float]:
        busy = schedule.compute_cycles * schedule.gemm.batch
        return gemm_energy(schedule, Timing(busy, busy), _NOTHING, unit)

    both = [product(schedule, unit) for schedule, unit in zip((plan.score, plan.value), units, strict=True)]
    unit = units[1]  # memories and leakage do not depend on the formats
    moved = sum(counts.sram_read_bits.values()) + sum(counts.sram_write_bits.values())
    return {
        **{part: float(sum(energy[part] for energy in both)) for part in ENERGY_PARTS},
        "energy_sram_pj": sram_energy(counts.sram_read_bits, counts.sram_write_bits, unit),
        "energy_dram_pj": dram_energy(counts, timing.cycles, unit),
        "energy_network_pj": moved * unit.network_pj_per_bit,
        "energy_leakage_pj": leakage_energy(timing.cycles, unit),
    }


def _bound(plan: FusedPlan, timing: Timing) -> str:
    """Return what most of the time is spent on."""
    if timing.compute_cycles * 2 < timing.cycles:
        return "dram" if plan.vector_cycles * 2 < timing.cycles else "vector"
    return "vector" if plan.vector_cycles * 2 > timing.compute_cycles else "compute"


def _check(simulated: Simulated, fused: Fused, plan: FusedPlan, timing: Timing, counts: Counts) -> None:
    """Refuse a fused attention that breaks a conservation law: inputs and results pass the port, scores never."""
    acc, batch = simulated.accelerator, fused.batch
    fastest = acc.dram_peak_bits_per_cycle if acc.spec.dram.banks else acc.dram_bits_per_cycle
    score, value = plan.score.bits, plan.value.bits
    inputs = score.move(fused.m * fused.score.k, "a") + score.move(fused.score.k * fused.k, "w")
    inputs += value.move(fused.k * fused.n, "w")
    fills = counts.sram_write_bits["w"] + batch * plan.score.bits.move(plan.score.traffic.dram_a, "a")
    array = plan.score.compute_cycles + plan.value.compute_cycles
    steps = plan.program.compute_cycles * plan.program.gemm.batch
    busy = (array * batch, plan.vector_cycles)
    halves = ((plan.score, fused.score), (plan.value, fused.value))
    laws = {
        "PE steps cover all MACs": all(half.pe_steps * acc.pe.lanes >= g.m * g.n * g.k for half, g in halves),
        "unique queries, keys and values <= DRAM reads": inputs * batch <= counts.dram_read_bits,
        "outputs <= DRAM writes": value.move(fused.m * fused.n, "o") * batch <= counts.dram_write_bits,
        "what DRAM delivers is what the steps load": fills <= counts.dram_read_bits,
        "DRAM reads <= SRAM reads": all(
            half.traffic.dram_w <= half.traffic.sram_w_read and half.traffic.dram_a <= half.traffic.sram_a_read
            for half, _ in halves
        ),
        "steps are the array's and the vector unit's work": max(busy) <= steps <= sum(busy)
        and (plan.overlapped or steps == sum(busy)),
        "cycles >= compute cycles": timing.cycles >= timing.compute_cycles,
        "cycles >= bits / bandwidth": timing.cycles >= (counts.dram_read_bits + counts.dram_write_bits) / fastest,
    }
    refuse_broken(simulated, fused.layer, laws)
