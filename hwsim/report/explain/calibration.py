"""The calibration on synthesised units: coefficients, scalars per library, and errors on unseen rows."""

from __future__ import annotations

import math

from hwsim.hardware.synthesis import FIGURES, load_calibration
from hwsim.report.explain import EXPLAINERS, Question, Section, table
from hwsim.spec.data import read_csv_rows


@EXPLAINERS.register("calibration")
def explain_calibration(name: str, question: Question) -> list[Section]:
    """Return how synthesised units are modelled and how well; ``name`` is not used."""
    calibration = load_calibration()
    errors = [
        {
            "left out": f"a fifth of the {row['left_out']}",
            "figure": row["figure"],
            "median error": float(row["median"]),
            "90th percentile": float(row["p90"]),
            "within 15 %": float(row["within_15"]),
        }
        for row in read_csv_rows("synthesis", "errors.csv")
    ]
    cells = [{"cell class": cell, "area per cell": value} for cell, value in calibration.coefficients.items()]
    scales = [
        {"library": place, **{f: math.exp(calibration.laws[f].effects["library", place]) for f in FIGURES}}
        for place in calibration.libraries
    ]
    return [
        Section("errors on unseen rows, five-fold cross-validation", table(errors),
                ["rows: another library or multiplier style of the unit may have been seen; units: none of it was"]),
        Section("area of counted cells, the same in every library", table(cells),
                ["0: such cells are always counted beside others that carry their area"]),
        Section("scalar of each library and mode", table(scales),
                ["times cells (area), levels (delay) or area (leakage, energy); a class of units has effects on top"]),
    ]  # fmt: skip
