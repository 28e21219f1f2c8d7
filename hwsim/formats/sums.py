"""Sums as accumulators make them: one rounding per addition, or the wrapping of two's complement."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat
from hwsim.spec.errors import UsageError

#: Widest integer sum: float64, in which sums leave a PE, holds all of its numbers.
MAX_ACCUMULATOR = 53


def parse_sum_format(name: str) -> Format:
    """Return the format of sums that ``name`` says: any format; integers may be wider than numbers in memory.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    match = re.fullmatch(r"int([1-9]\d{1,2})", name)
    if match is None or int(match[1]) <= 32:
        from hwsim.formats.names import parse_format

        return parse_format(name)
    if int(match[1]) > MAX_ACCUMULATOR:
        raise UsageError(f"{name} is wider than {MAX_ACCUMULATOR} bits")
    return Integer(name, int(match[1]))


def holds_all(sums: Format, wanted: Format) -> bool:
    """Whether every value of ``wanted`` is one of ``sums``: integers by width, floats by significand and range.

    An integer and a float are not compared, as one counts places that the operands decide: never.
    """
    if isinstance(sums, Integer) and isinstance(wanted, Integer):
        return sums.bits - (not sums.signed) >= wanted.bits - (not wanted.signed) and sums.signed >= wanted.signed
    if isinstance(sums, Minifloat) and isinstance(wanted, Minifloat):
        below = (f.min_exponent - f.mantissa_bits * f.subnormals for f in (sums, wanted))
        finer = next(below) <= next(below)
        return finer and sums.sig_bits >= wanted.sig_bits and sums.max_value >= wanted.max_value
    return sums == wanted


def add_round_odd(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x + y in float64, rounded to odd, so that a later rounding is as if of the exact sum.

    TwoSum gives the error of the float64 sum; where it is not zero and the sum is even, the sum
    moves one unit towards the exact value (Boldo and Melquiond 2008).
    """
    with np.errstate(invalid="ignore", over="ignore"):
        total = x + y
        back = total - x
        error = (x - (total - back)) + (y - back)
        inexact = np.isfinite(total) & (error != 0)
        even = (total.view(np.int64) & 1) == 0
        towards = np.where(error > 0, np.inf, -np.inf)
        odd: NDArray[np.float64] = np.where(inexact & even, np.nextafter(total, towards), total)
    return odd


def add_rounded(accumulator: ElementFormat, acc: NDArray[Any], term: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``acc + term`` with one rounding to ``accumulator``; ``term`` is exact."""
    x, y = np.asarray(acc, dtype=np.float64), np.asarray(term, dtype=np.float64)
    return _add_single(accumulator, x, y) if is_single(accumulator) else add_exactly_rounded(accumulator, x, y)


def add_exactly_rounded(
    accumulator: ElementFormat, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``x + y`` with one rounding to any ``accumulator``, by way of the sum rounded to odd."""
    return accumulator.quantize(add_round_odd(x, y))


#: Of a float64: its magnitude, the bits that a float32 has not, and those of a tie between two float32.
_MAGNITUDE, _CUT, _TIE = np.uint64(2**63 - 1), np.uint64(2**29 - 1), np.uint64(2**28)
#: The smallest normal float32 and the largest; and as bits of a float64, the smallest and what is between.
_TINY, _LARGEST = np.float64(np.finfo(np.float32).tiny), np.float64(np.finfo(np.float32).max)
_LEAST = _TINY.view(np.uint64)
_SPAN = _LARGEST.view(np.uint64) - _LEAST


def is_single(accumulator: ElementFormat) -> bool:
    """Whether ``accumulator`` is FP32, which the machine has too; it saturates, which the machine does not."""
    return accumulator is parse_single() or accumulator == parse_single()


@lru_cache(maxsize=1)
def parse_single() -> ElementFormat:
    """Return FP32."""
    from hwsim.formats.names import parse_format

    return parse_format("fp32").element


def _add_single(accumulator: ElementFormat, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``x + y`` rounded to FP32: the float64 sum, rounded by the machine.

    Two roundings are one but where the first one makes a tie of what was none. Sums that look like a tie and are
    not exact, and those beyond the normal numbers, take the exact way.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.asarray(x + y)
        total = found.reshape(-1)
        bits = total.view(np.uint64)
        rounded = total.astype(np.float32).astype(np.float64)
        odd = (bits & _MAGNITUDE) - _LEAST > _SPAN
        odd |= bits & _CUT == _TIE
        at = np.flatnonzero(odd)
        if at.size:
            left, right = (np.broadcast_to(each, found.shape).reshape(-1)[at] for each in (x, y))
            rounded[at] = _odd_sums(accumulator, left, right)
    return rounded.reshape(found.shape)


def _odd_sums(accumulator: ElementFormat, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums rounded to FP32 that need a second look: exact ones in its normal range are as the machine says."""
    total = x + y
    size, back = np.abs(total), total - x
    exact = (x - (total - back)) + (y - back) == 0
    if (exact & (size >= _TINY) & (size <= _LARGEST)).all():
        return total.astype(np.float32).astype(np.float64)
    return add_exactly_rounded(accumulator, x, y)


def add_in_turn(accumulator: ElementFormat, acc: NDArray[Any], terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``acc`` plus ``terms`` (…, count), one after the other, each sum rounded once; terms are exact.

    In FP32 the machine's own sums are these where it has every term and no sum is beyond its largest number.
    """
    if terms.shape[-1] > 1 and is_single(accumulator):
        with np.errstate(over="ignore", invalid="ignore"):
            row = np.empty((*terms.shape[:-1], terms.shape[-1] + 1), dtype=np.float32)
            row[..., 0], row[..., 1:] = acc, terms
            if (row[..., 0] == acc).all() and (row[..., 1:] == terms).all():
                found = np.add.accumulate(row, axis=-1)[..., -1]
                if np.isfinite(found).all():  # what overflows once never comes back
                    return found.astype(np.float64)
    total = np.asarray(acc, dtype=np.float64)
    for at in range(terms.shape[-1]):
        total = add_rounded(accumulator, total, terms[..., at])
    return total


#: Sums that are so few take their steps side by side.
_FEW, _AT_ONCE = 512, 1 << 18
#: Sums and products in FP32 that stay in the cache.
_IN_CACHE = 1 << 13


def sum_products(
    accumulator: ElementFormat, acc: NDArray[np.float64], a: NDArray[np.float64], w: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``acc`` (m, n) plus the products of ``a`` (m, k) and ``w`` (k, n) in turn, each sum rounded once.

    Products must be exact in float64.
    """
    if acc.size <= _FEW:
        for start in range(0, len(w), _AT_ONCE // acc.size):
            span = slice(start, start + _AT_ONCE // acc.size)
            acc = add_in_turn(accumulator, acc, _times(a[:, None, span], w[span].T))
        return acc
    if is_single(accumulator) and _exact_in_single(a, w) and (acc.astype(np.float32) == acc).all():
        found = _machine_sums(acc, a, w)
        if found is not None:
            return found
    for column, row in zip(a.T, w, strict=True):
        acc = add_rounded(accumulator, acc, _times(column[:, None], row))
    return acc


def _times(a: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinity times 0
        product: NDArray[np.float64] = a * w
    return product


def _machine_sums(
    acc: NDArray[np.float64], a: NDArray[np.float64], w: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return :func:`sum_products` in float32, or None where a sum is beyond its largest number."""
    with np.errstate(over="ignore", invalid="ignore"):
        left, right = np.ascontiguousarray(a.T, dtype=np.float32), w.astype(np.float32)
        total = acc.astype(np.float32)
        rows = min(max(1, _IN_CACHE // total.shape[1]), len(total))
        steps = max(1, _IN_CACHE // (rows * total.shape[1]))
        terms = np.empty((steps + 1, rows, total.shape[1]), dtype=np.float32)
        for first in range(0, len(total), rows):
            block = total[first : first + rows]
            for start in range(0, len(right), steps):
                columns, row = left[start : start + steps, first : first + rows], right[start : start + steps]
                here = terms[: len(row) + 1, : len(block)]
                here[0] = block
                np.multiply(columns[:, :, None], row[:, None], out=here[1:])
                # Along an axis that is not the fast one numpy adds one after the other (its notes on sum).
                np.add.reduce(here, axis=0, out=block)
    return total.astype(np.float64) if np.isfinite(total).all() else None


def _exact_in_single(a: NDArray[np.float64], w: NDArray[np.float64]) -> bool:
    """Whether float32 has every product of an element of ``a`` and one of ``w``, and these, exactly."""
    last = top = 0
    bits = 0
    for each in (a, w):
        size = np.abs(each[each != 0])
        if not np.isfinite(size).all():
            return False
        if not size.size:
            return True
        fraction, exponent = np.frexp(size)
        places = np.ldexp(fraction, 53).astype(np.int64)
        width = 53 - _trailing_zeros(places)
        bits += int(width.max())
        last += int((exponent - width).min())
        top += int(exponent.max())
        if not (each.astype(np.float32) == each).all():
            return False
    return bits <= 24 and last >= -149 and top <= 128


def _trailing_zeros(whole: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many times 2 divides each of ``whole``, none of them 0."""
    lowest = (whole & -whole).astype(np.float64)
    return np.asarray(np.frexp(lowest)[1] - 1, dtype=np.int64)


def wrapped(total: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Return whole numbers as a two's-complement accumulator of ``bits`` bits holds them.

    Widths of 63 bits and more hold everything that int64 does.
    """
    half = 1 << (bits - 1)
    held: NDArray[np.int64] = ((total + half) & ((half << 1) - 1)) - half if bits < 63 else total
    return held


def whole_product(a: NDArray[np.int64], w: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the matrix product of whole numbers (m, k) and (k, n), exact where int64 holds the sums.

    Floats multiply matrices many times faster than integers do, and exactly below 2^53: as many products
    at a time as stay below.
    """
    largest = max(int(np.abs(a).max(initial=1)) * int(np.abs(w).max(initial=1)), 1)
    steps = (1 << 53) // largest
    if not steps:
        return a @ w
    found = np.zeros((a.shape[0], w.shape[1]), dtype=np.int64)
    for start in range(0, a.shape[1], steps):
        span = slice(start, start + steps)
        found += (a[:, span].astype(np.float64) @ w[span].astype(np.float64)).astype(np.int64)
    return found


def lossless_integer_bits(w_bits: int, a_bits: int, length: int) -> int:
    """Return the width of a lossless integer accumulator: ra + rb + ⌈log2 n⌉ + 1 (arXiv 2311.12359)."""
    return w_bits + a_bits + (length - 1).bit_length() + 1


def lossless_float_bits(w: tuple[int, int], a: tuple[int, int], length: int) -> int:
    """Return the width of an exact fixed-point accumulator of minifloats (exponent, mantissa bits).

    2^ea + ma + 2^eb + mb + ⌈log2 n⌉ - 1 (arXiv 2311.12359).
    """
    (w_exponent, w_mantissa), (a_exponent, a_mantissa) = w, a
    span: int = 2**w_exponent + w_mantissa + 2**a_exponent + a_mantissa
    return span + (length - 1).bit_length() - 1
