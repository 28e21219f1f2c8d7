"""Factors on energy are what the synthesised rows give, registers taken off; depths of PEs against synthesis."""

from __future__ import annotations

import statistics

import pytest

from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.synthesis import read_rows
from hwsim.hardware.synthesis.factors import measured
from hwsim.hardware.technology import factor, load_technology
from hwsim.spec.data import data_path

ROWS = read_rows(data_path("synthesis") / "rows.csv")
CONSTANTS = {c.name: c.value for c in load_technology("7nm").constants()}
FOUND = measured(
    ROWS, CONSTANTS["register_energy_fj_per_bit"], CONSTANTS["area_um2.reg"], CONSTANTS["energy_fj_per_um2"]
)


@pytest.mark.parametrize(("kind", "family"), sorted(FOUND))
def test_factors_are_the_medians_of_the_rows(kind, family):
    if (kind, family) == ("gaussian", "bitmod"):
        pytest.skip("two rows that differ by format: that of FP16 is taken, as its source says")
    # Three digits in the file; LUT rows have uniform data alone, so their Gaussian factor is another family's.
    assert factor(kind, family) == pytest.approx(FOUND[kind, family], rel=0.01)


NAMES = {
    (8, 7): "bf16",
    (5, 10): "fp16",
    (4, 3): "fp8_e4m3",
    (5, 2): "fp8_e5m2",
    (3, 2): "fp6_e3m2",
    (2, 1): "fp4_e2m1",
}


def options(row):
    p = row.params
    if row.kind in ("int_mac", "int_pe"):
        return {
            "family": "int_mac",
            "w_format": f"int{p['m']}",
            "a_format": f"int{p['n']}",
            "accumulator": f"int{p['acc']}",
        }
    name = NAMES[p["E"], p["M"]]
    return {"family": "float_mac", "format": name, "accumulator": "fp32", "subnormals": False}


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("int_mac", 0.95, 1.25), ("int_pe", 0.95, 1.25), ("fp_mac", 0.95, 1.25)]
)
def test_paths_of_pes_are_near_those_of_synthesised_units(kind, low, high):
    # One delay per level; abc also shortens what the law adds up: narrow formats by up to a third.
    technology, ratios = load_technology("7nm"), []
    for row in ROWS:
        fits = row.params.get("acc", 0) <= 32 and row.params.get("n", 8) in range(2, 17)
        if (row.place, row.kind, row.style) == ("asap7 area", kind, "structural") and fits:
            ratios.append(price_pe(make_pe(options(row)), technology).delay_ps / row.figures["crit_ps"])
    assert len(ratios) >= 5
    assert low <= statistics.median(ratios) <= high
