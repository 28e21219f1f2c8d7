"""The calibration on synthesised units: coefficients, scalars per library, and errors on unseen rows."""

from __future__ import annotations

import math

from hwsim.hardware.synthesis import FIGURES, load_calibration
from hwsim.report.explain import EXPLAINERS, Question, Section, table
from hwsim.spec.data import read_csv_rows

#: What no fit on libraries without foundry data can do better.
ABSOLUTE = "absolute energies are good to about a factor of two"


def expected_error() -> str:
    """Return how far modelled figures are from synthesis of units that the fit did not see, in words."""
    medians = {row["figure"]: float(row["median"]) for row in read_csv_rows("synthesis", "errors.csv")
               if row["left_out"] == "units"}  # fmt: skip
    named = (("area", "area_um2"), ("delay", "crit_ps"), ("energy", "E_rand_fJ"))
    text = ", ".join(f"{what} {medians[figure]:.1%}" for what, figure in named)
    return f"expected error: {text} (medians, units left out of the fit; hwsim explain calibration); {ABSOLUTE}"


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
    areas = {place: calibration.cells.of(place) for place in calibration.libraries}
    cells = [
        {"cell class": cell, **{place: area[cell] for place, area in areas.items()}}
        for cell in (*calibration.cells.logic, "reg")
    ]
    scales = [
        {
            "library": place,
            "cells": calibration.cells.scalars[place],
            **{f: math.exp(calibration.laws[f].effects["library", place]) for f in FIGURES},
        }
        for place in calibration.libraries
    ]
    return [
        Section("errors on unseen rows, five-fold cross-validation", table(errors),
                ["rows: another library or multiplier style of the unit may have been seen; units: none of it was"]),
        Section("area of counted cells, um2", table(cells),
                ["one scalar per library moves all cells but reg, which is the library's own flip-flop; technologies "
                 "price PEs with these cells"]),
        Section("scalars of each library and mode", table(scales),
                ["cells: over those of ASAP7; the others are what is left of a figure over cells (area), levels "
                 "(delay) or area (leakage, energy); a class of units has effects on top"]),
    ]  # fmt: skip
