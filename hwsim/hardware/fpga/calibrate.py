"""The fit of :mod:`hwsim.hardware.fpga.fabric` on synthesised units, and how far unseen ones are off.

``python -m hwsim.hardware.fpga.calibrate`` reads the rows beside it and writes ``hwsim/data/fpga/fabric.csv``,
``alm_fabric.csv`` and ``errors.csv``. What single circuits show is theirs; the rest are least squares on relative
errors within bounds. Cross-validation leaves out a fifth of the units at a time.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from hwsim.hardware.fpga.alms import ALM_CELLS
from hwsim.hardware.fpga.fabric import Fabric
from hwsim.hardware.fpga.rows import LutRow, read_lut_rows
from hwsim.spec.data import data_path


@dataclass(frozen=True)
class Rules:
    """What is known of a logic's cells before any row: ``prior`` sizes, ``derived`` ones, those of ``single`` circuits.

    ``read_off`` names where those of ``derived`` are from that no structure gives.
    Sizes of ``single`` cells are the geometric mean over their rows.
    """

    prior: Mapping[str, float]
    derived: Mapping[str, float]
    read_off: Mapping[str, str]
    single: tuple[str, ...]
    files: tuple[str, str, str]


_SINGLE = ("mux", "shift", "place", "negate", "reduce", "count", "compare", "equal")
RULES = {
    # A gate whose output nothing else absorbs takes half a LUT of two outputs, a last stage before an adder half of
    # its LUT (derived). A bit of a chain needs a LUT for the XOR of its operands; a table of 64 entries is a LUT; sum
    # and carry of three bits are the two outputs of one. Counters of ones: 63, 138 and 290 LUTs for 32, 64 and 128
    # bits (yosys 0.70, rows xnorpop). Small signed multipliers: four bits less than their chains (rows int_mul).
    "lut6": Rules(
        {"gate": 0.5, "summed": 0.5},
        {"carry": 1.0, "rom": 1.0, "csa": 1.0, "ones": 2.1, "small": -4.0},
        {"ones": "read off rows xnorpop of lut_rows.csv", "small": "read off rows int_mul of lut_rows.csv"},
        _SINGLE,
        ("lut_rows.csv", "component_rows.csv", "fabric.csv"),
    ),
    # A gate is half an ALM at most, and none before an adder; a bit of a chain half of one; sum and carry of three
    # bits are two functions of three inputs (derived).
    "alm": Rules(
        {"gate": 0.25, "summed": 0.3},
        {"carry": 0.5, "csa": 1.0, "mlab": 1.0, "small": 0.0},
        {},
        (*_SINGLE, "rom", "ones"),
        ("alm_rows.csv", "alm_component_rows.csv", "alm_fabric.csv"),
    ),
}
#: The figure of ``errors.csv`` by logic.
FIGURES = {"lut6": "lut_sites", "alm": "alm"}
#: Weight of the prior against the rows, and bounds of a cell as shares of it (chosen).
RIDGE, BOUNDS = 0.15, (0.1, 4.0)
FOLDS = 5
SEEDS = range(5)


def fit(units: Sequence[LutRow], circuits: Sequence[LutRow], logic: str = "lut6") -> Fabric:
    """Return the calibration of whole units and of single circuits."""
    rules = RULES[logic]
    known = {**rules.derived, **{cell: _single(circuits, cell) for cell in rules.single}}
    sites = np.array([row.lut_sites for row in units])
    counts = np.array([[row.cells.get(cell, 0.0) for cell in rules.prior] for row in units])
    held = np.array([sum(size * row.cells.get(cell, 0.0) for cell, size in known.items()) for row in units])
    prior = np.array([*rules.prior.values()])
    scaled = np.vstack([counts * prior / sites[:, None], RIDGE * np.eye(len(prior))])
    target = np.concatenate([1 - held / sites, RIDGE * np.ones(len(prior))])
    found = lsq_linear(scaled, target, bounds=BOUNDS).x * prior
    return Fabric({**known, **dict(zip(rules.prior, found.tolist(), strict=True))}, logic)


def _single(circuits: Sequence[LutRow], cell: str) -> float:
    alone = [row.lut_sites / row.cells[cell] for row in circuits if set(row.cells) == {cell}]
    return float(np.exp(np.mean(np.log(alone))))


def cross_validate(
    units: Sequence[LutRow], circuits: Sequence[LutRow], seed: int = 0, logic: str = "lut6"
) -> NDArray[np.float64]:
    """Return the relative errors of ``units``, each fitted on four fifths of the others and on ``circuits``."""
    order = np.random.default_rng(seed).permutation(len(units))
    errors = np.zeros(len(units))
    for number in range(FOLDS):
        left = set(order[number::FOLDS].tolist())
        found = fit([row for place, row in enumerate(units) if place not in left], circuits, logic)
        for place in left:
            errors[place] = found.luts(units[place].cells) / units[place].lut_sites - 1
    return errors


def shipped_rows(logic: str = "lut6") -> tuple[list[LutRow], list[LutRow]]:
    """Return the rows of whole units, and those of single circuits."""
    units, circuits, _ = RULES[logic].files
    return (
        read_lut_rows(data_path("fpga", units), logic=logic),
        read_lut_rows(data_path("fpga", circuits), logic=logic),
    )


def main() -> None:
    """Fit all shipped rows, cross-validate, and write the data files."""
    errors = []
    for logic, rules in RULES.items():
        units, circuits = shipped_rows(logic)
        found = fit(units, circuits, logic)
        source = (
            dict.fromkeys(rules.derived, "derived") | dict(rules.read_off) | dict.fromkeys(rules.single, rules.files[1])
        )
        table = [
            (cell, f"{size:.4g}", source.get(cell, f"fit of {rules.files[0]}"))
            for cell, size in sorted(found.sites.items(), key=lambda item: ALM_CELLS.index(item[0]))
        ]
        _write(data_path("fpga") / rules.files[2], ("cell", "lut_sites", "source"), table)
        size = np.abs(np.concatenate([cross_validate(units, circuits, seed, logic) for seed in SEEDS]))
        errors.append((FIGURES[logic], f"{np.median(size):.4g}", f"{np.quantile(size, 0.9):.4g}"))
    _write(data_path("fpga") / "errors.csv", ("figure", "median", "p90"), errors)


def _write(path: Path, header: tuple[str, ...], table: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


if __name__ == "__main__":
    main()
