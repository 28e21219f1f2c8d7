"""Two's-complement and unsigned integers, 1 to 32 bits.

``intB`` is symmetric: quantization scales the largest magnitude to 2^(B-1)-1 and never produces the
code of -2^(B-1), which decodes nevertheless. ``intB_full`` uses all codes; scales take the largest
magnitude to (2^B - 1)/2, so that codes serve both signs alike, as GPTQ's symmetric grid of 2^B steps does
(IST-DASLab/gptq, quant.py: scale = 2 amax / maxq, zero = (maxq + 1) / 2), and the largest positive one clamps:
what is scaled so is not unchanged by a second quantization. ``int1`` has -1 and 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, encoded_in_pieces, refuse_nan, round_in_chunks
from hwsim.formats.registry import ELEMENTS, Family
from hwsim.formats.rounding import End, Neighbours, saturating_ends, whole_neighbours


@dataclass(frozen=True)
class Integer(ElementFormat):
    """An integer of ``bits`` bits; ``full`` says that a signed one uses its lowest code too."""

    name: str
    bits: int
    signed: bool = True
    full: bool = False

    @property
    def exponent_bits(self) -> int:
        """Integers have no exponent."""
        return 0

    @property
    def max_value(self) -> float:
        """Largest magnitude that quantization uses."""
        return float(max(self._top, -self._bottom))

    @property
    def scaling_value(self) -> float:
        """The magnitude that scales fit the largest element to."""
        return (2**self.bits - 1) / 2 if self.full else self.max_value

    @property
    def last_place(self) -> float:
        """What a code's last bit is worth: 1, and 1/64 for MXINT8."""
        return abs(float(self.decode(np.array([1], dtype=np.uint32))[0]))  # the one bit of int1 is its sign

    @property
    def _top(self) -> int:
        """The largest whole number, before any implied factor."""
        return int(2 ** (self.bits - 1)) - 1 if self.signed else int(2**self.bits) - 1

    @property
    def _bottom(self) -> int:
        """The lowest whole number that quantization uses; the one signed bit of ``int1`` has -1 and 0."""
        if not self.signed:
            return 0
        return -self._top - int(self.full or self.bits == 1)

    def integers(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the whole numbers that ``codes`` stand for."""
        whole: NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
        sign = 2 ** (self.bits - 1)
        return (whole ^ sign) - sign if self.signed else whole

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes``."""
        return self.integers(codes).astype(np.float64)

    @cached_property
    def _grid(self) -> NDArray[np.float64]:
        if self.bits > 16:
            raise ValueError(f"{self.name} has too many codes to list")
        codes = np.arange(self._bottom, self._top + 1) & (2**self.bits - 1)
        return self.decode(codes)

    def _neighbours(self, x: NDArray[Any]) -> Neighbours:
        low, high = self._ends
        return whole_neighbours(x, low.value, high.value, self.last_place)

    @cached_property
    def _ends(self) -> tuple[End, End]:
        return saturating_ends(self._bottom * self.last_place, self._top * self.last_place)

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        if self.bits > 24:  # float32 does not hold all of them
            return super()._nearest(x)
        return round_in_chunks(x, self.round_chunk)

    def round_chunk(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round half to even within the range that is used; see :meth:`ElementFormat.round_chunk`."""
        if self.bits > 24:
            super().round_chunk(x, out, spare)
            return
        np.clip(x, x.dtype.type(self._bottom), x.dtype.type(self._top), out=out)
        if np.isnan(out.max(initial=0)):
            raise ValueError(f"{self.name} has no code for NaN")
        np.rint(out, out=out)
        out += x.dtype.type(0)  # there is no -0

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round half to even and clip to the range that is used."""
        x = np.asarray(values, dtype=np.float64)
        refuse_nan(self.name, x)
        whole = np.rint(np.clip(x, self._bottom, self._top)).astype(np.int64)
        codes: NDArray[np.uint32] = (whole & (2**self.bits - 1)).astype(np.uint32)
        return codes


_PATTERN = re.compile(r"(u?)int(\d+)(_full)?$")


def parse(name: str) -> Integer | None:
    """Return the integer format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If the width is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, signed, full = int(match[2]), not match[1], bool(match[3])
    if not 1 <= bits <= 32:
        raise ValueError(f"{name}: valid: 1 to 32 bits")
    if full and (not signed or bits == 1):
        raise ValueError(f"{name}: all codes are used anyway; valid: {name.removesuffix('_full')}")
    return Integer(name, bits, signed, full)


def names() -> list[str]:
    """Return the usual names of the family."""
    return [*(f"int{bits}" for bits in range(2, 17)), "int4_full", "int8_full"]


ELEMENTS.register("integer")(Family(parse, names))
