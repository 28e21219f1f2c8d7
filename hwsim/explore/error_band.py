"""How far estimated LUTs may be off, and which designs that leaves on a Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.explore.metrics import Direction
from hwsim.explore.pareto import non_dominated
from hwsim.spec.data import read_csv_rows

#: Metrics that are estimated with this error.
LUT_METRICS = frozenset({"lut6", "lut_share", "pe_lut6"})
ALM_METRICS = frozenset({"alm", "alm_share", "pe_alm"})

#: Rows of ``errors.csv`` by what a device counts.
_FIGURES = {"lut6": "lut_sites", "alm": "alm"}


def logic_of(metrics: Iterable[str]) -> str | None:
    """Return ``lut6`` or ``alm``, whichever of these metrics are estimated; None if none of them is."""
    found = set(metrics)
    return "lut6" if found & LUT_METRICS else "alm" if found & ALM_METRICS else None


def lut_error(logic: str = "lut6") -> tuple[float, float]:
    """Return median and 90th percentile of the relative error of LUTs (or ALMs) on units that the fit has not seen.

    From ``hwsim/data/fpga/errors.csv``: five-fold cross-validation against synthesis, which
    :mod:`hwsim.hardware.fpga.calibrate` writes.
    """
    (row,) = (row for row in read_csv_rows("fpga", "errors.csv") if row["figure"] == _FIGURES[logic])
    return float(row["median"]), float(row["p90"])


def error_text(median: float, worst: float) -> str:
    """Return in words how far LUTs are off."""
    return (
        f"on units that the fit has not seen they are off by a median of {median:.1%}, in the worst tenth by "
        f"{worst:.1%} or more (hwsim score fpga)"
    )


def within_error(
    values: ArrayLike, directions: Sequence[Direction], estimated: Sequence[bool], error: float
) -> NDArray[np.bool_]:
    """Return the rows that are beaten now, and by none if their estimates alone are better by ``error``.

    Parameters
    ----------
    values
        Shape (designs, objectives).
    directions
        One per objective.
    estimated
        One per objective: whether it has the error. It is less where less is better, else more.
    error
        Relative, such as 0.13.
    """
    given = np.asarray(values, dtype=np.float64)
    factors = np.array(
        [1.0 if not one else 1.0 - error if way == "min" else 1.0 / (1.0 - error)
         for one, way in zip(estimated, directions, strict=True)]
    )  # fmt: skip
    found = np.zeros(len(given), dtype=np.bool_)
    for row in np.flatnonzero(~non_dominated(given, directions) & ~np.isnan(given).any(axis=1)):
        moved = given.copy()
        moved[row] = given[row] * factors
        found[row] = non_dominated(moved, directions)[row]
    return found
