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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hwsim.hardware.synthesis.model import LOGIC, Calibration, Cells, Effect, Law, effects_of
from hwsim.hardware.synthesis.rows import AREA, FIGURES, Row, read_rows
from hwsim.spec.data import data_path

#: How many rows' worth an effect is shrunk by; chosen once by cross-validation over units.
PENALTY = {
    "library": 1e-6, "style": 1.0, "group": 0.3, "class": 0.3, "class in style": 2.0, "class in library": 3.0,
    "slope": 0.5, "window": 1.0, "mantissa": 1.0, "window of class": 3.0, "mantissa of class": 3.0,
}  # fmt: skip
#: Relative errors beyond which a row counts less: of cells, and of effects.
OUTLIER_CELLS, OUTLIER_EFFECTS = 0.15, 0.08
FOLDS = 5
#: Weight of a library in the areas of cells (chosen): other nodes are scaled from ASAP7's, whose rows are of two
#: modes; 1 and 10 change no median error of unseen rows by more than 0.0002.
WEIGHT = {"asap7": 3.0}
#: Rounds of weights and scalars; both stand still after about ten.
ROUNDS = 15
SEEDS = (0, 1, 2)

Array = NDArray[np.float64]


def fit(rows: Sequence[Row]) -> Calibration:
    """Return the calibration of ``rows``; figures that a row lacks, or that are 0, are left out."""
    laws: dict[str, Law] = {}
    found = Calibration(fit_cells([row for row in rows if row.figures.get(AREA)]), laws)
    for figure in FIGURES:  # area first: others stand on it
        known = [row for row in rows if row.figures.get(figure)]
        base = np.array([found.log_base(row, figure) for row in known])
        laws[figure] = _law(known, np.log([row.figures[figure] for row in known]), base)
    return found


def fit_cells(rows: Sequence[Row]) -> Cells:
    """Return the areas of cells: of each class in the first library, non-negative, and a scalar per library.

    Flip-flops are cells of the library and no logic: their area is that of the rows of registers alone.

    Every class of units counts alike, whatever the number of its rows: components, which pin single
    cells, are few. Errors are divided by the geometric mean of area and model, so that too large and
    too small weigh the same, as they do in logarithms.
    """
    places = sorted({row.place for row in rows})
    flops = {place: _flop(rows, place) for place in places}
    known = {place: area for place, area in flops.items() if area is not None}
    logic = [row for row in rows if set(row.bill.cells) != {"reg"}]
    counts = np.array([[row.bill.cells.get(cell, 0.0) for cell in LOGIC] for row in logic])
    registers = np.array([row.bill.cells.get("reg", 0.0) for row in logic])
    areas = np.array([row.figures[AREA] for row in logic])
    member = np.array([places.index(row.place) for row in logic])
    number = Counter((row.kind, row.place) for row in logic)
    share = np.array([WEIGHT.get(row.lib, 1.0) / number[row.kind, row.place] for row in logic])
    scale, weight, rest = np.ones(len(places)), np.ones(len(logic)), np.zeros(len(logic))
    found = np.zeros(len(LOGIC))
    for _ in range(ROUNDS):
        flop = _fill_flops(known, places, scale)
        held = registers * flop[member]
        root = np.sqrt(share * weight) / (areas * np.exp(-rest / 2))
        found = nnls(counts * (scale[member] * root)[:, None], (areas - held) * root)[0]
        rest = np.log(areas) - np.log(np.maximum(counts @ found * scale[member] + held, 1e-12))
        weight = _huber(rest, OUTLIER_CELLS)
        scale *= [np.exp(np.median(rest[member == place])) for place in range(len(places))]
        scale /= scale[0]
    flop = _fill_flops(known, places, scale)
    return Cells(
        dict(zip(LOGIC, found.tolist(), strict=True)),
        dict(zip(places, scale.tolist(), strict=True)),
        dict(zip(places, flop.tolist(), strict=True)),
    )


def _flop(rows: Sequence[Row], place: str) -> float | None:
    """Return the area of a flip-flop of a library, None if no row has registers alone."""
    found = [r.figures[AREA] / r.bill.cells["reg"] for r in rows if r.place == place and set(r.bill.cells) == {"reg"}]
    return float(np.median(found)) if found else None


def _fill_flops(known: Mapping[str, float], places: Sequence[str], scale: Array) -> Array:
    """Return the areas of flip-flops; where no row tells, the other libraries' median by the scalars."""
    ratio = np.median([known[place] / scale[number] for number, place in enumerate(places) if place in known])
    return np.array([known.get(place, ratio * scale[number]) for number, place in enumerate(places)])


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
    cells = {"cell": found.cells.logic, "scalar": found.cells.scalars, "flop": found.cells.flops}
    table: list[tuple[str, ...]] = [(AREA, k, key, f"{v:.6g}") for k, part in cells.items() for key, v in part.items()]
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
