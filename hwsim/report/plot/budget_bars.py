"""The budgets of an FPGA device: what an array uses, what is kept back, one bar per resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.report.plot.kit.sheet import Key, finish, new_sheet
from hwsim.report.plot.style import FAINT, INK, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

USED, BINDING, KEPT = "#0072b2", "#d55e00", "#c7c9cc"
WIDTH_IN, BAR_IN = 8.0, 0.5


def budget_bars_figure(title: str, frame: pd.DataFrame, note: str = "") -> Figure:
    """Return bars of shares of a device's resources.

    Parameters
    ----------
    title
        Heading of the picture.
    frame
        Columns ``resource``, ``device``, ``usable``, ``used``, ``binding``, as ``Fit.frame`` has them.
    note
        Line below the picture.
    """
    from matplotlib.patches import Patch

    rows = [row for row in frame.to_dict("records") if row["device"]]
    with styled():
        figure = new_sheet(WIDTH_IN, 0.9 + BAR_IN * len(rows))
        axes = figure.subplots()
        for place, row in enumerate(rows):
            used, usable = 100 * row["used"] / row["device"], 100 * row["usable"] / row["device"]
            axes.barh(place, 100, height=0.66, color=FAINT)
            axes.barh(place, 100 - usable, left=usable, height=0.66, color=KEPT)
            axes.barh(place, used, height=0.66, color=BINDING if row["binding"] else USED)
            text = f"{row['used']:,.0f} of {row['device']:,.0f}"
            axes.text(101.5, place, text, va="center", ha="left", size=9.5, color=INK)
        axes.set_yticks(range(len(rows)), [row["resource"] for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 132)
        axes.set_xticks(range(0, 101, 20))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the device (%)")
        entries = [
            (Patch(color=BINDING), "used, binds the array"),
            (Patch(color=USED), "used"),
            (Patch(color=KEPT), "shell and reserve"),
            (Patch(color=FAINT), "free"),
        ]
        finish(figure, title, [Key("budget", entries)], [note] if note else [])
    return figure
