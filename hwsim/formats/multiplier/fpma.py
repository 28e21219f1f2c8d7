"""FPMA with a compensated mean: fields are added as one integer, with a constant, subnormals included.

Floating-point multiplication by addition in the manner of AxCore (MICRO 2025): Mitchell's sum of both
fields is too small on average; a constant in the adder takes the mean error away, and subnormal
operands are normalised first, both of which AxCore finds necessary in deep models. The constant here
is the multiple of 2^-m whose mean relative error over all pairs of mantissas is smallest in magnitude
(computed, not AxCore's own table, which was not reachable). At m up to 3 that is 0: the grid is
coarser than the error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.approximate import MULTIPLIERS, with_specials
from hwsim.formats.element.minifloat import Minifloat
from hwsim.formats.multiplier.lmul import carried

#: Wider mantissas share the constant that so many bits give, to the same value.
_ENUMERATED = 8


@lru_cache(maxsize=32)
def compensation(mantissa_bits: int) -> int:
    """Return the constant in units of 2^-mantissa_bits."""
    bits = min(mantissa_bits, _ENUMERATED)
    fraction = np.arange(2**bits) / 2**bits
    exact = np.outer(1 + fraction, 1 + fraction)
    total = np.add.outer(fraction, fraction)
    # Mitchell is at most 1/9 too small, hence the constant is below 1/8.
    means = [abs(float((carried(total + c / 2**bits) / exact - 1).mean())) for c in range(2**bits // 8 + 1)]
    return int(np.argmin(means)) << (mantissa_bits - bits)


@MULTIPLIERS.register("fpma")
def fpma(fmt: Minifloat, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of both fields and of the compensation, as one integer; subnormals are normalised."""
    left, right = fmt.decode(x), fmt.decode(y)
    finite = np.isfinite(left) & np.isfinite(right)
    (xf, xe), (yf, ye) = (np.frexp(np.where(finite, np.abs(v), 1.0)) for v in (left, right))
    total = (2 * xf - 1) + (2 * yf - 1) + compensation(fmt.mantissa_bits) * 2.0**-fmt.mantissa_bits
    value = np.ldexp(carried(total), xe + ye - 2)
    value = np.where((left == 0) | (right == 0), 0.0, value)
    negative = np.signbit(left) ^ np.signbit(right)
    return with_specials(left, right, np.where(negative, -value, value))
