"""The page of a comparison of number formats: totals, the picture, layers, and what a reader must know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.compare import Comparison
from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.report.html import Fact, Section, write_report
from hwsim.report.wording import counted, listed, number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def compare_report(comparison: Comparison, figure: Figure, path: Path) -> Path:
    """Write the page of ``comparison`` with its picture to ``path`` and return it.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    totals = comparison.totals
    shown = totals[[name for name in totals.columns if totals[name].notna().any() or name == "energy_mj"]]
    layers, title = layer_table(comparison)
    sections = [
        Section("Totals", [f"{note}." for note in comparison.notes], table=shown),
        Section("Formats beside one another", figure=figure),
        Section(title, table=layers),
    ]
    name = f"Number formats: {comparison.workload} on {comparison.arch}"
    return write_report(path, name, _facts(comparison, totals), sections)


def layer_table(comparison: Comparison) -> tuple[pd.DataFrame, str]:
    """Return energies in µJ, on a device times in µs, by layer and format, and what the table is called."""
    on_device = comparison.device is not None
    table = (comparison.by_layer() * (1.0 if on_device else 1e-6)).reset_index()
    return table, "time per layer kind in µs" if on_device else "energy per layer kind in µJ"


def _facts(comparison: Comparison, totals: pd.DataFrame) -> list[Fact]:
    where = f"on {comparison.device}" if comparison.device else "on an ASIC"
    facts = [Fact("Formats", f"{len(totals)}", f"{counted(len(comparison.results), 'result')} {where}")]
    name, title = ("energy_mj", "Least energy")
    if comparison.device:
        name, title = comparison.logic, f"Fewest {LOGIC_WORDS[comparison.logic]}"
    for column, heading in ((name, title), ("latency_ms", "Fastest")):
        values = totals[column].dropna().astype(float)
        best = totals.loc[values[values == values.min()].index, "format"]
        facts.append(Fact(heading, number_text(float(values.min())), listed(str(one) for one in best)))
    return facts
