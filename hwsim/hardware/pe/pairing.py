"""Which PE a number format runs on when formats are compared: the one that is built for it.

Each family registers a function that takes a label (a format, a pair such as ``w4a16``, or a name
of its own such as ``lmul_e4m3``) and returns the options of its PE, or None when the label is not
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hwsim.formats import Format, format_names, parse_format, parse_pair
from hwsim.hardware.pe.base import PE
from hwsim.hardware.pe.registry import PES, make_pe
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.registry import Registry

PAIRINGS: Registry[Callable[[str], dict[str, Any] | None]] = Registry("pairing", "hwsim.hardware.pe.families")

#: Formats that a family is built for when none is named, the first that it takes.
USUAL = ("fp16", "int8", "nf4_g64")

#: Families that take what no other family is built for: asked last.
FALLBACKS = ("codebook_mac",)


@dataclass(frozen=True)
class Pairing:
    """A label with the PE that is built for it and the formats of a run on that PE."""

    label: str
    pe_spec: Mapping[str, Any]
    w_format: Format
    a_format: Format
    kv_format: Format


def known_format(label: str) -> Format | None:
    """Return the format called ``label``, or None."""
    try:
        return parse_format(label)
    except UsageError:
        return None


def short_format(label: str) -> Format | None:
    """Return the format called ``label``, or ``fp8_e4m3`` for ``e4m3``; None if there is none."""
    exponent, _, mantissa = label.removeprefix("e").partition("m")
    if label.startswith("e") and exponent.isdecimal() and mantissa.isdecimal():
        return known_format(f"fp{1 + int(exponent) + int(mantissa)}_{label}")
    return known_format(label)


def known_pair(label: str) -> tuple[Format, Format] | None:
    """Return weight and activation format of ``w4a16`` and the like, or None."""
    try:
        return parse_pair(label)
    except UsageError:
        return None


@lru_cache(maxsize=256)
def pairing(label: str) -> Pairing:
    """Return the PE and the formats for ``label``.

    Raises
    ------
    UsageError
        If no family claims the label, or the PE cannot be built.
    """
    for _, claim in sorted(PAIRINGS.items(), key=lambda member: member[0] in FALLBACKS):
        options = claim(label)
        if options is not None:
            pe = make_pe(options)
            return Pairing(label, options, pe.w_format, pe.a_format, kv_format(pe, pe.a_format))
    hint = did_you_mean(label, [*format_names(), "lmul_e4m3", "lmul_bf16", "w4a16", "w4a8_g128", "w8a8"])
    known = known_format(label)
    raise UsageError(f"no PE is built for {label!r}; {hint}" if known else f"unknown format {label!r}; {hint}")


def pe_options(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return PE options for a family with ``settings``, or for a format's label.

    Raises
    ------
    UsageError
        If it is neither, or the family has no usual formats.
    """
    if name not in PES:
        try:
            return {**pairing(name).pe_spec, **settings}
        except UsageError:
            raise UsageError(f"unknown pe {name!r}; {did_you_mean(name, PES.names())}, or a format") from None
    if settings:
        return {"family": name, **settings}
    for options in ({"family": name}, *({"family": name, "format": usual} for usual in USUAL)):
        try:
            make_pe(options)
        except UsageError:
            continue
        return options
    raise UsageError(f"pe {name}: give its formats, for example --set format=fp8_e4m3")


def kv_format(pe: PE, a: Format) -> Format:
    """Return the KV-cache format of a run: that of the activations if the PE takes it, else int8, else that of weights.

    Raises
    ------
    UsageError
        If the PE takes none of them beside activations of ``a``.
    """
    tried = (a, parse_format("int8"), pe.w_format)
    for fmt in tried:
        if pe.supports(fmt, a) is None:
            return fmt
    names = ", ".join(fmt.name for fmt in tried)
    raise UsageError(f"formats.kv_cache: {pe.family} takes none of {names} beside {a.name}; give the format")
