"""A technology: every constant with its source, and every published figure beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.hardware.memory import memory_deviations
from hwsim.hardware.references import deviations
from hwsim.hardware.technology import factor_rows, load_technology
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, constants_section, table


@EXPLAINERS.register("technology")
def explain_technology(name: str, question: Question) -> list[Section]:
    """Return constants, factors and the deviation of each published figure at the node."""
    technology = load_technology(name)
    factors, factor_notes = cited([
        {"factor": r["kind"], "family": r["family"], "value": float(r["value"]), "source": r["source"]}
        for r in factor_rows()
    ])  # fmt: skip
    rows, row_notes = cited([
        {"published figure": d.what, "unit": d.unit, "published": d.published, "modelled": d.modelled,
         "modelled/published": d.ratio, "source": d.source}
        for d in deviations(technology)
    ])  # fmt: skip
    memories, memory_notes = cited([
        {"published figure": d.what, "unit": d.unit, "published": d.published, "modelled": d.modelled,
         "modelled/published": d.ratio, "source": f"{d.reference}: {d.source}" + (f" ({d.reason})" if d.reason else "")}
        for d in memory_deviations()
        if d.node_nm == technology.node_nm
    ])  # fmt: skip
    columns = ["published figure", "unit", "published", "modelled", "modelled/published", "source"]
    return [
        constants_section(technology, f"{name}: constants ({technology.node_nm:g} nm, {technology.vdd_v:g} V)"),
        Section("factors on energy, by family of circuits, the same in every technology", table(factors), factor_notes),
        Section(f"{name}: published memory figures and ours", table(memories, columns), memory_notes),
        Section(f"{name}: published figures and ours", table(rows, columns), [*row_notes, *_scope(rows)]),
    ]


def _scope(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["no verified published figure is known at this node"]
    ratios = [float(str(row["modelled/published"])) for row in rows]
    return [
        f"{len(rows)} verified figures, modelled over published from {min(ratios):.2f} to {max(ratios):.2f}; figures "
        "that no source verifies are not used; absolute energies are good to about a factor of two"
    ]
