"""Cycles that depend on data: the worst case, and what is expected of PEs that wait for one another."""

from __future__ import annotations

from typing import Any

from hwsim.hardware.pe import PE
from hwsim.hardware.pe.lockstep import Data, Lockstep
from hwsim.report.explain import Section, table

#: Rows and columns of the arrays that are shown, one vector of operands per row and column.
GRIDS = (4, 16, 32)


def data_section(pe: PE, data: Data) -> list[Section]:
    """Return the cycles of a step by the PEs that wait for one another; nothing where they depend on no data."""
    w, a = pe.w_format, pe.a_format
    if not pe.data_dependent(w, a):
        return []
    worst = pe.cycles_per_step(w, a)

    def row(what: str, cycles: float) -> dict[str, Any]:
        return {"cycles per step": what, "value": cycles, "of the worst case": cycles / worst}

    rows = [
        row("worst case", float(worst)),
        row("at work, mean of lanes", pe.work_cycles_per_step(w, a, data)),
        row("expected of a PE alone", pe.expected_cycles_per_step(w, a, data=data)),
    ]
    for size in GRIDS:
        grid = Lockstep(weights=size, activations=size)
        name = f"expected of {size} × {size} PEs, operands shared by rows and columns"
        rows.append(row(name, pe.expected_cycles_per_step(w, a, lockstep=grid, data=data)))
    for size in GRIDS:
        own = Lockstep(groups=size, weights=size, sum_steps=1)
        name = f"expected of {size} × {size} PEs, weights stationary"
        rows.append(row(name, pe.expected_cycles_per_step(w, a, lockstep=own, data=data)))
    notes = [pe.data_text(data), "time: the slowest of the PEs that wait for one another; energy: cycles at work"]
    return [Section("cycles that depend on data", table(rows), notes)]


def expected_lines(pe: PE, data: Data) -> list[str]:
    """Return one line on worst case and expected cycles where they depend on data."""
    w, a = pe.w_format, pe.a_format
    if not pe.data_dependent(w, a):
        return []
    alone, eight = (pe.expected_cycles_per_step(w, a, lockstep=n, data=data) for n in (1, 8))
    return [
        f"cycles depend on data: at worst {pe.cycles_per_step(w, a)}, expected {alone:.3g}, of 8 PEs in lockstep "
        f"{eight:.3g}; {pe.data_text(data)}"
    ]
