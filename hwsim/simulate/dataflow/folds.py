"""How the folds of a tile follow one another: closed forms over runs of equal folds, and walks over any.

A dataflow says three things of its folds (:class:`FoldRule`): the cycles from the start of a tile to a
*mark* in its first fold, from the mark of a fold to that of the next, and from a mark until the fold's last
result is out. Its mark is whatever makes these simple. A tile's cycles follow: by sum, when folds are
alike in runs, which is what the mapper needs; one after the other, when each takes its own time.

Functions take numbers, or arrays over candidate tilings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Size(NamedTuple):
    """Rows and columns of the array that a fold takes up: all of them, or those that it uses."""

    rows: Any
    cols: Any


class Pair(NamedTuple):
    """Two folds in a row, and the cycles that their steps take; ``chained``: the second adds to the first's sums."""

    size: Size
    following: Size
    steps: Any
    next_steps: Any
    chained: bool
    lag: Any = 0


class FoldRule(Protocol):
    """What a dataflow says of the folds of one tile."""

    def lead(self, size: Size, steps: Any, several: Any) -> Any:
        """Return the cycles until the mark of the first fold; ``several``: there are more."""
        ...

    def period(self, pair: Pair) -> Any:
        """Return the cycles from the mark of a fold to that of the next."""
        ...

    def tail(self, size: Size, steps: Any) -> Any:
        """Return the cycles from the mark of a fold until its last result is out."""
        ...


@dataclass(frozen=True)
class Cut:
    """A loop over folds: ``count`` of size ``full``, and one of size ``edge`` where ``edges`` is true."""

    count: Any
    full: Any
    edges: Any
    edge: Any

    @classmethod
    def even(cls, extent: Any, unit: int, size: int) -> Cut:
        """Return folds that all cost ``size``."""
        return cls(-(-extent // unit), size, extent < 0, size)

    @classmethod
    def ragged(cls, extent: Any, unit: int, size: Callable[[Any], Any]) -> Cut:
        """Return folds of ``unit`` and what is left, of the ``size`` that these take."""
        rest = extent % unit
        return cls(extent // unit, size(unit), rest > 0, size(rest))

    @property
    def first(self) -> Any:
        """Size of the first fold."""
        return choose(self.count > 0, self.full, self.edge)

    @property
    def last(self) -> Any:
        """Size of the last fold."""
        return choose(self.edges, self.edge, self.full)

    @property
    def turns(self) -> Any:
        """1 where a full fold is followed by one of the edge."""
        return choose(self.edges & (self.count > 0), 1, 0)


def choose(condition: Any, chosen: Any, other: Any) -> Any:
    """Return ``chosen`` where ``condition`` holds, else ``other``."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, chosen, other)
    return chosen if condition else other


def most(*values: Any) -> Any:
    """Return the largest."""
    if not any(isinstance(value, np.ndarray) for value in values):
        return max(values)
    found = values[0]
    for value in values[1:]:
        found = np.maximum(found, value)
    return found


def least_of(*values: Any) -> Any:
    """Return the smallest."""
    return -most(*(-value for value in values))


def run_cycles(rule: FoldRule, steps: Any, outer: Cut, inner: Cut, size: Callable[[Any, Any], Size]) -> Any:
    """Return the cycles of a tile whose folds all take ``steps``; ``size`` makes one of an outer and an inner size."""

    def period(o: Any, i: Any, o_next: Any, i_next: Any, chained: bool) -> Any:
        return rule.period(Pair(size(o, i), size(o_next, i_next), steps, steps, chained))

    def inside(o: Any) -> Any:
        alike = most(inner.count - 1, 0) * period(o, inner.full, o, inner.full, True)
        return alike + inner.turns * period(o, inner.full, o, inner.edge, True)

    def between(o: Any) -> Any:
        return period(outer.full, inner.last, o, inner.first, False)

    several = (outer.count + outer.edges) * (inner.count + inner.edges) > 1
    mark = rule.lead(size(outer.first, inner.first), steps, several)
    mark = mark + outer.count * inside(outer.full) + choose(outer.edges, inside(outer.edge), 0)
    mark = mark + most(outer.count - 1, 0) * between(outer.full) + outer.turns * between(outer.edge)
    ends = mark + rule.tail(size(outer.last, inner.last), steps)
    # A narrow last fold may be out before what went before it: then the last full ones decide.
    turn = inner.turns * period(outer.last, inner.full, outer.last, inner.edge, True)
    ends = most(ends, mark - turn + rule.tail(size(outer.last, choose(inner.turns > 0, inner.full, inner.last)), steps))
    back = mark - inside(outer.last) - between(outer.edge)
    before = back + rule.tail(size(outer.full, inner.last), steps)
    turn = inner.turns * period(outer.full, inner.full, outer.full, inner.edge, True)
    full = choose(inner.turns > 0, inner.full, inner.last)
    before = most(before, back - turn + rule.tail(size(outer.full, full), steps))
    return most(ends, choose(outer.turns > 0, before, ends))


class Marked(NamedTuple):
    """One fold of a walk: its size, whether it adds to the sums of the one before, the times of its steps.

    ``ends`` (steps,) are the cycles after which its steps are done, from its first one on.
    """

    size: Size
    chained: bool
    ends: NDArray[np.int64]


def walk_marks(rule: FoldRule, folds: Sequence[Marked]) -> tuple[list[int], int]:
    """Return the marks of all folds, one after the other, and the cycles of their tile."""
    first = folds[0]
    marks = [int(rule.lead(first.size, int(first.ends[-1]), len(folds) > 1))]
    for one, following in pairwise(folds):
        lag = int(np.max(np.subtract(one.ends, following.ends))) if following.chained else 0
        pair = Pair(one.size, following.size, int(one.ends[-1]), int(following.ends[-1]), following.chained, lag)
        marks.append(marks[-1] + int(rule.period(pair)))
    ends = [mark + int(rule.tail(fold.size, int(fold.ends[-1]))) for mark, fold in zip(marks, folds, strict=True)]
    return marks, max(ends)
