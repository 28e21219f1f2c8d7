"""Cycles of hardware that skips zero digits: distributions per group of operands, sums, slowest lanes.

A digit pattern says which digits of an operand are not zero, one bit per digit. Operands are taken to
be independent; digits of one operand are not (their joint distribution is that of the codes).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import comb, erf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats import ElementFormat, Format, Integer
from hwsim.formats.digits import digit_table
from hwsim.formats.distributions import sample
from hwsim.formats.measured import PREFIX, codes_of, measured_shares
from hwsim.formats.operand import DEFAULT_DISTRIBUTION, OperandStats
from hwsim.formats.statistics import code_histogram
from hwsim.spec.errors import UsageError

#: Rows of a sample that histograms are made of: 131,072 values.
ROWS = 32
#: Most digits of an operand: patterns and counts are tabulated.
MAX_DIGITS = 9


def gaussian_histogram(fmt: Format) -> NDArray[np.float64]:
    """Return the share of every code of ``fmt`` in Gaussian data."""
    return named_histogram(fmt, "gaussian")


@lru_cache(maxsize=256)
def code_shares(fmt: Format, stats: OperandStats) -> NDArray[np.float64]:
    """Return the share of every code of ``fmt`` in data of which ``stats`` are stated.

    The distribution is the named one, else the default one; a stated share of zeros takes the place of
    its own, all other codes keep their proportions.
    """
    shares = named_histogram(fmt, stats.distribution or DEFAULT_DISTRIBUTION)
    if stats.zeros is None:
        return shares
    zero = fmt.element.code_values() == 0
    found: NDArray[np.float64] = np.where(zero, 0.0, shares) * (
        (1 - stats.zeros) / max(shares[~zero].sum(), np.finfo(float).tiny)
    )
    found[np.flatnonzero(zero)[0]] = stats.zeros
    found.setflags(write=False)
    return found


@lru_cache(maxsize=256)
def named_histogram(fmt: Format, distribution: str) -> NDArray[np.float64]:
    """Return the share of every code of ``fmt`` in data of a named distribution.

    Elements without blocks are scaled per row of 4096; unsigned ones stand for a zero point
    (:func:`hwsim.formats.measured.codes_of`). Measured distributions are those of the tensors.
    """
    if distribution.startswith(PREFIX):
        measured = measured_shares(distribution, fmt)
        measured.setflags(write=False)
        return measured
    element = fmt.element
    codes = codes_of(fmt, sample(distribution)[:ROWS])
    counts = code_histogram(codes, element)
    shares: NDArray[np.float64] = counts / counts.sum()
    shares.setflags(write=False)
    return shares


def normal_histogram(element: Integer, std: float) -> NDArray[np.float64]:
    """Return the probability of every code of normal data of standard deviation ``std``, rounded and clipped."""
    values = element.integers(np.arange(2**element.bits))
    order = np.argsort(values)
    edges = [0.5 * (1 + erf((v + 0.5) / (std * sqrt(2)))) for v in values[order][:-1]]
    shares = np.empty(len(values))
    shares[order] = np.diff([0.0, *edges, 1.0])
    return shares


def code_patterns(element: ElementFormat, encoding: str, shares: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of every digit pattern, shape (2^digits,), for shares of codes."""
    digits = digit_table(element, encoding).digits
    _check_digits(len(digits))
    pattern = (1 << np.arange(len(digits))) @ (digits != 0).astype(np.int64)
    weights = np.bincount(pattern, weights=np.asarray(shares, dtype=np.float64), minlength=2 ** len(digits))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def spread_patterns(counts: ArrayLike, digits: int) -> NDArray[np.float64]:
    """Return pattern probabilities of operands with 0, 1, … non-zero digits at any place alike.

    Raises
    ------
    UsageError
        If ``counts`` are no weights of 0 … ``digits`` non-zero digits.
    """
    _check_digits(digits)
    weights = np.asarray(counts, dtype=np.float64)
    fits = weights.ndim == 1 and np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0
    if not fits or weights[digits + 1 :].any():
        raise UsageError(f"digits: valid are weights of 0 … {digits} non-zero digits, not negative and not empty")
    ones = (np.arange(2**digits)[:, None] >> np.arange(digits) & 1).sum(axis=-1)
    padded = np.zeros(digits + 1)
    padded[: min(len(weights), digits + 1)] = weights[: digits + 1]
    each = padded / padded.sum() / np.array([comb(digits, n) for n in range(digits + 1)])
    return np.asarray(each[ones], dtype=np.float64)


def group_cycles(
    patterns: NDArray[np.float64], operands: int, cost: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return the distribution of the cycles of a group of operands.

    Parameters
    ----------
    patterns
        Probabilities of digit patterns, shape (2^digits,).
    operands
        Operands of the group.
    cost
        From the non-zero digits of the group at every place, int64 (digits, n), to cycles, int64 (n,).
    """
    digits = len(patterns).bit_length() - 1
    joint = np.zeros((operands + 1,) * digits)
    joint[(0,) * digits] = 1.0
    places = [tuple(int(p) >> d & 1 for d in range(digits)) for p in range(len(patterns))]
    for _ in range(operands):
        grown = np.zeros_like(joint)
        for share, steps in zip(patterns, places, strict=True):
            if share:
                to = tuple(slice(s, None) for s in steps)
                of = tuple(slice(None, operands + 1 - s) for s in steps)
                grown[to] += share * joint[of]
        joint = grown
    counts = np.indices(joint.shape).reshape(digits, -1)
    return np.asarray(np.bincount(cost(counts), weights=joint.ravel()), dtype=np.float64)


def sum_distribution(distribution: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Return the distribution of the sum of ``draws`` independent draws (a power of its Fourier transform)."""
    size = (len(distribution) - 1) * draws + 1
    found = np.fft.irfft(np.fft.rfft(distribution, size) ** draws, size)
    return np.clip(found, 0.0, None)


def pass_cycles(nonzero: NDArray[np.bool_], slot: int, slots: int) -> NDArray[np.int64]:
    """Return the steps' shares of the cycles of the slowest stream, all waiting after so many ``slots``.

    Cycles belong to slots of several steps: they are spread over the steps of a pass as evenly as whole
    cycles can be.

    Parameters
    ----------
    nonzero
        Which digits are not zero, (digits, steps, …), streams along the last axes.
    slot
        Steps that share a slot.
    slots
        Slots of a pass.
    """
    found = np.zeros(nonzero.shape[1], dtype=np.int64)
    for start in range(0, len(found), slots * slot):
        part = nonzero[:, start : start + slots * slot]
        steps = part.shape[1]
        counts = np.add.reduceat(part, np.arange(0, steps, slot), axis=1, dtype=np.int64)
        slowest = int(np.maximum(counts, 1).sum(axis=(0, 1)).max())
        found[start : start + steps] = np.diff(slowest * np.arange(steps + 1) // steps)
    return found


def _check_digits(digits: int) -> None:
    if digits > MAX_DIGITS:
        raise UsageError(f"operands of {digits} digits are too many to tabulate; valid: up to {MAX_DIGITS}")
