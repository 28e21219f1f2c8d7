"""Rounding: to whole numbers, and to the neighbours of a format, in every direction; and overflow.

``stochastic`` rounds up with the probability of the distance to the lower neighbour, so that the
expected value is the number itself; a seed makes it reproducible.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

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


def check_nearest(name: str, rounding: str, overflow: str, what: str = "level") -> None:
    """Refuse every mode but the usual one, for the format ``name`` that takes the nearest ``what`` by definition.

    Raises
    ------
    UsageError
        If the mode is unknown or another.
    """
    check_modes(rounding, overflow)
    if rounding != "nearest_even" or overflow != "saturate":
        raise UsageError(f"{name} takes the nearest {what} only, not {rounding}, {overflow}")


def draws(rounding: str, seed: int | None) -> np.random.Generator | None:
    """Return the generator of ``stochastic`` rounding, None for the modes that draw nothing.

    Raises
    ------
    UsageError
        If there is no seed.
    """
    if rounding != "stochastic":
        return None
    if seed is None:
        raise UsageError("stochastic rounding needs a seed")
    return np.random.default_rng(seed)


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
    return np.asarray(low + (_drawn(rng, x) < rest))


class Neighbours(NamedTuple):
    """The values of a format around some numbers, float64 arrays of their shape.

    Attributes
    ----------
    low, high
        The largest value that is not above and the smallest that is not below the number; both the
        last value for what lies beyond it.
    halfway
        The number between them from which on the upper one is taken by ``nearest_away``.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    halfway: NDArray[np.float64]


class End(NamedTuple):
    """The lowest or the largest value of a format and what happens beyond it.

    Attributes
    ----------
    value
        The last finite value.
    halfway
        The number halfway to the next value, if values went on.
    tie_stays
        Whether ``nearest_even`` takes ``halfway`` itself to ``value``.
    beyond
        What overflow becomes where it does not saturate: infinity, NaN, or ``value`` without either.
    """

    value: float
    halfway: float
    tie_stays: bool
    beyond: float


def saturating_ends(lowest: float, largest: float) -> tuple[End, End]:
    """Return the ends of a format with neither infinity nor NaN, where every overflow saturates."""
    return End(lowest, -np.inf, False, lowest), End(largest, np.inf, False, largest)


def whole_neighbours(x: NDArray[Any], lowest: float, largest: float, step: float = 1.0) -> Neighbours:
    """Return the multiples of ``step``, a power of two, around ``x`` from ``lowest`` to ``largest``."""
    steps = np.clip(x.astype(np.float64), lowest, largest) / step
    low, high = np.floor(steps), np.ceil(steps)
    return Neighbours(low * step, high * step, (low + high) * (step / 2))


def between(
    x: NDArray[Any], around: Neighbours, rounding: Rounding, rng: np.random.Generator | None
) -> NDArray[np.float64]:
    """Return the one of its neighbours that each of ``x`` rounds to, in any mode but ``nearest_even``."""
    low, high, halfway = around
    if rounding == "down":
        return low
    if rounding == "up":
        return high
    if rounding == "toward_zero":  # without a zero, the smallest value of the same sign
        upper = np.where(x > 0, low < 0, high <= 0)
    elif rounding == "nearest_away":
        upper = (x > halfway) | ((x == halfway) & (x > 0))
    else:
        width = np.where(high > low, high - low, 1.0)
        upper = _drawn(rng, x) < (x - low) / width
    return np.where(upper, high, low)


def overflowed(x: NDArray[Any], rounded: NDArray[Any], ends: tuple[End, End], rounding: Rounding) -> NDArray[Any]:
    """Return ``rounded`` with what ``x`` has beyond the ``ends`` of a format as these say."""
    low, high = ends
    with np.errstate(over="ignore"):  # a limit that the dtype of x does not reach
        if rounding in ("nearest_even", "nearest_away"):
            stays = rounding == "nearest_even"
            above = x > high.halfway if stays and high.tie_stays else x >= high.halfway
            below = x < low.halfway if stays and low.tie_stays else x <= low.halfway
        else:
            above = (x > high.value) if rounding in ("up", "stochastic") else x == np.inf
            below = (x < low.value) if rounding in ("down", "stochastic") else x == -np.inf
    return np.where(above, high.beyond, np.where(below, low.beyond, rounded))


def _drawn(rng: np.random.Generator | None, x: NDArray[Any]) -> NDArray[np.float64]:
    assert rng is not None, "stochastic rounding without draws()"
    return rng.random(np.shape(x))
