"""Stacked bars: where the energy of each number format goes, in all and per layer kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.report.plot.kit.layers import Bars, bars_of
from hwsim.report.plot.kit.sheet import Key, finish, new_sheet
from hwsim.report.plot.kit.text import wrap
from hwsim.report.plot.style import INK, QUIET, styled
from hwsim.report.wording import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Title and colour of each part of a layer's energy, in the order of the stack.
PARTS: dict[str, tuple[str, str]] = {
    "energy_pe_pj": ("PE", "#0072b2"),
    "energy_rf_pj": ("registers and array wires", "#56b4e9"),
    "energy_sram_pj": ("SRAM", "#009e73"),
    "energy_dram_pj": ("DRAM", "#e69f00"),
    "energy_network_pj": ("network", "#c2549c"),
    "energy_vector_pj": ("vector unit", "#6a3d9a"),
    "energy_leakage_pj": ("leakage", "#9aa0a6"),
}

_WIDTH = 13.2
_COLUMNS = 4

#: Inches per bar and for the titles of a panel, in the totals and in the panels of the layers.
_TOTAL_ROW, _TOTAL_REST, _LAYER_ROW, _LAYER_REST = 0.34, 0.65, 0.235, 0.55

#: Inches for the names of the bars in the totals.
_NAMES = 3.2

#: Room to the right of the longest bar for its value, as a share of the bar.
_TOTAL_ROOM, _LAYER_ROOM = 0.2, 0.42

#: A part gets its share written on it when it is at least this share of the longest bar.
_TOLD_FROM = 0.045


def energy_bars_figure(frame: pd.DataFrame, title: str = "") -> Figure:
    """Draw the energy of several formats: one stacked bar each in all, then per layer kind.

    Layer kinds stand largest first; small ones are added up as "other". All bars have one unit.

    Parameters
    ----------
    frame
        A layer table with ``format, layer`` and the parts of the energy in pJ
        (``energy_pe_pj`` …); ``pe``, where there is one, is shown beside the format.
    title
        A line above the panels.

    Raises
    ------
    UsageError
        If a column is missing.
    """
    bars = bars_of(frame, list(PARTS))
    with styled():
        return _draw(bars, title)


def _draw(bars: Bars, title: str) -> Figure:
    count = len(bars.formats)
    panels = bars.layers if len(bars.layers) > 1 else []
    columns = min(_COLUMNS, max(len(panels), 1))
    rows = math.ceil(len(panels) / columns)
    heights = [_TOTAL_REST + _TOTAL_ROW * count, *([_LAYER_REST + _LAYER_ROW * count] * rows)]
    figure = new_sheet(_WIDTH, sum(heights))
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=heights, wspace=0.02)
    _totals(figure.add_subplot(grid[0, :]), bars)
    for i, layer in enumerate(panels):
        row, column = divmod(i, columns)
        _layer(figure.add_subplot(grid[1 + row, column]), bars, layer, _WIDTH / columns, named=column == 0)
    finish(figure, title, [Key("Part of the energy", _entries(bars))], [bars.note] if panels else [])
    _write_shares(figure.axes[0], bars)
    return figure


def _entries(bars: Bars) -> list[tuple[Artist, str]]:
    from matplotlib.patches import Patch

    used = bars.total.sum(axis=0) > 0
    return [(Patch(facecolor=c), name) for (name, c), shown in zip(PARTS.values(), used, strict=True) if shown]


def _totals(axes: Axes, bars: Bars) -> None:
    figure: Any = axes.figure
    names = [f"{name} ({pe})" if pe else name for name, pe in zip(bars.formats, bars.pes, strict=True)]
    _stack(axes, bars.total, 0.72)
    sums = bars.total.sum(axis=1)
    longest = float(sums.max()) or 1.0
    axes.set_xlim(0, longest * (1 + _TOTAL_ROOM))
    axes.set_yticks(range(len(names)), [wrap(figure, name, 10.0, _NAMES * 72, 1) for name in names])
    for row, value in enumerate(sums):
        versus = f"   × {value / sums[0]:.2f}" if row and sums[0] > 0 else ""
        axes.annotate(
            f"{number_text(value, 3)} {bars.unit}{versus}", (value, row), (5, 0), textcoords="offset points",
            va="center", size=10.0, color=INK,
        )  # fmt: skip
    subject = f"The only layer kind, {bars.layers[0]}" if len(bars.layers) == 1 else "The whole workload"
    what = f"{subject}, in {bars.unit}" + (f", and relative to {bars.formats[0]}" if len(names) > 1 else "")
    axes.set_title(
        wrap(figure, what, 12.0, (_WIDTH - _NAMES - 0.6) * 72, 1, "bold"), loc="left", size=12.0, weight="bold"
    )


def _layer(axes: Axes, bars: Bars, layer: str, width: float, named: bool) -> None:
    figure: Any = axes.figure
    values = bars.parts[layer]
    _stack(axes, values, 0.76)
    axes.set_xlim(0, bars.scale(layer) * (1 + _LAYER_ROOM))
    labels = [wrap(figure, name, 9.5, 1.6 * 72, 1) if named else "" for name in bars.formats]
    axes.set_yticks(range(len(labels)), labels, size=9.5)
    for row, value in enumerate(values.sum(axis=1)):
        text = number_text(value, 3)
        axes.annotate(text, (value, row), (4, 0), textcoords="offset points", va="center", size=9.0, color=INK)
    title = wrap(figure, bars.title(layer), 10.5, width * 72 * 0.8, 1, "bold")
    axes.set_title(title, loc="left", size=10.5, weight="bold", pad=17.0)
    share = f"{number_text(100 * bars.share(layer), 2)} % of the energy{', own scale' if bars.own_scale(layer) else ''}"
    axes.annotate(share, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", size=9.0, color=QUIET)


def _stack(axes: Axes, values: Any, height: float) -> None:
    rows = np.arange(len(values))
    left = np.zeros(len(values))
    for part, (_, color) in enumerate(PARTS.values()):
        axes.barh(rows, values[:, part], height, left=left, color=color, linewidth=0)
        left = left + values[:, part]
    for row in rows[1::2]:
        axes.axhspan(row - 0.5, row + 0.5, color="#f5f5f7", zorder=0, linewidth=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _write_shares(axes: Axes, bars: Bars) -> None:
    """Write each large part's share on the bars of the totals."""
    sums = bars.total.sum(axis=1)
    longest = float(sums.max())
    dark = {"#e69f00", "#56b4e9", "#9aa0a6"}
    for row, values in enumerate(bars.total):
        ends = np.cumsum(values)
        for end, value, (_, color) in zip(ends, values, PARTS.values(), strict=True):
            if longest and value >= _TOLD_FROM * longest:
                text, ink = f"{100 * value / sums[row]:.0f} %", INK if color in dark else "white"
                axes.text(end - value / 2, row, text, ha="center", va="center", size=9.0, color=ink)
