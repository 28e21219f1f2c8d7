"""A PE on an FPGA device: its parts in LUTs and DSP blocks, and what L-Mul saves of a multiplier and of a whole MAC."""

from __future__ import annotations

from typing import Any, cast

from hwsim.formats import Minifloat
from hwsim.hardware.fpga.device import Device, load_device
from hwsim.hardware.pe import PE, make_pe
from hwsim.hardware.pe.families.lmul import LMul
from hwsim.hardware.target import PeOnFabric, pe_on_fabric
from hwsim.hardware.target.budget import kinds_of
from hwsim.hardware.target.clocks import estimate_note
from hwsim.report.explain import Section, table
from hwsim.spec.errors import UsageError

#: Where products are, by kind of PE.
PLACES = {"always": "products in DSP blocks", "never": "products in LUTs"}


def target_sections(pe: PE, target: str) -> list[Section]:
    """Return the tables of a PE on a device.

    Raises
    ------
    UsageError
        If the device is unknown.
    MissingFigureError
        If a part has no price on the device.
    """
    device = load_device(target)
    shown = f"{pe.family} {pe.w_format.name} × {pe.a_format.name} on {device.name} ({device.part})"
    sections = [
        Section(
            f"{shown}, products in {'DSP blocks' if kind == 'always' else 'LUTs'}", _parts(one), _notes(one, device)
        )
        for kind, one in reversed(kinds_of(pe, device, "auto").items())
    ]
    return [*sections, *_savings(pe, device)]


def _parts(one: PeOnFabric) -> Any:
    rows = [
        {"part": part.role, "group": part.group, one.logic: sites.lut, "ff": sites.ff, "carry_bits": sites.carry,
         "dsp": float(dsp)}
        for part, sites, dsp in one.rows
    ]  # fmt: skip
    total = {one.logic: one.sites.lut, "ff": one.sites.ff, "carry_bits": one.sites.carry, "dsp": float(one.dsp)}
    return table([*rows, {"part": "total", "group": "", **total}])


def _notes(one: PeOnFabric, device: Device) -> list[str]:
    modes = [f"DSP mode {mode.name}: {mode.source}" for mode in one.modes]
    return [_estimated(device), *modes, *(f"{note}: hwsim fit with a dataflow that shares it" for note in one.notes)]


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
