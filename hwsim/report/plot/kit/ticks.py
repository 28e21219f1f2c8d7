"""Linear and logarithmic axes with plain numbers: ``0.05``, ``2,000``, ``10⁷``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axis import Axis

#: An axis is logarithmic when its largest value is more than this times its smallest.
LOG_FROM = 10.0

#: Blank on each side of the data, as a share of its range; room for names.
_PADDING = 0.13

#: The least range of an axis as a share of its largest value: smaller differences are no news.
_LEAST_RANGE = 0.02

#: The same when there is but one value.
_ONE_VALUE_RANGE = 0.5

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def dress_axis(axis: Axis, values: NDArray[np.float64]) -> None:
    """Give ``axis`` the scale, limits and ticks that suit ``values``, which are finite and not empty."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and high / low > LOG_FROM:
        _logarithmic(axis, low, high)
    else:
        _linear(axis, low, high)


def _logarithmic(axis: Axis, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    decades = math.log10(high / low)
    axis._set_axes_scale("log")  # type: ignore[attr-defined]
    pad = 10 ** (decades * _PADDING)
    _set_limits(axis, low / pad, high * pad)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades <= 2.2 else (1.0,)))
    axis.set_minor_locator(LogLocator(subs=tuple(map(float, range(2, 10)))))
    plain = low > 2e-4 and high < 5e5
    axis.set_major_formatter(FuncFormatter(lambda value, _: log_tick_text(value, plain)))
    axis.set_minor_formatter(NullFormatter())


def _linear(axis: Axis, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    least = _LEAST_RANGE if high > low else _ONE_VALUE_RANGE
    half = max((high - low) / 2, least / 2 * max(abs(low), abs(high))) or 0.5
    middle = (low + high) / 2
    _set_limits(axis, middle - half * (1 + 2 * _PADDING), middle + half * (1 + 2 * _PADDING))
    locator = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
    axis.set_major_locator(locator)
    spacing = float(np.diff(locator.tick_values(*axis.get_view_interval()))[0])
    axis.set_major_formatter(FuncFormatter(lambda value, _: linear_tick_text(value, spacing)))


def _set_limits(axis: Axis, low: float, high: float) -> None:
    set_limits: Any = axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim  # type: ignore[attr-defined]
    set_limits(low, high)


def log_tick_text(value: float, plain: bool) -> str:
    """Return ``0.001``, ``500,000`` when ``plain``, else ``10⁻³``, ``5·10⁵``."""
    if plain:
        return f"{value:,.10g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return power if mantissa == "1" else f"{mantissa}·{power}"


def linear_tick_text(value: float, spacing: float) -> str:
    """Return ``value`` with as many decimals as ticks ``spacing`` apart need."""
    size = math.floor(math.log10(spacing) + 1e-9)
    if size < -5 or abs(value) >= 1e7:
        return f"{value:.3g}" if abs(value) > spacing / 2 else "0"
    # A quarter step, such as 0.25, needs one decimal more than its size tells.
    places = max(0, -size + (round(spacing / 10.0**size, 6) % 1 != 0))
    return f"{value + 0.0:,.{places}f}"
