"""Approximate multipliers of floating-point numbers, and how far off they are.

A multiplier takes two arrays of codes of one :class:`~hwsim.formats.Minifloat` and returns the
products as float64, exactly as its hardware defines them. One file in
:mod:`hwsim.formats.multiplier` is one family, found without editing any list:

>>> from hwsim.formats import approximate
>>> approximate.multiply("lmul_bitfield", fmt, x_codes, y_codes)
>>> approximate.multiplier_error("lmul_bitfield", mantissa_bits=3).mean_abs
0.0524...
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.element.minifloat import Minifloat, minifloat
from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry

Multiplier = Callable[[Minifloat, NDArray[Any], NDArray[Any]], NDArray[np.float64]]

MULTIPLIERS: Registry[Multiplier] = Registry("multiplier", "hwsim.formats.multiplier")

#: Errors are enumerated over all pairs of mantissas of at most so many bits.
MOST_MANTISSA_BITS = 12
#: Formats of at most so many bits multiply by looking up the products of all pairs of codes.
TABLE_BITS = 8


class MultiplierError(NamedTuple):
    """Relative errors ``found / exact - 1`` over all pairs of mantissas, each pair counted once.

    ``mean_abs`` and ``max_abs`` are of magnitudes, ``mean`` keeps the sign, ``rms`` is the root of
    the mean square. Exponents do not matter as long as no operand is subnormal.
    """

    mean_abs: float
    mean: float
    max_abs: float
    rms: float


def multiply(name: str, fmt: Minifloat, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the products of codes ``x`` and ``y`` of ``fmt`` by the multiplier called ``name``.

    Parameters
    ----------
    name
        A name of :data:`MULTIPLIERS`.
    fmt
        The format of both operands, with a sign, subnormals and at least one mantissa bit.
    x, y
        Unsigned codes; shapes broadcast.

    Returns
    -------
    numpy.ndarray
        float64 values, of the broadcast shape, not rounded any further.

    Raises
    ------
    UsageError
        If there is no such multiplier, or the format is none that it can multiply.
    """
    multiplier = MULTIPLIERS.get(name)
    check_operand(name, fmt)
    if fmt.bits > TABLE_BITS:
        return multiplier(fmt, *np.broadcast_arrays(x, y))
    return _table(name, fmt)[np.asarray(x, dtype=np.intp), np.asarray(y, dtype=np.intp)]


def check_operand(name: str, fmt: object) -> Minifloat:
    """Return ``fmt`` if multipliers take it, which add its fields; UsageError if not."""
    if not isinstance(fmt, Minifloat) or not (fmt.signed and fmt.subnormals) or fmt.mantissa_bits < 1:
        found = getattr(fmt, "name", fmt)
        raise UsageError(f"multiplier {name}: {found}: valid: floats with at least one mantissa bit, such as fp8_e4m3")
    return fmt


@lru_cache(maxsize=64)
def _table(name: str, fmt: Minifloat) -> NDArray[np.float64]:
    """Return the products of all pairs of codes, 2^bits × 2^bits."""
    codes = np.arange(2**fmt.bits, dtype=np.uint32)
    products = MULTIPLIERS.get(name)(fmt, *np.meshgrid(codes, codes, indexing="ij"))
    products.setflags(write=False)
    return products


@lru_cache(maxsize=256)
def multiplier_error(name: str, mantissa_bits: int) -> MultiplierError:
    """Return the relative errors of a multiplier on operands of so many mantissa bits.

    All ``4**mantissa_bits`` pairs of significands in [1, 2) are enumerated, which is what "MRE"
    means in arXiv 2412.18948, Table IV.

    Raises
    ------
    UsageError
        If there is no such multiplier, or the width is not 1 to :data:`MOST_MANTISSA_BITS`.
    """
    if not 1 <= mantissa_bits <= MOST_MANTISSA_BITS:
        raise UsageError(f"{mantissa_bits} mantissa bits: valid: 1 to {MOST_MANTISSA_BITS}")
    fmt = minifloat(5, mantissa_bits)
    one = fmt.bias << mantissa_bits  # the code of 1.0
    codes = one + np.arange(2**mantissa_bits, dtype=np.uint32)
    x, y = np.meshgrid(codes, codes, indexing="ij")
    relative = MULTIPLIERS.get(name)(fmt, x, y) / (fmt.decode(x) * fmt.decode(y)) - 1
    size = np.abs(relative)
    return MultiplierError(
        mean_abs=float(size.mean()),
        mean=float(relative.mean()),
        max_abs=float(size.max()),
        rms=float(np.sqrt(np.mean(relative**2))),
    )


def by_significands(
    fmt: Minifloat, x: NDArray[Any], y: NDArray[Any], significand: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return sign · 2^(sum of exponents) · ``significand`` of the sum of both fractions, of codes of one shape.

    Subnormal operands count as zero, as in synthesised units. Where an operand is infinite or NaN
    the product is the usual one. The sum of the fractions is exact and lies in [0, 2).
    """
    (xs, xe, xm), (ys, ye, ym) = fmt.fields(x), fmt.fields(y)
    power = xe + ye - 2 * fmt.bias
    value = np.where((xe > 0) & (ye > 0), np.ldexp(significand((xm + ym) * 2.0**-fmt.mantissa_bits), power), 0.0)
    value = np.where((xs ^ ys) == 1, -value, value)
    return with_specials(fmt.decode(x), fmt.decode(y), value)


def with_specials(x: NDArray[np.float64], y: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``value``, but x · y where an operand is infinite or NaN."""
    special = ~(np.isfinite(x) & np.isfinite(y))
    if not special.any():
        return value
    with np.errstate(invalid="ignore"):
        return np.where(special, x * y, value)
