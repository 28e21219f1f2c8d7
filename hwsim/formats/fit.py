"""What a scale fits a tensor by: its largest magnitude, its mean magnitude or its root mean square."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Fit = Literal["absmax", "absmean", "rms"]

#: How each is called in a sentence.
WORDS: dict[Fit, str] = {
    "absmax": "largest magnitude",
    "absmean": "mean magnitude",
    "rms": "root mean square",
}


def fitted_magnitude(x: NDArray[Any], fit: Fit, count: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Return the magnitude of each row of ``x`` (…, n) that its scale is to fit, shape (…, 1).

    ``count`` says how many numbers of each row are real, shape (…, 1), where the rest are zeros that
    fill it up. NaN takes no part.
    """
    size = np.abs(x)
    missing = np.isnan(size)
    real = np.asarray(x.shape[-1] if count is None else count, dtype=np.float64)
    if missing.any():
        size[missing] = 0
        real = real - missing.sum(axis=-1, keepdims=True)
    largest = size.max(axis=-1, keepdims=True, initial=0.0)
    if fit == "absmax":
        return np.asarray(largest, dtype=np.float64)
    size /= np.where(largest > 0, largest, 1)  # squares of the largest floats would overflow
    if fit == "absmean":
        mean = size.sum(axis=-1, keepdims=True, dtype=np.float64) / np.maximum(real, 1)
    else:
        squares = np.einsum("...i,...i->...", size, size, dtype=np.float64)[..., None]
        mean = np.sqrt(squares / np.maximum(real, 1))
    return np.asarray(largest * mean)
