"""The price of circuits and parts on FPGA fabric: LUT sites, flip-flops, carry bits.

``hwsim/data/fpga/fabric.csv`` holds the share of a LUT site that each fabric cell takes, ``alm_fabric.csv`` that of an
ALM (:mod:`hwsim.hardware.fpga.calibrate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from hwsim.hardware.circuits import Circuit, Part
from hwsim.hardware.fpga.alms import alm_cells
from hwsim.hardware.fpga.cells import Cells, fabric_cells
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

#: Bits of a carry primitive of UltraScale and UltraScale+ (CARRY8), and of 7-series (CARRY4).
CARRY_BITS = {"CARRY8": 8, "CARRY4": 4}


@dataclass(frozen=True)
class Sites:
    """What something takes of a fabric; estimated, no vendor's count. ``lut`` counts LUT6, or ALMs; ``carry`` bits."""

    lut: float = 0.0
    ff: float = 0.0
    carry: float = 0.0

    def __add__(self, other: Sites) -> Sites:
        return Sites(self.lut + other.lut, self.ff + other.ff, self.carry + other.carry)

    def __mul__(self, count: float) -> Sites:
        return Sites(self.lut * count, self.ff * count, self.carry * count)


#: Cells of a circuit on each kind of logic.
LAWS: Mapping[str, Callable[[Circuit], Cells]] = {"lut6": fabric_cells, "alm": alm_cells}
#: The least that logic is divided into: a LUT6, half an ALM.
LEAST = {"lut6": 1.0, "alm": 0.5}
#: Where the sizes of cells are.
TABLES = {"lut6": "fabric.csv", "alm": "alm_fabric.csv"}


@dataclass(frozen=True)
class Fabric:
    """LUT sites, or ALMs, per fabric cell, by class; ``logic`` says which."""

    sites: Mapping[str, float]
    logic: str = "lut6"

    def luts(self, cells: Mapping[str, float]) -> float:
        """Return the LUT sites, or ALMs, of counted fabric cells: the least that there is where there is any."""
        found = sum(self.sites[cell] * count for cell, count in cells.items() if cell != "ff")
        any_logic = any(count > 0 for cell, count in cells.items() if cell != "ff")
        return max(found, LEAST[self.logic]) if any_logic else 0.0

    def price(self, circuit: Circuit) -> Sites:
        """Return what one circuit takes.

        Raises
        ------
        MissingFigureError
            If there is no law for circuits of its kind.
        """
        cells = LAWS[self.logic](circuit)
        return Sites(self.luts(cells), cells.get("ff", 0.0), cells.get("carry", 0.0))

    def price_parts(self, parts: Iterable[Part]) -> Sites:
        """Return what parts take together."""
        total = Sites()
        for part in parts:
            total = total + self.price(part.circuit) * part.count
        return total


@cache
def load_fabric(logic: str = "lut6") -> Fabric:
    """Return the shipped calibration of ``lut6`` or ``alm``.

    Raises
    ------
    UsageError
        If the logic is unknown.
    """
    if logic not in TABLES:
        raise UsageError(f"unknown logic {logic!r}; {did_you_mean(logic, TABLES)}")
    return Fabric({row["cell"]: float(row["lut_sites"]) for row in read_csv_rows("fpga", TABLES[logic])}, logic)
