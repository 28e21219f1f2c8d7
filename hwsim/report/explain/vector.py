"""The vector operations of an architecture: programs, passes over the tensor, cost per element and per row."""

from __future__ import annotations

from typing import Any

from hwsim.hardware.technology.operations import EXP_PROGRAMS, operation_counts
from hwsim.report.explain import Section, cited, table
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.vector_choice import chosen_kind, refusal
from hwsim.simulate.vector_ops import VectorKind, vector_kinds
from hwsim.simulate.vector_unit import lane_costs
from hwsim.workload import VectorOp

#: Rows of this length show what depends on it.
SHOWN_N = 1024


def vector_section(simulated: Simulated) -> Section:
    """Return every operation that the unit can compute, as it computes it; the notes name those that it cannot."""
    unit = simulated.spec.vector_unit
    shown = [VectorOp("shown", name, 1, SHOWN_N, a_format=unit.format, o_format=unit.format) for name in vector_kinds()]
    refused = [op.op for op in shown if refusal(unit, op)]
    kinds = [(op.op, chosen_kind(unit, op)) for op in shown if op.op not in refused]
    rows, notes = cited([_row(simulated, name, kind) for name, kind in kinds])
    what = "integer-only arithmetic of I-ViT" if unit.arithmetic == "i_vit" else f"softmax: {unit.softmax}"
    exp = "a unit" if "exp" in unit.functions else f"the {unit.exp} program"
    notes.insert(0, f"{unit.lanes} lanes of {unit.format}; {what}; exp by {exp}; cycles and energy of one lane")
    notes.insert(1, f"programs that depend on a row's length: rows of {SHOWN_N}")
    notes.insert(2, f"programs of one lane: {_programs(simulated)}")
    if refused:
        notes.insert(3, f"not on this unit: {', '.join(refused)}")
    return Section("vector operations, per element and once per row", table(rows), notes)


def _programs(simulated: Simulated) -> str:
    """Return what divisions, roots and exponentials are made of, but those that have a unit."""
    acc, unit = simulated.accelerator, simulated.spec.vector_unit
    names = {"div": "div", "exp": EXP_PROGRAMS[unit.exp], "rsqrt": "rsqrt"}
    names |= {"idiv": "idiv"} if unit.arithmetic == "i_vit" else {}
    made = {name: operation_counts(program, acc.vector_format) for name, program in names.items()}
    found = {name: ", ".join(f"{count} {op}" for op, count in counts.items()) for name, counts in made.items()}
    units = {"reciprocal": "div", "exp": "exp", "rsqrt": "rsqrt"}
    found |= {
        units[name]: f"a unit ({made_by.method})" for name, made_by in acc.vector_functions.items() if name in units
    }
    return "; ".join(f"{name} = {what}" for name, what in found.items())


def _row(simulated: Simulated, name: str, kind: VectorKind) -> dict[str, Any]:
    slots, element_pj, row_slots, row_pj = lane_costs(simulated, kind)
    return {
        "op": name,
        "program": kind.name,
        "per_element": _counts(kind.primitives),
        "reads": kind.reads,
        "writes": kind.writes,
        "cycles": slots,
        "energy_pj": element_pj,
        "per_row": _counts(kind.row),
        "row_cycles": row_slots,
        "row_energy_pj": row_pj,
        "source": kind.source + (f"; per row: {kind.row_source.removeprefix('derived: ')}" if kind.row else ""),
    }


def _counts(program: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{count} {name}" for name, count in program) or "none"
