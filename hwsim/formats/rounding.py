"""Rounding: to whole numbers, and to neighbours on a grid, in every direction.

``stochastic`` rounds up with the probability of the distance to the lower neighbour, so that the
expected value is the number itself; a seed makes it reproducible.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwsim.spec.errors import UsageError, did_you_mean

Rounding = Literal["nearest_even", "nearest_away", "toward_zero", "up", "down", "stochastic"]
Overflow = Literal["saturate", "infinity"]
ROUNDINGS: tuple[str, ...] = get_args(Rounding)
OVERFLOWS: tuple[str, ...] = get_args(Overflow)


def check_modes(rounding: str, overflow: str) -> None:
    """Refuse an unknown mode.

    Raises
    ------
    UsageError
        Names the nearest one.
    """
    if rounding not in ROUNDINGS:
        raise UsageError(f"unknown rounding {rounding!r}; {did_you_mean(rounding, ROUNDINGS)}")
    if overflow not in OVERFLOWS:
        raise UsageError(f"unknown overflow {overflow!r}; {did_you_mean(overflow, OVERFLOWS)}")


def round_whole(
    x: NDArray[Any], rounding: Rounding = "nearest_even", rng: np.random.Generator | None = None
) -> NDArray[Any]:
    """Return ``x`` rounded to whole numbers, in its own dtype; ``rng`` is needed for ``stochastic``."""
    if rounding == "nearest_even":
        return np.asarray(np.rint(x))
    if rounding == "toward_zero":
        return np.asarray(np.trunc(x))
    low = np.floor(x)
    if rounding == "down":
        return np.asarray(low)
    if rounding == "up":
        return np.asarray(np.ceil(x))
    rest = x - low
    if rounding == "nearest_away":
        # Below one half towards the lower one; a tie goes away from zero.
        return np.asarray(low + ((rest > 0.5) | ((rest == 0.5) & (x > 0))))
    return np.asarray(low + (_generator(rng).random(np.shape(x)) < rest))


def round_to_grid(
    x: NDArray[Any], grid: NDArray[np.float64], rounding: Rounding, rng: np.random.Generator | None = None
) -> NDArray[np.intp]:
    """Return the index into the ascending ``grid`` that each of ``x`` rounds to, saturating at its ends.

    ``nearest_even`` breaks ties towards the even index, ``nearest_away`` away from zero.
    """
    clipped = np.clip(x, grid[0], grid[-1])
    high = np.clip(np.searchsorted(grid, clipped, side="left"), 0, len(grid) - 1)
    exact = grid[high] == clipped
    low = np.where(exact, high, np.maximum(high - 1, 0))
    width = np.where(exact, 1.0, grid[high] - grid[low])
    share = (clipped - grid[low]) / width
    if rounding == "down":
        upper = np.zeros(share.shape, dtype=bool)
    elif rounding == "up":
        upper = ~exact
    elif rounding == "toward_zero":
        upper = ~exact & (clipped < 0)
    elif rounding == "stochastic":
        upper = _generator(rng).random(np.shape(x)) < share
    else:
        tie = share == 0.5
        away = clipped > 0 if rounding == "nearest_away" else low % 2 == 1
        upper = (share > 0.5) | (tie & away)
    chosen: NDArray[np.intp] = np.where(upper, high, low)
    return chosen


def _generator(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise UsageError("stochastic rounding needs a seed")
    return rng
