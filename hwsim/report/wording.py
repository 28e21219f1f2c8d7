"""Words and numbers as a person reads them: column titles with units, cells, short lists."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: Stands for a value that is missing.
MISSING = "–"

#: Titles of columns whose name alone does not say it.
_TITLES = {
    "edp_mj_ms": "Energy × delay (mJ·ms)",
    "avg_power_w": "Average power (W)",
    "peak_tops": "Peak throughput (TOPS)",
    "tops_per_watt": "Efficiency (TOPS/W)",
    "tops_per_mm2": "Density (TOPS/mm²)",
    "sqnr_db": "SQNR (dB)",
    "gops": "Throughput (GOPS)",
    "gops_per_watt": "Efficiency (GOPS/W)",
    "pes": "PEs",
    "lut6": "LUT6 sites",
    "alm": "ALMs",
    "ff": "Flip-flops",
    "dsp": "DSP blocks",
    "bram18": "BRAM18",
    "bram36": "BRAM36",
    "uram": "UltraRAM",
    "m20k": "M20K",
    "lut_share": "Share of usable LUTs",
    "alm_share": "Share of usable ALMs",
    "ff_share": "Share of usable flip-flops",
    "dsp_share": "Share of usable DSP blocks",
    "bram_share": "Share of usable BRAM",
    "uram_share": "Share of usable UltraRAM",
    "m20k_share": "Share of usable M20K",
    "pe_lut6": "LUT6 sites of a PE",
    "pe_alm": "ALMs of a PE",
    "pe_ff": "Flip-flops of a PE",
    "pe_dsp": "DSP blocks of a PE",
    "binding_share": "Share of the resource that binds",
    "accuracy_source": "SQNR from",
    "pe_basis": "PE cost",
    "design_id": "Design",
}

#: What the last word of a column name says about its unit.
_UNITS = {
    "pj": "pJ", "nj": "nJ", "uj": "µJ", "mj": "mJ", "j": "J", "ns": "ns", "us": "µs", "ms": "ms", "s": "s",
    "um2": "µm²", "mm2": "mm²", "mw": "mW", "w": "W", "db": "dB", "ghz": "GHz", "mhz": "MHz", "bytes": "bytes",
    "bits": "bits", "tops": "TOPS", "pct": "%",
}  # fmt: skip

_CAPITALS = {"dram": "DRAM", "sram": "SRAM", "pe": "PE", "rf": "register files", "edp": "energy × delay"}


def column_title(name: str) -> str:
    """Return the title of a column with its unit: ``energy_mj`` is "Energy (mJ)".

    Dotted names are fields of a file and stay as they are: ``array.rows``.
    """
    if name in _TITLES:
        return _TITLES[name]
    if "." in name:
        return name
    words = name.split("_")
    unit = _UNITS.get(words[-1]) if len(words) > 1 else None
    spelled = " ".join(_CAPITALS.get(word, word) for word in (words[:-1] if unit else words))
    title = spelled[:1].upper() + spelled[1:]
    return f"{title} ({unit})" if unit else title


def clean(text: object) -> str:
    """Return ``text`` on one line, with a blank for each character that cannot be printed."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def is_missing(value: Any) -> bool:
    """Return whether a cell holds nothing: None, NaN, NaT or pandas' NA."""
    import pandas as pd

    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def number_text(value: float, digits: int = 4) -> str:
    """Return a number with thousands marked and at least ``digits`` significant digits.

    Whole numbers are exact (``1,074,003,968``); others are rounded (``0.01053``, ``99,618``) and
    from 10⁷ on and below 0.001 written as ``2.256e+11``, ``1.23e-05``.
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    if not 1e-3 <= abs(rounded) < 1e7:
        return f"{value:.{digits}g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cell_text(value: Any, digits: int = 4) -> str:
    """Return the text of a table cell: a number, "yes" or "no", a word, or a dash for nothing."""
    if is_missing(value):
        return MISSING
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    return number_text(plain, digits) if isinstance(plain, (int, float)) else clean(plain)


def holds_numbers(column: pd.Series[Any]) -> bool:
    """Return whether ``column`` holds numbers and missing cells only, at least one number."""
    import pandas as pd

    present = column[column.notna()].tolist()
    return bool(present) and all(pd.api.types.is_number(v) and not isinstance(v, bool) for v in present)


def counted(count: int, noun: str) -> str:
    """Return ``"1 design"``, ``"1,200 designs"``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(words: Iterable[str]) -> str:
    """Return ``"a"``, ``"a and b"``, ``"a, b and c"``."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last
