"""Multiplication by adding fields: Mitchell's method and L-Mul in both of its semantics.

For operands (1 + x) 2^i and (1 + y) 2^j with m mantissa bits:

* ``mitchell``: the fields of exponent and mantissa are added as one integer (Mitchell 1962): the
  significand is 1 + x + y, and past 2 the carry runs into the exponent, where what is left of the
  fractions is not halved: 2 (x + y). Never too large, at most 1/9 too small.
* ``lmul_bitfield``: the same addition with a constant, 2^-l added to the fractions in the place
  of x·y (the adder that arXiv 2410.00907 describes): l = m up to 3, l = 3 for m = 4, l = 4 above.
* ``lmul_formula``: the value (1 + x + y + 2^-l) 2^(i+j) as arXiv 2410.00907, equation 1, writes
  it, which can reach 3.x. The errors of arXiv 2412.18948, Table IV are these.

The last two are not the same number wherever the fractions carry, and neither has the other's error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.approximate import MULTIPLIERS, by_significands
from hwsim.formats.element.minifloat import Minifloat


def offset_bits(mantissa_bits: int) -> int:
    """Return l(m), the exponent of the offset 2^-l (arXiv 2410.00907, equation 1)."""
    if mantissa_bits <= 3:
        return mantissa_bits
    return 3 if mantissa_bits == 4 else 4


def carried(fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the significand whose fields are those of 1 + ``fraction``: a carry doubles, the rest is kept."""
    carry = np.floor(fraction)
    return np.ldexp(1.0 + (fraction - carry), carry.astype(np.int64))


@MULTIPLIERS.register("lmul_formula")
def lmul_formula(fmt: Minifloat, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 + x + y + 2^-l as written."""
    offset = 2.0 ** -offset_bits(fmt.mantissa_bits)
    return by_significands(fmt, x, y, lambda fraction: 1.0 + (fraction + offset))


@MULTIPLIERS.register("lmul_bitfield")
def lmul_bitfield(fmt: Minifloat, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of both fields and of the offset, as one integer."""
    offset = 2.0 ** -offset_bits(fmt.mantissa_bits)
    return by_significands(fmt, x, y, lambda fraction: carried(fraction + offset))


@MULTIPLIERS.register("mitchell")
def mitchell(fmt: Minifloat, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of both fields, as one integer."""
    return by_significands(fmt, x, y, carried)
