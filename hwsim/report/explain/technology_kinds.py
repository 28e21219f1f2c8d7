"""Logic, SRAM, wires and DRAM from one node to another: kind by kind, because they do not scale alike."""

from __future__ import annotations

from typing import Any

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.hardware.memory import Device, build_sram, memory_deviations
from hwsim.hardware.references import reference_rows
from hwsim.hardware.technology import Technology, load_technology
from hwsim.report.explain import Section, table
from hwsim.spec.errors import MissingFigureError

#: Where the comparison starts: the node with the most verified figures.
ORIGIN = "45nm"
#: Multipliers and buffers (KiB, 64 bit) that are compared: those of which both ends are published at 7 nm.
MULTIPLIERS = ("int8", "fp32")
BUFFERS_KIB = (8, 32, 1024)
#: Whose ratios are shown: one author's table at either end.
SOURCES = ("Horowitz ISSCC 2014", "Jouppi ISCA 2021")


def kinds_section(technology: Technology, device: Device) -> Section:
    """Return the energy of each kind of hardware over that at 45 nm, beside published ratios."""
    origin, published = load_technology(ORIGIN), _published(technology.node_nm)
    rows, notes = [], []
    for name in MULTIPLIERS:
        ends = [t.op_energy_pj("mul", parse_format(name)) for t in (origin, technology)]
        rows.append(_row(f"logic: {name} multiplier (pJ)", ends, published.get(name)))
    flops = [t.price(Register(1)) for t in (origin, technology)]
    rows.append(_row("logic: flip-flop with its clock pin (pJ)", [(f.energy_fj + f.clock_fj) * 1e-3 for f in flops]))
    for kib in BUFFERS_KIB:
        name = f"SRAM {kib} KiB" if kib < 1024 else f"SRAM {kib // 1024} MiB"
        try:
            ends = [build_sram(kib * 1024, 64, 1, t.node_nm, device).read_pj for t in (origin, technology)]
        except MissingFigureError as error:
            notes = [f"SRAM: {error}"]
            continue
        rows.append(_row(f"{name}, 64 bit read, {device} (pJ)", ends, published.get(name)))
    wires = [t.wire_fj_per_bit_mm * 1e-3 for t in (origin, technology)]
    rows.append(_row("wire, one transition and mm (pJ)", wires))
    rows.append(
        {"energy": "DRAM", "at 45 nm": "", "here": "", "ratio": 1.0, "published ratio": _shown(published.get("DRAM"))}
    )
    notes.append(
        "one factor for a whole chip would be wrong: logic, SRAM of each size, wires and DRAM go their own ways"
    )
    if published:
        notes.append("published: Jouppi et al., ISCA 2021, Table 2 (7 nm) over Horowitz, ISSCC 2014 (45 nm)")
    return Section(f"{technology.name}: energy over 45 nm, kind by kind", table(rows), notes)


def _row(what: str, ends: list[float], published: float | None = None) -> dict[str, Any]:
    return {"energy": what, "at 45 nm": ends[0], "here": ends[1], "ratio": ends[1] / ends[0],
            "published ratio": _shown(published)}  # fmt: skip


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3g}"


def _published(node_nm: float) -> dict[str, float]:
    """Return published ratios of energy from 45 nm, where both ends are published."""
    figures: dict[tuple[str, float], float] = {}
    for row in reference_rows():
        if (row["kind"], row["unit_name"], row["quantity"]) == ("operation", "mul", "energy"):
            figures[row["format"], float(row["node_nm"])] = float(row["published"])
    for one in (d for d in memory_deviations() if d.reference in SOURCES):
        name = one.what.split(",")[0]
        if ", 64 bit, 1RW, " in one.what and one.what.endswith("read"):
            figures[name, one.node_nm] = one.published
        if one.what in ("DRAM 64 bit, low end", "DDR3 or DDR4, 64 bit"):
            figures["DRAM", one.node_nm] = one.published
    names = {name for name, node in figures if node == node_nm != 45}
    return {name: figures[name, node_nm] / figures[name, 45.0] for name in names if (name, 45.0) in figures}
