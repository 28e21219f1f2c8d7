"""Scores: our model against a table of reference rows, figure by figure, with bars that it must reach.

One file is one kind of table; it registers a function that takes the file and returns a :class:`Score`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.spec.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Bar:
    """A bar: what is measured, how large it is, and what it may be at most, or must be at least."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value keeps the limit; not a number does not."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Score:
    """What a comparison found.

    Attributes
    ----------
    frame
        One row per reference figure: what it is, ``reference``, ``model``, ``error`` (relative).
    bars
        The bars of the kind, as far as the table has their figures.
    notes
        What a reader must know.
    """

    frame: pd.DataFrame
    bars: Sequence[Bar]
    notes: Sequence[str] = ()


SCORERS: Registry[Callable[[Path], Score]] = Registry("score", "hwsim.explore.score")
