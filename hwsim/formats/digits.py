"""Digits of every code of a format: what bit-serial and Booth-like hardware takes apart.

==================  ==========================================================  ===============
encoding            digits                                                      weights
==================  ==========================================================  ===============
``twos_complement``  {0, 1}                                                     2^i, top negative
``sign_magnitude``  {0, 1} of the magnitude, sign apart                         2^i
``booth``           {-2 … 2}, radix-4 modified Booth                            4^i
``naf``             {-1, 0, 1}, non-adjacent form: fewest non-zero digits       2^i
``ent``             {-1, 0, 1, 2} of the magnitude, sign apart (EN-T, TPE,      4^i
                    arXiv 2503.06342): 3 becomes -1 and a carry that ripples
==================  ==========================================================  ===============

The whole number behind a code is the integer itself; of a minifloat or a posit its significand with
the hidden bit, which has its sign apart in every encoding (a posit's is filled up with zeros to the
longest fraction of the format, as a decoder aligns it); of another format its value in units of the
largest power of two that divides all its values (BitMoD levels in halves). A format whose values are
no such whole numbers of up to 16 bits (NF4, logarithmic numbers with a fraction) has no digits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat
from hwsim.formats.element.posit import Posit
from hwsim.formats.terms import MAX_BITS, term_table
from hwsim.spec.errors import UsageError, did_you_mean

Encoding = Literal["twos_complement", "sign_magnitude", "booth", "naf", "ent"]


class Whole(NamedTuple):
    """Whole numbers behind the codes of a format.

    Attributes
    ----------
    values
        int64 (codes,); not negative where the sign is apart, 0 for NaN and infinities.
    negative
        bool (codes,): the sign where it is apart, else False.
    width
        Bits that hold every value, the sign of two's complement included.
    signed
        Whether values are in two's complement.
    """

    values: NDArray[np.int64]
    negative: NDArray[np.bool_]
    width: int
    signed: bool


class Digits(NamedTuple):
    """Digits of every code: value = ± Σ digits · weights.

    Attributes
    ----------
    digits
        int8 (slots, codes), least significant slot first.
    weights
        int64 (slots,).
    negative
        bool (codes,): whether a sign that is stored apart negates the sum.
    """

    digits: NDArray[np.int8]
    weights: NDArray[np.int64]
    negative: NDArray[np.bool_]

    def values(self) -> NDArray[np.int64]:
        """Return the whole number of every code, shape (codes,)."""
        total = self.weights @ self.digits.astype(np.int64)
        return np.where(self.negative, -total, total)

    def counts(self) -> NDArray[np.int64]:
        """Return the number of non-zero digits of every code, shape (codes,)."""
        found: NDArray[np.int64] = np.count_nonzero(self.digits, axis=0).astype(np.int64)
        return found


@lru_cache(maxsize=64)
def whole_numbers(element: ElementFormat) -> Whole | None:
    """Return the whole numbers behind the codes of ``element``, None where it has none.

    Raises
    ------
    UsageError
        If the format is wider than 16 bits, or complex.
    """
    check_width(element)
    codes = np.arange(2**element.bits)
    if isinstance(element, Integer):
        return Whole(element.integers(codes), np.zeros(codes.shape, dtype=bool), element.bits, element.signed)
    if isinstance(element, Minifloat):
        return _significands(element, codes)
    if isinstance(element, Posit):
        return _posit_significands(element)
    return _scaled_values(element.code_values())


def _significands(element: Minifloat, codes: NDArray[np.int64]) -> Whole:
    sign, exponent, mantissa = element.fields(codes)
    hidden = (exponent > 0) | (not element.subnormals)
    significand = mantissa + np.where(hidden, 2**element.mantissa_bits, 0)
    finite = np.isfinite(element.code_values())
    return Whole(np.where(finite, significand, 0), finite & (sign == 1), element.sig_bits, False)


def _posit_significands(element: Posit) -> Whole:
    values = element.code_values()
    real = np.isfinite(values) & (values != 0)
    fraction, _ = np.frexp(np.abs(np.where(real, values, 0.5)))
    # Sign, two bits of the shortest regime and the exponent leave so many bits of fraction.
    width = 1 + max(0, element.bits - 3 - element.es)
    significand = np.where(real, np.ldexp(fraction, width), 0.0).astype(np.int64)
    return Whole(significand, real & (values < 0), width, False)


def _scaled_values(values: NDArray[np.float64]) -> Whole | None:
    finite = np.where(np.isfinite(values), values, 0.0)
    fraction, exponent = np.frexp(finite)
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    lowest = np.frexp((mantissa & -mantissa).astype(np.float64))[1] - 1 + exponent - 53
    unit = int(lowest[finite != 0].min()) if finite.any() else 0
    scaled = np.ldexp(finite, -unit)
    signed = bool((scaled < 0).any())
    if scaled.max() >= 2 ** (MAX_BITS - signed) or scaled.min() < -(2 ** (MAX_BITS - 1)):
        return None
    whole = scaled.astype(np.int64)
    width = magnitude_bits(np.where(whole < 0, ~whole, whole)) + signed
    return Whole(whole, np.zeros(whole.shape, dtype=bool), width, signed)


@lru_cache(maxsize=64)
def digit_table(element: ElementFormat, encoding: str) -> Digits:
    """Return the digits of every code of ``element``, in code order; read-only arrays.

    NaN and infinities have zeros only.

    Raises
    ------
    UsageError
        If the encoding is unknown, the format is wider than 16 bits or has no whole numbers.
    """
    if encoding not in _ENCODERS:
        raise UsageError(f"unknown digit encoding {encoding!r}; {did_you_mean(encoding, ENCODINGS)}")
    whole = whole_numbers(element)
    if whole is None:
        raise UsageError(f"{element.name} has no digits: its values are no whole numbers of one unit within 16 bits")
    found = _ENCODERS[encoding](whole)
    for array in found:
        array.setflags(write=False)
    return found


def check_width(element: ElementFormat) -> None:
    """Refuse formats whose codes are too many to tabulate, and complex ones.

    Raises
    ------
    UsageError
        If the format is wider than 16 bits, or complex.
    """
    if element.complex_valued:
        raise UsageError(f"{element.name} is complex: its codes are quarter turns and have neither digits nor order")
    if element.bits > MAX_BITS:
        raise UsageError(f"{element.name} has {element.bits}-bit codes; valid: formats of up to {MAX_BITS} bits")


def _twos_complement(whole: Whole) -> Digits:
    places = np.arange(whole.width)
    weights = 1 << places
    if whole.signed:
        weights[-1] = -weights[-1]
    return _digits((whole.values >> places[:, None]) & 1, weights, whole.negative)


def _sign_magnitude(whole: Whole) -> Digits:
    magnitude = np.abs(whole.values)
    places = np.arange(magnitude_bits(magnitude))
    return _digits((magnitude >> places[:, None]) & 1, 1 << places, whole.negative | (whole.values < 0))


def magnitude_bits(magnitude: NDArray[np.int64]) -> int:
    """Return the bits of the largest of these magnitudes, at least 1."""
    return max(1, int(magnitude.max()).bit_length())


def _booth(whole: Whole) -> Digits:
    even = 2 * -(-whole.width // 2)
    terms = term_table(Integer(f"int{even}", even))
    at = whole.values & (2**even - 1)
    digits = np.where(terms.sign == 1, -1, 1) * (terms.mantissa << terms.exponent)
    digits, weights = digits[:, at], 1 << terms.bsig
    # The table reads the top bit as a sign: an unsigned number gets it back as one more digit.
    rest = (whole.values - weights @ digits) >> even
    if rest.any():
        digits, weights = np.vstack([digits, rest]), np.append(weights, 1 << even)
    return _digits(digits, weights, whole.negative)


def _naf(whole: Whole) -> Digits:
    left = whole.values
    digits: list[NDArray[Any]] = []
    while left.any() or not digits:
        digit = np.where(left & 1, 2 - (left & 3), 0)
        digits.append(digit)
        left = (left - digit) >> 1
    return _digits(np.array(digits), 1 << np.arange(len(digits)), whole.negative)


def _ent(whole: Whole) -> Digits:
    left = np.abs(whole.values)
    digits: list[NDArray[Any]] = []
    while left.any() or not digits:
        pair = left & 3
        digit = np.where(pair == 3, -1, pair)
        digits.append(digit)
        left = (left - digit) >> 2
    return _digits(np.array(digits), 1 << 2 * np.arange(len(digits)), whole.negative | (whole.values < 0))


def _digits(digits: NDArray[Any], weights: NDArray[Any], negative: NDArray[np.bool_]) -> Digits:
    return Digits(digits.astype(np.int8), weights.astype(np.int64), negative.copy())


_ENCODERS: dict[str, Callable[[Whole], Digits]] = {
    "twos_complement": _twos_complement,
    "sign_magnitude": _sign_magnitude,
    "booth": _booth,
    "naf": _naf,
    "ent": _ent,
}
#: Names of the encodings.
ENCODINGS: tuple[str, ...] = tuple(_ENCODERS)
