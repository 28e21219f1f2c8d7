"""A unit beside PEs and functions: its parts and its operations."""

from __future__ import annotations

from hwsim.hardware.technology import load_technology
from hwsim.hardware.units import UNITS, make_unit
from hwsim.report.explain import EXPLAINERS, Question, Section, table
from hwsim.spec.errors import UsageError, did_you_mean


@EXPLAINERS.register("unit")
def explain_unit(name: str, question: Question) -> list[Section]:
    """Return the parts of a unit with their prices, uniform data."""
    if name not in UNITS:
        raise UsageError(f"unknown unit {name!r}; {did_you_mean(name, UNITS.names())}")
    unit, technology = make_unit(name, question.settings), load_technology(question.technology)
    price = unit.price(technology)
    rows = [
        {"part": row.part.role, "group": row.part.group, "circuit": type(row.part.circuit).__name__,
         "count": row.part.count, "area_um2": row.area_um2, "energy_fj": row.energy_fj, "clock_fj": row.clock_fj}
        for row in price.rows
    ]  # fmt: skip
    total = {"part": "total", "group": "", "circuit": "", "count": None, "area_um2": price.area_um2,
             "energy_fj": price.energy_fj, "clock_fj": price.clock_fj}  # fmt: skip
    counts = ", ".join(f"{count} {op}" for op, count in unit.operations().items())
    notes = [f"{unit}: {counts}; energy per cycle, uniform data, glitch factor {price.glitch_factor:g}"]
    return [Section(f"{name} in {technology.name}: parts", table([*rows, total]), notes)]
