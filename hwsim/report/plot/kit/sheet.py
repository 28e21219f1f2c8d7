"""A page of panels with a title above them, legends and notes below: nothing hides anything.

Panels are laid out by matplotlib's constrained layout in the middle of the page; the page grows
by what title, legends and notes need. Widths and heights are in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.report.plot.kit.text import renderer, wrap
from hwsim.report.plot.style import INK, QUIET

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

EDGE = 12.0
_TITLE_SIZE, _NOTE_SIZE = 14.0, 9.5
_LINE = 1.35
_BETWEEN = 10.0


@dataclass(frozen=True)
class Key:
    """One legend: a heading and its entries, each a drawn example with a label."""

    heading: str
    entries: Sequence[tuple[Artist, str]]


def new_sheet(width: float, height: float) -> Figure:
    """Return an empty page whose panels have ``width`` × ``height`` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def finish(figure: Figure, title: str, keys: Sequence[Key] = (), notes: Sequence[str] = ()) -> None:
    """Add ``title``, legends and notes around the panels and fix the layout.

    Afterwards data coordinates keep their place on the page.
    """
    width, height = figure.get_size_inches() * 72
    room = width - 2 * EDGE
    heading = wrap(figure, title, _TITLE_SIZE, room, weight="bold")
    text = "\n".join(wrap(figure, note, _NOTE_SIZE, room, lines=4) for note in notes if note)
    above = _height(heading, _TITLE_SIZE) + EDGE
    legends = [_legend(figure, key, room) for key in keys if key.entries]
    rows = _rows(figure, legends, room)
    below = sum(max(h for _, _, h in row) + _BETWEEN for row in rows) + _height(text, _NOTE_SIZE) + EDGE
    total = above + height + below
    figure.set_size_inches(width / 72, total / 72)
    figure.text(
        EDGE / width, 1 - EDGE / total, heading, size=_TITLE_SIZE, weight="bold", va="top", ha="left", color=INK
    )
    figure.text(EDGE / width, EDGE / total, text, size=_NOTE_SIZE, va="bottom", ha="left", color=QUIET)
    _hang(rows, width, total, top=below)
    _freeze(figure, (EDGE / 2 / width, below / total, 1 - EDGE / width, height / total))


def _height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * _LINE + _BETWEEN if text else 0.0


def _legend(figure: Figure, key: Key, room: float) -> Legend:
    """Return a legend in as few rows as ``room`` allows; it is put in its place later."""
    handles, labels = zip(*key.entries, strict=True)
    style: dict[str, Any] = {
        "title": key.heading,
        "alignment": "left",
        "loc": "upper left",
        "borderaxespad": 0.0,
        "borderpad": 0.0,
        "columnspacing": 1.6,
        "handletextpad": 0.5,
        "labelspacing": 0.45,
    }
    for columns in range(len(labels), 0, -1):
        legend = figure.legend(
            handles, [wrap(figure, label, 10.0, room - 40, 1) for label in labels], ncols=columns, **style
        )
        legend.set_in_layout(False)
        legend.get_title().set_color(QUIET)
        if _size(figure, legend)[0] <= room or columns == 1:
            break
        legend.remove()
    return legend


def _size(figure: Figure, legend: Legend) -> tuple[float, float]:
    extent = legend.get_window_extent(renderer(figure))
    return extent.width * 72 / figure.dpi, extent.height * 72 / figure.dpi


def _rows(figure: Figure, legends: Sequence[Legend], room: float) -> list[list[tuple[Legend, float, float]]]:
    """Deal legends into rows as words into lines; each with its left edge and height."""
    rows: list[list[tuple[Legend, float, float]]] = []
    right = room
    for legend in legends:
        width, height = _size(figure, legend)
        if not rows or right + 3 * EDGE + width > room:
            rows.append([])
            right = -3 * EDGE
        rows[-1].append((legend, right + 3 * EDGE, height))
        right += 3 * EDGE + width
    return rows


def _hang(rows: list[list[tuple[Legend, float, float]]], width: float, total: float, top: float) -> None:
    for row in rows:
        for legend, left, _ in row:
            legend.set_bbox_to_anchor(((EDGE + left) / width, (top - _BETWEEN / 2) / total))
        top -= max(height for _, _, height in row) + _BETWEEN


#: Digits of an edge of the axes, as a share of the page.
SNAP = 6


def _freeze(figure: Figure, rect: tuple[float, float, float, float]) -> None:
    engine: Any = figure.get_layout_engine()
    engine.set(rect=rect, w_pad=EDGE / 72 / 2, h_pad=EDGE / 72 / 2)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        # The layout's solver leaves noise in the last digits, which would show in the bytes of an SVG.
        axes.set_position(tuple(round(edge, SNAP) for edge in axes.get_position().bounds))
