"""The multiplier that approximate ones compete with: the exact product, rounded to the operands' mantissa."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.approximate import MULTIPLIERS, with_specials
from hwsim.formats.element.minifloat import Minifloat


@MULTIPLIERS.register("rounded")
def rounded(fmt: Minifloat, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the product to nearest even with as many mantissa bits as ``fmt`` has, exponents unbounded."""
    left, right = fmt.decode(x), fmt.decode(y)
    finite = np.where(np.isfinite(left) & np.isfinite(right), left, 0.0)
    fraction, exponent = np.frexp(finite * np.where(finite == 0, 0.0, right))
    value = np.ldexp(np.rint(np.ldexp(fraction, fmt.sig_bits)), exponent - fmt.sig_bits)
    return with_specials(left, right, value)
