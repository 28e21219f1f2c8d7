"""Search methods: which points of a space to evaluate, and in which order.

One file is one method. A method is asked for points until it gives none, and told the results in
between; it registers itself under the name that ``search: {method: …}`` uses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hwsim.explore.metrics import Direction
from hwsim.explore.space import Point
from hwsim.spec.registry import Registry


class Search(ABC):
    """One run of a search over the points of a space.

    Parameters
    ----------
    points
        The points that may be evaluated, in order.
    objectives
        Metric to ``"min"`` or ``"max"``.
    """

    #: Whether each shard may search its own part of the points.
    shardable: ClassVar[bool] = False

    def __init__(self, points: Sequence[Point], objectives: Mapping[str, Direction]) -> None:
        self.points = points
        self.objectives = objectives

    @abstractmethod
    def ask(self) -> Sequence[Point]:
        """Return the next points to evaluate; none when the search is over."""

    @abstractmethod
    def tell(self, rows: Mapping[int, Mapping[str, Any] | None]) -> None:
        """Take the metrics of the points asked for, by index; None for a point without."""


SEARCHES: Registry[type[Search]] = Registry("search", "hwsim.explore.search")

__all__ = ["SEARCHES", "Search"]
