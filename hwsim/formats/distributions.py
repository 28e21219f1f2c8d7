"""Named distributions of tensors, for when no tensor is given.

Samples are drawn once per process with a fixed seed, as rows of 4096: enough that the error of a
format varies by some hundredths of a dB from one seed to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
    x.setflags(write=False)
    return x
