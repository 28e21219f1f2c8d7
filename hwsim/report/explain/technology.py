"""A technology: every constant with its source and scaling path, and published figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from hwsim.hardware.circuits import Multiplier
from hwsim.hardware.memory import memory_deviations
from hwsim.hardware.references import deviations
from hwsim.hardware.technology import (
    Technology,
    WireChoice,
    factor_rows,
    load_technology,
    scale_factor,
    scaling_path,
    wire,
)
from hwsim.hardware.technology.node_scaling import Quantity
from hwsim.hardware.technology.scaling import point_of
from hwsim.hardware.technology.spec import ConditionsSpec, open_technology
from hwsim.hardware.technology.wires import WireStyle
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, constants_section, table
from hwsim.report.explain.calibration import ABSOLUTE
from hwsim.report.explain.technology_kinds import kinds_section
from hwsim.spec.bind import validate_mapping
from hwsim.spec.errors import MissingFigureError

#: Technologies with anchors or a library of their own: what the scaling equations are checked against.
ANCHORED = ("7nm", "28nm", "45nm", "sg13g2", "sky130")
#: The unit that they are compared on.
CHECKED = Multiplier(8, 8)


@EXPLAINERS.register("technology")
def explain_technology(name: str, question: Question) -> list[Section]:
    """Return constants, how they came about, factors and the deviation of each published figure at the node."""
    conditions = validate_mapping(question.settings, ConditionsSpec, "--set")
    technology = open_technology(name, conditions)
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
    at = f"{technology.node_nm:g} nm, {technology.nominal_v:g} V"
    return [
        constants_section(technology, f"{name}: constants ({at})"),
        _conditions(technology, conditions),
        _path(name),
        _checks(technology),
        kinds_section(technology, conditions.sram_device),
        _wires(technology),
        Section("factors on energy, by family of circuits, the same in every technology", table(factors), factor_notes),
        Section(f"{name}: published memory figures and ours", table(memories, columns), memory_notes),
        Section(f"{name}: published figures and ours", table(rows, columns), [*row_notes, *_scope(rows)]),
    ]


def _conditions(technology: Technology, conditions: ConditionsSpec) -> Section:
    """Return what supply and temperature multiply, by kind of hardware."""
    rows, notes = cited([
        {"figure": c.name, "factor": c.value, "estimated": "yes" if c.estimated else "no", "source": c.source}
        for c in technology.conditions(conditions.sram_device)
    ])  # fmt: skip
    kelvin = "no temperature set" if technology.temperature_k is None else f"{technology.temperature_k:g} K"
    title = f"{technology.name}: at {technology.vdd_v:g} V, {kelvin}: factors on the constants, by kind of hardware"
    return Section(title, table(rows), notes)


def _path(name: str) -> Section:
    """Return every factor between the libraries and the technology."""
    rows, notes = cited([
        {"from": s.origin, "to": s.target, "figure": s.quantity, "factor": s.factor, "source": s.source}
        for s in scaling_path(name)
    ])  # fmt: skip
    notes = notes or ["a library of its own: nothing is scaled"]
    return Section(f"{name}: scaling path", table(rows, ["from", "to", "figure", "factor", "source"]), notes)


def _checks(technology: Technology) -> Section:
    """Return ours over what the scaling equations make of the technologies with anchors, for one unit."""
    columns = ["figure", "from", "ours", "by the equations", "ours/equations"]
    title = f"{technology.name}: against Stillmaker and Baas' equations (int8 multiplier)"
    rows = []
    nominal = load_technology(technology.name)
    pairs: tuple[tuple[Quantity, str], ...] = (("area", "area_um2"), ("energy", "energy_fj"), ("delay", "delay_ps"))
    try:
        for other in (load_technology(n) for n in ANCHORED if n != technology.name):
            there, here = (point_of(t.node_nm, t.nominal_v) for t in (other, nominal))
            for quantity, field in pairs:
                ours, origin = (getattr(t.price(CHECKED), field) for t in (nominal, other))
                law = scale_factor(quantity, there, here).value
                rows.append({"figure": quantity, "from": other.name, "ours": ours / origin, "by the equations": law,
                             "ours/equations": ours / origin / law})  # fmt: skip
    except MissingFigureError as error:
        return Section(title, table([], columns), [str(error)])
    return Section(title, table(rows, columns), ["a check; where it was the law, the path above says so"])


def _wires(technology: Technology) -> Section:
    """Return every kind of wire at the technology's node and supply."""
    rows = []
    for style in get_args(WireStyle):
        one = wire(
            technology.node_nm,
            technology.vdd_v,
            WireChoice(style, technology.wires.device, technology.wires.projection),
        )
        leak = one.leakage_mw_per_mm
        rows.append({"wire": style + (" (used)" if style == technology.wires.style else ""),
                     "fJ/bit/mm": one.energy_fj_per_bit_mm, "ns/mm": one.delay_ns_per_mm,
                     "repeater leakage (uW/bit/mm)": "" if leak is None else f"{leak * 1e3:.4g}",
                     "estimated": "yes" if one.estimated else "no", "source": one.source})  # fmt: skip
    shown, notes = cited(rows)
    kind = f"itrs-{technology.wires.device}, {technology.wires.projection}"
    notes.append("per transition; random bits make 0.5 of them; delay and leakage at the table's supply")
    return Section(f"{technology.name}: wires at {technology.vdd_v:g} V, {kind}", table(shown), notes)


def _scope(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["no verified published figure is known at this node"]
    ratios = [float(str(row["modelled/published"])) for row in rows]
    return [
        f"{len(rows)} verified figures, modelled over published from {min(ratios):.2f} to {max(ratios):.2f}; figures "
        f"that no source verifies are not used; {ABSOLUTE}"
    ]
