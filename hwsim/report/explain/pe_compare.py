"""PEs beside one another: per PE, in an equal area, and at an equal throughput."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.hardware.circuits import GROUPS
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import PartsPrice, load_technology
from hwsim.report.explain import Question, Section, table

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


def compare_pes(named: Sequence[tuple[str, PE]], question: Question) -> list[Section]:
    """Return tables of PEs in one technology at one clock; ``settings['iso_area_mm2']`` is the area to fill.

    The dequantizers of group sums are not in these figures: how many there are is the array's matter.
    """
    technology, area_mm2 = load_technology(question.technology), question.iso_area_mm2 or USUAL_AREA_MM2
    rows, equal, prices = [], [], {}
    for name, pe in named:
        price, stages = pipelined_price(pe, technology, question.clock_hz)
        rate = float(pe.macs_per_cycle(pe.w_format, pe.a_format))
        energy_fj = (price.energy_fj + price.clock_fj) / rate
        prices[name] = price, rate
        multiplier = sum(r.area_um2 for r in price.rows if r.part.group == "multiplier")
        rows.append(
            {"pe": name, "family": pe.family, "weights": pe.w_format.name, "activations": pe.a_format.name,
             "MAC/cycle": rate, "stages": stages, "area_um2": price.area_um2, "multiplier_um2": multiplier,
             "um2 per MAC/cycle": price.area_um2 / rate, "fJ per MAC": energy_fj}
        )  # fmt: skip
        count = int(area_mm2 * 1e6 // price.area_um2)
        giga = count * rate * question.clock_hz * 1e-9
        leakage_mw = count * price.leakage_nw * 1e-6
        equal.append(
            {"pe": name, "PEs": count, "GMAC/s": giga, "dynamic_mw": giga * energy_fj * 1e-3, "leakage_mw": leakage_mw,
             "area_mm2 for 1 TMAC/s": 1e3 / giga * count * price.area_um2 * 1e-6 if giga else None,
             "mw for 1 TMAC/s": energy_fj + 1e3 / giga * leakage_mw if giga else None}
        )  # fmt: skip
    where = f"{technology.name}, {question.clock_hz / 1e9:g} GHz"
    return [
        Section(f"PEs in {where}", table(rows), ["whole datapaths: the multiplier alone is not the PE"], _draw(prices)),
        Section(f"in {area_mm2:g} mm² of PEs each, and at 1 TMAC/s", table(equal),
                ["without buffers, dequantizers of group sums and DRAM: for those hwsim compare-formats"]),
    ]  # fmt: skip


def _draw(prices: dict[str, tuple[PartsPrice, float]]) -> Any:
    def draw() -> Any:
        from hwsim.report.plot.part_bars import part_bars_figure

        panels = {
            "area per MAC and cycle (µm²)": {n: groups_of(p, "area_um2", rate) for n, (p, rate) in prices.items()},
            "energy per MAC (fJ)": {n: groups_of(p, "energy_fj", rate) for n, (p, rate) in prices.items()},
        }
        return part_bars_figure("What PEs are made of", panels, "Whole datapaths, without dequantizers of group sums.")

    return draw
