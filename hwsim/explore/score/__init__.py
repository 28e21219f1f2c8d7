"""Scores: our model against a table of reference rows, figure by figure, with bars that it must reach.

One file is one kind of table; it registers a function that takes the file and returns a :class:`Score`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Bar:
    """A bar: what is measured, how large it is, and what it may be at most, or must be at least.

    Without a limit the value is stated and never missed.
    """

    name: str
    value: float
    limit: float | None
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value keeps the limit; not a number does not."""
        if self.limit is None:
            return True
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


#: Wraps rows, to show how far their scorer is.
Track = Callable[[Sequence[Any]], Iterable[Any]]

#: A scorer takes the file, and may take ``leave_out``, how many folds of its rows to leave out in turn,
#: ``layers``, a second file with a row per layer, and ``track``, which wraps the rows.
SCORERS: Registry[Callable[..., Score]] = Registry("score", "hwsim.explore.score")


def untracked(rows: Sequence[Any]) -> Iterable[Any]:
    """Return ``rows`` as they are."""
    return rows


def score(
    kind: str, path: Path, leave_out: int | None = None, track: Track = untracked, layers: Path | None = None
) -> Score:
    """Compare a table with our model.

    Parameters
    ----------
    leave_out
        Folds of rows to leave out in turn, of kinds whose model is a table.
    track
        Wraps the rows of kinds that take long, to show how far it is.
    layers
        A second table, with a row per layer of the rows of ``path``, of kinds that have layers.

    Raises
    ------
    UsageError
        If the kind is unknown, has nothing to leave out or no layers, or the table cannot be compared.
    """
    scorer = SCORERS.get(kind)
    takes = signature(scorer).parameters
    given: dict[str, Any] = {"track": track} if "track" in takes else {}
    if leave_out is not None:
        if "leave_out" not in takes:
            reason = "its model was fitted, so there are no rows to leave out"
            raise UsageError(f"score {kind}: {reason}; valid: score sram")
        given["leave_out"] = leave_out
    if layers is not None:
        if "layers" not in takes:
            valid = ", ".join(name for name, one in SCORERS.items() if "layers" in signature(one).parameters)
            raise UsageError(f"score {kind}: has no table of layers (--layers); valid: score {valid}")
        given["layers"] = layers
    return scorer(path, **given)
