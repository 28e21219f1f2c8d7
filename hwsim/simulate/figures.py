"""Figures that every kind of row has: merit, utilization, and the laws that it must keep."""

from __future__ import annotations

import math
from typing import Any

from hwsim.formats import Format
from hwsim.hardware.pe.lockstep import UNSTATED, Data
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.schedule import Cycles
from hwsim.spec.errors import ConservationError


def merit(row: dict[str, Any], objective: str) -> tuple[float, float]:
    """Return what the mapper's objective minimises, and what decides between equals."""
    cycles, energy = row["cycles"], sum(row[part] for part in ENERGY_PARTS)
    if math.isnan(energy):  # on an FPGA device: only DRAM's is known
        energy = row["energy_dram_pj"]
    return {"latency": (cycles, energy), "energy": (energy, cycles), "edp": (energy * cycles, cycles)}[objective]


def utilization(simulated: Simulated, macs: int, cycles: Cycles, w: Format, a: Format, data: Data = UNSTATED) -> float:
    """Return the share of what PEs could do that wait for no other, on data of which so much is stated."""
    pe = simulated.accelerator.pe
    slots = cycles * simulated.accelerator.cores * simulated.accelerator.pes * pe.lanes
    each = pe.expected_cycles_per_step(w, a, data=data) if pe.data_dependent(w, a) else pe.cycles_per_step(w, a)
    return float(macs * each / slots) if slots else 0.0


def refuse_broken(simulated: Simulated, layer: str, laws: dict[str, bool]) -> None:
    """Refuse a result that breaks one of ``laws``, each with whether it holds."""
    broken = [law for law, holds in laws.items() if not holds]
    if broken:
        raise ConservationError(f"{layer} on {simulated.spec.name}: broken: {'; '.join(broken)}")
