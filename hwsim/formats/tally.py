"""Sums over the codes of parts of a tensor, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat
from hwsim.formats.digits import ENCODINGS, digit_table, magnitude_bits, whole_numbers
from hwsim.spec.errors import UsageError, did_you_mean

#: Elements that are worked on at once.
CHUNK = 1 << 18


class View(NamedTuple):
    """Parts of equal size: ``data`` has shape (a, b, …), ``first`` is the column of part (0, 0)."""

    data: NDArray[Any]
    first: int


class Outliers(NamedTuple):
    """What an outlier is: above ``sigma`` standard deviations, or above a fixed magnitude."""

    sigma: float
    above: float | None


class Part(NamedTuple):
    """Sums of p parts: ``where`` they stand in the result, arrays of shape (p, …)."""

    where: tuple[slice, slice]
    elements: NDArray[np.float64]
    finite: NDArray[np.float64]
    zeros: NDArray[np.float64]
    digits: dict[str, NDArray[np.float64]]
    ones: NDArray[np.float64]
    threshold: NDArray[np.float64]
    outliers: NDArray[np.float64]


class Reader:
    """Sums up parts of a tensor of codes (``coded``) or values in one format; ``histogram`` is of all so far."""

    def __init__(self, element: ElementFormat, coded: bool, chunk: int, outliers: Outliers) -> None:
        self._element, self._coded, self._chunk, self._outliers = element, coded, chunk, outliers
        self.histogram = np.zeros(2**element.bits, dtype=np.int64)
        values = element.code_values()
        self._finite = np.isfinite(values)
        self._values = np.where(self._finite, values, 0.0)
        self._magnitudes = np.where(np.isnan(values), 0.0, np.abs(values))
        whole = whole_numbers(element)
        self._whole = None if whole is None else np.abs(whole.values)
        encodings = () if whole is None else ENCODINGS
        self._counts = {name: digit_table(element, name).counts() for name in encodings}

    def parts(self, view: View) -> Iterator[Part]:
        """Sum up all parts of a view, as many at a time as fit a chunk."""
        a, b, size = *view.data.shape[:2], prod(view.data.shape[2:])
        for rows, columns in _blocks(a, b, max(1, self._chunk // size)):
            codes, weights = self._weighted(view.data[rows, columns], size)
            where = (rows, slice(view.first + columns.start, view.first + columns.stop))
            yield self._sum(where, codes, weights)

    def _weighted(self, block: NDArray[Any], size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return codes, shape (1 or p, n), and how often each occurs in each part, shape (p, n)."""
        every = np.arange(2**self._element.bits)[None]
        if block.size > self._chunk:
            counts = np.zeros(every.shape)
            for piece in chunks(block, self._chunk):
                counts += np.bincount(self._codes(piece), minlength=every.size)
            return every, counts
        codes = self._codes(block.reshape(-1)).reshape(-1, size)
        once = np.broadcast_to(1.0, codes.shape)
        return (codes, once) if size < every.size else (every, tally(codes, once, every.size))

    def _codes(self, flat: NDArray[Any]) -> NDArray[np.int64]:
        if self._coded:
            return checked_codes(flat, self._element)
        try:
            return self._element.encode(flat).astype(np.int64)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def _sum(self, where: tuple[slice, slice], codes: NDArray[np.int64], weights: NDArray[np.float64]) -> Part:
        every = np.broadcast_to(codes, weights.shape).reshape(1, -1)
        self.histogram += tally(every, weights.reshape(1, -1), self.histogram.size)[0].astype(np.int64)
        finite = self._finite[codes] * weights
        threshold = self._threshold(self._values[codes], finite)
        return Part(
            where,
            elements=weights.sum(axis=-1),
            finite=finite.sum(axis=-1),
            zeros=((self._values[codes] == 0) * finite).sum(axis=-1),
            digits={name: tally(count[codes], finite, int(count.max()) + 1) for name, count in self._counts.items()},
            ones=self._ones(codes, finite),
            threshold=threshold,
            outliers=((self._magnitudes[codes] > threshold[:, None]) * weights).sum(axis=-1),
        )

    def _ones(self, codes: NDArray[np.int64], finite: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._whole is None:
            return np.empty((len(finite), 0))
        whole = self._whole[codes]
        places = [(((whole >> place) & 1) * finite).sum(axis=-1) for place in range(magnitude_bits(self._whole))]
        return np.stack(places, axis=-1)

    def _threshold(self, values: NDArray[np.float64], finite: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._outliers.above is not None:
            return np.full(len(finite), float(self._outliers.above))
        # Sums of codes of up to 8 bits are exact in float64, so neither order nor chunks change them.
        count, first, second = (((values**power) * finite).sum(axis=-1) for power in (0, 1, 2))
        return self._outliers.sigma * share(np.sqrt(np.maximum(count * second - first**2, 0.0)), count)


def views(given: NDArray[Any], axis: str | int | None) -> tuple[list[View], tuple[int, ...]]:
    """Return the parts of a tensor without a copy, and the shape of the result.

    Raises
    ------
    UsageError
        If the axis is unknown or the tensor is no matrix.
    """
    if axis is None:
        return [View(given[None, None], 0)], ()
    if isinstance(axis, bool) or not (axis in ("row", "column") or (isinstance(axis, int) and axis >= 1)):
        known = did_you_mean(axis, ("row", "column")) if isinstance(axis, str) else "valid: row, column"
        raise UsageError(f"axis is {axis!r}; {known}, a group size from 1 or None")
    if given.ndim != 2:
        raise UsageError(f"axis {axis!r} needs a matrix; the tensor has shape {given.shape}")
    if axis == "row":
        return [View(given[:, None, :], 0)], given.shape[:1]
    if axis == "column":
        return [View(given.T[:, None, :], 0)], given.shape[1:]
    return _groups(given, int(axis))


def _groups(given: NDArray[Any], size: int) -> tuple[list[View], tuple[int, ...]]:
    rows, length = given.shape
    full, rest = divmod(length, size)
    views = [View(given[:, : full * size].reshape(rows, full, size), 0)] if full else []
    if rest:
        views.append(View(given[:, None, full * size :], full))
    return views, (rows, full + bool(rest))


def _blocks(a: int, b: int, parts: int) -> Iterator[tuple[slice, slice]]:
    """Cut a grid of ``a`` × ``b`` parts into blocks of at most ``parts``."""
    columns = min(b, parts)
    rows = max(1, parts // b)
    for row in range(0, a, rows):
        for column in range(0, b, columns):
            yield slice(row, min(a, row + rows)), slice(column, min(b, column + columns))


def chunks(array: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """Yield the elements of an array of any strides, flat, at most ``size`` at a time; valid until the next."""
    if array.size:
        yield from np.nditer(array, flags=["external_loop", "buffered"], order="K", buffersize=size)


def checked_codes(codes: NDArray[Any], element: ElementFormat) -> NDArray[np.int64]:
    """Return codes as int64.

    Raises
    ------
    UsageError
        If they are no whole numbers or none of the format.
    """
    if codes.dtype.kind not in "ui":
        raise UsageError(f"codes of {element.name} have dtype {codes.dtype}; valid: whole numbers")
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or high >= 2**element.bits:
        raise UsageError(f"{low if low < 0 else high} is no code of {element.name}; valid: 0 to {2**element.bits - 1}")
    return codes.astype(np.int64)


def tally(values: NDArray[np.int64], weights: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the summed weights of 0 … ``width`` - 1 in each row of ``values``, shape (p, width).

    ``weights`` has shape (p, n), ``values`` that or (1, n).
    """
    rows = len(weights)
    at = values + width * np.arange(rows)[:, None]
    summed = np.bincount(at.reshape(-1), weights.reshape(-1), minlength=rows * width).astype(np.float64)
    return summed.reshape(rows, width)


def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``part`` / ``whole``, NaN where there is no whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(part, whole))
