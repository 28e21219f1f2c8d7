"""An architecture on an FPGA device: what each block takes, what buffers are made of, and against which budgets."""

from __future__ import annotations

from typing import Any

from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.hardware.target.placement import Placement
from hwsim.report.explain import Section, table
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.on_device import device_notes


def device_sections(simulated: Simulated, placement: Placement) -> list[Section]:
    """Return headline, blocks, PEs, buffers and budgets of an architecture on its device."""
    title = f"{simulated.spec.name} on {placement.device.name}: {simulated.spec.description or 'architecture'}"
    return [
        Section(title, _headline(simulated, placement)),
        Section("budgets", table(placement.table), [placement.device.source]),
        Section("resources by block", _blocks(placement)),
        Section("one PE", _pes(placement)),
        Section("buffers", _buffers(placement), list(device_notes(simulated))),
    ]


def _headline(simulated: Simulated, placement: Placement) -> Any:
    acc, array = simulated.accelerator, placement.array
    w, a = acc.pe.w_format, acc.pe.a_format
    several = f"{acc.cores} cores of " if acc.cores > 1 else ""
    rows = {
        "array": f"{several}{acc.rows} × {acc.cols} {acc.pe.family}, {simulated.spec.array.dataflow}",
        "built for": f"{w.name} × {a.name}",
        "device": f"{placement.device.name}, {placement.device.part} ({placement.device.board})",
        "clock (MHz), as given": float(simulated.spec.clock) / 1e6,
        "PEs with products in DSP blocks": array.in_dsp,
        f"PEs with products in {LOGIC_WORDS[placement.device.logic]}": array.in_lut,
        "peak (TOPS)": 2 * acc.peak_macs_per_s(w, a) * 1e-12,
        "DRAM": f"{acc.dram.name}: {acc.dram.bandwidth_gb_s:g} GB/s, {acc.dram.read_pj_per_bit:g} pJ/bit",
        "binds": f"{placement.binding}, {placement.binding_share:.1%} of what is usable",
    }
    return table([{"property": k, "value": v} for k, v in rows.items()])


def _blocks(placement: Placement) -> Any:
    rows = [
        {"block": name, **{kind: taken.get(kind, 0.0) for kind in placement.usable}}
        for name, taken in placement.blocks.items()
    ]
    return table([*rows, {"block": "total", **placement.used}])


def _pes(placement: Placement) -> Any:
    rows = []
    for kind, one in placement.array.kinds.items():
        for part, sites, dsp in one.rows:
            place = placement.array.place(kind)
            rows.append(
                {"products in": place, "part": part.role, one.logic: sites.lut, "ff": sites.ff, "dsp": float(dsp)}
            )
    return table(rows)


def _buffers(placement: Placement) -> Any:
    return table([
        {
            "buffer": name, "memories": one.wanted.copies, "width_bits": one.wanted.width_bits,
            "depth": one.wanted.depth, "made of": one.block.primitive,
            "shape": f"{one.block.width_bits} × {one.block.depth}", "primitives": one.primitives,
            "bits_in_use": one.efficiency, one.logic: one.lut,
        }
        for name, one in placement.buffers.items()
    ])  # fmt: skip
