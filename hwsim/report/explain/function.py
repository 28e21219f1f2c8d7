"""A special-function unit: its methods side by side, and the parts of one."""

from __future__ import annotations

from typing import Any

from hwsim.hardware.functions import FUNCTIONS, METHODS, FunctionUnit, make_function
from hwsim.hardware.technology import load_technology
from hwsim.report.explain import EXPLAINERS, Question, Section, table
from hwsim.spec.errors import UsageError, did_you_mean


@EXPLAINERS.register("function")
def explain_function(name: str, question: Question) -> list[Section]:
    """Return error, cost and operations of every method; with ``method`` set, those of one and its parts."""
    if name not in FUNCTIONS:
        raise UsageError(f"unknown function {name!r}; {did_you_mean(name, sorted(FUNCTIONS))}")
    technology = load_technology(question.technology)
    wanted = question.settings.get("method")
    units = [_unit(name, method, question) for method in ([str(wanted)] if wanted else METHODS.names())]
    rows = [_row(unit, technology) for unit in units if unit is not None]
    low, high = FUNCTIONS[name].low, FUNCTIONS[name].high
    notes = [f"errors on [{low:g}, {high:g}], relative ones where |{name}| >= 2^-6; energy per result, uniform data"]
    sections = [Section(f"{name} in {technology.name}", table(rows), notes)]
    if wanted and units[0] is not None:
        price = units[0].price(technology)
        parts = [
            {"part": row.part.role, "group": row.part.group, "circuit": type(row.part.circuit).__name__,
             "count": row.part.count, "area_um2": row.area_um2, "energy_fj": row.energy_fj}
            for row in price.rows
        ]  # fmt: skip
        sections.append(Section("parts, per cycle", table(parts)))
    return sections


def _unit(name: str, method: str, question: Question) -> FunctionUnit | None:
    """Return the unit; None where a method that was not asked for has no such function."""
    try:
        return make_function({**question.settings, "function": name, "method": method})
    except UsageError:
        if "method" in question.settings:
            raise
        return None


def _row(unit: FunctionUnit, technology: Any) -> dict[str, Any]:
    price, error = unit.price(technology), unit.max_error()
    return {
        "method": unit.method,
        "max_error": error.absolute,
        "max_relative_error": error.relative,
        "area_um2": price.area_um2,
        "energy_fj": (price.energy_fj + price.clock_fj) * unit.cycles,
        "cycles": unit.cycles,
        "latency_cycles": unit.latency_cycles,
        "operations": ", ".join(f"{count} {op}" for op, count in unit.operations().items()),
    }
