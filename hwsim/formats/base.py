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
from functools import cached_property, wraps
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.fit import Fit
from hwsim.formats.rounding import End, Neighbours, Overflow, Rounding, between, check_modes, draws, overflowed

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

    @property
    def stable(self) -> bool:
        """Whether quantizing twice is known to change nothing, where the scales of blocks are normal numbers.

        In float64; in float32, which may round the product of an element and its scale, codes stay and
        values may move by two units in the last place.
        """
        return True

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with blocks along k, ragged ones included."""
        if self.block_size is None:
            return rows * k * int(self.bits_per_element)
        metadata = (self.bits_per_element - self.bits) * self.block_size
        return rows * (k * self.bits + -(-k // self.block_size) * int(metadata))

    def code_bits(self, rows: int, k: int) -> int:
        """Return the bits of :meth:`storage_bits` that are codes of elements; the rest is metadata."""
        return rows * k * self.bits

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

    ``fit`` is what the scale of a tensor fits to a value of the format: the largest magnitude, or, for formats
    that are most precise around 1 or that have hardly any magnitudes, the root mean square or the mean
    magnitude. ``block_fit`` is what scales of blocks fit. ``complex_valued`` formats decode to complex128;
    they have neither digits nor bit statistics, and offer ``scaled_quantize``, which takes real tensors
    as pairs.
    """

    block_size: int | None = None
    fit: Fit = "absmax"
    complex_valued: ClassVar[bool] = False
    #: The code that NaN is given; None where NaN is refused.
    nan_code: int | None = None

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

    def fitted_value(self, fit: Fit) -> float:
        """Return the value that scales of this ``fit`` take a tensor's magnitude to; 1 but for the largest one."""
        return self.scaling_value if fit == "absmax" else 1.0

    @property
    def block_fit(self) -> Fit:
        """What scales of blocks fit; ``fit`` unless a family says other."""
        return self.fit

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

    @cached_property
    def listed(self) -> NDArray[np.float64]:
        """:meth:`code_values`, kept for look-ups; read-only."""
        values = self.code_values()
        values.setflags(write=False)
        return values

    def values(self) -> NDArray[np.float64]:
        """Return the finite values, ascending and each once (formats of up to 16 bits)."""
        return self._grid

    @cached_property
    def _grid(self) -> NDArray[np.float64]:
        listed = self.listed
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
        given = self._worked_on(x)
        if rounding == "nearest_even" and overflow == "saturate":
            return self._nearest(given)
        rng = draws(rounding, seed)
        flat = np.ascontiguousarray(given).reshape(-1)
        return map_rows(lambda part: self._directed(part, rounding, overflow, rng), flat).reshape(given.shape)

    def _worked_on(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return ``x`` in the dtype of the result; see :func:`as_floats`."""
        return as_floats(x)

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.size <= CHUNK:
            return self.decode(self.encode(x)).astype(x.dtype, copy=False)
        return map_rows(self._nearest, np.ascontiguousarray(x).reshape(-1)).reshape(x.shape)

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
        """Round in any mode; ``rng`` is that of :func:`hwsim.formats.rounding.draws`."""
        missing = np.isnan(x)
        known = x
        if missing.any():
            if self.nan_code is None:
                raise ValueError(f"{self.name} has no code for NaN")
            known = np.where(missing, x.dtype.type(0), x)
        if rounding == "nearest_even":
            rounded = np.asarray(self._nearest(known), dtype=np.float64)
        else:
            rounded = between(known, self._neighbours(known), rounding, rng)
            rounded = np.copysign(rounded, known) if self._has_negative_zero else rounded + 0.0
        if overflow == "infinity":
            rounded = overflowed(known, rounded, self._ends, rounding)
        return np.where(missing, np.nan, rounded).astype(x.dtype, copy=False)

    @property
    def _has_negative_zero(self) -> bool:
        """Whether results of zero keep the sign of what they come from."""
        return False

    def _neighbours(self, x: NDArray[Any]) -> Neighbours:
        """Return the values around ``x``, as its dtype has them; ``x`` has no NaN."""
        grid = self._grid.astype(x.dtype).astype(np.float64)
        inside = np.clip(x.astype(np.float64), grid[0], grid[-1])
        above = np.searchsorted(grid, inside)
        below = above - (grid[above] > inside)
        return Neighbours(grid[below], grid[above], self._halfways[np.minimum(below, grid.size - 2)])

    @cached_property
    def _halfways(self) -> NDArray[np.float64]:
        """The numbers halfway between the values of the grid."""
        return np.asarray((self._grid[1:] + self._grid[:-1]) / 2)

    @cached_property
    def _ends(self) -> tuple[End, End]:
        """The lowest and the largest value."""
        grid, listed = self._grid, self.code_values()

        def end(value: float, step: float, infinity: float) -> End:
            nothing = value if self.nan_code is None else float("nan")
            return End(value, value + step / 2, False, infinity if np.any(listed == infinity) else nothing)

        return (
            end(float(grid[0]), float(grid[0] - grid[1]), -np.inf),
            end(float(grid[-1]), float(grid[-1] - grid[-2]), np.inf),
        )


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
    return padded.reshape(*x.shape[:-1], padded.shape[-1] // size, size)


def encoded_in_pieces(encode: Callable[[Any, NDArray[Any]], NDArray[np.uint32]]) -> Callable[..., NDArray[np.uint32]]:
    """Let an ``encode`` of a format work on as much as stays in the cache; its codes are of the shape of its values."""

    @wraps(encode)
    def in_pieces(fmt: Any, values: NDArray[Any]) -> NDArray[np.uint32]:
        given = np.asarray(values)
        if given.size <= CHUNK:
            return encode(fmt, given)
        flat = np.ascontiguousarray(given).reshape(-1)
        return map_rows(lambda part: encode(fmt, part), flat, dtype=np.uint32).reshape(given.shape)

    return in_pieces


def map_rows(
    function: Callable[..., NDArray[Any]], *arrays: NDArray[Any], elements: int = 1 << 16, dtype: Any = None
) -> NDArray[Any]:
    """Return ``function`` of equally many rows of each array at a time, so that work stays in the cache.

    ``elements`` of the first array are handed over at once, but at least one row. The results have
    the shape of the first array, and its dtype unless another is given.
    """
    first = arrays[0]
    out = np.empty_like(first, dtype=dtype)
    rows = max(1, elements // max(1, first[:1].size))
    for start in range(0, len(first), rows):
        span = slice(start, start + rows)
        out[span] = function(*(array[span] for array in arrays))
    return out
