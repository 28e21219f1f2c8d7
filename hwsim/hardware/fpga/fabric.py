"""The price of circuits and parts on FPGA fabric: LUT sites, flip-flops, carry bits.

``hwsim/data/fpga/fabric.csv`` holds the share of a LUT site that each fabric cell takes
(:mod:`hwsim.hardware.fpga.calibrate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from hwsim.hardware.circuits import Circuit, Part
from hwsim.hardware.fpga.cells import fabric_cells
from hwsim.spec.data import read_csv_rows

#: Bits of a carry primitive of UltraScale and UltraScale+ (CARRY8), and of 7-series (CARRY4).
CARRY_BITS = {"CARRY8": 8, "CARRY4": 4}


@dataclass(frozen=True)
class Sites:
    """What something takes of a fabric; estimated, no vendor's count. ``lut`` counts LUT6, ``carry`` bits."""

    lut: float = 0.0
    ff: float = 0.0
    carry: float = 0.0

    def __add__(self, other: Sites) -> Sites:
        return Sites(self.lut + other.lut, self.ff + other.ff, self.carry + other.carry)

    def __mul__(self, count: float) -> Sites:
        return Sites(self.lut * count, self.ff * count, self.carry * count)


@dataclass(frozen=True)
class Fabric:
    """LUT sites per fabric cell, by class."""

    sites: Mapping[str, float]

    def luts(self, cells: Mapping[str, float]) -> float:
        """Return the LUT sites of counted fabric cells: one at least where there is any."""
        found = sum(self.sites[cell] * count for cell, count in cells.items() if cell != "ff")
        return max(found, 1.0) if any(count > 0 for cell, count in cells.items() if cell != "ff") else 0.0

    def price(self, circuit: Circuit) -> Sites:
        """Return what one circuit takes.

        Raises
        ------
        MissingFigureError
            If there is no law for circuits of its kind.
        """
        cells = fabric_cells(circuit)
        return Sites(self.luts(cells), cells.get("ff", 0.0), cells.get("carry", 0.0))

    def price_parts(self, parts: Iterable[Part]) -> Sites:
        """Return what parts take together."""
        total = Sites()
        for part in parts:
            total = total + self.price(part.circuit) * part.count
        return total


@cache
def load_fabric() -> Fabric:
    """Return the shipped calibration."""
    return Fabric({row["cell"]: float(row["lut_sites"]) for row in read_csv_rows("fpga", "fabric.csv")})
