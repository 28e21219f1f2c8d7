"""Measures a finished figure: what stands outside, what overlaps."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from hwsim.report.plot.style import styled


def renderer(figure):
    figure.draw_without_rendering()
    return FigureCanvasAgg(figure).get_renderer()


def extents(artists, drawn_by):
    with styled():  # so that a name in a script that the font lacks is no warning here either
        boxes = [artist.get_window_extent(drawn_by) for artist in artists]
    return [(box.x0, box.y0, box.x1, box.y1) for box in boxes]


def shown_texts(figure):
    """Return all texts that are drawn; ticks beyond the ends of an axis are not."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            drawn = set(axis._update_ticks())
            for tick in [*axis.majorTicks, *axis.minorTicks]:
                hidden |= {tick.label1, tick.label2} if tick not in drawn else {tick.label2}
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text() and t not in hidden]


def texts_outside(figure):
    """Return the texts that leave the page, by more than half a pixel of rounding."""
    drawn_by = renderer(figure)
    x1, y1 = figure.bbox.x1 + 0.5, figure.bbox.y1 + 0.5
    texts = shown_texts(figure)
    return [
        t.get_text() for t, b in zip(texts, extents(texts, drawn_by), strict=True)
        if b[0] < -0.5 or b[1] < -0.5 or b[2] > x1 or b[3] > y1
    ]  # fmt: skip


def overlapping_texts(figure):
    """Return the pairs of texts whose boxes overlap by more than half a pixel."""
    drawn_by = renderer(figure)
    texts = shown_texts(figure)
    boxes = extents(texts, drawn_by)
    return [
        (a.get_text(), b.get_text())
        for i, a in enumerate(texts) for j, b in enumerate(texts) if i < j and overlap(boxes[i], boxes[j])
    ]  # fmt: skip


def overlap(a, b, slack=0.5):
    return min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack


def names(axes):
    """Return the names of front points in a panel."""
    return [text for text in axes.texts if text.get_label() == "name"]


def front_markers(axes):
    """Return the boxes of the markers of the front in pixels."""
    boxes = []
    for collection in axes.collections:
        if isinstance(collection, PathCollection) and collection.get_zorder() == 4:
            places = axes.transData.transform(collection.get_offsets())
            radii = np.sqrt(collection.get_sizes()) / 2 * axes.figure.dpi / 72
            boxes += [
                (x - r, y - r, x + r, y + r)
                for (x, y), r in zip(places, np.broadcast_to(radii, len(places)), strict=True)
            ]
    return boxes
