"""The modes of a PE of several formats, each beside a PE of its own."""

from __future__ import annotations

from hwsim.hardware.pe import PE
from hwsim.hardware.pe.families.multi import MultiPE
from hwsim.hardware.pe.operands import Operands
from hwsim.hardware.pe.pipeline import pipelined_price, step_energy_fj
from hwsim.hardware.technology import Technology, factor, factor_rows
from hwsim.report.explain import Section, table


def modes_section(pe: PE, technology: Technology, clock_hz: float, operands: Operands) -> list[Section]:
    """Return what each mode takes inside and alone; nothing for a PE of one mode."""
    if not isinstance(pe, MultiPE):
        return []
    rows, areas = [], []
    for mode in pe.modes:
        w, a = mode.w_format, mode.a_format
        inside, stages = pipelined_price(pe, technology, clock_hz, w, a, operands)
        alone, own = pipelined_price(mode, technology, clock_hz, operands=operands)
        rate = mode.expected_macs_per_cycle(w, a, operands.data)
        fj, own_fj = (step_energy_fj(mode, p, w, a, operands.data) / mode.lanes for p in (inside, alone))
        areas.append(alone.area_um2)
        rows.append(
            {"mode": f"{mode.family} {w.name} × {a.name}", "MAC/cycle": rate, "psum bits": mode.psum_bits,
             "stages": stages, "alone: stages": own, "fJ per MAC": fj, "alone: fJ per MAC": own_fj,
             "ratio": fj / own_fj, "alone: area_um2": alone.area_um2, "glitch factor": inside.glitch_factor}
        )  # fmt: skip
    whole = inside.area_um2
    select = sum(row.area_um2 for row in inside.rows if row.part.role.startswith("select "))
    given = pe.idle_share != factor("idle", "multi")
    source = "as given" if given else next(r["source"] for r in factor_rows() if r["kind"] == "idle")
    notes = [
        f"area: {whole:.4g} µm², {whole / sum(areas):.1%} of PEs side by side and {whole / max(areas):.1%} of the "
        f"largest; {select:.4g} µm² of it are multiplexers of operands",
        f"what idles takes {pe.idle_share:g} of what it takes at work, clock included ({source})",
        "shared: parts of the same group and kind, where that takes less area than building both; a role with / is "
        "shared; the rest is added",
    ]
    return [Section("modes, each beside a PE of its own", table(rows), notes)]
