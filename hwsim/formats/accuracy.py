"""What a format loses: signal over quantization noise, mean squared error, cosine, largest error."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.distributions import sample
from hwsim.formats.element.complex import QuarterTurns
from hwsim.formats.fit import fitted_magnitude

#: Up to this width float32 is exact enough to tell what a format loses, and twice as quick.
SINGLE_BITS = 16


class Loss(NamedTuple):
    """How far a quantized tensor is from the original.

    ``sqnr_db`` is infinite for an exact copy; ``cosine`` is that of the angle between both.
    """

    sqnr_db: float
    mse: float
    cosine: float
    max_error: float


def fitted_quantize(fmt: Format, x: NDArray[Any]) -> NDArray[Any]:
    """Return ``x`` quantized, rows of plain elements with the scale of :func:`fitted_scale`.

    Complex formats take pairs of real numbers along a row and the scales of iFairy; see
    :mod:`hwsim.formats.element.complex`.
    """
    if isinstance(fmt, QuarterTurns):
        return fmt.scaled_quantize(x)
    scale = fitted_scale(fmt, x)
    if scale is None:
        return fmt.quantize(x)
    done: NDArray[Any] = fmt.quantize(x / scale) * scale
    return done


def fitted_scale(fmt: Format, x: NDArray[Any]) -> NDArray[Any] | None:
    """Return what rows are divided by so that the magnitude of ``fmt.fit`` is the value it fits, shape (…, 1).

    A row's largest magnitude becomes the largest value; nested integers fit the stored width, posits
    and logarithmic numbers take the root mean square as 1, ternary and binary the mean magnitude.
    None for formats that have scales of their own (blocks, complex ones).
    """
    if not isinstance(fmt, ElementFormat) or fmt.complex_valued:
        return None
    magnitude = fitted_magnitude(x, fmt.fit)
    return np.asarray(np.where(magnitude > 0, magnitude, 1.0) / fmt.fitted_value(fmt.fit)).astype(x.dtype)


def loss(x: NDArray[Any], quantized: NDArray[Any]) -> Loss:
    """Return how far ``quantized`` is from ``x``, arrays of one shape."""
    exact, found = np.asarray(x, dtype=np.float64).ravel(), np.asarray(quantized, dtype=np.float64).ravel()
    error = found - exact
    signal, noise = float(exact @ exact), float(error @ error)
    norms = math.sqrt(signal * float(found @ found))
    return Loss(
        sqnr_db=math.inf if noise == 0 else 10 * math.log10(signal / noise) if signal else -math.inf,
        mse=noise / max(1, exact.size),
        cosine=float(exact @ found) / norms if norms else 1.0,
        max_error=float(np.max(np.abs(error), initial=0.0)),
    )


@lru_cache(maxsize=4096)
def sqnr_db(fmt: Format, distribution: str = "gaussian", rows: int | None = None) -> float:
    """Return the SQNR in dB of a named distribution, scaled per row or block; the same every time.

    ``rows`` takes only the first rows of the sample, for a quicker answer.

    Raises
    ------
    UsageError
        If the distribution is unknown.
    """
    x = sample(distribution)[:rows]
    if fmt.element.bits <= SINGLE_BITS:
        x = x.astype(np.float32)
    return loss(x, fitted_quantize(fmt, x)).sqnr_db
