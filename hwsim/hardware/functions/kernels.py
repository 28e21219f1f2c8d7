"""The functions, and what of them a table or a polynomial holds after the argument is reduced.

===========  =====================================================  ==================================
function     reduction                                              kernel
===========  =====================================================  ==================================
exp          t = x · log2 e = k + f, result shifted right by -k     2^f on [0, 1)
reciprocal   x = m · 2^e, result shifted right by e                 1 / m on [1, 2)
rsqrt        x = m · 2^(2e + p), result shifted right by e          1 / sqrt(m · 2^p) on [1, 2), p = 0, 1
gelu         u = |x|; max(x, 0) - kernel; zero from the range on    u · Phi(-u) on [0, 8)
silu         u = |x|; max(x, 0) - kernel; zero from the range on    u / (1 + e^u) on [0, 16)
===========  =====================================================  ==================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Reduction = Literal["exponential", "normalised", "root", "tail"]


@dataclass(frozen=True)
class Function:
    """A function on [low, high] with its kernels on [start, start + width), width a power of two.

    There is one kernel, or one per parity of the exponent.
    """

    name: str
    low: float
    high: float
    exact: Callable[[Array], Array]
    reduction: Reduction
    start: int
    width: int
    kernels: tuple[Callable[[Array], Array], ...]


def _gelu_tail(u: Array) -> Array:
    phi = np.vectorize(lambda v: 0.5 * (1 - erf(v / 2**0.5)), otypes=[float])
    return np.asarray(u * phi(u))


def _silu_tail(u: Array) -> Array:
    return np.asarray(u / (1 + np.exp(u)))


def _gelu(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) - _gelu_tail(np.abs(x)))


def _silu(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) - _silu_tail(np.abs(x)))


def _reciprocal(x: Array) -> Array:
    return np.asarray(1 / x)


def _rsqrt(x: Array) -> Array:
    return np.asarray(1 / np.sqrt(x))


#: Ranges: softmax takes exp of what is at most 0; its sum is at least 1; variances and activations as in networks.
FUNCTIONS: dict[str, Function] = {
    f.name: f
    for f in (
        Function("exp", -16, 0, np.exp, "exponential", 0, 1, (np.exp2,)),
        Function("reciprocal", 1, 256, _reciprocal, "normalised", 1, 1, (_reciprocal,)),
        Function("rsqrt", 1 / 16, 256, _rsqrt, "root", 1, 1, (_rsqrt, lambda m: _rsqrt(2 * m))),
        Function("gelu", -8, 8, _gelu, "tail", 0, 8, (_gelu_tail,)),
        Function("silu", -16, 16, _silu, "tail", 0, 16, (_silu_tail,)),
    )
}
