"""Where names go: beside their points, covering neither each other nor the data.

Each name has candidate places in rings around its point. Places that leave the frame, touch
another name or cover a marked point are out; of the others the cheapest is taken, where distance,
covered lines and points, and leaders in the way cost. Names are placed in their order and then,
a few times over, each again with all others in place. Nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwsim.report.plot.kit.boxes import Flags, Floats, around, crosses, grown, hits, inside, nearest, overlaps

#: Gaps between a point and its name in points, and the directions tried at each.
GAPS = (3.0, 9.0, 17.0, 27.0, 40.0, 56.0, 76.0, 100.0, 130.0)
DIRECTIONS = 24

#: Blank around a name in points.
MARGIN = 1.5

#: What a candidate costs, in points of distance.
_PER_DOT, _PER_LINE, _PER_LEADER_ON_MARK, _PER_LEADER_CROSSED, _PER_LEADER_ON_LINE = 7.0, 65.0, 60.0, 70.0, 20.0

_PER_NEIGHBOUR = 10.0

_SWEEPS = 3


@dataclass(frozen=True)
class Scene:
    """What names must not or should not cover. All in points from the lower left of the page.

    Parameters
    ----------
    frame
        Shape (4,); names stay within.
    marks, radii
        Shapes (n, 2) and (n,): the points of the front, never covered.
    lines
        Shape (k, 4): horizontal and vertical lines better left free.
    dots
        Shape (d, 4): the boxes of further points better left free.
    """

    frame: Floats
    marks: Floats
    radii: Floats
    lines: Floats = field(default_factory=lambda: np.empty((0, 4)))
    dots: Floats = field(default_factory=lambda: np.empty((0, 4)))


@dataclass(frozen=True)
class Spot:
    """Where one name goes: its ``box`` and the ``leader`` from its point, both of shape (4,)."""

    box: Floats
    leader: Floats


def place_names(scene: Scene, which: list[int], sizes: Floats) -> list[Spot | None]:
    """Return a spot for each name, None where there is no room.

    Parameters
    ----------
    scene
        The surroundings.
    which
        For each name the index of its point among ``scene.marks``; the most important name first.
    sizes
        Shape (names, 2): width and height.
    """
    candidates = [_Candidates(scene, mark, size) for mark, size in zip(which, sizes, strict=True)]
    spots: list[Spot | None] = [None] * len(which)
    for _ in range(_SWEEPS):
        for i, candidate in enumerate(candidates):
            spots[i] = candidate.best([s for j, s in enumerate(spots) if j != i and s is not None])
    return spots


class _Candidates:
    """The places around one point, with all costs that do not depend on other names."""

    def __init__(self, scene: Scene, mark: int, size: Floats) -> None:
        point, radius = scene.marks[mark], scene.radii[mark]
        boxes, gaps = _ring(point, radius, size)
        marks = around(scene.marks, scene.radii + 1.0)
        leaders = _leaders(boxes, point, radius)
        others = np.arange(len(marks)) != mark
        # A leader through the middle of another marker would seem to come from there.
        astray = hits(leaders, around(scene.marks, scene.radii * 0.6)[others]).any(axis=1)
        allowed = inside(boxes, scene.frame) & ~overlaps(boxes, marks).any(axis=1) & ~astray
        self.boxes, self.leaders = boxes[allowed], leaders[allowed]
        self.cost = gaps[allowed] + _flat_cost(scene, self.boxes)
        self.cost += _PER_LEADER_ON_MARK * hits(self.leaders, marks[others]).sum(axis=1)
        self.cost += _PER_NEIGHBOUR * overlaps(grown(self.boxes, GAPS[1] - GAPS[0]), marks[others]).sum(axis=1)
        self.cost += _PER_LEADER_ON_LINE * hits(self.leaders, _thick(scene.lines)).sum(axis=1)

    def best(self, placed: list[Spot]) -> Spot | None:
        """Return the cheapest place beside the names that are placed."""
        if not len(self.boxes):
            return None
        boxes = np.array([s.box for s in placed]).reshape(-1, 4)
        leaders = np.array([s.leader for s in placed]).reshape(-1, 4)
        free = ~self._blocked(boxes, leaders)
        if not free.any():
            return None
        cost = self.cost + _PER_LEADER_CROSSED * crosses(self.leaders, leaders).sum(axis=1)
        chosen = int(np.argmin(np.where(free, cost, np.inf)))
        return Spot(self.boxes[chosen], self.leaders[chosen])

    def _blocked(self, boxes: Floats, leaders: Floats) -> Flags:
        wide = grown(boxes, 2 * MARGIN)
        blocked = (
            overlaps(self.boxes, wide).any(axis=1)
            | hits(self.leaders, grown(boxes, MARGIN)).any(axis=1)
            | hits(leaders, grown(self.boxes, MARGIN)).any(axis=0)
        )
        return np.asarray(blocked)


def _ring(point: Floats, radius: float, size: Floats) -> tuple[Floats, Floats]:
    """Return the candidate boxes around a point and how far from it each is."""
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    way = np.column_stack([np.cos(angles), np.sin(angles)])
    # Beside the point the box is centred on it; towards the diagonals its corner comes nearest.
    lean = np.clip(way * 1.6, -1.0, 1.0) * size / 2
    gaps = np.repeat(np.array(GAPS), DIRECTIONS)
    centres = point + np.tile(way, (len(GAPS), 1)) * (gaps + radius)[:, None] + np.tile(lean, (len(GAPS), 1))
    return np.column_stack([centres - size / 2, centres + size / 2]), gaps


def _leaders(boxes: Floats, point: Floats, radius: float) -> Floats:
    """Return the lines from the rim of the point's marker to the nearest place of each box."""
    ends = nearest(boxes, point)
    away = ends - point
    length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-9)
    return np.column_stack([point + away * np.minimum(radius / length, 1.0)[:, None], ends])


def _flat_cost(scene: Scene, boxes: Floats) -> Floats:
    covered = overlaps(boxes, scene.dots).sum(axis=1), overlaps(boxes, _thick(scene.lines)).sum(axis=1)
    return np.asarray(_PER_DOT * covered[0] + _PER_LINE * covered[1])


def _thick(lines: Floats) -> Floats:
    """Return the boxes of horizontal and vertical lines."""
    low, high = np.minimum(lines[:, :2], lines[:, 2:]), np.maximum(lines[:, :2], lines[:, 2:])
    return grown(np.column_stack([low, high]), 1.0)
