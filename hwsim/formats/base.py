"""What every number format offers.

Arithmetic is done in the dtype of the input: float32 in, float32 out; float16 is widened to
float32, whole numbers and everything else to float64. Any shape and memory layout will do; scalars
count as one element.

NaN stays NaN where the format has a code for it and is a ``ValueError`` where it has none. Infinities
saturate, or stay where asked for and known; under a shared scale they are a ``ValueError``, as no
scale serves them. A NaN that stays takes no part in finding the scale of its block.

``quantize`` needs the result, at most three further copies of the input (of float32 and float64: one
if it is not contiguous, one if its blocks are ragged, two to rearrange tiles), and 1 to 10 MB to work in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.rounding import Overflow, Rounding, check_modes, round_to_grid

#: Elements that are worked on at once. Smaller pieces cost more in calls, larger ones more in memory
#: (one core of an AMD EPYC, 1 MB of second-level cache: fp8_e4m3 450, 600, 730, 785, 785 million
#: elements a second with 1 << 14 … 1 << 18).
CHUNK = 1 << 17


class Format(ABC):
    """A number format: how wide it is and what becomes of a tensor stored in it.

    Attributes
    ----------
    name
        Canonical name, which :func:`hwsim.formats.parse_format` reads back.
    bits
        Bits of one element's code.
    block_size
        Elements along the reduction that share a scale; None where none is shared in blocks.
    """

    name: str
    bits: int
    block_size: int | None

    @property
    @abstractmethod
    def element(self) -> ElementFormat:
        """The format of one element's code."""

    @property
    @abstractmethod
    def bits_per_element(self) -> Fraction:
        """Storage per element with all metadata of full blocks shared out."""

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with blocks along k, ragged ones included."""
        if self.block_size is None:
            return rows * k * self.bits
        metadata = (self.bits_per_element - self.bits) * self.block_size
        return rows * (k * self.bits + -(-k // self.block_size) * int(metadata))

    @abstractmethod
    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return ``x`` after encoding and decoding.

        Parameters
        ----------
        x
            Any array of numbers.
        axis
            Axis along which blocks run.
        rounding
            ``nearest_even``, ``nearest_away``, ``toward_zero``, ``up``, ``down`` or ``stochastic``.
        overflow
            ``saturate`` at the largest finite value, or become ``infinity`` (NaN in a format that
            has NaN but no infinity).
        seed
            For ``stochastic``: equal seeds give equal results.

        Raises
        ------
        UsageError
            If a mode is unknown, or stochastic rounding has no seed.
        ValueError
            If a value is NaN and the format has no code for it.
        """


class ElementFormat(Format):
    """A format in which every element stands for itself.

    ``tapered`` formats are most precise around 1 and lose towards their largest value: data is given
    to them with a standard deviation of about 1 instead of scaled to the largest value.
    ``complex_valued`` formats decode to complex128; they have neither digits nor bit statistics, and
    offer ``scaled_quantize``, which takes real tensors as pairs.
    """

    block_size: int | None = None
    tapered: ClassVar[bool] = False
    complex_valued: ClassVar[bool] = False

    @property
    def element(self) -> ElementFormat:
        """The format itself."""
        return self

    @property
    def bits_per_element(self) -> Fraction:
        """The width of a code."""
        return Fraction(self.bits)

    @property
    @abstractmethod
    def max_value(self) -> float:
        """Largest finite magnitude."""

    @property
    def scaling_value(self) -> float:
        """The magnitude that scales fit the largest element to; the largest value, unless a family says other."""
        return self.max_value

    @abstractmethod
    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of unsigned ``codes``, exactly."""

    @abstractmethod
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the codes nearest to ``values``: ties to even, saturating.

        Raises
        ------
        ValueError
            If a value is NaN and the format has no code for it.
        """

    def code_values(self) -> NDArray[np.float64]:
        """Return the values of all codes, in code order (formats of up to 16 bits)."""
        if self.bits > 16:
            raise ValueError(f"{self.name} has too many codes to list")
        return self.decode(np.arange(2**self.bits, dtype=np.uint32))

    def values(self) -> NDArray[np.float64]:
        """Return the finite values, ascending and each once (formats of up to 16 bits)."""
        return self._grid

    @cached_property
    def _grid(self) -> NDArray[np.float64]:
        listed = self.code_values()
        grid: NDArray[np.float64] = np.unique(listed[np.isfinite(listed)] + 0.0)
        return grid

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return the plain cast of ``x``; see :meth:`Format.quantize`."""
        check_modes(rounding, overflow)
        given = as_floats(x)
        if rounding == "nearest_even" and overflow == "saturate":
            return self._nearest(given)
        return self._directed(given, rounding, overflow, None if seed is None else np.random.default_rng(seed))

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        return self.decode(self.encode(x)).astype(x.dtype, copy=False)

    def round_chunk(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Put the nearest values of ``x`` into ``out``: what the plain cast does to a piece that fits the cache.

        Parameters
        ----------
        x
            Contiguous float32 or float64 of any shape.
        out
            Of the shape and dtype of ``x``; may be ``x`` itself.
        spare
            Room to work in, of the same shape and dtype; what it holds afterwards is undefined.

        Raises
        ------
        ValueError
            If a value is NaN and the format has no code for it.
        """
        out[...] = self._nearest(x)

    def _directed(
        self, x: NDArray[Any], rounding: Rounding, overflow: Overflow, rng: np.random.Generator | None
    ) -> NDArray[Any]:
        """Round in any mode on the grid of all values."""
        missing = np.isnan(x)
        if missing.any() and not np.isnan(self.code_values()).any():
            raise ValueError(f"{self.name} has no code for NaN")
        grid = self._grid
        if rounding == "nearest_even":
            rounded = np.asarray(self._nearest(np.where(missing, 0.0, x)), dtype=np.float64)
        else:
            rounded = grid[round_to_grid(np.where(missing, 0.0, x), grid, rounding, rng)]
        if overflow == "infinity":
            rounded = np.where(self._overflows(x, rounding), np.copysign(self._overflow_value, x), rounded)
        return np.where(missing, np.nan, rounded).astype(x.dtype, copy=False)

    def _overflows(self, x: NDArray[Any], rounding: Rounding) -> NDArray[np.bool_]:
        """Return where ``x`` lies beyond what rounds to the largest finite value."""
        top, low = self._grid[-1], self._grid[0]
        if rounding in ("nearest_even", "nearest_away"):
            beyond, tie_stays = self._half_step_beyond
            if tie_stays and rounding == "nearest_even":
                return np.asarray((x > top + beyond) | (x < low - beyond))
            return np.asarray((x >= top + beyond) | (x <= low - beyond))
        towards = {"toward_zero": (False, False), "up": (True, False), "down": (False, True)}
        above, below = towards.get(rounding, (True, True))
        return np.asarray(np.isinf(x) | ((x > top) & above) | ((x < low) & below))

    @property
    def _half_step_beyond(self) -> tuple[float, bool]:
        """How far beyond the largest value the nearest one is another, if the grid went on; whether ties stay."""
        return float(self._grid[-1] - self._grid[-2]) / 2, False

    @cached_property
    def _overflow_value(self) -> float:
        """Infinity where there is one, else NaN where there is one, else the largest value."""
        listed = self.code_values()
        if np.isinf(listed).any():
            return float("inf")
        return float("nan") if np.isnan(listed).any() else self.max_value


def as_floats(x: NDArray[Any]) -> NDArray[Any]:
    """Return ``x`` in the dtype that it is worked on in: float32 for float16 and float32, else float64."""
    given = np.asarray(x)
    return given.astype(np.float32 if given.dtype in (np.float16, np.float32) else np.float64, copy=False)


def along_axis(x: NDArray[Any], axis: int, quantize_last: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Return ``quantize_last`` of ``x`` with ``axis`` moved to the end, moved back; scalars count as one element."""
    given = as_floats(x)
    if given.size == 0:
        return given
    moved = np.moveaxis(given, axis, -1) if given.ndim else given.reshape(1)
    done = quantize_last(moved)
    return (np.moveaxis(done, -1, axis) if given.ndim else done).reshape(given.shape)


def round_in_chunks(x: NDArray[Any], round_chunk: Callable[..., None]) -> NDArray[Any]:
    """Return ``x`` after :meth:`ElementFormat.round_chunk`, called for as much as stays in the cache."""
    flat = np.ascontiguousarray(x).reshape(-1)
    out = np.empty_like(flat)
    spare = np.empty_like(flat[:CHUNK])
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        round_chunk(part, out[start : start + CHUNK], spare[: part.size])
    return out.reshape(x.shape)


def refuse_nan(name: str, x: NDArray[Any]) -> None:
    """Raise ``ValueError`` if ``x`` holds a NaN, for the format ``name`` that has no code for it."""
    if np.isnan(x).any():
        raise ValueError(f"{name} has no code for NaN")


def split_blocks(x: NDArray[Any], size: int) -> NDArray[Any]:
    """Cut the last axis of ``x`` into blocks of ``size``, the last one filled up with zeros."""
    short = -x.shape[-1] % size
    padded = np.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, short)]) if short else x
    return padded.reshape(*x.shape[:-1], -1, size)


def map_rows(function: Callable[..., NDArray[Any]], *arrays: NDArray[Any], elements: int = 1 << 16) -> NDArray[Any]:
    """Return ``function`` of equally many rows of each array at a time, so that work stays in the cache.

    ``elements`` of the first array are handed over at once, but at least one row. The results have
    the shape and dtype of the first array.
    """
    first = arrays[0]
    out = np.empty_like(first)
    rows = max(1, elements // max(1, first[:1].size))
    for start in range(0, len(first), rows):
        span = slice(start, start + rows)
        out[span] = function(*(array[span] for array in arrays))
    return out
