"""Nested integers ``intLofH``: the L-bit integer that a second rounding cuts from a stored H-bit one.

A tensor is stored once, as H-bit integers, and read at any width below: q = clip(rint(x)) is what is
stored, c = clip(rint(q / 2^(H-L))) what is computed with, and its value in units of the H-bit grid is
c · 2^(H-L). This is the Double Rounding of "Nearly Lossless Adaptive Bit Switching" (arXiv
2502.01199); Matryoshka quantization (arXiv 2502.06786) slices its unsigned integers in the same way.
Both roundings are to the nearest, ties to even, and both clip to the whole range of two's complement,
so that the most negative value, -2^(H-1), is a step further from 0 than the largest value. Ties and
the range of clipping are choices of this library: of the paper only the abstract was at hand.

Two roundings are not one: for ``int4of8``, 8.4 becomes 8 and then 0, though it is nearer to 16.

Scales are those of the H-bit integer, amax / (2^(H-1) - 1), since they are stored but once: hence
``scaling_value``. What is scaled so is not unchanged by a second quantization, because its largest
magnitude is no longer the one that was scaled to (127 becomes 112). Plain elements are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import encoded_in_pieces, refuse_nan
from hwsim.formats.element.integer import Integer
from hwsim.formats.registry import ELEMENTS, Family
from hwsim.formats.rounding import Overflow, Rounding, round_whole

#: float32 holds the whole numbers of so many bits.
MAX_STORED_BITS = 16


@dataclass(frozen=True)
class Nested(Integer):
    """``bits`` bits cut from a two's-complement integer of ``stored_bits``."""

    stored_bits: int = 8

    @property
    def factor(self) -> int:
        """What a code's integer is multiplied by: 2^(stored_bits - bits)."""
        return int(2 ** (self.stored_bits - self.bits))

    @property
    def max_value(self) -> float:
        """The largest value; the most negative one is a step further from 0."""
        return float(self._top * self.factor)

    @property
    def scaling_value(self) -> float:
        """The largest integer of the stored width, which scales fit the largest magnitude to."""
        return float(2 ** (self.stored_bits - 1) - 1)

    def stored(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the stored integers of ``values``, which every width below is cut from.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        return self._stored(np.asarray(values, dtype=np.float64), "nearest_even", None).astype(np.int64)

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes``: their integers times the factor."""
        return super().decode(codes) * self.factor

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round twice and clip to two's complement, ties to even.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        whole = self._cut(np.asarray(values, dtype=np.float64), "nearest_even", None).astype(np.int64)
        return np.asarray(whole & (2**self.bits - 1)).astype(np.uint32)

    @cached_property
    def _grid(self) -> NDArray[np.float64]:
        return np.sort(self.code_values())

    def _stored(self, x: NDArray[Any], rounding: Rounding, rng: np.random.Generator | None) -> NDArray[Any]:
        refuse_nan(self.name, x)
        half = x.dtype.type(2 ** (self.stored_bits - 1))
        return round_whole(np.clip(x, -half, half - 1), rounding, rng)

    def _cut(self, x: NDArray[Any], rounding: Rounding, rng: np.random.Generator | None) -> NDArray[Any]:
        half = x.dtype.type(2 ** (self.bits - 1))
        cut = round_whole(self._stored(x, rounding, rng) / x.dtype.type(self.factor), rounding, rng)
        return np.asarray(np.clip(cut, -half, half - 1))

    def round_chunk(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round twice; see :meth:`ElementFormat.round_chunk`."""
        out[...] = self._directed(x, "nearest_even", "saturate", None)

    def _directed(
        self, x: NDArray[Any], rounding: Rounding, overflow: Overflow, rng: np.random.Generator | None
    ) -> NDArray[Any]:
        """Round twice in one mode; without infinity or NaN, every overflow saturates."""
        return np.asarray(self._cut(x, rounding, rng) * x.dtype.type(self.factor) + x.dtype.type(0))


_PATTERN = re.compile(r"int(\d+)of(\d+)$")


def parse(name: str) -> Nested | None:
    """Return the nested integer called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, stored_bits = int(match.group(1)), int(match.group(2))
    if not 2 <= bits < stored_bits <= MAX_STORED_BITS:
        raise ValueError(f"{name}: valid: at least 2 bits, cut from more of them, at most {MAX_STORED_BITS}")
    return Nested(name, bits, stored_bits=stored_bits)


def names() -> list[str]:
    """Return the usual names of the family; any ``intLofH`` is read."""
    return ["int2of8", "int4of8", "int6of8"]


ELEMENTS.register("nested")(Family(parse, names))
