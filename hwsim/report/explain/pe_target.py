"""A PE on an FPGA device: its parts in LUTs and DSP blocks, and what L-Mul saves of a multiplier and of a whole MAC."""

from __future__ import annotations

from typing import Any, cast

from hwsim.formats import Minifloat
from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.hardware.fpga.device import Device, load_device
from hwsim.hardware.fpga.spec import TargetSpec
from hwsim.hardware.pe import PE, make_pe
from hwsim.hardware.pe.families.lmul import LMul
from hwsim.hardware.target import PeOnFabric, pe_on_fabric
from hwsim.hardware.target.budget import kinds_of
from hwsim.hardware.target.clocks import block_mode, clock_limits, estimate_note, limit_notes, refuse_beyond
from hwsim.report.explain import Question, Section, table
from hwsim.spec.errors import InfeasibleError, UsageError

#: Speed grade whose data sheet clocks are shown, that of a target where none is stated.
GRADE = str(TargetSpec.model_fields["grade"].default)


def refuse_operands(question: Question, target: str) -> None:
    """Refuse what is stated of operands: it moves energies, and a device has none.

    Raises
    ------
    UsageError
        If there is any; names the option.
    """
    for option, value in (("--w-stats", question.w_stats), ("--a-stats", question.a_stats)):
        if value:
            raise UsageError(f"explain pe: {option} has no effect on {target}: energies there have no source")


def target_sections(pe: PE, target: str, clock_hz: float | None = None, stages: int | None = None) -> list[Section]:
    """Return the tables of a PE on a device, cut into ``stages``; a clock is held against data sheets.

    Raises
    ------
    InfeasibleError
        If the clock is beyond data sheets wherever the products are.
    UsageError
        If the device is unknown.
    MissingFigureError
        If a part has no price on the device.
    """
    device = load_device(target)
    shown = f"{pe.family} {pe.w_format.name} × {pe.a_format.name} on {device.name} ({device.part})"
    if clock_hz is not None and clock_hz <= 0:
        raise UsageError(f"clock: must be more than 0 Hz, not {clock_hz:g}")
    sections, refused = [], []
    for kind, one in reversed(kinds_of(pe, device, "auto", stages=stages).items()):
        try:
            clocks = _clock_notes(device, one, kind, clock_hz, stages)
        except InfeasibleError as error:
            refused.append(error)
            clocks = [f"infeasible: {error}"]
        where = "DSP blocks" if kind == "always" else LOGIC_WORDS[device.logic]
        sections.append(Section(f"{shown}, products in {where}", _parts(one), [*_notes(one, device, stages), *clocks]))
    if len(refused) == len(sections):
        raise refused[0]
    return [*sections, *_savings(pe, device)]


def _clock_notes(device: Device, one: PeOnFabric, kind: str, clock_hz: float | None, stages: int | None) -> list[str]:
    mode = block_mode(one, device, GRADE, stages) if kind == "always" else None
    limits = clock_limits(device, mode, GRADE)
    if clock_hz is not None:
        refuse_beyond(limits, clock_hz, GRADE)
    return limit_notes(limits, GRADE, clock_hz)


def _parts(one: PeOnFabric) -> Any:
    rows = [
        {"part": part.role, "group": part.group, one.logic: sites.lut, "ff": sites.ff, "carry_bits": sites.carry,
         "dsp": float(dsp)}
        for part, sites, dsp in one.rows
    ]  # fmt: skip
    total = {one.logic: one.sites.lut, "ff": one.sites.ff, "carry_bits": one.sites.carry, "dsp": float(one.dsp)}
    return table([*rows, {"part": "total", "group": "", **total}])


def _notes(one: PeOnFabric, device: Device, stages: int | None) -> list[str]:
    modes = [f"DSP mode {mode.name}: {mode.source}" for mode in one.modes]
    cuts = (
        f"{stages} stage(s) as stated" if stages else "registers between stages are not counted: --stages states them"
    )
    return [
        _estimated(device),
        cuts,
        *modes,
        *(f"{note}: hwsim fit with a dataflow that shares it" for note in one.notes),
    ]


def _estimated(device: Device) -> str:
    return f"{estimate_note(device.logic, device.family)}; energy per operation: no source gives it"


def _savings(pe: PE, device: Device) -> list[Section]:
    """Compare L-Mul with exact products: the multiplier alone, a MAC with its own and one with a lossless sum."""
    element = pe.w_format.element
    lmul = pe.family == "lmul" or getattr(pe, "multiplication", "") == "lmul"
    if not lmul or not isinstance(element, Minifloat):
        return []
    name = pe.w_format.name
    pairs: list[tuple[str, PE, PE]] = []
    try:
        both = [make_pe({"family": "exact_mac", "format": name, "product": kind}) for kind in ("lmul", "exact")]
        pairs.append((f"lossless sum of {both[0].psum_bits} bits", both[0], both[1]))
    except UsageError:  # wider than lossless sums are modelled
        pass
    if pe.family == "lmul":
        pairs.append((f"sum in {cast(LMul, pe).accumulator.name}", pe, _exact_of(pe)))
    rows: list[dict[str, Any]] = []
    for what, ours, theirs in pairs:
        found = [pe_on_fabric(one, device, "never") for one in (ours, theirs)]
        if not rows:
            rows.append(_row("multiplier alone", device.logic, [_multiplier(one) for one in found]))
        rows.append(_row(f"whole MAC, {what}", device.logic, [one.sites.lut for one in found]))
    note = "a saving of the multiplier is not a saving of the MAC; the multiplier with exponents, signs and zeros"
    return [
        Section(f"L-Mul against exact products of {name} on {device.name}", table(rows), [note, _estimated(device)])
    ]


def _row(what: str, logic: str, sizes: list[float]) -> dict[str, Any]:
    ours, theirs = sizes
    return {"of": what, f"lmul_{logic}": ours, f"exact_{logic}": theirs, "saving": 1 - ours / theirs}


def _exact_of(pe: PE) -> PE:
    accumulator = cast(LMul, pe).accumulator.name
    return make_pe({"family": "float_mac", "format": pe.w_format.name, "accumulator": accumulator})


def _multiplier(one: PeOnFabric) -> float:
    """Return the LUTs of a product: significands or fields, exponents, signs, hidden bits and zeros."""
    first = [
        sites.lut
        for part, sites, _ in one.rows
        if part.group in ("multiplier", "decode") or part.role in ("exponent adder", "exponent bias", "bias adder")
    ]
    return sum(first)
