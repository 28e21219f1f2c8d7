"""A memory: a DRAM preset, one of a kind on chip and of given size, or all published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.hardware.accelerator_spec import DramSpec
from hwsim.hardware.memory import (
    MEMORIES,
    Candidate,
    MemorySheet,
    dram_names,
    dram_sheet,
    load_preset,
    memory_deviations,
    memory_sheet,
)
from hwsim.hardware.memory.dram import dram_candidates
from hwsim.hardware.memory.figures import NAMES
from hwsim.hardware.off_chip import make_dram
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, table
from hwsim.spec.bind import validate_mapping
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean
from hwsim.spec.paths import replaced


@EXPLAINERS.register("memory")
def explain_memory(name: str, question: Question) -> list[Section]:
    """Return every figure of the memory with its source; ``references`` lists published figures beside ours."""
    if name == "references":
        return [_references()]
    if name in MEMORIES:
        kind = MEMORIES.get(name)
        settings = validate_mapping(_nested(question.settings), kind.settings, "--set")
        return [_figures(kind.sheet(settings)), *_candidates(kind.candidates(settings))]
    if name not in dram_names():
        names = [*dram_names(), *MEMORIES.names(), "references"]
        raise UsageError(f"unknown memory {name!r}; {did_you_mean(name, names)}")
    return _dram(name, question.settings)


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with dotted names, such as ``figures.area``, as mappings."""
    found: dict[str, Any] = {}
    for path, value in settings.items():
        found = replaced(found, tuple(path.split(".")), value)
    return found


def _figures(sheet: MemorySheet) -> Section:
    rows, notes = cited([
        {"quantity": r.quantity, "value": r.value, "unit": r.unit, "estimated": "yes" if r.estimated else "no",
         "source": r.source}
        for r in sheet.rows
    ])  # fmt: skip
    return Section(sheet.title, table(rows), [*sheet.notes, *notes])


def _dram(name: str, settings: Mapping[str, Any]) -> list[Section]:
    """Return a preset as it is asked for; where it leaves something open and nothing is asked, what it states."""
    asked = validate_mapping({"preset": name, **settings}, DramSpec, "--set")
    try:
        dram = make_dram(asked)
        found = dram_candidates(dram, asked.asked, asked.address_map)
        rows, notes = cited([
            {"figure": c.figure, "model": c.model, "value": c.value, "chosen": "yes" if c.chosen else "no",
             "source": c.why}
            for c in found
        ])  # fmt: skip
        frame = table(rows).rename(columns={"source": "why"})
        return [_figures(memory_sheet(dram)), Section("models that could answer, by fidelity", frame, notes)]
    except MissingFigureError as error:
        if settings:
            raise
        sheet = dram_sheet(load_preset(name))
        return [_figures(sheet._replace(notes=[*sheet.notes, str(error)]))]


def _candidates(candidates: Sequence[Candidate]) -> list[Section]:
    """Return every model with its answer, in the order of fidelity."""
    if not candidates:
        return []
    rows, notes = cited([
        {"model": c.model, "chosen": "yes" if c.chosen else "no", **{name: c.figures.get(name) for name in NAMES},
         "source": c.why}
        for c in candidates
    ])  # fmt: skip
    frame = table(rows).rename(columns={"source": "why"})
    return [Section("models that could answer, by fidelity", frame, notes)]


def _references() -> Section:
    rows = [
        {"reference": d.reference, "what": d.what, "published": d.published, "modelled": d.modelled, "unit": d.unit,
         "modelled/published": d.ratio}
        for d in memory_deviations()
    ]  # fmt: skip
    return Section("published memory figures and ours", table(rows))
