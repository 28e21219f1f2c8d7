"""Codebooks: formats whose values are a table, such as NF4, flint, power-of-two, ternary and binary.

The members and their sources are rows of ``data/formats/codebooks.csv``. A value is encoded as the
nearest level of the table; halfway between two levels it takes the lower one (-0.5 becomes -1 and
0.5 becomes 0 where the levels are whole numbers), so that ties do not treat both signs alike; in
``binary`` and ``bipolar``, which have no zero, 0 becomes -1. What lies beyond the table saturates,
infinities too. Where several codes have the same value, the lowest code is used. There is no code
for NaN: a code that decodes to NaN is one that the format leaves unused.

``flint4`` is the integer-scaled set {0, ±1, ±2, ±3, ±4, ±6, ±8, ±16} of BitMoD's comparison; ANT's
own is the same divided by 4. Codes of flint are sign and index of the magnitude; the first-one bit
layout of the paper is not modelled. ``abfloat4`` holds OliVe's outliers alone, without zero, in the
units of the authors' repository (48 … 384, beside integers in steps of 4). Notes of the paper
(12 … 96) and BitMoD's paper ({24, …, 192}) have the same set in other units; pairs with outliers are
in :mod:`hwsim.formats.block.olive`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, encoded_in_pieces, map_rows, refuse_nan
from hwsim.formats.fit import Fit
from hwsim.formats.registry import ELEMENTS, Family
from hwsim.spec.data import read_csv_rows

MAX_BITS = 16

#: From so many float32 on, a table of 65,536 ranges is worth its making.
_MANY = 1 << 16
#: Elements that are looked up at once, so that keys and results stay in the cache beside the tables.
_PIECE = 1 << 15


class Tabulated(ElementFormat):
    """A format of up to 16 bits that keeps the value of every code in a table."""

    @abstractmethod
    def _levels(self) -> NDArray[np.float64]:
        """Return the value of every code, NaN where a code is unused."""

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        return self._levels()

    @cached_property
    def _grid_codes(self) -> NDArray[np.uint32]:
        """The lowest code of each value of the grid."""
        codes = np.flatnonzero(np.isfinite(self._table))
        _, first = np.unique(self._table[codes] + 0.0, return_index=True)
        return codes[first].astype(np.uint32)

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        """The largest number that still goes to each value of the grid but the last."""
        return self._halfways

    @property
    def max_value(self) -> float:
        """Largest finite magnitude."""
        return float(np.max(np.abs(self._grid)))

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes``; NaN for codes that are unused."""
        return np.asarray(self._table[np.asarray(codes, dtype=np.int64)])

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the codes of the nearest values, saturating; ties as the module says.

        Raises
        ------
        ValueError
            If a value is NaN and the format has no code for it.
        """
        x = np.asarray(values, dtype=np.float64)
        codes = np.asarray(self._grid_codes[self._indices(x)])
        return codes if self.nan_code is None else np.where(np.isnan(x), np.uint32(self.nan_code), codes)

    def _indices(self, x: NDArray[Any]) -> NDArray[np.intp]:
        """Return the place in the grid of each of ``x``; NaN is refused, or put last."""
        if self.nan_code is None:
            refuse_nan(self.name, x)
        return np.asarray(np.searchsorted(self._bounds, x, side="left"))

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        if not x.size:
            return x.copy()
        flat = np.ascontiguousarray(x).reshape(-1)
        if x.dtype == np.float32 and x.size >= _MANY and self._buckets is not None:
            return self._by_bucket(flat).reshape(x.shape)
        return map_rows(self._by_search, flat).reshape(x.shape)

    def _by_search(self, x: NDArray[Any]) -> NDArray[Any]:
        found = self._grid[self._indices(x)]
        return found if self.nan_code is None else np.where(np.isnan(x), np.nan, found)

    def _by_bucket(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Look up the bound in the bucket of each of ``x`` (1-d), and the value on its side of the bound."""
        buckets = self._buckets
        assert buckets is not None
        bounds, values = buckets
        out = np.empty_like(x)
        keys, sides = np.empty((2, min(_PIECE, x.size)), dtype=np.uint32)
        places, above = keys.astype(np.intp), np.empty(keys.size, dtype=np.bool_)
        for start in range(0, x.size, _PIECE):
            part, found = x[start : start + _PIECE], out[start : start + _PIECE]
            if np.isnan(np.max(part)):
                found[:] = self._by_search(part)
                continue
            key, side, place, over = (room[: part.size] for room in (keys, sides, places, above))
            np.right_shift(part.view(np.uint32), np.uint32(16), out=key)
            np.copyto(place, key)
            np.take(bounds, place, out=found, mode="clip")  # other modes work on a copy
            np.greater(part, found, out=over)
            np.copyto(side, over)
            key <<= np.uint32(1)
            key += side
            np.copyto(place, key)
            np.take(values, place, out=found, mode="clip")
        return out

    @cached_property
    def _buckets(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """The bound among the float32 of each upper half of bits; the values below and above it in turns.

        None if some of these 65,536 ranges hold two bounds.
        """
        upper = np.arange(1 << 16, dtype=np.uint32) << 16
        ends = np.stack([upper, upper | 0xFFFF]).view(np.float32)
        ends = np.where(np.isnan(ends), np.copysign(np.float32(np.inf), ends), ends)
        first = np.searchsorted(self._bounds, ends.min(axis=0))
        last = np.searchsorted(self._bounds, ends.max(axis=0))
        if np.any(last - first > 1):
            return None
        exact = np.append(self._bounds, np.inf)[first]
        bound = exact.astype(np.float32)
        bound = np.where(bound > exact, np.nextafter(bound, np.float32(-np.inf)), bound)
        grid = self._grid.astype(np.float32)
        return bound, np.stack([grid[first], grid[last]], axis=1).reshape(-1)


@dataclass(frozen=True)
class Codebook(Tabulated):
    """A format given by its table.

    Attributes
    ----------
    name
        Name of the format.
    bits
        Width of a code, 1 to 16.
    levels
        The value of each of the ``2**bits`` codes, in code order; NaN where a code is unused.
    fit
        What scales fit: the largest magnitude to the largest level, or another magnitude to 1.

    Raises
    ------
    ValueError
        If there are not as many levels as codes, less than two different ones, or an infinite one.
    """

    name: str
    bits: int
    levels: tuple[float, ...]
    fit: Fit = "absmax"

    def __post_init__(self) -> None:
        # One object stands for every NaN, since tuples of different NaN are not equal.
        levels = tuple(math.nan if math.isnan(level) else float(level) for level in self.levels)
        object.__setattr__(self, "levels", levels)
        if not 1 <= self.bits <= MAX_BITS or len(levels) != 2**self.bits:
            raise ValueError(f"{self.name}: {len(levels)} levels for {self.bits} bits; valid: 2^bits, 1 to {MAX_BITS}")
        if any(math.isinf(level) for level in levels) or len({x for x in levels if not math.isnan(x)}) < 2:
            raise ValueError(f"{self.name}: valid: at least two different levels, all finite or NaN")

    def __reduce__(self) -> tuple[type[Codebook], tuple[str, int, tuple[float, ...], Fit]]:
        return type(self), (self.name, self.bits, self.levels, self.fit)

    def _levels(self) -> NDArray[np.float64]:
        return np.array(self.levels)


@cache
def _members() -> dict[str, Codebook]:
    return {
        row["name"]: Codebook(
            row["name"],
            int(row["bits"]),
            tuple(float(text) for text in row["values"].split()),
            next(fit for fit in get_args(Fit) if fit == row["fit"]),
        )
        for row in read_csv_rows("formats", "codebooks.csv")
    }


def parse(name: str) -> Codebook | None:
    """Return the codebook called ``name``, or None when there is none."""
    return _members().get(name)


def names() -> list[str]:
    """Return the names of all codebooks."""
    return list(_members())


ELEMENTS.register("codebook")(Family(parse, names))
