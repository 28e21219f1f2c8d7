"""Named distributions of tensors, for when no tensor is given.

Samples are drawn once per process with a fixed seed, as rows of 4096: enough that the error of a
format with scales per row or group varies by some hundredths of a dB from one seed to the next.

The largest of half a million values is a matter of luck where tails are heavy (of Student's t with 5
degrees of freedom half of all samples have one within 18 … 25 times the RMS), and a format with
one scale for all follows it: twice the largest value costs INT8 6 dB. It is therefore not left to the seed:
the largest value is set to what ``data/formats/distributions.csv`` says, with its source.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

#: Rows and row length of a sample.
SHAPE = (128, 4096)
SEED = 7
#: Every so many columns one is an outlier channel, so many times as large as the others.
OUTLIER_EVERY, OUTLIER_FACTOR = 128, 30.0

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]


def _outlier_channels(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    x = rng.standard_normal(shape)
    x[:, ::OUTLIER_EVERY] *= OUTLIER_FACTOR
    return x


DISTRIBUTIONS: dict[str, Draw] = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "laplace": lambda rng, shape: rng.laplace(size=shape),
    "student_t5": lambda rng, shape: rng.standard_t(5, shape),
    "student_t3": lambda rng, shape: rng.standard_t(3, shape),
    "uniform": lambda rng, shape: rng.uniform(-(3**0.5), 3**0.5, shape),  # variance one, as the Gaussian
    "lognormal": lambda rng, shape: rng.lognormal(0.0, 1.0, shape) * rng.choice([-1.0, 1.0], shape),
    "gaussian_outlier_channels": _outlier_channels,
}


@lru_cache(maxsize=16)
def sample(name: str) -> NDArray[np.float64]:
    """Return the sample of a distribution, shape :data:`SHAPE`; the same array every time, not to be changed.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    if name not in DISTRIBUTIONS:
        raise UsageError(f"unknown distribution {name!r}; {did_you_mean(name, DISTRIBUTIONS)}")
    x = DISTRIBUTIONS[name](np.random.default_rng(SEED), SHAPE)
    if (ratio := _peaks().get(name)) is not None:
        _set_peak(x, ratio)
    x.setflags(write=False)
    return x


@cache
def _peaks() -> dict[str, float]:
    return {row["name"]: float(row["peak_rms"]) for row in read_csv_rows("formats", "distributions.csv")}


def _set_peak(x: NDArray[np.float64], ratio: float) -> None:
    """Make the largest magnitude of ``x`` ``ratio`` times the root mean square, its own share included."""
    place = np.unravel_index(np.argmax(np.abs(x)), x.shape)
    rest = float(np.sum(x * x) - x[place] ** 2)
    peak = ratio * np.sqrt(rest / (x.size - ratio**2))
    x[:] = np.clip(x, -peak, peak)
    x[place] = np.copysign(peak, x[place])
