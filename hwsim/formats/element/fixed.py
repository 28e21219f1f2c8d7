"""Fixed point: ``fixN_qF`` (two's complement) and ``ufixN_qF`` (unsigned), N bits of which F are fraction.

A code's value is its integer times 2^-F. The whole range of two's complement is used, hence the most
negative value, -2^(N-1-F), is one step further from 0 than the largest value. Infinities saturate,
there is no code for NaN, and -0 becomes 0. F may be larger than N: all bits then lie below 1/2.
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

_FLOAT32_BITS = 24


@dataclass(frozen=True)
class Fixed(ElementFormat):
    """``bits`` bits with ``fraction_bits`` behind the binary point."""

    name: str
    bits: int
    fraction_bits: int
    signed: bool = True

    @property
    def step(self) -> float:
        """Distance of neighbours."""
        return float(2.0**-self.fraction_bits)

    @property
    def max_value(self) -> float:
        """The largest value; the most negative one is a step further from 0."""
        return float(2 ** (self.bits - self.signed) - 1) * self.step

    @property
    def min_value(self) -> float:
        """The lowest value."""
        return -float(2 ** (self.bits - 1)) * self.step if self.signed else 0.0

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes``."""
        whole = np.asarray(codes, dtype=np.int64)
        negative = self.signed & (whole >= 2 ** (self.bits - 1))
        return np.asarray((whole - np.where(negative, 2**self.bits, 0)) * self.step)

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round half to even and clip to the range.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        x = np.asarray(values, dtype=np.float64)
        refuse_nan(self.name, x)
        whole = np.rint(np.clip(x, self.min_value, self.max_value) / self.step).astype(np.int64)
        return np.asarray(whole & (2**self.bits - 1)).astype(np.uint32)

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        if self.bits > _FLOAT32_BITS:
            return super()._nearest(x)
        return round_in_chunks(x, self.round_chunk)

    def round_chunk(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round half to even and clip to the range; see :meth:`ElementFormat.round_chunk`."""
        if self.bits > _FLOAT32_BITS:
            super().round_chunk(x, out, spare)
            return
        kind = x.dtype.type
        np.clip(x, kind(self.min_value), kind(self.max_value), out=out)
        if np.isnan(out.max(initial=0)):
            raise ValueError(f"{self.name} has no code for NaN")
        out *= kind(1 / self.step)
        np.rint(out, out=out)
        out *= kind(self.step)
        out += kind(0)  # there is no -0

    def _neighbours(self, x: NDArray[Any]) -> Neighbours:
        return whole_neighbours(x, self.min_value, self.max_value, self.step)

    @cached_property
    def _ends(self) -> tuple[End, End]:
        return saturating_ends(self.min_value, self.max_value)


_PATTERN = re.compile(r"(u?)fix(\d+)_q(\d+)$")


def parse(name: str) -> Fixed | None:
    """Return the fixed-point format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    signed, bits, fraction_bits = not match.group(1), int(match.group(2)), int(match.group(3))
    if not (2 if signed else 1) <= bits <= 32 or fraction_bits > 32:
        raise ValueError(f"{name}: valid: 2 to 32 bits (unsigned from 1) with 0 to 32 fraction bits")
    return Fixed(name, bits, fraction_bits, signed)


def names() -> list[str]:
    """Return the usual names of the family; any ``fixN_qF`` and ``ufixN_qF`` is read."""
    return ["fix8_q4", "fix8_q7", "fix16_q8", "fix16_q15", "ufix8_q8"]


ELEMENTS.register("fixed")(Family(parse, names))
