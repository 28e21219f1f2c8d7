"""From counted cells to area, delay, leakage and energy of a unit in a library.

Every figure is a product of a base and of effects, fitted on synthesised units
(:mod:`hwsim.hardware.synthesis.fit`):

* area: counted cells times one coefficient per class of cells, and one scalar per library; flip-flops
  are the library's own;
* leakage and energy: the area;  delay: the levels of the longest path;
* effects: one per library and mode; one per class of units and per style of multipliers, both
  within a library or style too; and a slope with size per class of units. Effects of few rows are
  shrunk towards none (ridge regression), so that an unseen unit gets what its class shares;
* in floating point also the mantissa's length, and how often an operand lies within the adder's
  window of 27 bits: with E exponent bits, uniform random ones do for a share of 27 / 2^E.

Energy per operation (one clock, or one change of inputs): ``E_rand_noglitch_fJ`` settled values of
uniform random operands, ``E_rand_fJ`` with glitches, ``E_gauss_fJ`` Gaussian data with glitches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from hwsim.hardware.synthesis.rows import AREA, DELAY, FIGURES, Row
from hwsim.hardware.synthesis.unit import UNIT_CELLS
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, did_you_mean

#: Classes of units that share an effect of their own.
GROUPS = {
    "fp_mac": "float_mac", "lmul_mac": "float_mac", "fp_mac_same": "float_mac", "int_mac": "integer_mac",
    "int_pe": "integer_mac", "int_dot": "integer_mac", "int_mul": "multiply", "uint_mul": "multiply",
    "fp_mul": "multiply", "fp_mulx": "multiply", "bitserial_int": "serial", "shiftadd": "serial",
    "ternary": "serial", "xnor": "serial", "lut_sym": "table", "lut_full": "table", "lut_gen": "table",
}  # fmt: skip
#: Classes with a floating-point adder, and those with a multiplier or L-Mul alone.
FLOAT_ADD, FLOAT_MULTIPLY = ("fp_mac", "lmul_mac", "fp_mac_same", "fp_add", "bitmod"), ("fp_mul", "fp_mulx", "lmul")
#: Bits of an FP32 sum with guard, round and sticky bits.
WINDOW_BITS = 27
#: Typical log(M + 1): effects of the mantissa count from there.
USUAL_MANTISSA = 1.5

#: Cells whose area moves with one scalar per library: all but flip-flops.
LOGIC = tuple(cell for cell in UNIT_CELLS if cell != "reg")

Effect = tuple[str, ...]


def effects_of(row: Row) -> Iterator[tuple[Effect, float]]:
    """Yield the effects on a row and their weights; the slope with size comes apart."""
    yield ("library", row.place), 1.0
    yield ("style", row.style), 1.0
    yield ("group", GROUPS.get(row.kind, row.kind.partition("_")[0])), 1.0
    yield ("class", row.kind), 1.0
    yield ("class in style", row.kind, row.style), 1.0
    yield ("class in library", row.kind, row.place), 1.0
    floating = "add" if row.kind in FLOAT_ADD else "multiply" if row.kind in FLOAT_MULTIPLY else ""
    if floating:
        window = math.log(min(1.0, WINDOW_BITS / 2.0 ** row.params["E"]))
        mantissa = math.log(row.params["M"] + 1.0) - USUAL_MANTISSA
        for name, weight in (("window", window), ("mantissa", mantissa)):
            yield (name, floating), weight
            yield (f"{name} of class", row.kind), weight


@dataclass(frozen=True)
class Law:
    """Effects on one figure (logarithms), and the mean log base of each class, from which slopes count."""

    effects: Mapping[Effect, float]
    centre: Mapping[str, float]

    def log(self, row: Row, base: float) -> float:
        """Return the logarithm of the figure of ``row`` whose base has the logarithm ``base``."""
        found = base + sum(weight * self.effects.get(effect, 0.0) for effect, weight in effects_of(row))
        slope = self.effects.get(("slope", row.kind), 0.0)
        return found + slope * (base - self.centre.get(row.kind, base))


@dataclass(frozen=True)
class Cells:
    """Areas of cells: ``logic`` in the first library (um2), ``scalars`` over it, and each library's flip-flop (um2)."""

    logic: Mapping[str, float]
    scalars: Mapping[str, float]
    flops: Mapping[str, float]

    def of(self, place: str) -> dict[str, float]:
        """Return the area in um2 of a cell of every class in a library and mode."""
        scalar = self.scalars[place]
        return {cell: area * scalar for cell, area in self.logic.items()} | {"reg": self.flops[place]}


@dataclass(frozen=True)
class Calibration:
    """Areas of cells and the law of every figure."""

    cells: Cells
    laws: Mapping[str, Law]

    @property
    def libraries(self) -> list[str]:
        """Libraries with their modes, as rows name their place."""
        return sorted(key[1] for key in self.laws[AREA].effects if key[0] == "library")

    def log_base(self, row: Row, figure: str) -> float:
        """Return the logarithm of what a figure is proportional to."""
        if figure == DELAY:
            return math.log(row.bill.levels)
        if figure == AREA:
            areas = self.cells.of(row.place)
            return math.log(sum(areas[cell] * count for cell, count in row.bill.cells.items()))
        return math.log(self.predict(row, AREA))

    def predict(self, row: Row, figure: str) -> float:
        """Return a figure of :data:`FIGURES` for a unit, whether or not the row has it.

        Raises
        ------
        MissingFigureError
            If the library was not synthesised in the row's mode.
        """
        if row.place not in self.libraries:
            raise MissingFigureError(
                f"no calibration for library {row.place!r}; {did_you_mean(row.place, self.libraries)}"
            )
        return math.exp(self.laws[figure].log(row, self.log_base(row, figure)))


@lru_cache(maxsize=1)
def load_calibration() -> Calibration:
    """Return the calibration that ships with hwsim."""
    cells: dict[str, dict[str, float]] = {"cell": {}, "scalar": {}, "flop": {}}
    effects: dict[str, dict[Effect, float]] = {figure: {} for figure in FIGURES}
    centres: dict[str, dict[str, float]] = {figure: {} for figure in FIGURES}
    for row in read_csv_rows("synthesis", "calibration.csv"):
        value, key = float(row["value"]), tuple(row["key"].split(" | "))
        if row["effect"] in cells:
            cells[row["effect"]][key[0]] = value
        elif row["effect"] == "centre":
            centres[row["figure"]][key[0]] = value
        else:
            effects[row["figure"]][(row["effect"], *key)] = value
    laws = {figure: Law(effects[figure], centres[figure]) for figure in FIGURES}
    return Calibration(Cells(cells["cell"], cells["scalar"], cells["flop"]), laws)
