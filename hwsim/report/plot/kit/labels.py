"""Writes names beside the points of a front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.report.plot.kit.boxes import Floats, around
from hwsim.report.plot.kit.fronts import Panel
from hwsim.report.plot.kit.names import short_names, worth_naming
from hwsim.report.plot.kit.placement import MARGIN, Scene, Spot, place_names
from hwsim.report.plot.kit.text import text_size
from hwsim.report.plot.style import QUIET, darker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More names than this make a panel a list.
MOST_NAMES = 12
#: Of those that are beaten by less than an error, so many more.
MOST_NEAR = 8
_SIZE = 9.5

#: A leader shorter than this says nothing.
_LEAST_LEADER = 4.0


def name_front(axes: Axes, panel: Panel, areas: Floats, colors: Mapping[str, str]) -> tuple[int, int, list[str]]:
    """Name the points of the front, and all where they are few; the layout of the page must be final.

    Parameters
    ----------
    axes
        With scales and limits set.
    panel
        The designs.
    areas
        Marker areas in square points, shape (designs,).
    colors
        By PE family.

    Returns
    -------
    named, of, shared
        How many points are named, how many there are to name, and the words that all their designs
        share and that are left out of the names. Designs at one place are one point.
    """
    figure: Any = axes.figure
    to_points = 72 / figure.dpi
    places = axes.transData.transform(panel.values[:, :2]) * to_points
    rows = [*panel.front.tolist(), *panel.near.tolist()]
    if len(places) <= MOST_NAMES:
        rows += np.setdiff1d(np.arange(len(places)), rows).tolist()
    heads, counts = _one_per_place(panel, rows)
    names, shared = short_names([panel.designs[i] for i in heads], [panel.families[i] for i in heads])
    names = [f"{name} +{n - 1}" if n > 1 else name for name, n in zip(names, counts, strict=True)]
    first = [heads.index(_head(panel, heads, i)) for i in panel.landmarks()]
    wanted = worth_naming(places[heads], first, MOST_NAMES + min(len(panel.near), MOST_NEAR))
    scene = _scene(axes, panel, places, heads, np.setdiff1d(np.arange(len(places)), rows), np.sqrt(areas) / 2)
    sizes = np.array([text_size(figure, names[i], _SIZE) for i in wanted]) + 2 * MARGIN
    spots = place_names(scene, wanted, sizes)
    for i, spot in zip(wanted, spots, strict=True):
        if spot is not None:
            color = darker(colors[panel.looks[heads[i]]]) if heads[i] in panel.front else QUIET
            _write(axes, names[i], spot, scene.marks[i], color)
    return sum(spot is not None for spot in spots), len(heads), shared


def _one_per_place(panel: Panel, rows: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the first of the designs ``rows`` at each place, and how many are there."""
    places: dict[tuple[float, ...], list[int]] = {}
    for i in rows:
        places.setdefault(tuple(panel.values[i, :2]), []).append(i)
    return [found[0] for found in places.values()], [len(found) for found in places.values()]


def _head(panel: Panel, heads: list[int], i: int) -> int:
    return next(h for h in heads if (panel.values[h, :2] == panel.values[i, :2]).all())


def _scene(axes: Axes, panel: Panel, places: Floats, heads: list[int], others: Any, radii: Floats) -> Scene:
    figure: Any = axes.figure
    corners = axes.get_window_extent().get_points().ravel() * 72 / figure.dpi
    frame = corners + np.array([3.0, 3.0, -1.0, -1.0])
    outline = places[panel.outline]
    between = np.column_stack([outline[1:, 0], outline[:-1, 1]])
    lines = np.concatenate([np.column_stack([outline[:-1], between]), np.column_stack([between, outline[1:]])])
    return Scene(frame, places[heads], radii[heads], lines.reshape(-1, 4), around(places[others], radii[others]))


def _write(axes: Axes, name: str, spot: Spot, point: Floats, color: str) -> None:
    from matplotlib.lines import Line2D

    figure: Any = axes.figure
    page = figure.dpi_scale_trans
    start, end = spot.leader[:2] / 72, spot.leader[2:] / 72
    if np.hypot(*(end - start)) * 72 > _LEAST_LEADER:
        axes.add_artist(
            Line2D([start[0], end[0]], [start[1], end[1]], transform=page, color=QUIET, linewidth=0.7, zorder=5)
        )
    side: Any = "left" if spot.box[[0, 2]].mean() > point[0] else "right"
    corner = spot.box[:2] / 72 + MARGIN / 72
    back: Any = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.6}
    axes.text(
        corner[0], corner[1], name, transform=page, size=_SIZE, color=color, zorder=6,
        va="bottom", multialignment=side, label="name", bbox=back,
    )  # fmt: skip
