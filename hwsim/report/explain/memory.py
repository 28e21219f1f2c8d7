"""A memory: a DRAM preset, an SRAM or register file of given size, or all published figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hwsim.hardware.accelerator import DramSpec, make_dram
from hwsim.hardware.memory import (
    Device,
    MemorySheet,
    build_register_file,
    build_sram,
    dram_names,
    dram_sheet,
    load_preset,
    memory_deviations,
    memory_sheet,
)
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, table
from hwsim.spec.bind import Spec, validate_mapping
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean
from hwsim.spec.units import SizeBytes


class SramSettings(Spec):
    """The SRAM that is explained."""

    size: SizeBytes = 64 * 1024
    width: int = Field(64, ge=1, le=1 << 20, description="bits per access")
    banks: int = Field(1, ge=1, le=64)
    node: float = Field(28, gt=0, description="nm")
    device: Device = "hp"


class RegisterFileSettings(Spec):
    """The register file that is explained."""

    words: int = Field(64, ge=1)
    width: int = Field(32, ge=1, description="bits per access")
    read_ports: int = Field(1, ge=0)
    write_ports: int = Field(1, ge=0)
    shared_ports: int = Field(0, ge=0)
    node: float = Field(28, gt=0, description="nm")
    device: Device = "hp"


@EXPLAINERS.register("memory")
def explain_memory(name: str, question: Question) -> list[Section]:
    """Return every figure of the memory with its source; ``references`` lists published figures beside ours."""
    if name == "references":
        return [_references()]
    sheet = _sheet(name, question.settings)
    rows, notes = cited([
        {"quantity": r.quantity, "value": r.value, "unit": r.unit, "estimated": "yes" if r.estimated else "no",
         "source": r.source}
        for r in sheet.rows
    ])  # fmt: skip
    return [Section(sheet.title, table(rows), [*sheet.notes, *notes])]


def _sheet(name: str, settings: Mapping[str, Any]) -> MemorySheet:
    if name == "sram":
        s = validate_mapping(settings, SramSettings, "--set")
        return memory_sheet(build_sram(s.size, s.width, s.banks, s.node, s.device))
    if name == "register_file":
        r = validate_mapping(settings, RegisterFileSettings, "--set")
        ports = (r.read_ports, r.write_ports)
        return memory_sheet(build_register_file(r.words, r.width, *ports, r.node, r.device, r.shared_ports))
    names = [*dram_names(), "register_file", "references", "sram"]
    if name not in names:
        raise UsageError(f"unknown memory {name!r}; {did_you_mean(name, names)}")
    asked = validate_mapping({"preset": name, **settings}, DramSpec, "--set")
    try:
        return memory_sheet(make_dram(asked))
    except MissingFigureError as error:
        if settings:
            raise
        sheet = dram_sheet(load_preset(name))
        return sheet._replace(notes=[*sheet.notes, str(error)])


def _references() -> Section:
    rows = [
        {"reference": d.reference, "what": d.what, "published": d.published, "modelled": d.modelled, "unit": d.unit,
         "modelled/published": d.ratio}
        for d in memory_deviations()
    ]  # fmt: skip
    return Section("published memory figures and ours", table(rows))
