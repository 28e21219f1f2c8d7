"""The fit of :mod:`hwsim.hardware.fpga.fabric` on synthesised units, and how far unseen ones are off.

``python -m hwsim.hardware.fpga.calibrate`` reads the rows beside it and writes ``hwsim/data/fpga/fabric.csv`` and
``errors.csv``. What single circuits show is theirs; the rest are least squares on relative errors within bounds.
Cross-validation leaves out a fifth of the units at a time.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from hwsim.hardware.fpga.cells import FABRIC_CELLS
from hwsim.hardware.fpga.fabric import Fabric
from hwsim.hardware.fpga.rows import LutRow, read_lut_rows
from hwsim.spec.data import data_path

#: LUT sites of cells that the rows of single circuits do not show, before any row is seen (derived): a gate whose
#: output nothing else absorbs takes half a LUT of two outputs, a last stage before an adder half of its LUT.
PRIOR = {"gate": 0.5, "summed": 0.5}
#: LUT sites that are derived: a bit of a chain needs a LUT for the XOR of its operands; a table of 64 entries is a
#: LUT; sum and carry of three bits are the two outputs of one. Counters of ones: 63, 138 and 290 LUTs for 32, 64
#: and 128 bits (yosys 0.70, rows xnorpop). Small signed multipliers: four bits less than their chains (rows int_mul).
DERIVED = {"carry": 1.0, "rom": 1.0, "csa": 1.0, "ones": 2.1, "small": -4.0}
#: Cells whose size is that of single circuits, the geometric mean over their rows.
SINGLE = ("mux", "shift", "place", "negate", "reduce", "count", "compare", "equal")
#: Weight of the prior against the rows, and bounds of a cell as shares of it (chosen).
RIDGE, BOUNDS = 0.15, (0.1, 4.0)
FOLDS = 5
SEEDS = range(5)


def fit(units: Sequence[LutRow], circuits: Sequence[LutRow]) -> Fabric:
    """Return the calibration of whole units and of single circuits."""
    known = {**DERIVED, **{cell: _single(circuits, cell) for cell in SINGLE}}
    sites = np.array([row.lut_sites for row in units])
    counts = np.array([[row.cells.get(cell, 0.0) for cell in PRIOR] for row in units])
    held = np.array([sum(size * row.cells.get(cell, 0.0) for cell, size in known.items()) for row in units])
    prior = np.array([*PRIOR.values()])
    scaled = np.vstack([counts * prior / sites[:, None], RIDGE * np.eye(len(prior))])
    target = np.concatenate([1 - held / sites, RIDGE * np.ones(len(prior))])
    found = lsq_linear(scaled, target, bounds=BOUNDS).x * prior
    return Fabric({**known, **dict(zip(PRIOR, found.tolist(), strict=True))})


def _single(circuits: Sequence[LutRow], cell: str) -> float:
    alone = [row.lut_sites / row.cells[cell] for row in circuits if set(row.cells) == {cell}]
    return float(np.exp(np.mean(np.log(alone))))


def cross_validate(units: Sequence[LutRow], circuits: Sequence[LutRow], seed: int = 0) -> NDArray[np.float64]:
    """Return the relative errors of ``units``, each fitted on four fifths of the others and on ``circuits``."""
    order = np.random.default_rng(seed).permutation(len(units))
    errors = np.zeros(len(units))
    for number in range(FOLDS):
        left = set(order[number::FOLDS].tolist())
        found = fit([row for place, row in enumerate(units) if place not in left], circuits)
        for place in left:
            errors[place] = found.luts(units[place].cells) / units[place].lut_sites - 1
    return errors


def shipped_rows() -> tuple[list[LutRow], list[LutRow]]:
    """Return the rows of whole units, and those of single circuits."""
    return read_lut_rows(data_path("fpga", "lut_rows.csv")), read_lut_rows(data_path("fpga", "component_rows.csv"))


def main() -> None:
    """Fit all shipped rows, cross-validate, and write both data files."""
    units, circuits = shipped_rows()
    found = fit(units, circuits)
    source = dict.fromkeys(DERIVED, "derived") | dict.fromkeys(SINGLE, "component_rows.csv")
    table = [
        (cell, f"{found.sites[cell]:.4g}", source.get(cell, "fit of lut_rows.csv"))
        for cell in FABRIC_CELLS
        if cell != "ff"
    ]
    _write(data_path("fpga") / "fabric.csv", ("cell", "lut_sites", "source"), table)
    size = np.abs(np.concatenate([cross_validate(units, circuits, seed) for seed in SEEDS]))
    errors = [("lut_sites", f"{np.median(size):.4g}", f"{np.quantile(size, 0.9):.4g}")]
    _write(data_path("fpga") / "errors.csv", ("figure", "median", "p90"), errors)


def _write(path: Path, header: tuple[str, ...], table: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


if __name__ == "__main__":
    main()
