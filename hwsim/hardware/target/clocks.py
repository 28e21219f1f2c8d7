"""Clocks that data sheets allow, and what a reader must know of a device that is in use so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hwsim.hardware.fpga.device import Device, fastest_hz, utilisation_limits
from hwsim.hardware.target.budget import ArrayFit
from hwsim.hardware.target.pe_on_fabric import PeOnFabric
from hwsim.spec.errors import InfeasibleError, MissingFigureError

#: Wires between neighbouring super logic regions that designs can use (FINN platforms.py, 39f0c9a).
WIRES_BETWEEN_REGIONS = 5000

#: DSP blocks with registers of operands and sum, but none between product and sum (DS925).
UNCUT = "no_mreg"


@dataclass(frozen=True)
class ClockLimit:
    """The fastest clock of a primitive in a mode, None where no source gives it."""

    primitive: str
    mode: str
    hz: float | None


def clock_limits(device: Device, block_mode: str | None, grade: str) -> list[ClockLimit]:
    """Return what data sheets allow: of DSP blocks in ``block_mode``, if any are in use, and of the clock network."""
    blocks = [] if block_mode is None else [ClockLimit(device.dsp_primitive, block_mode, None)]
    found = [replace(one, hz=_fastest(one.primitive, grade, one.mode)) for one in blocks]
    known = "UltraScale+" in device.family  # whose data sheet the figures of the network are from
    return [*found, ClockLimit("bufg", "clock", _fastest("bufg", grade, "clock") if known else None)]


def _fastest(primitive: str, grade: str, mode: str) -> float | None:
    try:
        return fastest_hz(primitive, grade, mode)
    except MissingFigureError:
        return None


def clock_notes(
    device: Device, array: ArrayFit, grade: str, clock_hz: float | None, stages: int | None = None
) -> list[str]:
    """Return for which primitives no fastest clock is known, and what is allowed where no clock is given.

    Raises
    ------
    InfeasibleError
        If the clock is beyond what DSP blocks in use, or the clock network, reach.
    """
    mode = block_mode(array.kinds["always"], device, grade, stages) if array.in_dsp else None
    limits = clock_limits(device, mode, grade)
    if clock_hz is not None:
        refuse_beyond(limits, clock_hz, grade)
    left_out = [f"clocks: {device.missing['clocks']}"] if "clocks" in device.missing else []
    return [*limit_notes(limits, grade, clock_hz), *left_out]


def refuse_beyond(limits: Sequence[ClockLimit], clock_hz: float, grade: str) -> None:
    """Refuse a clock beyond one of ``limits``.

    Raises
    ------
    InfeasibleError
        If it is; names primitive and mode.
    """
    for one in limits:
        if one.hz is not None and clock_hz > one.hz:
            more = "; target.stages of 2 or more cut its product" if one.mode == UNCUT else ""
            raise InfeasibleError(
                f"clock: {clock_hz / 1e6:g} MHz is beyond the {one.hz / 1e6:g} MHz of {one.primitive} in grade "
                f"{grade} ({one.mode}); valid: up to {one.hz / 1e6:g} MHz{more}"
            )


def limit_notes(limits: Sequence[ClockLimit], grade: str, clock_hz: float | None) -> list[str]:
    """Say what data sheets allow, for what nobody gives a clock, and what a clock that is not given leaves open."""
    unknown = ["clock network" if one.primitive == "bufg" else one.primitive for one in limits if one.hz is None]
    found = [f"no source gives the fastest clock of: {', '.join(unknown)}"] if unknown else []
    known = [one for one in limits if one.hz is not None]
    text = ", ".join(f"{one.primitive} ({one.mode}) {(one.hz or 0) / 1e6:g} MHz" for one in known)
    if clock_hz is None:
        top = f"; data sheets allow {min(one.hz or 0 for one in known) / 1e6:g} MHz at most" if known else ""
        return [*found, f"no clock is given, so there is no throughput: fabric decides what a design reaches{top}"]
    if known:
        found.append(
            f"clock: {clock_hz / 1e6:g} MHz is as given; data sheets allow it in grade {grade}: {text}; what LUTs and "
            "wires reach after place and route is in no source"
        )
    return found


def block_mode(one: PeOnFabric, device: Device, grade: str, stages: int | None) -> str:
    """Return the mode whose fastest clock holds for a PE's DSP blocks: uncut where one stage is stated, if known.

    Clocks with all registers hold as an upper bound for the others.
    """
    name = _mode_of(one)
    uncut = stages == 1 and name == "all_registers" and _fastest(device.dsp_primitive, grade, UNCUT) is not None
    return UNCUT if uncut else name


def _mode_of(one: PeOnFabric) -> str:
    arithmetics = {mode.arithmetic for mode in one.modes}
    return next((name for name in ("float", "complex") if name in arithmetics), "all_registers")


def estimate_note(logic: str, family: str) -> str:
    """Say how figures of a device's logic were found."""
    if logic == "lut6":
        return "LUTs are estimated: hwsim score fpga says how far"
    return (
        "ALMs are estimated: calibrated on yosys synth_intel_alm (fabric of Cyclone V) and the handbooks' rules of "
        f"what shares an ALM (hwsim score fpga says how far), extrapolated to {family}"
    )


def use_notes(device: Device, used: Mapping[str, float]) -> list[str]:
    """Say where utilisation is beyond the guideline, and how many super logic regions the design needs."""
    limits = utilisation_limits()
    found = []
    if device.family.startswith("Versal"):
        found.append("LUTs are counted for UltraScale+ carry chains: Versal's look-ahead carry is not calibrated")
    for name, count in used.items():
        total = device.budget.get(name, 0)
        if total and name in limits and count / total > limits[name]:
            found.append(
                f"{count / total:.0%} of {name} is in use: beyond {limits[name]:.0%} designs seldom close timing (FINN)"
            )
    found += _beyond_regions(device, used)
    needed = regions_needed(device, used)
    if needed > 1:
        found.append(
            f"the design spans {needed} super logic regions: {needed - 1} crossing(s) of up to {WIRES_BETWEEN_REGIONS} "
            "wires each (FINN); the clock must allow for them"
        )
    return found


def core_notes(device: Device, used: Mapping[str, float], cores: int) -> list[str]:
    """Say of several cores how they lie in super logic regions: whole ones by counts, the rest across a border."""
    if cores == 1:
        return []
    beside = "of what connects them, the multiplexer of writes is counted, its arbiter has no law and is not"
    if not device.regions:
        return [f"{cores} cores on a bus to one DRAM port: {beside}"]
    one = {name: need / cores for name, need in used.items() if need}
    whole = sum(min(int(region.get(name, 0) / need) for name, need in one.items()) for region in device.regions)
    where = (
        "all of them fit whole into super logic regions, so that only their bus crosses borders"
        if whole >= cores
        else f"{whole} of them fit whole into super logic regions, the others lie across a border"
    )
    return [f"{cores} cores on a bus to one DRAM port: {where} (by counts; no placement); {beside}"]


def _beyond_regions(device: Device, used: Mapping[str, float]) -> list[str]:
    """Say of what more is in use than the regions have together: what shells and fixed logic take of a device."""
    if not device.regions:
        return [f"super logic regions: {device.missing['slrs']}"] if "slrs" in device.missing else []
    sums = {name: sum(region.get(name, 0) for region in device.regions) for name in used}
    short = [f"{used[name]:,.0f} {name} of {most:,.0f}" for name, most in sums.items() if 0 < most < used[name]]
    why = "what shell and fixed logic leave of the device's own count; a reserve keeps it back"
    return [f"beyond what the super logic regions hold together: {', '.join(short)} ({why})"] if short else []


def regions_needed(device: Device, used: Mapping[str, float]) -> int:
    """Return the fewest super logic regions, in their order, that hold what is used; 1 on a device of one."""
    if not device.regions:
        return 1
    left = dict(used)
    for count, region in enumerate(device.regions, 1):
        left = {name: need - region.get(name, 0) for name, need in left.items()}
        if all(need <= 0 for need in left.values()):
            return count
    return len(device.regions)


def mode_notes(array: ArrayFit, dataflow: str) -> list[str]:
    """Return the modes of DSP blocks in use, and those that the dataflow does not allow."""
    found = [
        f"DSP mode {mode.name}: {float(mode.macs):g} product(s) a block of up to {mode.a_bits} × {mode.b_bits} bits"
        + (f"; {mode.note}" if mode.note else "")
        + (f"; a lane holds a sum of {mode.lane_products}, LUTs go on from there" if mode.lane_products else "")
        + (f" ({mode.source})")
        for one in array.kinds.values()
        for mode in one.modes
        if array.in_dsp
    ]
    return found + [
        f"{note}, which this PE under {dataflow} does not give" for one in array.kinds.values() for note in one.notes
    ]


def shared_operands(stationary: str) -> frozenset[str]:
    """Return the operands that neighbouring PEs get from one source: those that do not wait in them."""
    return frozenset({"w", "a"} - {stationary})


def sharing(stationary: str) -> frozenset[str]:
    """Return the operands that neighbouring PEs share, and ``kept`` where an operand waits in them."""
    kept = {"kept"} if stationary in ("w", "a") else set()
    return shared_operands(stationary) | kept
