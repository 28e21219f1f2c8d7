"""Bit statistics of tensors: what data-dependent hardware needs to know of its operands.

Everything is computed from codes, a chunk at a time: from a histogram where a part of the tensor has
more elements than the format has codes, from the codes themselves where it has fewer. Both give the
same. Digits are those of :mod:`hwsim.formats.digits`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.digits import check_width, digit_table
from hwsim.formats.element.integer import Integer
from hwsim.formats.tally import CHUNK, Outliers, Part, Reader, checked_codes, chunks, share, tally, views
from hwsim.spec.errors import UsageError


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
    for part in chunks(np.asarray(codes), chunk):
        total += np.bincount(checked_codes(part, fmt.element), minlength=total.size)
    return total


def digit_histogram(weights: ArrayLike, fmt: Format, encoding: str) -> NDArray[np.float64]:
    """Return the weight of finite codes with 0, 1, … non-zero digits.

    Parameters
    ----------
    weights
        Histograms or probabilities of codes, shape (…, 2^bits).
    fmt
        Format of the codes.
    encoding
        One of :data:`hwsim.formats.digits.ENCODINGS`.

    Returns
    -------
    numpy.ndarray
        Shape (…, most + 1).

    Raises
    ------
    UsageError
        If the encoding is unknown, the format has no digits, or the shape is wrong.
    """
    counts, given = digit_table(fmt.element, encoding).counts(), np.asarray(weights, dtype=np.float64)
    if given.shape[-1:] != counts.shape:
        raise UsageError(f"weights have shape {given.shape}; {fmt.name} needs (…, {counts.size}), one per code")
    finite = np.where(np.isfinite(fmt.element.code_values()), given, 0.0)
    summed = tally(counts[None], finite.reshape(-1, counts.size), int(counts.max()) + 1)
    return summed.reshape(*given.shape[:-1], -1)


def mean_digits(distribution: ArrayLike) -> NDArray[np.float64]:
    """Return the mean of digit distributions, shape (…, most + 1) to (…); NaN for an empty one."""
    weights = np.asarray(distribution, dtype=np.float64)
    return share((weights * np.arange(weights.shape[-1])).sum(axis=-1), weights.sum(axis=-1))


def expected_maximum(distribution: ArrayLike, lanes: int) -> NDArray[np.float64]:
    """Return the expected largest of ``lanes`` independent draws: the cycles of lanes in lockstep.

    Exact from the cumulative distribution: E = Σ_d (1 - F(d)^lanes). Elements under one scale are alike:
    for lanes within a group, average over the groups' own distributions. That of the whole tensor
    asks for about 4 % more cycles where tails are heavy (Student-t with 3 degrees of freedom).

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
    below: NDArray[np.float64] = (cumulated / cumulated[..., -1:]) ** lanes
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
        Codes, where the dtype is an unsigned integer; values, which are encoded, where it is another. Of a
        signed integer format, whole numbers of a signed dtype that all have a code are taken as they are:
        -128 is one of INT8's, though quantization does not use it.
        Of a block format the codes are those of its elements. Values are encoded with blocks along the
        last axis, all at once; formats whose codes mean other values in other blocks take codes alone.
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
        Elements that are worked on at once: bounds the memory. Changes no result, but for the last bits
        of the σ of floats above 8 bits.

    Raises
    ------
    UsageError
        If there is no element, a code is out of range, or an argument is not as described.
    """
    given = np.asarray(tensor)
    coded = _check(given, fmt, chunk)
    if given.dtype.kind == "i" and _all_coded(given, fmt):
        given, coded = (given.astype(np.int64) & (2**fmt.bits - 1)).astype(np.uint32), True
    if not coded and isinstance(fmt, Scaled):
        given, coded = fmt.encode(given).codes.codes, True
    reader = Reader(fmt.element, coded, chunk, _outliers(outlier_sigma, outlier_above))
    parts, shape = views(given, axis)
    found = [part for view in parts for part in reader.parts(view)]
    return _assemble(fmt.name, reader.histogram, found, shape)


def _check(given: NDArray[Any], fmt: Format, chunk: int) -> bool:
    """Refuse what has no statistics; return whether ``given`` are codes."""
    check_width(fmt.element)
    coded = given.dtype.kind == "u"
    if given.dtype.kind not in "uif" and not np.can_cast(given.dtype, np.float64):
        raise UsageError(f"a tensor of dtype {given.dtype} has no bit statistics; valid: codes or real numbers")
    if given.size == 0:
        raise UsageError(f"a tensor of shape {given.shape} has no elements to make statistics of")
    if not coded and not isinstance(fmt, ElementFormat | Scaled):
        raise UsageError(f"{fmt.name} has no one code per element: pass codes as unsigned integers")
    if chunk < 1:
        raise UsageError(f"chunk is {chunk}; valid: whole numbers from 1")
    return coded


def _all_coded(given: NDArray[Any], fmt: Format) -> bool:
    """Return whether ``fmt`` is a signed integer that has a code for all of these whole numbers."""
    if not isinstance(fmt, Integer) or not fmt.signed:
        return False
    half = 2 ** (fmt.bits - 1)
    return bool(-half <= given.min() and given.max() < half)


def _outliers(sigma: float, above: float | None) -> Outliers:
    for name, value in (("outlier_sigma", sigma), ("outlier_above", above)):
        if value is not None and not 0 <= value < np.inf:
            raise UsageError(f"{name} is {value}; valid: finite numbers from 0")
    return Outliers(sigma, above)


def _assemble(name: str, histogram: NDArray[np.int64], found: list[Part], shape: tuple[int, ...]) -> BitStatistics:
    def gather(pick: Callable[[Part], NDArray[Any]], dtype: Any = np.float64) -> NDArray[Any]:
        tail = pick(found[0]).shape[1:]
        rows, columns = (*shape, 1, 1)[:2]
        out = np.empty((rows, columns, *tail), dtype=dtype)
        for part in found:
            out[part.where] = pick(part).reshape(out[part.where].shape)
        return out.reshape(shape + tail)

    def digits(encoding: str) -> NDArray[np.int64]:
        return gather(lambda part: part.digits[encoding], np.int64)

    count = gather(lambda part: part.elements, np.int64)
    finite = gather(lambda part: part.finite)
    return BitStatistics(
        format=name,
        count=count,
        histogram=histogram,
        zero_share=gather(lambda part: part.zeros) / count,
        special_share=(count - finite) / count,
        digit_histograms={encoding: digits(encoding) for encoding in found[0].digits},
        position_share=share(gather(lambda part: part.ones), finite[..., None]),
        outlier_threshold=gather(lambda part: part.threshold),
        outlier_share=gather(lambda part: part.outliers) / count,
    )
