"""What is stated of an operand's stream: its distribution, zeros, toggling bits, how long each value is held.

Written as ``laplace zeros=0.5 held=64`` (in the columns ``w_stats`` and ``a_stats`` of a trace, and on
the command line). A word without ``=`` is the name of a distribution (:mod:`hwsim.formats.distributions`):
it decides the cycles and the work of hardware that depends on data, and nothing else. So does
``measured:FILE#KEY``, statistics of real tensors (:mod:`hwsim.formats.measured`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hwsim.formats.base import Format
from hwsim.formats.distributions import DISTRIBUTIONS
from hwsim.formats.measured import PREFIX, measured_text, read_measured
from hwsim.spec.errors import UsageError, did_you_mean

#: Share of the bits that change between two random words.
RANDOM_TOGGLE = 0.5
KEYS = ("zeros", "toggle", "held")
#: Distribution that data-dependent hardware is taken to work on where none is named; an assumption that outputs state.
DEFAULT_DISTRIBUTION = "gaussian"


@dataclass(frozen=True)
class OperandStats:
    """Statistics of the values that one operand of a PE takes one after the other; None where random.

    Parameters
    ----------
    zeros
        Share of values that are zero; random ones are zero as often as codes are.
    toggle
        Share of bits that change from one value to the next one, holds left out; random ones 0.5.
        Zeros are in it.
    held
        Steps for which a value stays: 1 for a new one per step.
    distribution
        Name of the distribution of values before they are quantized; None for the default one.

    Raises
    ------
    UsageError
        If a figure is out of range, both ``zeros`` and ``toggle`` are given, or there is no such distribution.
    """

    zeros: float | None = None
    toggle: float | None = None
    held: float = 1.0
    distribution: str | None = None

    def __post_init__(self) -> None:
        for name in ("zeros", "toggle"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"operand statistics: {name}={value:g}; valid: 0 to 1")
        if not 1 <= self.held < math.inf:
            raise UsageError(f"operand statistics: held={self.held:g}; valid: steps from 1")
        if self.zeros is not None and self.toggle is not None:
            raise UsageError("operand statistics: zeros are in the toggle rate; give one of them")
        if self.distribution is not None and self.distribution.startswith(PREFIX):
            read_measured(self.distribution)
        elif self.distribution is not None and self.distribution not in DISTRIBUTIONS:
            raise UsageError(
                f"operand statistics: unknown distribution {self.distribution!r}; "
                f"{did_you_mean(self.distribution, DISTRIBUTIONS)}"
            )

    @property
    def distribution_text(self) -> str | None:
        """The distribution in words; None where none is stated."""
        if self.distribution is None or not self.distribution.startswith(PREFIX):
            return self.distribution
        return measured_text(self.distribution)

    @property
    def stated(self) -> bool:
        """Whether anything differs from random values, a new one per step; a distribution alone does not."""
        return replace(self, distribution=None) != OperandStats()


def read_operand_stats(text: str) -> OperandStats:
    """Return the statistics written in ``text``; random ones for nothing.

    Raises
    ------
    UsageError
        If a key or a distribution is unknown or stands twice, or a value is no number in its range.
    """
    found: dict[str, float] = {}
    named: str | None = None
    for word in text.replace(";", " ").split():
        key, equals, value = word.partition("=")
        if not equals:
            if named is not None:
                raise UsageError(f"operand statistics: two distributions, {named} and {word}, in {text!r}; valid: one")
            named = word
            continue
        if key not in KEYS:
            raise UsageError(f"operand statistics: {key!r} in {text!r}; {did_you_mean(key, KEYS)}")
        if key in found:
            raise UsageError(f"operand statistics: {key} stands twice in {text!r}")
        try:
            found[key] = float(value)
        except ValueError:
            raise UsageError(f"operand statistics: {word!r} is no number; write zeros=0.5") from None
    return OperandStats(**found, distribution=named)


def assumed_stats(w: str, a: str) -> str:
    """Return the distribution that is assumed of those of two operands that name none: ``w=gaussian a=gaussian``."""
    open_ones = [name for name, text in (("w", w), ("a", a)) if read_operand_stats(text).distribution is None]
    return " ".join(f"{name}={DEFAULT_DISTRIBUTION}" for name in open_ones)


def zero_share_of_codes(fmt: Format) -> float:
    """Return the share of the finite codes of ``fmt`` that are zero: zeros among random codes."""
    if fmt.element.bits > 16:
        return 0.0
    values = fmt.element.code_values()
    finite = values[np.isfinite(values)]
    return float(np.mean(finite == 0))
