"""Signal-to-quantization-noise ratio of a format on Gaussian data."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hwsim.formats.base import ElementFormat, Format

SAMPLES = 2**16
SEED = 7


@lru_cache(maxsize=1024)
def sqnr_db(fmt: Format) -> float:
    """Return the SQNR in dB of standard normal data, rows of 4096, absmax-scaled per row or block.

    Deterministic. Plain element formats are scaled so that the largest sample of a row is the
    largest value; scaled formats scale themselves.
    """
    x = np.random.default_rng(SEED).standard_normal((SAMPLES // 4096, 4096))
    if isinstance(fmt, ElementFormat):
        scale = np.max(np.abs(x), axis=-1, keepdims=True) / fmt.max_value
        error = fmt.quantize(x / scale) * scale - x
    else:
        error = fmt.quantize(x) - x
    noise = float(np.mean(error**2))
    return math.inf if noise == 0 else 10 * math.log10(float(np.mean(x**2)) / noise)
