"""Sums as accumulators make them: one rounding per addition, or the wrapping of two's complement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat


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
    return accumulator.quantize(add_round_odd(np.asarray(acc, dtype=np.float64), np.asarray(term, dtype=np.float64)))


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
