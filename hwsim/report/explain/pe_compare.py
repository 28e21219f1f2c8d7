"""PEs beside one another: per PE, in an equal area, and at an equal throughput."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from hwsim.formats import Format
from hwsim.hardware.circuits import GROUPS
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.lockstep import Data
from hwsim.hardware.pe.pipeline import pipelined_price, step_energy_fj
from hwsim.hardware.technology import PartsPrice, load_technology
from hwsim.report.explain import Question, Section, table
from hwsim.report.explain.calibration import expected_error
from hwsim.report.explain.pe_operands import operands_of, operands_text

#: Area of the comparison when none is given, in mm².
USUAL_AREA_MM2 = 1.0


def groups_of(price: PartsPrice, figure: str, per: float = 1.0) -> dict[str, float]:
    """Return area (``area_um2``) or energy with the clock (``energy_fj``) by group of parts, divided by ``per``."""
    found: dict[str, float] = {}
    for group in GROUPS:
        mine = [row for row in price.rows if row.part.group == group]
        if mine:
            total = sum(r.area_um2 if figure == "area_um2" else r.energy_fj + r.clock_fj for r in mine)
            found[group] = total / per
    return found


@dataclass(frozen=True)
class _Compared:
    """A PE at work on a pair of formats and on data."""

    name: str
    pe: PE
    w: Format
    a: Format
    price: PartsPrice
    stages: int
    data: Data

    @property
    def rate(self) -> float:
        """MACs per cycle, expected ones where they depend on data."""
        return self.pe.expected_macs_per_cycle(self.w, self.a, self.data)

    @property
    def mac_fj(self) -> float:
        """Energy of a MAC, with the clock."""
        return step_energy_fj(self.pe, self.price, self.w, self.a, self.data) / self.pe.lanes

    def energy_groups(self) -> dict[str, float]:
        """Return the energy of a MAC by group of parts: their sum is :attr:`mac_fj`."""
        cycles: tuple[float, float] = (self.pe.cycles_per_step(self.w, self.a),) * 2
        if self.pe.data_dependent(self.w, self.a):
            work = self.pe.work_cycles_per_step(self.w, self.a, self.data)
            cycles = work, self.pe.expected_cycles_per_step(self.w, self.a, data=self.data)
        found: dict[str, float] = {}
        for row in self.price.rows:
            group, fj = row.part.group, row.energy_fj * cycles[0] + row.clock_fj * cycles[1]
            found[group] = found.get(group, 0.0) + fj / self.pe.lanes
        return {group: found[group] for group in GROUPS if group in found}

    def row(self) -> dict[str, Any]:
        """Return the figures of one PE."""
        multiplier = sum(r.area_um2 for r in self.price.rows if r.part.group == "multiplier")
        area = self.price.area_um2
        return {
            "pe": self.name, "family": self.pe.family, "weights": self.w.name, "activations": self.a.name,
            "MAC/cycle": self.rate, "stages": self.stages, "area_um2": area, "multiplier_um2": multiplier,
            "um2 per MAC/cycle": area / self.rate, "fJ per MAC": self.mac_fj,
        }  # fmt: skip

    def in_area(self, area_mm2: float, clock_hz: float) -> dict[str, Any]:
        """Return what as many as fit into an area do."""
        count = int(area_mm2 * 1e6 // self.price.area_um2)
        giga = count * self.rate * clock_hz * 1e-9
        leakage_mw = count * self.price.leakage_nw * 1e-6
        return {
            "pe": self.name, "PEs": count, "GMAC/s": giga, "dynamic_mw": giga * self.mac_fj * 1e-3,
            "leakage_mw": leakage_mw,
            "area_mm2 for 1 TMAC/s": 1e3 / giga * count * self.price.area_um2 * 1e-6 if giga else None,
            "mw for 1 TMAC/s": self.mac_fj + 1e3 / giga * leakage_mw if giga else None,
        }  # fmt: skip

    def at_throughput(self, ops_per_s: float, clock_hz: float) -> dict[str, Any]:
        """Return what as many as are needed for a throughput cost; a MAC is two operations."""
        macs_per_s = ops_per_s / 2
        count = ceil(macs_per_s / (self.rate * clock_hz) * (1 - 1e-12))
        dynamic_mw, leakage_mw = macs_per_s * self.mac_fj * 1e-12, count * self.price.leakage_nw * 1e-6
        return {
            "pe": self.name, "PEs": count, "area_mm2": count * self.price.area_um2 * 1e-6, "dynamic_mw": dynamic_mw,
            "leakage_mw": leakage_mw, "mw": dynamic_mw + leakage_mw,
            "TOPS/W": ops_per_s * 1e-12 / ((dynamic_mw + leakage_mw) * 1e-3),
        }  # fmt: skip


def compare_pes(named: Sequence[tuple[str, PE]], question: Question) -> list[Section]:
    """Return tables of PEs in one technology at one clock, one row per mode of each.

    ``question.iso_area_mm2`` is the area to fill, ``iso_throughput`` the throughput to reach. The
    dequantizers of group sums are not in these figures: how many there are is the array's matter.
    """
    technology, area_mm2 = load_technology(question.technology), question.iso_area_mm2 or USUAL_AREA_MM2
    operands = operands_of(question, all(pe.data_dependent(pe.w_format, pe.a_format) for _, pe in named))
    compared = []
    for name, pe in named:
        for mode in pe.modes:
            w, a = mode.w_format, mode.a_format
            full = name if len(pe.modes) == 1 else f"{name}: {w.name} × {a.name}"
            price, stages = pipelined_price(pe, technology, question.clock_hz, w, a, operands)
            compared.append(_Compared(full, pe, w, a, price, stages, operands.data))
    where = f"{technology.name}, {question.clock_hz / 1e9:g} GHz"
    notes = ["whole datapaths: the multiplier alone is not the PE", operands_text(operands)]
    bases = dict.fromkeys(one.price.basis for one in compared)
    notes.append(f"basis: {', '.join(bases)}" + (f"; {expected_error()}" if "modelled" in bases else ""))
    for one in compared:
        if one.pe.data_dependent(one.w, one.a):
            notes.append(f"{one.name}: expected cycles and work, for {one.pe.data_text(operands.data)}")
    bare = "without buffers, dequantizers of group sums and DRAM: for those hwsim compare-formats"
    found = [
        Section(f"PEs in {where}", table([one.row() for one in compared]), notes, _draw(compared)),
        Section(f"in {area_mm2:g} mm² of PEs each, and at 1 TMAC/s",
                table([one.in_area(area_mm2, question.clock_hz) for one in compared]), [bare]),
    ]  # fmt: skip
    if question.iso_throughput is not None:
        rows = [one.at_throughput(question.iso_throughput, question.clock_hz) for one in compared]
        title = f"at {question.iso_throughput * 1e-12:g} TOPS of each (a MAC is two operations)"
        found.append(Section(title, table(rows), [f"as few whole PEs as reach it; {bare}"]))
    return found


def _draw(compared: Sequence[_Compared]) -> Any:
    def draw() -> Any:
        from hwsim.report.plot.part_bars import part_bars_figure

        panels = {
            "area per MAC and cycle (µm²)": {one.name: groups_of(one.price, "area_um2", one.rate) for one in compared},
            "energy per MAC (fJ)": {one.name: one.energy_groups() for one in compared},
        }
        return part_bars_figure("What PEs are made of", panels, "Whole datapaths, without dequantizers of group sums.")

    return draw
