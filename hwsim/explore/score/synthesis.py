"""Synthesised units: area, delay, leakage and energy against the calibrated model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.hardware.synthesis import FIGURES, load_calibration, read_rows

if TYPE_CHECKING:
    import pandas as pd

#: Per figure: largest median error, largest 90th percentile, least share within 15 %; None where there is no bar.
BARS: dict[str, tuple[float, float | None, float | None]] = {
    "area_um2": (0.05, None, 0.88),
    "crit_ps": (0.08, None, None),
    "E_rand_noglitch_fJ": (0.06, 0.18, None),
    "E_rand_fJ": (0.10, 0.31, None),
}


@SCORERS.register("synthesis")
def score(path: Path) -> Score:
    """Compare a table of the form of ``hwsim/data/synthesis/rows.csv``, whatever units it holds.

    Raises
    ------
    SpecError
        If a row is wrong, of a class that is unknown or lacks a parameter.
    MissingFigureError
        If a library was not calibrated.
    """
    import pandas as pd

    calibration = load_calibration()
    table = []
    for row in read_rows(path):
        unit = {"lib": row.lib, "mode": row.mode, "mult_style": row.style, "name": row.name, "class": row.kind}
        for figure in FIGURES:
            reference = row.figures.get(figure)
            if reference:
                model = calibration.predict(row, figure)
                table.append(
                    {**unit, "figure": figure, "reference": reference, "model": model, "error": model / reference - 1}
                )
    frame = pd.DataFrame(table)
    return Score(
        frame, _bars(frame), ["the model was fitted on hwsim/data/synthesis/rows.csv: hwsim explain calibration"]
    )


def _bars(frame: pd.DataFrame) -> list[Bar]:
    bars = []
    for figure, (median, p90, within) in BARS.items():
        size = frame.loc[frame["figure"] == figure, "error"].abs()
        if size.empty:
            continue
        bars.append(Bar(f"{figure}: median error", float(size.median()), median))
        if p90 is not None:
            bars.append(Bar(f"{figure}: 90th percentile", float(size.quantile(0.9)), p90))
        if within is not None:
            bars.append(Bar(f"{figure}: share within 15 %", float((size <= 0.15).mean()), within, at_least=True))
    return bars
