"""Bit statistics of tensors: what data-dependent hardware needs to know of its operands.

Everything is computed from codes, a chunk at a time: from a histogram where a part of the tensor has
more elements than the format has codes, from the codes themselves where it has fewer. Both give the
same. Digits are those of :mod:`hwsim.formats.digits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.digits import ENCODINGS, check_width, digit_table, magnitude_bits, whole_numbers
from hwsim.spec.errors import UsageError, did_you_mean

#: Elements that are worked on at once.
CHUNK = 1 << 18


@dataclass(frozen=True)
class BitStatistics:
    """Statistics of a tensor, or of each of its parts.

    Shape P is () for the whole tensor, (rows,), (columns,) or (rows, groups).

    Attributes
    ----------
    format
        Name of the format.
    count
        Elements, int64 P.
    histogram
        Codes of the whole tensor, int64 (2^bits,).
    zero_share
        Share of elements that are zero (of either sign), P.
    special_share
        Share of NaN and infinities, P.
    digit_histograms
        Per encoding how many finite elements have 0, 1, … non-zero digits, int64 P + (most + 1,).
        Empty for a format without digits.
    position_share
        Share of finite elements whose magnitude has a one at bit 0, 1, …, P + (bits,); for a
        minifloat of the significand. No bits for a format without digits.
    outlier_threshold
        Magnitude in units of the format above which an element is an outlier, P.
    outlier_share
        Share of elements above it, infinities included, P.
    """

    format: str
    count: NDArray[np.int64]
    histogram: NDArray[np.int64]
    zero_share: NDArray[np.float64]
    special_share: NDArray[np.float64]
    digit_histograms: Mapping[str, NDArray[np.int64]]
    position_share: NDArray[np.float64]
    outlier_threshold: NDArray[np.float64]
    outlier_share: NDArray[np.float64]

    @property
    def digit_means(self) -> dict[str, NDArray[np.float64]]:
        """Mean non-zero digits of a finite element per encoding, P; NaN where no element is finite."""
        return {name: mean_digits(counts) for name, counts in self.digit_histograms.items()}


def code_histogram(codes: ArrayLike, fmt: Format, chunk: int = CHUNK) -> NDArray[np.int64]:
    """Return how often every code occurs, shape (2^bits,).

    ``codes`` may have any shape and strides; ``chunk`` elements are worked on at once.

    Raises
    ------
    UsageError
        If codes are no whole numbers or out of range, or the format is wider than 16 bits.
    """
    check_width(fmt.element)
    total = np.zeros(2**fmt.element.bits, dtype=np.int64)
    for part in _chunks(np.asarray(codes), chunk):
        total += np.bincount(_checked(part, fmt.element), minlength=total.size)
    return total


def digit_histogram(weights: ArrayLike, fmt: Format, encoding: str) -> NDArray[np.float64]:
    """Return the weight of finite codes with 0, 1, … non-zero digits.

    Parameters
    ----------
    weights
        Histogram or probabilities of codes, shape (2^bits,).
    fmt
        Format of the codes.
    encoding
        One of :data:`hwsim.formats.digits.ENCODINGS`.

    Returns
    -------
    numpy.ndarray
        Shape (most + 1,).

    Raises
    ------
    UsageError
        If the encoding is unknown, the format has no digits, or the shape is wrong.
    """
    counts, given = digit_table(fmt.element, encoding).counts(), np.asarray(weights, dtype=np.float64)
    if given.shape != counts.shape:
        raise UsageError(f"weights have shape {given.shape}; {fmt.name} needs ({counts.size},), one per code")
    finite = np.isfinite(fmt.element.code_values())
    return _tally(counts[None], np.where(finite, given, 0.0)[None], int(counts.max()) + 1)[0]


def mean_digits(distribution: ArrayLike) -> NDArray[np.float64]:
    """Return the mean of digit distributions, shape (…, most + 1) to (…); NaN for an empty one."""
    weights = np.asarray(distribution, dtype=np.float64)
    return _share(weights @ np.arange(weights.shape[-1], dtype=np.float64), weights.sum(axis=-1))


def expected_maximum(distribution: ArrayLike, lanes: int) -> NDArray[np.float64]:
    """Return the expected largest of ``lanes`` independent draws: the cycles of lanes in lockstep.

    Exact from the cumulative distribution: E = Σ_d (1 - F(d)^lanes).

    Parameters
    ----------
    distribution
        Histogram or probabilities of 0, 1, … digits, shape (…, most + 1).
    lanes
        Lanes that wait for the slowest one.

    Returns
    -------
    numpy.ndarray
        Shape (…).

    Raises
    ------
    UsageError
        If there is no lane, or a distribution is empty, negative or not finite.
    """
    weights = np.asarray(distribution, dtype=np.float64)
    if lanes < 1 or lanes != int(lanes):
        raise UsageError(f"lanes are {lanes!r}; valid: whole numbers from 1")
    if not weights.ndim or not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(axis=-1) <= 0).any():
        raise UsageError("a distribution of digits must be finite, not negative and not empty")
    cumulated = np.cumsum(weights, axis=-1)
    below = (cumulated / cumulated[..., -1:]) ** lanes
    return np.asarray(np.sum(1.0 - below, axis=-1))


def bit_statistics(
    tensor: ArrayLike,
    fmt: Format,
    axis: str | int | None = None,
    *,
    outlier_sigma: float = 3.0,
    outlier_above: float | None = None,
    chunk: int = CHUNK,
) -> BitStatistics:
    """Return the bit statistics of a tensor stored in ``fmt``.

    Parameters
    ----------
    tensor
        Codes, where the dtype is an unsigned integer; values, which are encoded, where it is another.
        Codes are those of the elements of a block format; values need a format without blocks.
    fmt
        The format, of up to 16 bits.
    axis
        None for the whole tensor of any shape; ``row`` or ``column`` of a matrix; or a group size:
        that many elements along each row, the last group ragged.
    outlier_sigma
        An outlier is an element with |x| > ``outlier_sigma`` · σ, σ the standard deviation of the
        stored, finite elements of its part about their mean.
    outlier_above
        A fixed magnitude instead, such as the 6.0 of LLM.int8().
    chunk
        Elements that are worked on at once: bounds the memory, never changes the result.

    Raises
    ------
    UsageError
        If there is no element, a code is out of range, or an argument is not as described.
    """
    given = np.asarray(tensor)
    element = _check(given, fmt, chunk)
    _check_outliers(outlier_sigma, outlier_above)
    reader = _Reader(element, given.dtype.kind == "u", chunk, outlier_sigma, outlier_above)
    views, shape = _views(given, axis)
    found = [part for view in views for part in reader.parts(view)]
    return _assemble(element, fmt.name, found, shape)


class _Part(NamedTuple):
    """Statistics of some parts: ``where`` in the result, then sums with one row per part."""

    where: tuple[slice, slice]
    size: int
    histogram: NDArray[np.int64]
    zeros: NDArray[np.float64]
    finite: NDArray[np.float64]
    digits: dict[str, NDArray[np.float64]]
    ones: NDArray[np.float64]
    threshold: NDArray[np.float64]
    outliers: NDArray[np.float64]


class _View(NamedTuple):
    """Parts of equal size, shape (a, b, size), and the column of the result that they start at."""

    data: NDArray[Any]
    first: int


class _Reader:
    """Sums up parts of a tensor in one format."""

    def __init__(self, element: ElementFormat, coded: bool, chunk: int, sigma: float, above: float | None) -> None:
        self.element, self.coded, self.chunk = element, coded, chunk
        self.sigma, self.above = sigma, above
        values = element.code_values()
        self.is_finite = np.isfinite(values)
        self.finite_values = np.where(self.is_finite, values, 0.0)
        self.magnitudes = np.where(np.isnan(values), 0.0, np.abs(values))
        whole = whole_numbers(element)
        self.whole = None if whole is None else np.abs(whole.values)
        encodings = ENCODINGS if whole is not None else ()
        self.counts = {name: digit_table(element, name).counts() for name in encodings}

    def parts(self, view: _View) -> Iterator[_Part]:
        """Sum up all parts of a view, some at a time."""
        a, b, size = view.data.shape
        for rows, columns in _blocks(a, b, max(1, self.chunk // max(1, size))):
            block = view.data[rows, columns]
            where = (rows, slice(view.first + columns.start, view.first + columns.stop))
            yield self._sum(where, size, *self._weighted(block.reshape(-1, size) if block.size <= self.chunk else block))

    def _weighted(self, block: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
        """Return codes (1 or parts, n) and how often each occurs (parts, n), None for once."""
        size, codes = block.shape[-1], 2**self.element.bits
        if block.size > self.chunk:
            counted = sum(np.bincount(self._codes(part), minlength=codes) for part in _chunks(block, self.chunk))
            return np.arange(codes)[None], np.asarray(counted, dtype=np.float64)[None]
        read = self._codes(block.reshape(-1)).reshape(block.shape)
        if size < codes:
            return read, None
        return np.arange(codes)[None], _tally(read, None, codes)

    def _codes(self, flat: NDArray[Any]) -> NDArray[np.int64]:
        return _checked(flat if self.coded else self.element.encode(flat), self.element)

    def _sum(
        self, where: tuple[slice, slice], size: int, codes: NDArray[np.int64], weights: NDArray[np.float64] | None
    ) -> _Part:
        is_finite = self.is_finite[codes]
        finite = _total(is_finite, weights)
        kept = np.where(is_finite, 1.0 if weights is None else weights, 0.0)
        threshold = self._threshold(self.finite_values[codes], kept, finite)
        places = range(0 if self.whole is None else magnitude_bits(self.whole))
        ones = [_total((self.whole[codes] >> place) & 1, weights) for place in places if self.whole is not None]
        return _Part(
            where,
            size,
            _tally(codes.reshape(1, -1), None, len(self.is_finite))[0].astype(np.int64)
            if weights is None
            else weights.sum(axis=0).astype(np.int64),
            _total(is_finite & (self.finite_values[codes] == 0), weights),
            finite,
            {name: _tally(count[codes], kept, int(count.max()) + 1) for name, count in self.counts.items()},
            np.stack(ones, axis=-1) if ones else np.empty((len(finite), 0)),
            threshold,
            _total(self.magnitudes[codes] > threshold[:, None], weights),
        )

    def _threshold(
        self, values: NDArray[np.float64], kept: NDArray[np.float64], finite: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self.above is not None:
            return np.full(finite.shape, float(self.above))
        # Sums of short fixed-point numbers are exact, so the order of the elements does not matter.
        first, second = (kept * values).sum(axis=-1), (kept * values**2).sum(axis=-1)
        spread = np.sqrt(np.maximum(finite * second - first**2, 0.0))
        return self.sigma * _share(spread, finite)


def _assemble(element: ElementFormat, name: str, found: list[_Part], shape: tuple[int, ...]) -> BitStatistics:
    grid = (shape + (1, 1))[:2]

    def gather(pick: Any, dtype: Any = np.float64) -> NDArray[Any]:
        tail = pick(found[0]).shape[1:]
        out = np.empty(grid + tail, dtype=dtype)
        for part in found:
            cells = out[part.where]
            cells[...] = pick(part).reshape(cells.shape)
        return out.reshape(shape + tail)

    count = gather(lambda part: np.full(part.finite.shape, part.size), np.int64)
    finite = gather(lambda part: part.finite)
    return BitStatistics(
        format=name,
        count=count,
        histogram=np.sum([part.histogram for part in found], axis=0, dtype=np.int64),
        zero_share=gather(lambda part: part.zeros) / count,
        special_share=(count - finite) / count,
        digit_histograms={key: gather(lambda part, key=key: part.digits[key], np.int64) for key in found[0].digits},
        position_share=_share(gather(lambda part: part.ones), finite[..., None]),
        outlier_threshold=gather(lambda part: part.threshold),
        outlier_share=gather(lambda part: part.outliers) / count,
    )
