"""Clocks that data sheets allow, and what a reader must know of a device that is in use so far."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.hardware.fpga.device import Device, fastest_hz, utilisation_limits
from hwsim.hardware.target.budget import ArrayFit
from hwsim.spec.errors import InfeasibleError, MissingFigureError

#: Wires between neighbouring super logic regions that designs can use (FINN platforms.py, 39f0c9a).
WIRES_BETWEEN_REGIONS = 5000


def clock_notes(device: Device, array: ArrayFit, grade: str, clock_hz: float | None) -> list[str]:
    """Return for which primitives no fastest clock is known, and what is allowed where no clock is given.

    Raises
    ------
    InfeasibleError
        If the clock is beyond what DSP blocks in use, or the clock network, reach.
    """
    blocks = [(device.dsp_primitive, _mode_of(array))] if array.in_dsp else []
    limits, unknown = {}, []
    for primitive, mode in [*blocks, ("bufg", "clock")]:
        if primitive == "bufg" and "UltraScale+" not in device.family:
            unknown.append("clock network")
            continue
        try:
            limits[primitive] = fastest_hz(primitive, grade, mode)
        except MissingFigureError:
            unknown.append(primitive)
    found = [f"no source gives the fastest clock of: {', '.join(unknown)}"] if unknown else []
    if "clocks" in device.missing:
        found.append(f"clocks: {device.missing['clocks']}")
    if clock_hz is None:
        top = f"; data sheets allow {min(limits.values()) / 1e6:g} MHz at most" if limits else ""
        return [*found, f"no clock is given, so there is no throughput: fabric decides what a design reaches{top}"]
    for primitive, most in limits.items():
        if clock_hz > most:
            raise InfeasibleError(
                f"clock: {clock_hz / 1e6:g} MHz is beyond the {most / 1e6:g} MHz of {primitive} in grade "
                f"{grade}; valid: up to {most / 1e6:g} MHz"
            )
    return found


def _mode_of(array: ArrayFit) -> str:
    arithmetics = {mode.arithmetic for mode in array.kinds["always"].modes}
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
    needed = regions_needed(device, used)
    if needed > 1:
        found.append(
            f"the design spans {needed} super logic regions: {needed - 1} crossing(s) of up to {WIRES_BETWEEN_REGIONS} "
            "wires each (FINN); the clock must allow for them"
        )
    return found


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
        + (f" ({mode.source})")
        for one in array.kinds.values()
        for mode in one.modes
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
