"""The values of a number format: along a line, and their magnitudes by powers of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.report.plot.kit.sheet import finish, new_sheet
from hwsim.report.plot.style import QUIET, family_looks, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_IN, ROW_IN = 9.0, 0.95


def value_grid_figure(name: str, values: NDArray[Any]) -> Figure:
    """Return a picture of the grid of a format.

    Parameters
    ----------
    name
        Name of the format.
    values
        Its finite values; complex ones are shown in their plane.
    """
    with styled():
        if np.iscomplexobj(values):
            return _plane(name, values)
        positive = np.abs(values[values != 0])
        figure = new_sheet(WIDTH_IN, 2.4 * ROW_IN)
        line, powers = figure.subplots(2, 1)
        _ticks(line, values, "value")
        _ticks(powers, np.log2(np.unique(positive)), "base-2 logarithm of the magnitude")
        finish(figure, f"{name}: {np.unique(values).size} values", notes=[_words(values, positive)])
    return figure


def _ticks(axes: Any, values: NDArray[Any], label: str) -> None:
    color = family_looks([""])[""][0]
    many = len(values) > 300
    axes.vlines(values, 0, 1, color=color, linewidth=0.4 if many else 1.0)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel(label)


def _plane(name: str, values: NDArray[Any]) -> Figure:
    figure = new_sheet(4.0, 4.0)
    axes = figure.subplots()
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.plot(values.real, values.imag, linestyle="", marker="o", markersize=9, color=family_looks([""])[""][0])
    largest = 1.3 * float(np.abs(values).max())
    axes.set_xlim(-largest, largest)
    axes.set_ylim(-largest, largest)
    axes.set_aspect("equal")
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
    finish(figure, f"{name}: {values.size} values")
    return figure


def _words(values: NDArray[Any], positive: NDArray[Any]) -> str:
    low, high = float(positive.min()), float(positive.max())
    span = f"smallest magnitude {low:g}, dynamic range {np.log2(high / low):.1f} bits"
    return f"From {values.min():g} to {values.max():g}; {span}."
