"""Integer-only Shiftmax, ShiftGELU and I-LayerNorm of I-ViT (arXiv 2207.01405), bit for bit.

ShiftExp of integers I in units of ``step``: ``x = I + (I >> 1) - (I >> 4)`` (times 1.4375 for log2 e),
clamped to ``n x0`` with ``x0 = floor(-1 / step)``; ``q = x div x0``, ``r = x - q x0``; the result is
``(r / 2 - x0) << (n - q)``, cut to a whole number, in units of ``step / 2^n``; n = 15 for softmax, 23 for GELU.

On (-5, 0] ShiftExp errs by 8.3 % at step .01 and 13.4 % at .1; x0 is rounded to a whole number, and where
1 / step is none the exponent is short by that share: up to 89 % between these steps. :func:`shift_exp_band` has
bounds for every step.

Values follow the published PyTorch code; the published TVM code takes n = 16 for softmax, halves r
before it shifts, and cuts the mean of a norm instead of rounding it. Both use the same operations,
which ``hwsim/data/vector/ops.csv`` counts. Whole numbers are int64 here, wide enough that none overflows
where 32 bits hold the codes.
"""

from __future__ import annotations

from math import ceil, e, floor, log, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.spec.errors import UsageError

Whole = NDArray[np.int64]

#: Largest shift of an exponential, for softmax and inside GELU.
SOFTMAX_N, GELU_N = 15, 23
#: Bits of the reciprocal of a sum, and of a probability or sigmoid with its sign.
RECIPROCAL_BITS, OUTPUT_BITS = 31, 8
#: GELU is x · sigmoid(1.702 x): its exponentials take codes in units of 1.702 steps.
GELU_FACTOR = 1.702
#: Shifts stop here: what 32 bits cannot hold saturates in the sum, whatever its size.
WIDEST_SHIFT = 40
#: Where Newton's square root starts, and its rounds.
ROOT_START, ROOT_ROUNDS = 1 << 16, 10


def shift_exp(whole: Whole, step: float, n: int) -> Whole:
    """Return ShiftExp of ``whole`` · ``step`` (at most 0, as a rule) in units of ``step`` / 2^n."""
    x0 = floor(-1 / step)
    x = np.maximum(whole + (whole >> 1) - (whole >> 4), n * x0)
    q = x // x0
    r = x - q * x0
    return np.asarray(((r - 2 * x0) << np.minimum(n - q, WIDEST_SHIFT)) >> 1)


#: Largest and smallest of ``I + (I >> 1) - (I >> 4)`` beyond 1.4375 I: I = 14 and I = 1 of 16.
CUT_HIGH, CUT_LOW = 14 / 16, 1 / 16 - 1 / 2


def shift_exp_band(step: float, low: float = -5.0) -> tuple[float, float]:
    """Return the lowest and the highest relative error that ShiftExp can have on ``low`` to 0, for any ``step``.

    Derived. With c = step · ceil(1 / step) it is ``c 2^-q (1 - f / 2)``, ``q + f`` being ``1.4375 |I| step / c``
    but for what the shifts cut off. A chord lies above the power, ``(1 - f / 2) 2^f`` is largest at
    f = 2 - 1 / ln 2; the exponent is short by ``|x| (log2 e - 1.4375 / c)``, which is most at ``low``. Bits that a
    shift by n - q loses are not in it: n is above q there.
    """
    c = step * ceil(1 / step)
    bend = 2 - 1 / log(2)
    chord = (1 - bend / 2) * 2**bend
    short = -low * (log2(e) - 1.4375 / c)
    return c * 2 ** (CUT_LOW * step / c) - 1, c * chord * 2 ** (short + CUT_HIGH * step / c) - 1


def _codes(x: NDArray[Any], step: float) -> Whole:
    """Return ``x`` as int64 rows; UsageError where it holds no whole numbers or the step is none."""
    given = np.asarray(x)
    if not 2.0**-20 <= step <= 1:
        raise UsageError(f"step: {step!r}; valid: 2^-20 to 1, the unit of the codes")
    if given.dtype.kind not in "iu" or given.ndim == 0 or given.shape[-1] == 0:
        raise UsageError(f"codes must be whole numbers along a last axis, not {given.dtype} of shape {given.shape}")
    return given.astype(np.int64)


def _share(part: Whole, total: Whole, bits: int) -> Whole:
    """Return ``part / total`` in units of 2^-(bits - 1): a reciprocal of 31 bits, a product, a shift."""
    largest = (1 << RECIPROCAL_BITS) - 1
    factor = largest // np.minimum(total, largest)
    return np.asarray((part * factor) >> (RECIPROCAL_BITS - bits + 1))


def shiftmax(x: NDArray[Any], step: float, bits: int = OUTPUT_BITS, n: int = SOFTMAX_N) -> Whole:
    """Return Shiftmax of integer rows in units of ``step``: probabilities in units of 2^-(bits - 1).

    Raises
    ------
    UsageError
        If ``x`` holds no whole numbers, or the step is not from 2^-20 to 1.
    """
    codes = _codes(x, step)
    exponentials = shift_exp(codes - codes.max(axis=-1, keepdims=True), step, n)
    return _share(exponentials, exponentials.sum(axis=-1, keepdims=True), bits)


def shiftgelu(x: NDArray[Any], step: float, bits: int = OUTPUT_BITS, n: int = GELU_N) -> Whole:
    """Return ShiftGELU of integer rows in units of ``step``: results in units of ``step`` · 2^-(bits - 1).

    The exponentials of x and of 0 are taken below the row's maximum, so that a row's codes depend on it.
    A row whose maximum is negative takes -maximum as it stands, as published: its exponential
    exceeds 1.

    Raises
    ------
    UsageError
        As :func:`shiftmax`.
    """
    codes = _codes(x, step)
    top = codes.max(axis=-1, keepdims=True)
    own, zero = (shift_exp(part, step * GELU_FACTOR, n) for part in (codes - top, -top))
    return np.asarray(codes * _share(own, own + zero, bits))


def integer_root(square: Whole) -> Whole:
    """Return the root by ten rounds of Newton's method from 2^16, as published; 1 at least.

    Ten rounds halve the start ten times at most, so that roots below 64 come out too large.
    """
    root = np.full_like(square, ROOT_START)
    for _ in range(ROOT_ROUNDS):
        root = (root + square // root) >> 1
    return np.asarray(root)


def i_layernorm(x: NDArray[Any], bias: NDArray[Any] | int = 0) -> Whole:
    """Return I-LayerNorm of integer rows: ``(x - mean) / norm`` in units of 2^-30 (times sqrt(n): deviations).

    ``norm`` is the root of the sum of squares; ``bias`` is in the same units.

    Raises
    ------
    UsageError
        If ``x`` holds no whole numbers.
    """
    codes = _codes(x, 1.0)
    mean = np.rint(codes.sum(axis=-1, keepdims=True) / codes.shape[-1]).astype(np.int64)
    centred = codes - mean
    root = integer_root((centred * centred).sum(axis=-1, keepdims=True))
    factor = ((1 << RECIPROCAL_BITS) - 1) // root
    return np.asarray(((factor * centred) >> 1) + np.asarray(bias, dtype=np.int64))
