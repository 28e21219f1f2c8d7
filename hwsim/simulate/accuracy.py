"""Signal-to-quantization-noise of a design: formats and arithmetic together.

Three independent noises are added: quantizing the weights, quantizing the activations
(Gaussian data, scaled as :mod:`hwsim.formats.accuracy` says) and what the PE's own arithmetic
loses on the quantized operands: accumulator rounding, alignment, L-Mul's approximate products.
The last is measured by running dot products through the PE itself, so a cheap datapath can
never be shown with another one's accuracy.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import ElementFormat, Format, Integer
from hwsim.formats.accuracy import sqnr_db
from hwsim.formats.block.superblock import SuperBlock
from hwsim.formats.fit import fitted_magnitude
from hwsim.formats.quality import Source
from hwsim.hardware.pe import PE

#: Length and number of the dot products by which a PE's arithmetic is judged.
DOT_LENGTH = 128
DOTS = 256
#: Rows of the sample (4096 values each) that judge a format here: within 0.1 dB of all of them.
ROWS = 32
SEED = 2024
#: Where the figures of this module come from, as every table of designs says beside them.
DESIGN_SOURCE: Source = "distribution"


@lru_cache(maxsize=4096)
def design_sqnr_db(pe: PE, w: Format, a: Format) -> float:
    """Return the SQNR in dB of a dot product of ``w`` and ``a`` operands on ``pe``; NaN of what does not quantize."""
    if any(isinstance(fmt, SuperBlock) and fmt.lattice for fmt in (w, a)):
        return math.nan
    noise = sum(10 ** (-db / 10) for db in (sqnr_db(w, rows=ROWS), sqnr_db(a, rows=ROWS), arithmetic_sqnr_db(pe, w, a)))
    return -10 * math.log10(noise) if noise else math.inf


@lru_cache(maxsize=4096)
def arithmetic_sqnr_db(pe: PE, w: Format, a: Format) -> float:
    """Return signal over arithmetic error in dB of the PE on quantized Gaussian operands.

    Infinite for datapaths that lose nothing (integers with a wide enough accumulator).
    """
    rng = np.random.default_rng(SEED)
    w_codes = _gaussian_codes(w.element, rng)
    a_codes = _gaussian_codes(a.element, rng)
    exact = (w.element.decode(w_codes) * a.element.decode(a_codes)).sum(axis=-1)
    acc = pe.initial((DOTS,))
    for start in range(0, DOT_LENGTH, pe.lanes):
        span = slice(start, start + pe.lanes)
        acc = pe.accumulate(acc, w_codes[:, span], a_codes[:, span], w, a)
    found = pe.finish(acc)
    if np.issubdtype(found.dtype, np.integer):  # an integer counts products of the operands' last places
        found = found * (_last_place(w.element) * _last_place(a.element))
    error = float(np.mean(np.abs(found - exact) ** 2))  # complex PEs have complex errors
    signal = float(np.mean(np.abs(exact) ** 2))
    return math.inf if error == 0 else 10 * math.log10(signal / error)


def _last_place(element: ElementFormat) -> float:
    """Return what one is worth in a sum of such operands; levels of codebooks that are summed so are whole numbers."""
    return element.last_place if isinstance(element, Integer) else 1.0


def _gaussian_codes(element: ElementFormat, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Return codes (DOTS, DOT_LENGTH) of Gaussian data with one scale, by what the format's scales fit."""
    values = rng.standard_normal((DOTS, DOT_LENGTH))
    to = element.max_value if element.fit == "absmax" else element.fitted_value(element.fit)
    if element.bits > 8 and to > 1e4:  # wide floats: leave headroom for the accumulation
        to = 4.0
    return element.encode(values * (to / fitted_magnitude(values.reshape(1, -1), element.fit)))
