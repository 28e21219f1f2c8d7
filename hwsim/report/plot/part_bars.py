"""What PEs are made of: area and energy by group of parts, one bar each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwsim.report.plot.kit.sheet import Key, finish, new_sheet
from hwsim.report.plot.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours of the groups, in the order of a datapath; told apart by colour-blind readers.
COLORS = {
    "decode": "#56b4e9", "multiplier": "#d55e00", "exponent": "#e69f00", "alignment": "#f0e442",
    "accumulator": "#0072b2", "normalisation": "#009e73", "dequantization": "#cc79a7", "register": "#8a8f98",
    "control": "#3f3f3f",
}  # fmt: skip
WIDTH_IN, BAR_IN = 9.0, 0.42


def part_bars_figure(title: str, panels: Mapping[str, Mapping[str, Mapping[str, float]]], note: str = "") -> Figure:
    """Return stacked bars.

    Parameters
    ----------
    title
        Heading of the picture.
    panels
        Axis label to PE to group to value, groups as in :data:`hwsim.hardware.circuits.GROUPS`.
    note
        Line below the picture.
    """
    from matplotlib.patches import Patch

    names = list(next(iter(panels.values())))
    used = [group for group in COLORS if any(group in bar for bars in panels.values() for bar in bars.values())]
    with styled():
        figure = new_sheet(WIDTH_IN, len(panels) * (0.75 + BAR_IN * len(names)))
        for axes, (label, bars) in zip(
            figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels.items(), strict=True
        ):
            for place, name in enumerate(names):
                left = 0.0
                for group in used:
                    value = bars[name].get(group, 0.0)
                    axes.barh(place, value, left=left, height=0.7, color=COLORS[group])
                    left += value
            axes.set_yticks(range(len(names)), names)
            axes.invert_yaxis()
            axes.grid(visible=False, axis="y")
            axes.set_xlabel(label)
        key = Key("part", [(Patch(color=COLORS[group]), group) for group in used])
        finish(figure, title, [key], [note] if note else [])
    return figure
