"""Logarithmic numbers ``lnsN_fF`` and sums of powers of two ``potNxK``.

``lnsN_fF`` has a sign bit and an index i of N - 1 bits. Index 0 is zero (with the sign, a second
one), any other is ±2^(k / 2^F) with k = i - 2^(N-2): F bits of the logarithm are its fraction, and
k runs from -(2^(N-2) - 1) to 2^(N-2) - 1, a range that is symmetric around 1. That bias is a choice
of this library; scaled formats do not feel it.

``potNxK`` is the sum of K signed powers of two of N bits each, so that a multiplication is K shifts
and additions (constants with K non-zero bits, as in QFX, arXiv 2401.17544; the code is a choice of
this library). A term has a sign bit and an index i of N - 1 bits: zero for i = 0, else ±2^-(i-1),
hence the powers 2^0 … 2^-(2^(N-1) - 2). Term 0 is in the lowest N bits of the code. Many codes have
the same sum; only the different sums count as values, and the lowest code stands for each.

Both take the nearest value, not the nearest logarithm, and the lower one of two as near; both
saturate and have no code for NaN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.element.codebook import MAX_BITS, Tabulated
from hwsim.formats.fit import Fit
from hwsim.formats.registry import ELEMENTS, Family


@dataclass(frozen=True)
class Logarithmic(Tabulated):
    """Sign and logarithm to base 2 with ``fraction_bits``, in ``bits`` in all."""

    fit = "rms"  # most precise around 1

    name: str
    bits: int
    fraction_bits: int

    @property
    def block_fit(self) -> Fit:
        """The largest magnitude: a short block does not leave the range of the logarithm."""
        return "absmax"

    @property
    def bias(self) -> int:
        """Index of the magnitude 1."""
        return int(2 ** (self.bits - 2))

    def _levels(self) -> NDArray[np.float64]:
        steps = np.arange(1, 2 * self.bias) - self.bias
        magnitudes = np.concatenate([[0.0], np.exp2(steps / 2**self.fraction_bits)])
        return np.concatenate([magnitudes, -magnitudes])


@dataclass(frozen=True)
class PowerSum(Tabulated):
    """The sum of ``terms`` signed powers of two of ``term_bits`` each."""

    name: str
    term_bits: int
    terms: int

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of a code, all terms together."""
        return self.term_bits * self.terms

    def term_values(self) -> NDArray[np.float64]:
        """Return the values of one term, in code order."""
        powers = np.exp2(-np.arange(2 ** (self.term_bits - 1) - 1, dtype=np.float64))
        magnitudes = np.concatenate([[0.0], powers])
        return np.concatenate([magnitudes, -magnitudes])

    def _levels(self) -> NDArray[np.float64]:
        codes = np.arange(2**self.bits)
        fields = [codes >> (term * self.term_bits) & (2**self.term_bits - 1) for term in range(self.terms)]
        total: NDArray[np.float64] = np.sum(self.term_values()[fields], axis=0)
        return total


_LOGARITHMIC = re.compile(r"lns(\d+)_f(\d+)$")
_SUM = re.compile(r"pot(\d+)x(\d+)$")


def parse(name: str) -> Logarithmic | PowerSum | None:
    """Return the format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width is out of range.
    """
    if match := _LOGARITHMIC.match(name):
        return _logarithmic(name, int(match.group(1)), int(match.group(2)))
    if match := _SUM.match(name):
        return _power_sum(name, int(match.group(1)), int(match.group(2)))
    return None


def _logarithmic(name: str, bits: int, fraction_bits: int) -> Logarithmic:
    # With more than 7 whole bits of the logarithm, the range would be beyond that of float32.
    if not 3 <= bits <= MAX_BITS or not bits - 9 <= fraction_bits <= bits - 2:
        raise ValueError(f"{name}: valid: N of 3 to {MAX_BITS} bits, F from N - 9 (at least 0) to N - 2")
    return Logarithmic(name, bits, fraction_bits)


def _power_sum(name: str, term_bits: int, terms: int) -> PowerSum:
    # Sums of terms of up to 5 bits are exact in float32.
    if not 2 <= term_bits <= 5 or not 1 <= terms <= MAX_BITS // term_bits:
        raise ValueError(f"{name}: valid: terms of 2 to 5 bits, at least one, no more than {MAX_BITS} bits in all")
    return PowerSum(name, term_bits, terms)


def names() -> list[str]:
    """Return the usual names of the family; any ``lnsN_fF`` and ``potNxK`` is read."""
    return ["lns4_f1", "lns8_f3", "lns8_f4", "pot3x2", "pot4x1", "pot4x2"]


ELEMENTS.register("logarithmic")(Family(parse, names))
