"""From YAML options to a PE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwsim.formats import Format, Minifloat, parse_format
from hwsim.hardware.pe.base import PE
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.registry import Registry

PES: Registry[Callable[[Mapping[str, Any]], PE]] = Registry("pe", "hwsim.hardware.pe.families")


def make_pe(options: Mapping[str, Any]) -> PE:
    """Return the PE that ``options`` describe: ``family`` and what that family takes.

    Raises
    ------
    UsageError
        If the family or an option is unknown, or the formats do not fit.
    """
    if "family" not in options:
        raise UsageError(f"pe needs a family; {did_you_mean('', PES.names())}")
    return PES.get(str(options["family"]))(options)


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
    known = ("family", "format", "w_format", "a_format", *allowed)
    for key in options:
        if key not in known:
            raise UsageError(f"pe {family}: unknown option {key!r}; {did_you_mean(key, known)}")
    both = options.get("format")
    names = [options.get("w_format", both), options.get("a_format", both)]
    if None in names:
        raise UsageError(f"pe {family}: give format, or both w_format and a_format")
    lanes = options.get("lanes", 1)
    if not isinstance(lanes, int) or isinstance(lanes, bool) or not 1 <= lanes <= 1024:
        raise UsageError(f"pe {family}: lanes must be a whole number from 1 to 1024, not {lanes!r}")
    w, a = (parse_format(str(name)) for name in names)
    return w, a, {key: options[key] for key in allowed if key in options}


def take_minifloat(options: Mapping[str, Any], family: str, key: str, default: str) -> Minifloat:
    """Return the floating-point format that ``options[key]`` names.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = parse_format(str(options.get(key, default)))
    if not isinstance(found, Minifloat):
        raise UsageError(f"pe {family}: {key} {found.name}: valid: a float such as fp32, fp16, bf16")
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
        raise UsageError(f"pe {family}: {key}: unknown {found!r}; {did_you_mean(found, valid)}")
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
        raise UsageError(f"pe {family}: {key}: unknown {found!r}; valid: true, false, auto")
    return found
