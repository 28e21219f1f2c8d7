"""Units of shift, ternary and one-bit arithmetic, synthesised with ASAP7."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from hwsim.hardware.technology import load_technology

ROWS = {
    row["name"]: row
    for row in csv.DictReader((Path(__file__).parents[1] / "data" / "synthesis_adders_asap7.csv").open())
}


def ratio(pe, row, figure="area_um2"):
    """Return ours over the synthesised unit, which has no operand registers; uniform random data."""
    parts = [part for part in pe.parts() if part.role != "operands"]
    price = load_technology("7nm").price_parts(parts, pe.glitch_family, "uniform")
    if figure == "energy":
        return (price.energy_fj + price.clock_fj) / float(row["E_rand_fJ"])
    return price.area_um2 / float(row["area_um2"])


def lanes_of(row):
    return json.loads(row["params"])["K"]
