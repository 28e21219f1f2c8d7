"""Groups of BitMoD: levels, scales, and which of four special values has the least squared error.

The definition (:func:`best_exactly`) computes the four errors in float64, and the first of the least
ones wins. For float32 a quicker search bounds its own error and hands over to the definition what it
cannot tell apart. It rests on three facts:

* Two special values of one magnitude share a scale, since the largest level is the same.
* With one more level, the distance to the nearest level is the lesser of two: that to the nearest
  basic level and that to the special value. No level need be chosen to compare errors.
* In float32, x / scale > middle holds exactly where it holds in real numbers: the middles between
  levels have at most 5 significant bits and scales 11, so that middle · scale is a float32, and the
  quotient of the next float32 is more than half a place beyond the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, refuse_nan
from hwsim.formats.block.parts import spread
from hwsim.formats.element.minifloat import Minifloat, minifloat

BASIC = {3: (0.0, 1.0, 2.0, 4.0), 4: (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)}
SPECIAL = {3: (3.0, -3.0, 6.0, -6.0), 4: (5.0, -5.0, 8.0, -8.0)}
#: Numbers of the special values that a group may choose: of all, of extra resolution, of extra asymmetry.
CHOICES = {"": (0, 1, 2, 3), "er": (0, 1), "ea": (2, 3)}
FP16 = minifloat(5, 10, "fp16")

#: Minifloats whose values are the basic levels.
_GRID = {3: Minifloat("e2m0", 2, 0, "finite"), 4: minifloat(2, 1)}
#: Scaled values are at most 8 and a little more, FP16 rounding of the scale included; see ``_margin``.
_REACH = 8.25
#: Error of one distance in float32: half a place of a quotient below 16 and of a difference below 4.
_SLIP = 2.0**-20
#: Larger groups would add up too many roundings for ``_margin``.
_MOST = 1 << 18


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


@cache
def element(bits: int, choice: int) -> BitModElement:
    """Return the element format of special value number ``choice``."""
    return BitModElement(f"bitmod{bits}", bits, SPECIAL[bits][choice])


def scales(amax: NDArray[Any], bits: int) -> NDArray[np.float64]:
    """Return the FP16 scale of every group under each special value, shape (4, groups).

    The largest magnitude over the largest level, clamped to 1e-5 … 1e4 as in the authors' code.
    """
    of = {
        top: FP16.quantize(np.clip(amax.astype(np.float64) / top, 1e-5, 1e4))
        for top in {element(bits, choice).max_value for choice in range(4)}
    }
    return np.stack([of[element(bits, choice).max_value] for choice in range(4)])


def best_exactly(
    groups: NDArray[Any], scale: NDArray[np.float64], bits: int, among: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Return the number of the special value of least squared error for each group (row), by definition.

    ``scale`` is that of :func:`scales`; ``among`` (4, groups) says which numbers are to be tried, all
    if it is None. The first of equally good ones is taken.
    """
    error = np.full((4, len(groups)), np.inf)
    for choice in range(4):
        tried = slice(None) if among is None else np.flatnonzero(among[choice])
        exact = groups[tried].astype(np.float64)
        by = scale[choice][tried][:, None]
        levels = np.empty_like(exact)
        nearest_levels(exact / by, bits, choice, levels)
        with np.errstate(over="ignore"):  # infinite errors are equal
            error[choice, tried] = np.sum((levels * (by / 2) - exact) ** 2, axis=-1)
    found: NDArray[np.intp] = np.argmin(error, axis=0)
    return found


def best(
    groups: NDArray[Any],
    amax: NDArray[Any],
    scale: NDArray[np.float64],
    bits: int,
    room: NDArray[Any],
    choices: tuple[int, ...] = CHOICES[""],
) -> NDArray[np.intp]:
    """Return what :func:`best_exactly` does among ``choices``, quicker for float32.

    ``choices`` are one or both pairs of special values; ``room`` has shape (3, elements).
    """
    tried = np.zeros((4, len(groups)), dtype=np.bool_)
    tried[list(choices)] = True
    if groups.dtype != np.float32 or groups.shape[1] > _MOST:
        return best_exactly(groups, scale, bits, tried)
    # Scales were clamped: sums may overflow.
    beyond = (amax > _REACH * scale[choices[0]]) | (amax > _REACH * scale[choices[-1]])
    error = np.concatenate([_pair_errors(groups, scale, bits, first, room) for first in choices[::2]])
    error = np.where(beyond, 0.0, error)
    margin = _margin(error, groups.shape[1])
    square = scale[list(choices)] ** 2
    error, margin = error * square, margin * square
    found = np.argmin(error, axis=0)
    columns = np.arange(len(groups))
    limit = error[found, columns] + margin[found, columns]
    tried[list(choices)] = (error - margin <= limit) | beyond  # each is its own rival
    found += choices[0]
    unsure = np.flatnonzero(np.count_nonzero(tried, axis=0) > 1)
    found[unsure] = best_exactly(groups[unsure], scale[:, unsure], bits, tried[:, unsure])
    return np.asarray(found)


def _margin(error: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return what the sums ``error`` of ``size`` squares may be off by, doubled to be safe.

    Each distance t is off by at most ``_SLIP``, which makes Σt² off by at most
    2 · slip · √(size · Σt²) + size · slip² (Cauchy-Schwarz); adding up costs a place per term.
    """
    slips = 2 * _SLIP * np.sqrt(size * error) + 3 * size * _SLIP**2
    return np.asarray(2 * (slips + (size + 2) * 2.0**-24 * error))


def _pair_errors(
    groups: NDArray[np.float32], scale: NDArray[np.float64], bits: int, first: int, room: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the squared errors, in units of the scale, under special values ``first`` and the next."""
    scaled, basic, special = (part[: groups.size].reshape(groups.shape) for part in room)
    np.divide(groups, spread(scale[first].astype(np.float32), groups, room[0]), out=scaled)
    _GRID[bits].round_chunk(scaled, basic, special)
    basic -= scaled
    np.abs(basic, out=basic)
    errors = []
    for value in SPECIAL[bits][first : first + 2]:
        np.subtract(scaled, np.float32(value), out=special)
        np.abs(special, out=special)
        np.minimum(special, basic, out=special)
        errors.append(np.einsum("ij,ij->i", special, special))
    return np.asarray(errors, dtype=np.float64)


@cache
def _ladder(bits: int, choice: int) -> tuple[float, tuple[tuple[float, int], ...]]:
    """Return the lowest level and, ascending, the middles with the half units that lie between levels."""
    levels = np.sort(element(bits, choice).levels)
    middles, rises = (levels[1:] + levels[:-1]) / 2, (2 * np.diff(levels)).astype(int)
    return float(levels[0]), tuple(zip(middles.tolist(), rises.tolist(), strict=True))


def nearest_levels(scaled: NDArray[Any], bits: int, choice: int, out: NDArray[Any]) -> None:
    """Put twice the nearest level of each of ``scaled`` into ``out``, a middle to the lower one."""
    lowest, steps = _ladder(bits, choice)
    total = np.full(scaled.shape, 2 * lowest, dtype=np.int8)
    above = np.empty(scaled.shape, dtype=np.bool_)
    one = above.view(np.int8)
    for middle, rise in steps:
        np.greater(scaled, scaled.dtype.type(middle), out=above)
        for _ in range(rise):  # adding bytes costs next to nothing
            total += one
    np.copyto(out, total)
