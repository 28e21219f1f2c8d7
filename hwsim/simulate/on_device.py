"""A result on an FPGA device: what it takes of the device in the place of areas and energies, which nobody gives.

Figures that hang on an unknown one are NaN up to here and leave as blanks: never as zero, never as an ASIC's. DRAM's
energy is its preset's. With a power that the user gives, energy is that power times the time; with a static power,
energy of leakage is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hwsim.hardware.accelerator_on_device import DeviceAccelerator
from hwsim.hardware.target.clocks import estimate_note
from hwsim.hardware.target.placement import Placement
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import ENERGY_PARTS

if TYPE_CHECKING:
    import pandas as pd

#: The one part of energy that does not depend on the device.
PRICED = "energy_dram_pj"
#: The part that a static power gives.
LEAKAGE = "energy_leakage_pj"

#: Names of the shares of what is usable, each with its resource, by the logic of a device: LUTs or ALMs.
SHARES = {
    "lut6": {"lut": "lut6", "ff": "ff", "dsp": "dsp", "bram": "bram18", "uram": "uram"},
    "alm": {"alm": "alm", "ff": "ff", "dsp": "dsp", "m20k": "m20k"},
}

Rows = tuple[dict[str, Any], ...]


def placement_of(simulated: Simulated) -> Placement | None:
    """Return how the design lies on its FPGA device, None on an ASIC."""
    accelerator = simulated.accelerator
    return accelerator.placement if isinstance(accelerator, DeviceAccelerator) else None


def unpriced_parts(simulated: Simulated) -> tuple[str, ...]:
    """Return the parts of energy that no source gives where this runs; none on an ASIC."""
    return () if placement_of(simulated) is None else tuple(part for part in ENERGY_PARTS if part != PRICED)


def on_device(simulated: Simulated, rows: Rows, design: Mapping[str, Any]) -> tuple[Rows, dict[str, Any]]:
    """Return layer rows and design row with blanks for what is unknown, and with what is taken of the device.

    On an ASIC both are as they were.
    """
    placement = placement_of(simulated)
    if placement is None:
        return rows, dict(design)
    macs, latency_ms = sum(row["macs"] for row in rows), design["latency_ms"]
    gops = 2 * macs / (latency_ms * 1e6) if latency_ms else 0.0
    found = {**_powered(simulated, design, gops), **device_figures(placement), "gops": gops}
    ends = {name: found.pop(name) for name in ("status", "reason")}
    layers = tuple(_blank(_layer_energy(simulated, row)) for row in rows)
    return layers, _blank({**found, **ends})


def device_figures(placement: Placement) -> dict[str, Any]:
    """Return what the design takes of each resource, of one PE, and which resource binds."""
    named = SHARES[placement.device.logic]
    used = {name: placement.used.get(name, 0.0) for name in named.values()}
    one = next(iter(placement.array.kinds.values())) if placement.array.in_dsp else placement.array.kinds.get("never")
    pe = {f"pe_{one.logic}": one.sites.lut, "pe_ff": one.sites.ff, "pe_dsp": float(one.dsp)} if one else {}
    shares = {f"{name}_share": placement.shares.get(resource, 0.0) for name, resource in named.items()}
    pairs = {"bram36": used["bram18"] / 2} if "bram18" in used else {}  # data sheets count pairs of 18 Kb blocks
    return {**used, **pairs, **shares, **pe, "pes": placement.array.pes,
            "device": placement.device.name, "binding": placement.binding,
            "binding_share": placement.binding_share}  # fmt: skip


def _powered(simulated: Simulated, design: Mapping[str, Any], gops: float) -> dict[str, Any]:
    power_w = simulated.spec.target.power
    if power_w is None:
        return dict(design)
    energy_mj = power_w * design["latency_ms"]
    given = {"energy_mj": energy_mj, "edp_mj_ms": energy_mj * design["latency_ms"], "avg_power_w": power_w}
    return {**design, **given, "gops_per_watt": gops / power_w if power_w else math.nan,
            "tops_per_watt": gops * 1e-3 / power_w if power_w else math.nan}  # fmt: skip


def _layer_energy(simulated: Simulated, row: Mapping[str, Any]) -> dict[str, Any]:
    target = simulated.spec.target
    powers = {"energy_pj": target.power, LEAKAGE: target.static_power}
    return {**row, **{name: w * row["time_us"] * 1e6 for name, w in powers.items() if w is not None}}


def _blank(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def resource_frame(simulated: Simulated) -> pd.DataFrame | None:
    """Return what the design takes of each resource beside the budgets, None on an ASIC."""
    import pandas as pd

    placement = placement_of(simulated)
    return None if placement is None else pd.DataFrame(placement.table)


def device_notes(simulated: Simulated) -> Iterable[str]:
    """Return what a reader of a run on a device must know; nothing on an ASIC."""
    placement = placement_of(simulated)
    if placement is None:
        return
    device, target = placement.device, simulated.spec.target
    yield from placement.notes
    registers = f"registers of {target.stages} stages of every PE are counted, as wide as on an ASIC"
    if target.stages is None:
        registers = "registers between stages are not counted, as target.stages is not stated"
    lacking = "area, power or energy of fabric: blank, but for the DRAM preset's energy"
    if target.power is not None:
        lacking = "area of fabric or energy of its parts: blank"
        yield (
            f"energy in all is the power that is given, {target.power:g} W of the whole board, times the time: "
            f"{target.power_source}"
        )
    if target.static_power is not None:
        yield (
            f"energy of leakage is the static power that is given, {target.static_power:g} W, times the time: "
            f"{target.static_power_source}"
            + ("" if target.power is not None else "; what switching takes is not known, so there is no sum")
        )
    yield (f"{device.name}: no source gives {lacking}; {estimate_note(device.logic, device.family)}; {registers}")
    yield "mapper.objective: latency, of equals the least DRAM traffic, as energies are not known"
    memory = device.memory
    if memory is not None and memory.bandwidth_gb_s != simulated.accelerator.dram.bandwidth_gb_s:
        yield (
            f"the board's memory ({memory.kind}) peaks at {memory.bandwidth_gb_s:g} GB/s ({memory.source}), the file's "
            f"{simulated.accelerator.dram.name} at {simulated.accelerator.dram.bandwidth_gb_s:g} GB/s is what runs"
        )


__all__ = ["device_figures", "device_notes", "on_device", "placement_of", "resource_frame", "unpriced_parts"]
