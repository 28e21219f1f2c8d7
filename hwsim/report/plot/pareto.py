"""The Pareto plot: the designs that no other beats, by name, before the faint crowd of the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.explore.error_band import logic_of, lut_error
from hwsim.explore.metrics import Direction
from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.report.plot.kit.boxes import Floats
from hwsim.report.plot.kit.fronts import Objectives, Panel, panels_of
from hwsim.report.plot.kit.labels import name_front
from hwsim.report.plot.kit.sheet import Key, finish, new_sheet
from hwsim.report.plot.kit.text import wrap
from hwsim.report.plot.kit.ticks import dress_axis
from hwsim.report.plot.style import INK, QUIET, family_looks, styled
from hwsim.report.wording import column_title, counted, listed, number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches of one panel alone, and of one of several.
_ALONE, _ONE_OF_MANY = (9.6, 5.8), (6.9, 5.2)
_EMPTY_HEIGHT = 2.6

#: Marker areas in square points: of beaten and front designs, and the range of the latter by z.
_SMALL, _LARGE, _LEAST, _MOST = 16.0, 85.0, 18.0, 260.0


def pareto_figure(
    frame: pd.DataFrame,
    x: str,
    y: str,
    z: str | None = None,
    directions: Mapping[str, Direction] | None = None,
    title: str = "",
    where: str | None = None,
) -> Figure:
    """Draw a design table: one panel per workload with the Pareto front of ``x`` and ``y`` (and ``z``).

    Parameters
    ----------
    frame
        A design table: ``design_id, workload``, swept parameters (``pe`` gives the colour), metrics,
        ``status, reason``. All but the columns of the axes may be left out.
    x, y
        Columns on the axes.
    z
        A third objective, shown as marker size on the front.
    directions
        Column to ``"min"`` or ``"max"``; a metric without one has its usual direction.
    title
        A line above the panels.
    where
        A condition that designs must meet to be drawn, for example ``"area_mm2 <= 12"``.

    Raises
    ------
    UsageError
        If a column is unknown or holds no numbers, or the condition is wrong.
    """
    objectives = Objectives.of(x, y, z, directions)
    panels = panels_of(frame, objectives, where)
    with styled():
        return _draw(panels or [Panel("", [], [], np.empty((0, 2)), (), Counter())], objectives, title, where)


def _draw(panels: Sequence[Panel], objectives: Objectives, title: str, where: str | None) -> Figure:
    columns = min(len(panels), 2)
    rows = math.ceil(len(panels) / columns)
    width, height = _ALONE if columns == 1 else _ONE_OF_MANY
    drawn = sum(len(panel.designs) for panel in panels)
    height = height if drawn else _EMPTY_HEIGHT
    figure = new_sheet(width * columns, height * rows)
    grid = [figure.add_subplot(rows, columns, i + 1) for i in range(len(panels))]
    looks = family_looks(look for panel in panels for look in panel.looks)
    sizes = _Sizes(panels)
    for axes, panel in zip(grid, panels, strict=True):
        _title(axes, panel, (width - 1.1) * 72)
        if panel.designs:
            _panel(axes, panel, looks, sizes, objectives)
        else:
            _empty(axes, panel, (width - 2.5) * 72)
    if drawn:
        finish(figure, title, _keys(panels, looks, sizes, objectives), _notes(panels, where))
    else:
        finish(figure, title)
    for axes, panel in zip(grid, panels, strict=True):
        if panel.designs:
            colors = {family: color for family, (color, _) in looks.items()}
            _subtitle(axes, panel, *name_front(axes, panel, sizes.of(panel), colors))
    return figure


class _Sizes:
    """Marker areas: small for beaten designs; on the front a large one, or by z over all fronts."""

    def __init__(self, panels: Sequence[Panel]) -> None:
        third = np.concatenate([p.values[p.front, 2] for p in panels if p.values.shape[1] == 3] or [np.empty(0)])
        self.range = (float(third.min()), float(third.max())) if third.size else None
        self._log = self.range is not None and 0 < 10 * self.range[0] < self.range[1]

    def of(self, panel: Panel) -> Floats:
        """Return the area of each design's marker in square points."""
        areas = np.full(len(panel.designs), _SMALL)
        areas[panel.near] = 2 * _SMALL
        areas[panel.front] = _LARGE if self.range is None else self.area(panel.values[panel.front, 2])
        return areas

    def area(self, values: Floats) -> Floats:
        """Return the area for values of z."""
        assert self.range is not None
        low, high, at = *self.range, values
        if self._log:
            low, high, at = math.log(low), math.log(high), np.log(values)
        share = (at - low) / (high - low) if high > low else np.full(len(values), 0.5)
        return _LEAST + (_MOST - _LEAST) * share

    def examples(self) -> list[float]:
        """Return up to three values of z for the legend: smallest, middle, largest."""
        assert self.range is not None
        low, high = self.range
        return sorted({low, math.sqrt(low * high) if self._log else (low + high) / 2, high})


def _panel(
    axes: Axes, panel: Panel, looks: Mapping[str, tuple[str, str]], sizes: _Sizes, objectives: Objectives
) -> None:
    dress_axis(axes.xaxis, panel.values[:, 0])
    dress_axis(axes.yaxis, panel.values[:, 1])
    axes.set_xlabel(_axis_title(objectives, 0))
    axes.set_ylabel(_axis_title(objectives, 1))
    corners = _steps(panel.values[panel.outline, :2])
    axes.plot(corners[:, 0], corners[:, 1], color=INK, linewidth=1.2, zorder=3, solid_joinstyle="miter")
    area, on_front = sizes.of(panel), np.isin(np.arange(len(panel.designs)), panel.front)
    near = np.isin(np.arange(len(panel.designs)), panel.near)
    families = np.array(panel.looks, dtype=object)
    for family, (color, marker) in looks.items():
        for chosen, style in ((~on_front & ~near, _FAINT), (near, _NEAR), (on_front, _CLEAR)):
            rows = np.flatnonzero(chosen & (families == family))
            rows = rows[np.argsort(-area[rows], kind="stable")]
            if rows.size:
                at = panel.values[rows]
                axes.scatter(
                    at[:, 0], at[:, 1], s=area[rows], c=color, marker=marker, **style, rasterized=rows.size > 5000
                )


_FAINT: dict[str, Any] = {"alpha": 0.28, "linewidths": 0.0, "zorder": 2}
_NEAR: dict[str, Any] = {"alpha": 0.75, "linewidths": 0.0, "zorder": 3}
_CLEAR: dict[str, Any] = {"alpha": 1.0, "linewidths": 0.9, "edgecolors": INK, "zorder": 4}


def _steps(points: Floats) -> Floats:
    """Return the staircase through ``points``, which run from the best x to the best y."""
    between = np.column_stack([points[1:, 0], points[:-1, 1]])
    steps = np.empty((max(2 * len(points) - 1, 0), 2))
    steps[::2], steps[1::2] = points, between
    return steps


def _axis_title(objectives: Objectives, i: int) -> str:
    name = column_title(objectives.names[i])
    return f"← better     {name}" if objectives.directions[i] == "min" else f"{name}     better →"


def _title(axes: Axes, panel: Panel, width: float) -> None:
    figure: Any = axes.figure
    name = wrap(figure, panel.workload or "all designs", 12.0, width, 2, "bold")
    axes.set_title(name, loc="left", size=12.0, weight="bold", pad=22.0)


def _subtitle(axes: Axes, panel: Panel, named: int, of: int, shared: Sequence[str]) -> None:
    figure: Any = axes.figure
    every = of > len(panel.front)
    front = f"{len(panel.front):,} on the front" if named == of or every else f"{named:,} of {of:,} front points named"
    parts = [counted(len(panel.designs), "design"), front]
    if every and named < of:
        parts.append(f"{named:,} of {of:,} named")
    if shared:
        parts.append(f"front: all {' '.join(shared)}")
    width = axes.get_window_extent().width * 72 / figure.dpi
    text = wrap(figure, " · ".join(parts), 10.0, width, 1)
    axes.annotate(text, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", size=10.0, color=QUIET)


def _empty(axes: Axes, panel: Panel, width: float) -> None:
    figure: Any = axes.figure
    counts = [f"{count:,} {why}" for why, count in panel.missing.items()]
    text = f"No design to draw: {listed(counts)}." if counts else "No design to draw: the table has no rows."
    if panel.reason:
        text += f" The first reason: {panel.reason}"
    axes.set(xticks=[], yticks=[], facecolor="#f6f6f7")
    axes.spines[:].set_visible(False)
    axes.text(
        0.5, 0.5, wrap(figure, text, 12.0, width, 8), transform=axes.transAxes, ha="center", va="center", size=12.0
    )


def _keys(
    panels: Sequence[Panel], looks: Mapping[str, tuple[str, str]], sizes: _Sizes, objectives: Objectives
) -> list[Key]:
    families: list[tuple[Artist, str]] = [
        (_dot(color, marker, _LARGE, _CLEAR), family) for family, (color, marker) in looks.items() if family
    ]
    from matplotlib.lines import Line2D

    every = "both" if len(objectives.names) == 2 else "all three"
    designs: list[tuple[Artist, str]] = [(_dot(QUIET, "o", _LARGE, _CLEAR), f"front: no other is better in {every}")]
    if any(len(panel.front) + len(panel.near) < len(panel.designs) for panel in panels):
        designs.append((_dot(QUIET, "o", 2 * _SMALL, _FAINT), "beaten by one on the front"))
    logic = logic_of(objectives.names)
    if logic is not None and any(panel.near.size for panel in panels):
        within = f"beaten within the error of {LOGIC_WORDS[logic]} ({lut_error(logic)[1]:.0%})"
        designs.append((_dot(QUIET, "o", 3 * _SMALL, _NEAR), within))
    if len(objectives.names) == 3:
        designs.append((Line2D([], [], color=INK, linewidth=1.2), "front of the two axes alone"))
    keys = [Key("PE family", families), Key("Designs", designs)]
    if sizes.range is not None:
        values = sizes.examples()
        areas = sizes.area(np.array(values))
        examples: list[tuple[Artist, str]] = [
            (_dot(QUIET, "o", area, _CLEAR), number_text(v, 3)) for v, area in zip(values, areas, strict=True)
        ]
        keys.append(Key(f"Size on the front: {column_title(objectives.names[2])}", examples))
    return keys


def _dot(color: str, marker: str, area: float, style: Mapping[str, Any]) -> Artist:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linestyle="none", marker=marker, markersize=math.sqrt(area), markerfacecolor=color,
        markeredgecolor=style.get("edgecolors", "none"), markeredgewidth=style["linewidths"], alpha=style["alpha"],
    )  # fmt: skip


def _notes(panels: Sequence[Panel], where: str | None) -> list[str]:
    missing: Counter[str] = sum((panel.missing for panel in panels), Counter())
    counts = [
        f"{count:,} {why} {where}" if why == "outside the condition" else f"{count:,} {why}"
        for why, count in missing.items()
    ]
    notes = [f"Not drawn: {listed(counts)}."] if counts else []
    if where and "outside the condition" not in missing:
        notes.append(f"All drawn designs meet the condition {where}.")
    return notes
