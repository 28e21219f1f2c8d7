"""Floats with any choice of special codes, and those of IEEE P3109: ``p3109_k8p3se`` and the like.

:class:`FloatTable` is for what :mod:`hwsim.formats.element.minifloat` does not cover: infinities
without NaN, a NaN in the place of -0 beside infinities, formats without subnormals or without zero.
Every code is a row of a table, hence at most 16 bits. The fields are those of gfloat's
``FormatInfo``, so that definitions can be carried over:

* a code is sign, exponent field E and mantissa field T; its value is 2^(E - bias) · 1.T, with
  subnormals 2^(1 - bias) · 0.T at E = 0;
* without subnormals E = 0 is an exponent like any other, but for the code of zero;
* the ``high_nans`` highest codes of a sign are NaN, the one below them is infinite if there are
  infinities.

``p3109_kKpP`` has K bits with P bits of precision, the hidden one included, and ends on ``s`` or
``u`` (signed, unsigned) and ``e`` or ``f`` (extended by infinities, finite), as the IEEE P3109 interim
report calls them; the ending may be left out for ``se``. The one NaN stands for -0, or is the highest
code where there is no sign. The bias is floor(2^(K-P-1)), twice that without a sign.

Numbers go to the nearest value, halfway to the even code; what is beyond the largest value saturates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import encoded_in_pieces
from hwsim.formats.element.codebook import MAX_BITS, Tabulated
from hwsim.formats.element.minifloat import float_end, mirrored
from hwsim.formats.registry import ELEMENTS, Family
from hwsim.formats.rounding import End


@dataclass(frozen=True)
class FloatTable(Tabulated):
    """A float of up to 16 bits by its fields; see the module.

    ``nan_at_negative_zero`` puts a NaN in the place of -0; ``zero`` says whether magnitude 0 is zero.

    Raises
    ------
    ValueError
        If the widths are out of range, or the special codes contradict one another.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    bias: int
    signed: bool = True
    subnormals: bool = True
    zero: bool = True
    infinities: bool = False
    high_nans: int = 0
    nan_at_negative_zero: bool = False

    def __post_init__(self) -> None:
        if self.exponent_bits < 0 or self.mantissa_bits < 0 or not 2 <= self.bits <= MAX_BITS:
            raise ValueError(f"{self.name}: valid: 2 to {MAX_BITS} bits in all")
        if self.nan_at_negative_zero and not (self.signed and self.zero):
            raise ValueError(f"{self.name}: a NaN can stand for -0 only where there is a sign and a zero")
        if self.subnormals and not self.zero:
            raise ValueError(f"{self.name}: subnormals include zero")
        if len(self._grid) < 2:
            raise ValueError(f"{self.name}: valid: at least two finite values")

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of a code."""
        return int(self.signed) + self._magnitude_bits

    @property
    def _magnitude_bits(self) -> int:
        return self.exponent_bits + self.mantissa_bits

    @property
    def nan_code(self) -> int | None:  # type: ignore[override]
        """The code that NaN is given: that of -0, or the highest one; None without NaN."""
        if self.nan_at_negative_zero:
            return int(2**self._magnitude_bits)
        return int(2**self._magnitude_bits) - 1 if self.high_nans else None

    def _levels(self) -> NDArray[np.float64]:
        codes = np.arange(2**self._magnitude_bits)
        exponent, mantissa = codes >> self.mantissa_bits, codes & (2**self.mantissa_bits - 1)
        low = (exponent == 0) & self.subnormals
        significand = mantissa + np.where(low, 0, 2**self.mantissa_bits)
        power = np.where(low, 1, exponent) - self.bias - self.mantissa_bits
        levels: NDArray[np.float64] = np.ldexp(significand.astype(np.float64), power)
        if self.zero:
            levels[0] = 0.0
        finite = levels.size - self.high_nans
        levels[finite:] = np.nan
        if self.infinities:
            levels[finite - 1] = np.inf
        negative = -levels
        if self.nan_at_negative_zero:
            negative[0] = np.nan
        return np.concatenate([levels, negative]) if self.signed else levels

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        magnitude = self._grid_codes & (2**self._magnitude_bits - 1)
        # A bound is the largest number that still goes to the lower value.
        return np.where(magnitude[:-1] % 2 == 0, self._halfways, np.nextafter(self._halfways, -np.inf))

    @property
    def _has_negative_zero(self) -> bool:
        return self.signed and self.zero and not self.nan_at_negative_zero

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the nearest codes, saturating; -0 and what rounds to it from below has its sign."""
        codes = super().encode(values)
        if not self._has_negative_zero:
            return codes
        lost = (codes == 0) & np.signbit(np.asarray(values, dtype=np.float64))
        return np.where(lost, np.uint32(2**self._magnitude_bits), codes)

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        found = super()._nearest(x)
        return np.copysign(found, x) if self._has_negative_zero else found

    @cached_property
    def _ends(self) -> tuple[End, End]:
        low, high = super()._ends
        high = float_end(
            int(self._grid_codes[-1]), high.value, self.mantissa_bits, int(self.subnormals) - self.bias, high.beyond
        )
        return (mirrored(high) if self.signed else low), high


_P3109 = re.compile(r"p3109_k(\d+)p(\d+)([su])?([ef])?$")


def parse(name: str) -> FloatTable | None:
    """Return the P3109 format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width is out of range.
    """
    match = _P3109.match(name)
    if match is None:
        return None
    k, p, signed, extended = int(match[1]), int(match[2]), match[3] != "u", match[4] != "f"
    if not 3 <= k <= MAX_BITS or not 1 <= p <= k - signed:
        raise ValueError(f"{name}: valid: 3 to {MAX_BITS} bits, and a precision that leaves room for the sign")
    bias = 2 ** (k - p) // (2 if signed else 1)
    full = f"p3109_k{k}p{p}{'s' if signed else 'u'}{'e' if extended else 'f'}"
    return FloatTable(
        full, k - p + 1 - signed, p - 1, bias, signed,
        infinities=extended, high_nans=0 if signed else 1, nan_at_negative_zero=signed,
    )  # fmt: skip


def names() -> list[str]:
    """Return the eight-bit formats of the interim report; any ``p3109_kKpP`` is read."""
    return [f"p3109_k8p{p}{kind}" for p in (3, 4) for kind in ("se", "sf", "ue", "uf")]


ELEMENTS.register("float_table")(Family(parse, names))
