"""What a synthesised unit is made of, by family: circuits, counted.

A family registers a function of its parameters, integers and words as the table gives them. Units of
families that are not registered have no model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hwsim.formats import Minifloat, parse_format
from hwsim.hardware.circuits import Circuit
from hwsim.hardware.fpga.fabric import LAWS
from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry

#: Products of a sum where a table does not name the accumulator: those of its other MACs.
LENGTH = 4608

Params = Mapping[str, Any]
#: A circuit, or so many of it, or plain cells.
Counted: TypeAlias = Circuit | tuple[float, Circuit] | Mapping[str, float]

FAMILIES: Registry[Callable[[Params], list[Counted]]] = Registry(
    "family of synthesised FPGA units", "hwsim.hardware.fpga.units"
)


def counted_cells(counted: list[Counted], law: Callable[[Circuit], Mapping[str, float]]) -> dict[str, float]:
    """Return the fabric cells of circuits by the ``law`` of their logic, each as many times as it is there."""
    found: defaultdict[str, float] = defaultdict(float)
    for item in counted:
        count, part = item if isinstance(item, tuple) else (1.0, item)
        for cell, number in (part if isinstance(part, Mapping) else law(part)).items():
            found[cell] += count * number
    return dict(found)


def times(count: float, counted: list[Counted]) -> list[Counted]:
    """Return circuits ``count`` times over."""
    found: list[Counted] = []
    for item in counted:
        number, part = item if isinstance(item, tuple) else (1.0, item)
        if isinstance(part, Mapping):
            found.append({cell: count * number * cells for cell, cells in part.items()})
        else:
            found.append((count * number, part))
    return found


def family_cells(family: str, params: Params, logic: str = "lut6") -> dict[str, float]:
    """Return the fabric cells of a unit on ``lut6`` or ``alm``.

    Raises
    ------
    UsageError
        If the family is unknown, or a parameter is missing or no whole number where it must be one.
    """
    law = FAMILIES.get(family)
    _check_counts(family, params)
    try:
        return counted_cells(law(params), LAWS[logic])
    except KeyError as error:
        raise UsageError(f"{family}: parameter {error.args[0]} is missing") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{family}: parameters {dict(params)!r}: {error}") from None


def _check_counts(family: str, params: Params) -> None:
    """Refuse numbers that are no counts or widths: whole ones of at least 1, but where none is a value."""
    for name, value in params.items():
        least = 0 if name in ("M", "es", "signed", "shift_bits") else 1
        if isinstance(value, (int, float)) and (not float(value).is_integer() or value < least):
            raise UsageError(f"{family}: {name} must be a whole number of at least {least}, not {value!r}")


def format_fields(name: str) -> tuple[int, int]:
    """Return exponent and mantissa bits of a format's short name such as ``e4m3``, or of any float that hwsim names.

    Raises
    ------
    ValueError
        If it is no such name.
    """
    found = re.fullmatch(r"(?:fp\d+_)?e(\d+)m(\d+)(?:fn|fnuz|ieee)?", str(name).lower())
    if found:
        return int(found[1]), int(found[2])
    try:
        element = parse_format(str(name).lower()).element
    except UsageError:
        element = None
    if not isinstance(element, Minifloat):
        raise ValueError(f"{name!r} names no float; valid: eEmM, or a format such as bf16")
    return element.exponent_bits, element.mantissa_bits
