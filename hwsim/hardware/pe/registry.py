"""From YAML options to a PE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hwsim.formats import Format, Minifloat, parse_format
from hwsim.formats.sums import MAX_ACCUMULATOR, parse_sum_format
from hwsim.hardware.pe.base import PE
from hwsim.hardware.pe.stated import read_stated
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.options import take_count
from hwsim.spec.registry import Registry

#: How many elements along K a step may take.
LANES = range(1, 1025)

PES: Registry[Callable[[Mapping[str, Any]], PE]] = Registry("pe", "hwsim.hardware.pe.families")


def make_pe(options: Mapping[str, Any]) -> PE:
    """Return the PE that ``options`` describe: ``family``, what that family takes, and ``figures`` of a source.

    Raises
    ------
    UsageError
        If the family or an option is unknown, or the formats do not fit.
    """
    if "family" not in options:
        raise UsageError(f"pe: a family is missing; {did_you_mean('', PES.names())}")
    family = str(options["family"])
    if family not in PES:
        raise UsageError(f"pe.family: unknown {family!r}; {did_you_mean(family, PES.names())}")
    built = PES.get(family)({key: value for key, value in options.items() if key != "figures"})
    if "figures" not in options:
        return built
    stated = read_stated(options["figures"])
    if stated.energy_pj is not None and len(built.modes) > 1:
        raise UsageError(f"pe.figures.energy_pj: {family} has one per mode; valid here: area_um2, leakage_nw")
    return replace(built, stated=stated)


def take_formats(
    options: Mapping[str, Any], family: str, allowed: tuple[str, ...]
) -> tuple[Format, Format, dict[str, Any]]:
    """Return weight format, activation format and the family's own options.

    ``format`` names both operands.

    Raises
    ------
    UsageError
        If an option is unknown, a format is missing, or ``lanes`` is no count.
    """
    known = ("family", "figures", "format", "w_format", "a_format", *allowed)
    for key in options:
        if key not in known:
            raise UsageError(f"pe.{key}: {family} has no such option; {did_you_mean(key, known)}")
    keys = ["w_format" if "w_format" in options else "format", "a_format" if "a_format" in options else "format"]
    if any(key not in options for key in keys):
        raise UsageError(f"pe: {family} needs format, or both w_format and a_format")
    take_count(options, "lanes", 1, LANES, "pe.")
    w, a = (take_format(options, key) for key in keys)
    return w, a, {key: options[key] for key in allowed if key in options}


def take_format(options: Mapping[str, Any], key: str, default: str = "") -> Format:
    """Return the format that ``options[key]`` names.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    try:
        return parse_format(str(options.get(key, default)))
    except UsageError as error:
        raise UsageError(f"pe.{key}: {error}") from None


def take_accumulator_format(options: Mapping[str, Any], default: str) -> Format:
    """Return the format that ``accumulator`` names; integers may be wider than numbers in memory.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    try:
        return parse_sum_format(str(options.get("accumulator", default)))
    except UsageError as error:
        raise UsageError(f"pe.accumulator: {error}") from None


def accumulator_widths(needed: int) -> str:
    """Return which integer accumulators hold sums of ``needed`` bits, in words."""
    if needed > MAX_ACCUMULATOR:
        return "fewer bits or lanes"
    return f"a signed integer of {needed} to {MAX_ACCUMULATOR} bits"


def take_minifloat(options: Mapping[str, Any], family: str, key: str, default: str) -> Minifloat:
    """Return the floating-point format that ``options[key]`` names.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = take_format(options, key, default)
    if not isinstance(found, Minifloat):
        raise UsageError(f"pe.{key}: {found.name} is no {key} of {family}; valid: a float such as fp32, fp16, bf16")
    return found


def take_choice(options: Mapping[str, Any], family: str, key: str, valid: tuple[str, ...]) -> str:
    """Return ``options[key]``, one of ``valid``, by default the first.

    Raises
    ------
    UsageError
        If it is another word.
    """
    found = options.get(key, valid[0])
    if found not in valid:
        raise UsageError(f"pe.{key}: {family} knows no {found!r}; {did_you_mean(found, valid)}")
    return str(found)


def take_flag(options: Mapping[str, Any], family: str, key: str) -> bool | None:
    """Return ``options[key]`` if it is true or false, None for ``auto`` or nothing.

    Raises
    ------
    UsageError
        If it is something else.
    """
    found = options.get(key, "auto")
    if found == "auto":
        return None
    if not isinstance(found, bool):
        raise UsageError(f"pe.{key}: {family} takes no {found!r}; valid: true, false, auto")
    return found
