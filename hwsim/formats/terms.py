"""Bit-serial terms: numbers as sums of signed powers of two, one term per cycle of a bit-serial PE.

A term is (-1)^s · 2^e · m · 2^bsig with a 1-bit sign, a 2-bit exponent, a 1-bit mantissa and a
``bsig`` that all lanes of a cycle share (BitMoD, arXiv 2411.11745, equation 4 and IV-A):

* FP4 and FP3 are fixed point I3 I2 I1 I0 . F0: the first term is the leading one of I3 … I0
  (bsig 0), the second the leading one of I2 I1 I0 F0 that is left (bsig -1);
* integers are radix-4 Booth digits, bsig 0, 2, 4, …; ceil(bits / 2) of them.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.block.bitmod import BitModElement
from hwsim.formats.element.integer import Integer

#: Widest integers that are taken apart: the digits of all codes are tabulated.
MAX_BITS = 16


class Terms(NamedTuple):
    """Terms of every code of a format: arrays of shape (slots, codes), ``bsig`` of shape (slots,).

    ``mantissa`` is 0 where a slot is empty.
    """

    sign: NDArray[np.int64]
    exponent: NDArray[np.int64]
    mantissa: NDArray[np.int64]
    bsig: NDArray[np.int64]


def bit_serial_terms(fmt: Format) -> int:
    """Return the cycles that a weight of ``fmt`` takes in BitMoD's PE.

    Raises
    ------
    ValueError
        If the format has no such terms.
    """
    element = fmt.element
    if isinstance(element, BitModElement):
        return 2
    if isinstance(element, Integer) and element.signed and element.bits <= MAX_BITS:
        return ceil(element.bits / 2)
    raise ValueError(f"{fmt.name} has no bit-serial terms; valid: bitmod3_g128, bitmod4_g128, int2 … int{MAX_BITS}")


@lru_cache(maxsize=64)
def term_table(element: ElementFormat) -> Terms:
    """Return the terms of every code of ``element``, in code order.

    Raises
    ------
    ValueError
        If the format has no such terms.
    """
    slots = bit_serial_terms(element)
    if isinstance(element, BitModElement):
        return _fixed_point_terms(element.levels)
    assert isinstance(element, Integer)
    terms = _booth_terms(element.integers(np.arange(2**element.bits)), slots)
    # An implied factor (MXINT8: 2^-6, nested integers: 2^(H-L)) moves every term.
    place = int(np.frexp(element.decode(np.array([1])))[1][0]) - 1
    return terms._replace(bsig=terms.bsig + place)


def _booth_terms(values: NDArray[np.int64], slots: int) -> Terms:
    digits = []
    for slot in range(slots):
        low = (values >> (2 * slot - 1)) & 1 if slot else np.zeros_like(values)
        digits.append(-2 * ((values >> (2 * slot + 1)) & 1) + ((values >> (2 * slot)) & 1) + low)
    stacked = np.array(digits)
    return Terms(
        (stacked < 0).astype(np.int64),
        (np.abs(stacked) == 2).astype(np.int64),
        (stacked != 0).astype(np.int64),
        2 * np.arange(slots),
    )


def _fixed_point_terms(levels: NDArray[np.float64]) -> Terms:
    halves = np.rint(np.abs(levels) * 2).astype(np.int64)  # I3 I2 I1 I0 F0
    first = _leading_one(halves >> 1)
    rest = halves - np.where(first >= 0, 2 << np.maximum(first, 0), 0)
    second = _leading_one(rest)
    places = np.array([first, second])
    negative = np.broadcast_to(levels < 0, places.shape).astype(np.int64)
    return Terms(negative, np.maximum(places, 0), (places >= 0).astype(np.int64), np.array([0, -1]))


def _leading_one(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of the leading one, -1 for zero."""
    found: NDArray[np.int64] = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    return np.where(values > 0, found, -1)
