"""Binary floating point of any width: fp32, bf16, fp16, FP8, FP6, FP4 and every ``fpB_eXmY``.

Widths above 8 bits follow IEEE 754: the top exponent holds infinities and NaN. ``fp8_e5m2`` does
so too, ``fp8_e4m3`` has no infinity and one NaN per sign (OCP OFP8), and every other format of up
to 8 bits has finite codes only, as OCP MX defines FP6 and FP4. All have subnormals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat
from hwsim.formats.registry import ELEMENTS, Family

Special = Literal["ieee", "nan_only", "finite"]


@dataclass(frozen=True)
class Minifloat(ElementFormat):
    """Sign, ``exponent_bits``, ``mantissa_bits``; value (-1)^s · 2^(e-bias) · 1.m, subnormals 0.m."""

    name: str
    exponent_bits: int
    mantissa_bits: int
    special: Special

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of a code."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        """Exponent bias, 2^(exponent_bits-1) - 1."""
        return int(2 ** (self.exponent_bits - 1)) - 1

    @property
    def sig_bits(self) -> int:
        """Significand bits with the hidden one."""
        return self.mantissa_bits + 1

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number."""
        return 1 - self.bias

    @cached_property
    def max_code(self) -> int:
        """Magnitude code of the largest finite number."""
        top = int(2 ** (self.exponent_bits + self.mantissa_bits)) - 1
        if self.special == "ieee":
            return top - int(2**self.mantissa_bits)
        return top - 1 if self.special == "nan_only" else top

    @property
    def max_value(self) -> float:
        """Largest finite magnitude."""
        return float(self.decode(np.array([self.max_code], dtype=np.uint32))[0])

    def fields(self, codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return sign, exponent field and mantissa field of ``codes`` as int64 arrays."""
        codes = np.asarray(codes, dtype=np.int64)
        mantissa = codes & (2**self.mantissa_bits - 1)
        exponent = (codes >> self.mantissa_bits) & (2**self.exponent_bits - 1)
        return codes >> (self.bits - 1), exponent, mantissa

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes``; NaN and infinities as the format defines them."""
        sign, exponent, mantissa = self.fields(codes)
        significand = mantissa + np.where(exponent > 0, 2**self.mantissa_bits, 0)
        power = np.maximum(exponent, 1) - self.bias - self.mantissa_bits
        values = np.ldexp(significand.astype(np.float64), power)
        magnitude = np.asarray(codes, dtype=np.int64) & (2 ** (self.bits - 1) - 1)
        over = magnitude > self.max_code
        if over.any():
            infinite = (mantissa == 0) & (self.special == "ieee")
            values = np.where(over, np.where(infinite, np.inf, np.nan), values)
        signed: NDArray[np.float64] = np.where(sign == 1, -values, values)
        return signed

    def flush_subnormals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values`` with those below the smallest normal number as zeros."""
        flushed: NDArray[np.float64] = np.where(np.abs(values) < 2.0**self.min_exponent, 0.0, values)
        return flushed

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round to nearest even and saturate at the largest finite number."""
        x = np.asarray(values, dtype=np.float64)
        bad = np.isnan(x)
        if bad.any() and self.special == "finite":
            raise ValueError(f"{self.name} has no code for NaN")
        magnitude = np.where(bad, 0.0, np.minimum(np.abs(x), self.max_value))
        exponent = np.where(magnitude > 0, np.frexp(magnitude)[1] - 1, self.min_exponent)
        power = np.maximum(exponent, self.min_exponent) - self.mantissa_bits
        steps = np.rint(np.ldexp(magnitude, -power)).astype(np.int64)
        # A significand that rounds up to 2 carries into the exponent field by itself.
        offset = (power + self.mantissa_bits - self.min_exponent) * 2**self.mantissa_bits
        codes = np.minimum(steps + offset, self.max_code)
        codes = np.where(bad, 2 ** (self.bits - 1) - 1, codes)
        coded: NDArray[np.uint32] = (codes + np.where(np.signbit(x), 2 ** (self.bits - 1), 0)).astype(np.uint32)
        return coded

    def decode_scalar(self, code: int) -> Fraction | None:
        """Return the exact value of one code from the definition, None for NaN and infinities."""
        sign, rest = divmod(code, 2 ** (self.bits - 1))
        exponent, mantissa = divmod(rest, 2**self.mantissa_bits)
        if rest > self.max_code:
            return None
        fraction = Fraction(mantissa, 2**self.mantissa_bits)
        power = max(exponent, 1) - self.bias
        scale = Fraction(1 << power) if power >= 0 else Fraction(1, 1 << -power)
        value = (fraction + int(exponent > 0)) * scale
        return -value if sign else value


def minifloat(exponent_bits: int, mantissa_bits: int, name: str = "") -> Minifloat:
    """Return the format of these widths with the specials described in the module."""
    bits = 1 + exponent_bits + mantissa_bits
    special: Special = "ieee" if bits > 8 or (exponent_bits, mantissa_bits) == (5, 2) else "finite"
    if (exponent_bits, mantissa_bits) == (4, 3):
        special = "nan_only"
    return Minifloat(name or f"fp{bits}_e{exponent_bits}m{mantissa_bits}", exponent_bits, mantissa_bits, special)


NAMED = {"fp32": (8, 23), "tf32": (8, 10), "bf16": (8, 7), "fp16": (5, 10)}
_PATTERN = re.compile(r"fp(\d+)_e(\d+)m(\d+)$")


def parse(name: str) -> Minifloat | None:
    """Return the minifloat called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If the widths do not add up or are out of range.
    """
    if name in NAMED:
        return minifloat(*NAMED[name], name)
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, exponent_bits, mantissa_bits = (int(part) for part in match.groups())
    if bits != 1 + exponent_bits + mantissa_bits:
        raise ValueError(f"{name}: 1 + {exponent_bits} + {mantissa_bits} bits are not {bits}")
    if not 1 <= exponent_bits <= 8 or not 0 <= mantissa_bits <= 23:
        raise ValueError(f"{name}: valid: 1 to 8 exponent bits and 0 to 23 mantissa bits")
    return minifloat(exponent_bits, mantissa_bits)


def names() -> list[str]:
    """Return the usual names of the family; any ``fpB_eXmY`` is read."""
    return [*NAMED, "fp8_e4m3", "fp8_e5m2", "fp6_e2m3", "fp6_e3m2", "fp4_e2m1"]


ELEMENTS.register("minifloat")(Family(parse, names))
