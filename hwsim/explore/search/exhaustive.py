"""Every point, in order. Below some ten million points nothing is quicker to trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hwsim.explore.metrics import Direction
from hwsim.explore.search import SEARCHES, Search
from hwsim.explore.space import Point


@SEARCHES.register("exhaustive")
class Exhaustive(Search):
    """Asks for all points at once."""

    shardable: ClassVar[bool] = True

    def __init__(self, points: Sequence[Point], objectives: Mapping[str, Direction]) -> None:
        super().__init__(points, objectives)
        self._left: Sequence[Point] = points

    def ask(self) -> Sequence[Point]:
        """Return all points the first time, none afterwards."""
        asked, self._left = self._left, ()
        return asked

    def tell(self, rows: Mapping[int, Mapping[str, Any] | None]) -> None:
        """Results change nothing: all points are evaluated."""
