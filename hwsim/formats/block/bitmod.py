"""BitMoD's weight formats (arXiv 2411.11745, Table IV, III-C): FP3/FP4 with a special value per group.

The redundant code of -0 stands for one of four special values, chosen per group by the least
squared error: ±3, ±6 for three bits, ±5, ±8 for four. A group of 128 carries an 8-bit scale and a
2-bit selector. Terms of the bit-serial PE are in :mod:`hwsim.formats.terms`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format, along_axis, map_rows, refuse_nan, split_blocks
from hwsim.formats.element.minifloat import minifloat
from hwsim.formats.registry import BLOCKS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_modes
from hwsim.spec.errors import UsageError

BASIC = {3: (0.0, 1.0, 2.0, 4.0), 4: (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)}
SPECIAL = {3: (3.0, -3.0, 6.0, -6.0), 4: (5.0, -5.0, 8.0, -8.0)}
METADATA_BITS = 10

FP16 = minifloat(5, 10, "fp16")


@dataclass(frozen=True)
class BitModElement(ElementFormat):
    """Sign-magnitude index into the basic levels; the code of -0 is ``special``."""

    name: str
    bits: int
    special: float

    @property
    def levels(self) -> NDArray[np.float64]:
        """Value of every code."""
        basic = np.array(BASIC[self.bits])
        return np.concatenate([basic, [self.special], -basic[1:]])

    @property
    def max_value(self) -> float:
        """Largest magnitude, the special value included."""
        return float(np.max(np.abs(self.levels)))

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the levels of ``codes``."""
        return self.levels[np.asarray(codes, dtype=np.int64)]

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the nearest level; a midpoint goes to the lower one, as in the authors' code."""
        order = np.argsort(self.levels)
        sorted_levels = self.levels[order]
        x = np.asarray(values)
        refuse_nan(self.name, x)
        place = np.zeros(x.shape, dtype=np.int8)
        for middle in ((sorted_levels[1:] + sorted_levels[:-1]) / 2).tolist():
            place += x > middle  # a handful of passes is quicker than a search
        return order.astype(np.uint32)[place]


@dataclass(frozen=True)
class BitMod(Format):
    """Groups of FP3 or FP4 codes with the best special value and an absmax scale."""

    name: str
    bits: int
    block_size: int | None

    @property
    def element(self) -> ElementFormat:
        """Codes with the first special value: the datapath is the same for all four."""
        return BitModElement(f"bitmod{self.bits}", self.bits, SPECIAL[self.bits][0])

    @property
    def bits_per_element(self) -> Fraction:
        """Code plus 8-bit scale and 2-bit selector per group."""
        return Fraction(self.bits) + Fraction(METADATA_BITS, self.block_size or 1)

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Try the four special values per group and keep the one of least squared error.

        Elements take the nearest level, a midpoint the lower one; other roundings are refused.

        Raises
        ------
        UsageError
            If another rounding or overflow is asked for.
        ValueError
            If a value is NaN.
        """
        check_modes(rounding, overflow)
        if rounding != "nearest_even" or overflow != "saturate":
            raise UsageError(f"{self.name} takes the nearest level only, not {rounding}, {overflow}")
        return along_axis(x, axis, self._quantize_last)

    def _quantize_last(self, x: NDArray[Any]) -> NDArray[Any]:
        refuse_nan(self.name, x)
        blocks = split_blocks(x, self.block_size or x.shape[-1])
        best = map_rows(self._best, blocks.reshape(-1, blocks.shape[-1]))
        return best.reshape(*x.shape[:-1], -1)[..., : x.shape[-1]]

    def _best(self, groups: NDArray[Any]) -> NDArray[Any]:
        """Return groups (rows) with the special value that gives the least squared error."""
        exact = groups.astype(np.float64)
        best = np.zeros_like(exact)
        least = np.full(len(exact), np.inf)
        amax = np.max(np.abs(exact), axis=-1, keepdims=True)
        for special in SPECIAL[self.bits]:
            element = BitModElement(self.name, self.bits, special)
            scale = FP16.quantize(np.clip(amax / element.max_value, 1e-5, 1e4))
            tried = element.decode(element.encode(exact / scale)) * scale
            error = np.sum((tried - exact) ** 2, axis=-1)
            better = error < least
            least = np.where(better, error, least)
            best = np.where(better[:, None], tried, best)
        return best.astype(groups.dtype)


_PATTERN = re.compile(r"bitmod([34])_g(\d+)$")


def parse(name: str) -> BitMod | None:
    """Return the BitMoD format called ``name``, or None when the name is of another family."""
    match = _PATTERN.match(name)
    if match is None:
        return None
    if int(match.group(2)) < 1:
        raise ValueError(f"{name}: valid: groups of at least 1")
    return BitMod(name, int(match.group(1)), int(match.group(2)))


def names() -> list[str]:
    """Return the usual names of the family."""
    return ["bitmod3_g128", "bitmod4_g128"]


BLOCKS.register("bitmod")(Family(parse, names))
