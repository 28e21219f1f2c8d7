"""Units, parsed where YAML enters and nowhere else: ``512 KiB``, ``25.6 GB/s``, ``0.7 pJ/bit``.

Numbers are exact decimals until the base unit is reached. A plain number is taken in the base
unit of its quantity (bytes, hertz, bytes per second, pJ per bit, volts).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from hwsim.spec.errors import did_you_mean

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")

SIZE = {
    "B": Fraction(1), "KiB": Fraction(2**10), "MiB": Fraction(2**20), "GiB": Fraction(2**30),
    "KB": Fraction(10**3), "MB": Fraction(10**6), "GB": Fraction(10**9), "bit": Fraction(1, 8),
}  # fmt: skip
FREQUENCY = {"Hz": Fraction(1), "kHz": Fraction(10**3), "MHz": Fraction(10**6), "GHz": Fraction(10**9)}
BANDWIDTH = {f"{unit}/s": factor for unit, factor in SIZE.items()} | {"Gbit/s": Fraction(10**9, 8)}
ENERGY_PER_BIT = {"fJ/bit": Fraction(1, 1000), "pJ/bit": Fraction(1), "nJ/bit": Fraction(1000)}
VOLTAGE = {"mV": Fraction(1, 1000), "V": Fraction(1)}


def parse_quantity(value: Any, quantity: str, units: Mapping[str, Fraction]) -> Fraction:
    """Return ``value`` in the base unit of ``units``, exactly; always positive.

    Raises
    ------
    ValueError
        If it is no number with one of the units, or not above zero.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a {quantity}; write a number and a unit, valid: {', '.join(units)}")
    match = _NUMBER.match(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a {quantity}; write a number and a unit, valid: {', '.join(units)}")
    number, unit = match.groups()
    if unit and unit not in units:
        raise ValueError(f"{value!r} is not a {quantity}: unknown unit {unit!r}; {did_you_mean(unit, units)}")
    exact = Fraction(number) * (units[unit] if unit else 1)
    if exact <= 0:
        raise ValueError(f"a {quantity} must be > 0, not {value!r}")
    return exact


def _whole(quantity: str, units: Mapping[str, Fraction]) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        exact = parse_quantity(value, quantity, units)
        if exact.denominator != 1:
            raise ValueError(f"{value!r} is not a whole number of bytes")
        return int(exact)

    return parse


def _real(quantity: str, units: Mapping[str, Fraction]) -> Callable[[Any], float]:
    return lambda value: float(parse_quantity(value, quantity, units))


def _schema(example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}], "examples": [example]}
    )


SizeBytes = Annotated[int, BeforeValidator(_whole("size", SIZE)), _schema("256 KiB")]
FrequencyHz = Annotated[float, BeforeValidator(_real("frequency", FREQUENCY)), _schema("1 GHz")]
BandwidthBytesPerS = Annotated[float, BeforeValidator(_real("bandwidth", BANDWIDTH)), _schema("25.6 GB/s")]
EnergyPjPerBit = Annotated[float, BeforeValidator(_real("energy per bit", ENERGY_PER_BIT)), _schema("18.75 pJ/bit")]
VoltageV = Annotated[float, BeforeValidator(_real("voltage", VOLTAGE)), _schema("0.9 V")]


def format_bytes(count: int) -> str:
    """Return ``count`` bytes as a short text with a binary unit: 262144 is ``256 KiB``."""
    for unit in ("GiB", "MiB", "KiB"):
        if count >= SIZE[unit]:
            return f"{float(count / SIZE[unit]):g} {unit}"
    return f"{count} B"
