"""Rectangles and lines on a page: what overlaps, what crosses.

Boxes are arrays of shape (n, 4): left, bottom, right, top. Lines are arrays of shape (n, 4) too:
x and y of the start, x and y of the end. All in one unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def grown(boxes: Floats, margin: float) -> Floats:
    """Return ``boxes`` larger by ``margin`` on every side."""
    larger: Floats = boxes + np.array([-margin, -margin, margin, margin])
    return larger


def around(centres: Floats, radii: Floats) -> Floats:
    """Return the boxes around circles: ``centres`` of shape (n, 2), ``radii`` of shape (n,)."""
    return np.column_stack([centres - radii[:, None], centres + radii[:, None]])


def overlaps(a: Floats, b: Floats) -> Flags:
    """Return which boxes of ``a`` overlap which of ``b``, shape (len(a), len(b)); touching does not count."""
    apart = (a[:, None, :2] >= b[None, :, 2:]) | (b[None, :, :2] >= a[:, None, 2:])
    together: Flags = np.asarray(~apart.any(axis=2))
    return together


def inside(boxes: Floats, frame: Floats) -> Flags:
    """Return which ``boxes`` lie within the one box ``frame`` of shape (4,)."""
    within = (boxes[:, :2] >= frame[:2]).all(axis=1) & (boxes[:, 2:] <= frame[2:]).all(axis=1)
    return np.asarray(within)


def nearest(boxes: Floats, point: Floats) -> Floats:
    """Return the place in each box that is nearest to ``point`` of shape (2,)."""
    return np.clip(point, boxes[:, :2], boxes[:, 2:])


def hits(lines: Floats, boxes: Floats) -> Flags:
    """Return which lines pass through which boxes, shape (len(lines), len(boxes))."""
    start, step = lines[:, None, :2], (lines[:, 2:] - lines[:, :2])[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        enter = np.where(step == 0, -np.inf, (boxes[None, :, :2] - start) / step)
        leave = np.where(step == 0, np.inf, (boxes[None, :, 2:] - start) / step)
    first = np.minimum(enter, leave).max(axis=2).clip(min=0.0)
    last = np.maximum(enter, leave).min(axis=2).clip(max=1.0)
    beside = (step == 0) & ((start <= boxes[None, :, :2]) | (start >= boxes[None, :, 2:]))
    through: Flags = (first < last) & ~beside.any(axis=2)
    return through


def crosses(a: Floats, b: Floats) -> Flags:
    """Return which lines of ``a`` cross which of ``b``, shape (len(a), len(b)); shared ends do not count."""

    def side(line: Floats, point: Floats) -> Floats:
        along, to = line[..., 2:] - line[..., :2], point - line[..., :2]
        turn: Floats = along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
        return turn

    left, right = a[:, None, :], b[None, :, :]
    apart_a = side(left, right[..., :2]) * side(left, right[..., 2:]) < 0
    apart_b = side(right, left[..., :2]) * side(right, left[..., 2:]) < 0
    both: Flags = apart_a & apart_b
    return both
