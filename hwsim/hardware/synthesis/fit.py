"""The fit of :mod:`hwsim.hardware.synthesis.model` on synthesised units, and its cross-validation.

``python -m hwsim.hardware.synthesis.fit`` reads ``hwsim/data/synthesis/rows.csv`` and writes beside it
``calibration.csv`` (what the model uses) and ``errors.csv`` (how far unseen units are off; shown by
``hwsim explain calibration``).

Coefficients of cells: non-negative least squares on relative errors, outliers weighted down, in turn
with one scalar per library. Effects: ridge regression on logarithms, outliers weighted down (Huber).
Cross-validation leaves out a fifth at a time: of the rows, or of the units, so that no library and no
style of a unit that is judged was seen.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hwsim.hardware.synthesis.model import Calibration, Effect, Law, effects_of
from hwsim.hardware.synthesis.rows import AREA, FIGURES, Row, read_rows
from hwsim.hardware.synthesis.unit import UNIT_CELLS
from hwsim.spec.data import data_path

#: How many rows' worth an effect is shrunk by; chosen once by cross-validation over units.
PENALTY = {
    "library": 1e-6, "style": 1.0, "group": 0.3, "class": 0.3, "class in style": 2.0, "class in library": 3.0,
    "slope": 0.5, "window": 1.0, "mantissa": 1.0, "window of class": 3.0, "mantissa of class": 3.0,
}  # fmt: skip
#: Relative errors beyond which a row counts less: of cells, and of effects.
OUTLIER_CELLS, OUTLIER_EFFECTS = 0.15, 0.08
FOLDS = 5
SEEDS = (0, 1, 2)

Array = NDArray[np.float64]


def fit(rows: Sequence[Row]) -> Calibration:
    """Return the calibration of ``rows``; figures that a row lacks, or that are 0, are left out."""
    coefficients = fit_cells([row for row in rows if row.figures.get(AREA)])
    laws: dict[str, Law] = {}
    found = Calibration(coefficients, laws)
    for figure in FIGURES:  # area first: others stand on it
        known = [row for row in rows if row.figures.get(figure)]
        base = np.array([found.log_base(row, figure) for row in known])
        laws[figure] = _law(known, np.log([row.figures[figure] for row in known]), base)
    return found


def fit_cells(rows: Sequence[Row]) -> dict[str, float]:
    """Return the area of a cell of each class, in units of the first library's, non-negative."""
    counts = np.array([[row.bill.cells.get(cell, 0.0) for cell in UNIT_CELLS] for row in rows])
    log_area = np.log([row.figures[AREA] for row in rows])
    places = sorted({row.place for row in rows})
    member = np.array([places.index(row.place) for row in rows])
    scale, weight = np.zeros(len(places)), np.ones(len(rows))
    found = np.zeros(len(UNIT_CELLS))
    for _ in range(12):
        root = np.sqrt(weight)
        found = nnls(counts / np.exp(log_area - scale[member])[:, None] * root[:, None], root)[0]
        rest = log_area - scale[member] - np.log(np.maximum(counts @ found, 1e-12))
        weight = _huber(rest, OUTLIER_CELLS)
        scale += [np.median(rest[member == place]) for place in range(len(places))]
        scale -= scale[0]
    return dict(zip(UNIT_CELLS, found.tolist(), strict=True))


def _huber(rest: Array, limit: float) -> Array:
    size = np.abs(rest)
    return np.asarray(np.where(size < limit, 1.0, limit / np.maximum(size, 1e-12)))


def _law(rows: Sequence[Row], target: Array, base: Array) -> Law:
    number = Counter(row.kind for row in rows)
    total: defaultdict[str, float] = defaultdict(float)
    for row, value in zip(rows, base.tolist(), strict=True):
        total[row.kind] += value
    centre = {kind: total[kind] / count for kind, count in number.items()}
    index: dict[Effect, int] = {}
    entries = []
    for place, (row, value) in enumerate(zip(rows, base.tolist(), strict=True)):
        for effect, weight in (*effects_of(row), (("slope", row.kind), value - centre[row.kind])):
            entries.append((place, index.setdefault(effect, len(index)), weight))
    design = np.zeros((len(rows), len(index)))
    for place, column, weight in entries:
        design[place, column] += weight
    penalty = np.diag([PENALTY[effect[0]] for effect in index])
    values: Array = np.zeros(len(index))
    weights: Array = np.ones(len(rows))
    for _ in range(6):
        weighted = design * weights[:, None]
        values = np.asarray(np.linalg.solve(design.T @ weighted + penalty, weighted.T @ (target - base)))
        weights = _huber(target - base - design @ values, OUTLIER_EFFECTS)
    return Law(dict(zip(index, values.tolist(), strict=True)), centre)


class Error(NamedTuple):
    """Relative error of a figure of an unseen row, modelled over synthesised minus one."""

    row: Row
    figure: str
    relative: float


def cross_validate(rows: Sequence[Row], by: Callable[[Row], Any], seed: int = 0) -> list[Error]:
    """Return the errors of all rows, each fitted on the others: a fifth of what ``by`` tells apart is left out."""
    keys = sorted({by(row) for row in rows})
    order = np.random.default_rng(seed).permutation(len(keys))
    fold = {key: int(place) % FOLDS for key, place in zip(keys, order, strict=True)}
    errors = []
    for number in range(FOLDS):
        found = fit([row for row in rows if fold[by(row)] != number])
        for row in rows:
            if fold[by(row)] == number:
                known = [figure for figure in FIGURES if row.figures.get(figure)]
                errors += [Error(row, f, found.predict(row, f) / row.figures[f] - 1) for f in known]
    return errors


def summary(errors: Sequence[Error], figure: str) -> dict[str, float]:
    """Return rows, median and 90th percentile of the error's size, and the share within 15 %, of one figure."""
    size = np.abs([error.relative for error in errors if error.figure == figure])
    return {
        "rows": float(size.size),
        "median": float(np.median(size)),
        "p90": float(np.quantile(size, 0.9)),
        "within_15": float(np.mean(size <= 0.15)),
    }


def main() -> None:
    """Fit all shipped rows, cross-validate, and write both data files."""
    folder = data_path("synthesis")
    rows = read_rows(folder / "rows.csv")
    _write(folder / "calibration.csv", ("figure", "effect", "key", "value"), _calibration_cells(fit(rows)))
    places = {id(row): number for number, row in enumerate(rows)}
    table = []
    for left_out, by in (("rows", lambda row: places[id(row)]), ("units", lambda row: row.unit)):
        errors = [error for seed in SEEDS for error in cross_validate(rows, by, seed)]
        for figure in FIGURES:
            found = summary(errors, figure)
            table.append((left_out, figure, *(f"{found[k]:.4g}" for k in ("median", "p90", "within_15"))))
    _write(folder / "errors.csv", ("left_out", "figure", "median", "p90", "within_15"), table)


def _calibration_cells(found: Calibration) -> list[tuple[str, ...]]:
    table: list[tuple[str, ...]] = [(AREA, "cell", cell, f"{value:.6g}") for cell, value in found.coefficients.items()]
    for figure, law in found.laws.items():
        table += [(figure, e[0], " | ".join(e[1:]), f"{v:.5g}") for e, v in sorted(law.effects.items())]
        table += [(figure, "centre", kind, f"{value:.6g}") for kind, value in sorted(law.centre.items())]
    return table


def _write(path: Path, header: tuple[str, ...], table: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


if __name__ == "__main__":
    main()
