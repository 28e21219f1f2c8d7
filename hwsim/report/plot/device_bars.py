"""Number formats on an FPGA device: what each takes of its resources, how long it runs, and its SQNR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.report.plot.kit.sheet import Key, finish, new_sheet
from hwsim.report.plot.kit.text import wrap
from hwsim.report.plot.style import INK, QUIET, styled
from hwsim.report.wording import column_title, is_missing, number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Column of the amount, column of its share of what is usable, colour.
RESOURCES = (
    ("lut6", "lut_share", "#0072b2"),
    ("alm", "alm_share", "#0072b2"),
    ("ff", "ff_share", "#56b4e9"),
    ("dsp", "dsp_share", "#e69f00"),
    ("bram36", "bram_share", "#009e73"),
    ("m20k", "m20k_share", "#009e73"),
)
#: Other figures and their colours.
FIGURES = (("latency_ms", "#6a3d9a"), ("sqnr_db", "#6b7075"))

_WIDTH, _ROW, _REST, _NAMES = 13.2, 0.34, 0.85, 2.6


def device_bars_figure(totals: pd.DataFrame, title: str, notes: Sequence[str] = ()) -> Figure:
    """Draw the totals of formats on a device: shares of what is usable with the amounts, latency, SQNR.

    Parameters
    ----------
    totals
        Columns ``format``, ``pe``, those of :data:`RESOURCES` that the device has
        and :data:`FIGURES`; a blank row is named without bars.
    title
        Heading of the picture.
    notes
        Lines below it.
    """
    from matplotlib.patches import Patch

    rows = totals.to_dict("records")
    resources = [one for one in RESOURCES if one[0] in totals.columns]
    with styled():
        figure = new_sheet(_WIDTH, _REST + _ROW * len(rows))
        panels = figure.subplots(1, len(resources) + len(FIGURES))
        names = [wrap(figure, f"{row['format']} ({row['pe']})", 10.0, _NAMES * 72, 1) for row in rows]
        # One scale for all resources, so that the longest bar is the one that runs out first.
        most = max([row[share] for row in rows for _, share, _ in resources if not is_missing(row[share])] or [1.0])
        for axes, (amount, share, color) in zip(panels, resources, strict=False):
            texts = [
                f"{number_text(row[amount], 3)}  {100 * row[share]:.3g} %" if _has(row, share) else "–" for row in rows
            ]
            _bars(axes, [row[share] if _has(row, share) else 0.0 for row in rows], texts, color, most)
            axes.set_title(column_title(amount), loc="left", size=11.5, weight="bold")
        for axes, (name, color) in zip(panels[len(resources) :], FIGURES, strict=True):
            values = [row[name] if _has(row, name) else 0.0 for row in rows]
            texts = [number_text(row[name], 4) if _has(row, name) else "–" for row in rows]
            _bars(axes, values, texts, color, max([*values, 0.0]) or 1.0)
            axes.set_title(column_title(name), loc="left", size=11.5, weight="bold")
        for number, axes in enumerate(panels):
            axes.set_yticks(range(len(names)), names if number == 0 else [""] * len(names))
        entries = [(Patch(facecolor=color), column_title(amount)) for amount, _, color in resources]
        finish(
            figure, title, [Key("Bars: share of what is usable, on one scale; text: amount and share", entries)], notes
        )
    return figure


def _has(row: Mapping[Any, Any], name: str) -> bool:
    return not is_missing(row[name])


def _bars(axes: Axes, values: Sequence[float], texts: Sequence[str], color: str, longest: float) -> None:
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.barh(place, value, 0.7, color=color, linewidth=0)
        axes.annotate(
            text, (value, place), (4, 0), textcoords="offset points", va="center", size=9.0,
            color=QUIET if text == "–" else INK, annotation_clip=False,
        )  # fmt: skip
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#f5f5f7", zorder=0, linewidth=0)
    axes.set_xlim(0, longest * 2.15)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
