"""Posits of 3 to 16 bits with 0 to 4 exponent bits, called ``posit8_es2`` and the like.

The Posit Standard (2022) fixes es = 2; es = 0 and 1 are the usual ones of earlier work. After the
sign come the regime (a run of r equal bits, ended by the opposite one: k = r - 1 for ones, -r for
zeros), es bits of exponent e and the fraction f; bits cut off at the end count as 0. The value is
(1 + f) · 2^(k · 2^es + e); negative numbers are the two's complement of positive ones. There is one
zero, no infinity, and one code 10…0 for "not a real" (NaR), which decodes to NaN and which NaN gets.

Numbers are rounded as if the pattern of bits went on without end: to the nearest pattern, ties to
the even one. Between regimes that is not the nearest value. What is not zero never becomes zero:
it saturates at the smallest posit, and at the largest one, infinities too.

The range of some posits with es = 4 is beyond that of float32: they are quantized to float64.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.element.codebook import Tabulated
from hwsim.formats.registry import ELEMENTS, Family

_FLOAT32_EXPONENT = 127


def positive_values(bits: int, es: int) -> NDArray[np.float64]:
    """Return the values of the codes 1 … 2^(bits-1) - 1 of posit⟨bits, es⟩, which ascend."""
    width = bits - 1
    body = np.arange(1, 2**width, dtype=np.int64)
    ones = body >> (width - 1)
    # Leading zeros of the pattern, or of its complement: frexp's exponent is the length of a number.
    run = width - np.frexp(np.where(ones, body ^ (2**width - 1), body))[1]
    regime = np.where(ones, run - 1, -run)
    left = np.maximum(width - run - 1, 0)
    rest = body & ((1 << left) - 1)
    exponent_bits = np.minimum(es, left)
    fraction_bits = left - exponent_bits
    exponent = (rest >> fraction_bits) << (es - exponent_bits)
    significand = (1 << fraction_bits) + (rest & ((1 << fraction_bits) - 1))
    values: NDArray[np.float64] = np.ldexp(significand.astype(float), regime * 2**es + exponent - fraction_bits)
    return values


@dataclass(frozen=True)
class Posit(Tabulated):
    """Posit⟨``bits``, ``es``⟩."""

    fit = "rms"  # most precise around 1

    name: str
    bits: int
    es: int

    @property
    def nan_code(self) -> int:  # type: ignore[override]
        """The code of NaR."""
        return int(2 ** (self.bits - 1))

    def _levels(self) -> NDArray[np.float64]:
        positive = positive_values(self.bits, self.es)
        return np.concatenate([[0.0], positive, [np.nan], -positive[::-1]])

    @cached_property
    def _positive_halfways(self) -> NDArray[np.float64]:
        """The patterns halfway between two positive neighbours, which have one bit more: 1."""
        return positive_values(self.bits + 1, self.es)[2:-1:2]

    @cached_property
    def _halfways(self) -> NDArray[np.float64]:
        # What is not zero is nearer to the smallest posit.
        above = self._positive_halfways
        return np.concatenate([-above[::-1], [0.0, 0.0], above])

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        halfway = self._positive_halfways
        odd = np.arange(1, len(halfway) + 1) % 2 == 1
        above = np.where(odd, np.nextafter(halfway, 0.0), halfway)
        below = np.where(odd, -halfway, np.nextafter(-halfway, -np.inf))
        smallest = np.nextafter(0.0, 1.0)
        return np.concatenate([below[::-1], [-smallest, 0.0], above])

    def _worked_on(self, x: NDArray[Any]) -> NDArray[Any]:
        beyond = (self.bits - 2) << self.es > _FLOAT32_EXPONENT - 1
        return np.asarray(x, dtype=np.float64) if beyond else super()._worked_on(x)

    def decode_scalar(self, code: int) -> Fraction | None:
        """Return the exact value of one code bit by bit from the definition, None for NaR."""
        if code == 0:
            return Fraction(0)
        if code == self.nan_code:
            return None
        if code > self.nan_code:
            value = self.decode_scalar(2**self.bits - code)
            return None if value is None else -value
        text = f"{code:0{self.bits - 1}b}"
        run = len(text) - len(text.lstrip(text[0]))
        regime = run - 1 if text[0] == "1" else -run
        rest = text[run + 1 :]
        exponent = int(rest[: self.es].ljust(self.es, "0") or "0", 2)
        fraction = sum((Fraction(int(bit), 2**place) for place, bit in enumerate(rest[self.es :], 1)), Fraction(0))
        power = regime * 2**self.es + exponent
        scale = Fraction(1 << power) if power >= 0 else Fraction(1, 1 << -power)
        return (1 + fraction) * scale


_PATTERN = re.compile(r"posit(\d+)_es(\d+)$")


def parse(name: str) -> Posit | None:
    """Return the posit called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, es = int(match.group(1)), int(match.group(2))
    if not 3 <= bits <= 16 or es > 4:
        raise ValueError(f"{name}: valid: 3 to 16 bits with 0 to 4 exponent bits")
    return Posit(name, bits, es)


def names() -> list[str]:
    """Return the usual names of the family; any ``positN_esE`` is read."""
    return ["posit8_es0", "posit8_es1", "posit8_es2", "posit16_es1", "posit16_es2"]


ELEMENTS.register("posit")(Family(parse, names))
