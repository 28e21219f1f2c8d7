"""Powers of integers ``powerN_aE``: uniform codes of sign(x)·|x|^a, as in PowerQuant and NUPES.

``power4_a50`` has 4 bits and the exponent a = 0.50. With top = 2^(N-1) - 1, the code of x is the
two's-complement integer q = rint(top · sign(x)·|x|^a), clipped to ±top, and q stands for
sign(q)·(|q| / top)^(1/a). A product of codes is a code of the product, since (xy)^a = x^a·y^a: the
datapath multiplies integers (PowerQuant, arXiv 2301.09858; NUPES, arXiv 2308.05600, which learns a).
Below 1, a puts more levels near 0; a = 1 is the symmetric integer, with a largest value of 1.

The rounding is to the nearest in the power domain, hence not always to the nearest value: the bound
between q and q + 1 is ((q + 1/2) / top)^(1/a). What lies on the float64 bound goes towards zero, of
either sign, with ``nearest_away`` from it. ``stochastic`` draws by the distance of values, so that the
expectation is the number. The code of -2^(N-1) is unused, and there is none for NaN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.element.codebook import MAX_BITS, Tabulated
from hwsim.formats.registry import ELEMENTS, Family

#: Percent: below it the smallest value of 16 bits leaves the range in which float32 is exact to 2^-24.
MIN_PERCENT, MAX_PERCENT = 20, 200


@dataclass(frozen=True)
class Power(Tabulated):
    """``bits`` bits of a uniform grid for the ``percent``/100-th power of magnitudes."""

    name: str
    bits: int
    percent: int

    @property
    def exponent(self) -> float:
        """The exponent a."""
        return self.percent / 100

    @property
    def top(self) -> int:
        """The largest integer, which stands for 1."""
        return int(2 ** (self.bits - 1)) - 1

    def integers(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the integers that ``codes`` stand for, which hardware multiplies."""
        whole: NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
        return np.where(whole > self.top, whole - 2**self.bits, whole)

    def _roots(self, numerators: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray((numerators / self.top) ** (1 / self.exponent), dtype=np.float64)

    def _levels(self) -> NDArray[np.float64]:
        positive = self._roots(np.arange(1, self.top + 1))
        return np.concatenate([[0.0], positive, [np.nan], -positive[::-1]])

    @cached_property
    def _halfways(self) -> NDArray[np.float64]:
        positive = self._roots(np.arange(self.top) + 0.5)
        return np.concatenate([-positive[::-1], positive])

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        # A negative number on the bound belongs to the upper level, towards zero.
        halfways = self._halfways
        return np.where(halfways < 0, np.nextafter(halfways, -np.inf), halfways)


_PATTERN = re.compile(r"power(\d+)_a(\d+)$")


def parse(name: str) -> Power | None:
    """Return the power format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If the width or the exponent is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, percent = int(match.group(1)), int(match.group(2))
    if not 2 <= bits <= MAX_BITS or not MIN_PERCENT <= percent <= MAX_PERCENT:
        raise ValueError(f"{name}: valid: 2 to {MAX_BITS} bits, exponents of {MIN_PERCENT} to {MAX_PERCENT} percent")
    return Power(name, bits, percent)


def names() -> list[str]:
    """Return the usual names of the family; any ``powerN_aE`` is read."""
    return ["power4_a50", "power4_a70", "power8_a50"]


ELEMENTS.register("power")(Family(parse, names))
