"""Counted parts at 7 nm against gate-level synthesis of the same units, ASAP7."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import pytest

from hwsim.hardware.circuits import Adder, LeadingZeroCounter, Multiplier, Register, Shifter
from hwsim.hardware.technology import load_technology

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "synthesis_asap7.csv").open()))


def unit(row):
    p, kind = json.loads(row["params"]), row["class"]
    if kind in ("int_mul", "uint_mul"):
        return [Multiplier(p["n"], p["m"])]
    if kind == "int_mac":
        return [Multiplier(p["n"], p["m"]), Adder(p["acc"]), Register(p["acc"])]
    if kind == "c_shr":
        return [Shifter(p["n"], 2 ** p["k"])]
    return [{"int_add": Adder, "c_lzc": LeadingZeroCounter, "c_reg": Register}[kind](p["n"])]


def ratio(row, figure, column):
    tech = load_technology("7nm")
    prices = [tech.price(circuit) for circuit in unit(row)]
    found = sum(p.energy_fj + p.clock_fj if figure == "energy" else getattr(p, figure) for p in prices)
    return found / float(row[column])


@pytest.mark.parametrize("row", ROWS, ids=[r["name"] for r in ROWS])
def test_area_of_each_unit(row):
    # The fit's own 90th percentile is 15 %; the smallest units (4 bits) and the LZC, whose
    # structure abc finds anew, are its tail.
    tail = row["class"] == "c_lzc" or "i4" in row["name"]
    assert ratio(row, "area_um2", "area_um2") == pytest.approx(1, abs=0.7 if tail else 0.25)


def test_median_errors_over_all_units():
    areas = [abs(ratio(r, "area_um2", "area_um2") - 1) for r in ROWS]
    energies = [abs(ratio(r, "energy", "E_rand_noglitch_fJ") - 1) for r in ROWS]
    leakages = [abs(ratio(r, "leakage_nw", "leak_nW") - 1) for r in ROWS]
    assert statistics.median(areas) < 0.10
    assert statistics.median(energies) < 0.15  # one density for all families: parts alone give 10-14 %
    assert statistics.median(leakages) < 0.15


def test_registers_clock_every_cycle_and_glitch_never():
    from hwsim.hardware.circuits import Part

    tech = load_technology("7nm")
    held = tech.price_parts([Part("r", "register", Register(16), activity=0.0)], "float_mac")
    assert held.energy_fj == 0
    assert held.clock_fj == pytest.approx(12.757, rel=1e-3)
