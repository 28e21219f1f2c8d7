"""An FPGA device: budgets, regions, clocks, DSP modes, each with its source, and published units beside the model."""

from __future__ import annotations

from hwsim.hardware.fpga.device import Device, load_device, utilisation_limits
from hwsim.hardware.fpga.dsp import dsp_modes
from hwsim.hardware.fpga.published import published_units
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, table
from hwsim.spec.data import read_csv_rows


@EXPLAINERS.register("device")
def explain_device(name: str, question: Question) -> list[Section]:
    """Return the tables of a device."""
    device = load_device(name)
    return [_budgets(device), *_regions(device), _shell(), _clocks(device), _modes(device), _published()]


def _budgets(device: Device) -> Section:
    limits = utilisation_limits()
    rows = [
        {"resource": resource, "count": count, "guideline": limits.get(resource),
         "second_source": device.checked.get(resource, "")}
        for resource, count in device.budget.items()
    ]  # fmt: skip
    notes = [f"{device.board}, {device.part}, {device.family}; source: {device.source}"]
    notes.append("guideline: share up to which designs close timing (FINN platforms.py); static power: in no source")
    if device.memory:
        notes.append(
            f"board memory: {device.memory.bandwidth_gb_s:g} GB/s {device.memory.kind} ({device.memory.source})"
        )
        if "memory" in device.checked:
            notes.append(f"board memory, second source: {device.checked['memory']}")
    else:
        notes.append("board memory: no source that could be checked gives its bandwidth")
    notes += [f"left out: {figure}: {reason}" for figure, reason in device.missing.items()]
    return Section(f"{device.name}: budgets", table(rows), notes)


def _regions(device: Device) -> list[Section]:
    if not device.regions:
        return []
    rows = [{"region": f"SLR{number}", **region} for number, region in enumerate(device.regions)]
    second = [f"second source: {device.checked['slrs']}"] if "slrs" in device.checked else []
    return [Section("super logic regions", table(rows), ["what FINN observed to be usable in Vivado", *second])]


def _shell() -> Section:
    rows, notes = cited(read_csv_rows("fpga", "shell.csv"))
    return Section("interfaces that take a part of it (hwsim fit --shell)", table(rows), notes)


def _clocks(device: Device) -> Section:
    known = (device.dsp_primitive, *(["bufg"] if "UltraScale+" in device.family else []))
    own = [row for row in read_csv_rows("fpga", "dsp_fmax.csv") if row["primitive"] in known]
    rows, notes = cited(own)
    notes = notes or ["no source gives the clocks of this DSP block"]
    columns = ["primitive", "mode", "grade", "mhz", "source"]
    return Section("fastest clocks", table(rows, columns), [*notes, "what a design reaches is for the user to state"])


def _modes(device: Device) -> Section:
    rows, notes = cited([
        {"mode": mode.name, "operands": f"{mode.a_bits} × {mode.b_bits} {mode.arithmetic}",
         "products_per_block": float(mode.macs), "needs_shared": mode.shares, "note": mode.note, "source": mode.source}
        for mode in dsp_modes(device.dsp_primitive)
    ])  # fmt: skip
    return Section(f"modes of a {device.dsp_primitive}", table(rows), notes)


def _published() -> Section:
    rows, notes = cited([
        {"unit": one.unit, "format": one.format, "figure": one.figure, "published": one.published,
         "modelled": one.modelled, "error": one.error, "why_not": one.why_not, "source": one.source}
        for one in published_units()
    ])  # fmt: skip
    return Section("published units beside the model (any device)", table(rows), notes)
