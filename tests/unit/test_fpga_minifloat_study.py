"""The study of sweeps/fpga_minifloats.yaml: where integers stay Pareto-optimal in LUTs and SQNR, on what it hangs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hwsim.explore.error_band import lut_error, within_error
from hwsim.explore.evaluation import PointEvaluator, open_sweep
from hwsim.explore.pareto import non_dominated
from hwsim.formats import parse_format
from hwsim.formats.element.minifloat import Minifloat
from hwsim.hardware.fpga.rows import read_lut_rows
from hwsim.spec.data import data_path

SWEEP = Path(__file__).parents[2] / "sweeps" / "fpga_minifloats.yaml"
INTEGERS = [f"int{bits}" for bits in range(3, 9)]


@cache
def rows(metric: str = "pe_lut6") -> dict[str, tuple[float, float]]:
    """LUT sites of a PE, or by another metric of the array, and SQNR of the sweep's exact products, by format."""
    sweep = open_sweep(SWEEP)
    evaluate, found = PointEvaluator(sweep), {}
    for point in sweep.space:
        pe = point.overrides["pe"]
        if pe["family"] == "exact_mac" and "product" not in pe:
            figures = evaluate(point)
            assert figures["dsp"] == 0
            found[pe["format"]] = (float(figures[metric]), float(figures["sqnr_db"]))
    return found


def front(dearer: float = 1.0) -> set[str]:
    """Formats that no other beats in both, if minifloats take so many times their LUTs; by every pair."""
    costs = {name: (lut * (1 if name in INTEGERS else dearer), db) for name, (lut, db) in rows().items()}
    beaten = {
        name for name, (lut, db) in costs.items()
        for other_lut, other_db in costs.values()
        if other_lut <= lut and other_db >= db and (other_lut, other_db) != (lut, db)
    }  # fmt: skip
    return set(costs) - beaten


def test_it_has_every_integer_and_minifloat_of_three_to_eight_bits() -> None:
    wanted = {
        f"fp{bits}_e{exponent}m{bits - 1 - exponent}"
        for bits in range(3, 9)
        for exponent in range(2, min(5, bits - 1) + 1)
    }
    assert set(rows()) == wanted | set(INTEGERS)
    assert all(isinstance(parse_format(name).element, Minifloat) for name in wanted)


def test_narrow_integers_are_on_the_front_and_wider_ones_are_beaten_by_two_exponent_bits() -> None:
    assert front() & set(INTEGERS) == {"int3", "int4"}
    for bits in range(5, 9):
        minifloat, integer = rows()[f"fp{bits}_e2m{bits - 3}"], rows()[f"int{bits}"]
        assert 0.85 < minifloat[0] / integer[0] < 0.95
        assert 1.5 < minifloat[1] - integer[1] < 2.5


def test_with_the_least_published_surcharge_every_integer_is_on_the_front() -> None:
    # Damsgaard et al., TCAD 2025: a minifloat MAC takes 20 to 180 % more LUTs than the integer's as wide.
    assert set(INTEGERS) <= front(1.2)
    assert front(1.5) == {*INTEGERS, "fp8_e2m5"} == front(2.8)


@pytest.mark.parametrize("exponent", [4, 5])
def test_more_than_three_exponent_bits_buy_nothing_on_gaussian_data(exponent: int) -> None:
    # As many mantissa bits have as much SQNR (0.1 dB), and the lossless accumulator doubles its range per exponent bit.
    for mantissa in range(1, 7 - exponent + 1):
        wider = rows()[f"fp{1 + exponent + mantissa}_e{exponent}m{mantissa}"]
        narrower = rows()[f"fp{exponent + mantissa}_e{exponent - 1}m{mantissa}"]
        assert wider[0] > narrower[0]
        assert wider[1] < narrower[1] + 0.1


@pytest.mark.parametrize(("minifloat", "integer"), [("e2m1", "s4x4"), ("e2m2", "s5x5"), ("e2m3", "s6x6")])
def test_synthesis_too_gives_minifloat_and_integer_of_a_width_about_the_same_sites(
    minifloat: str, integer: str
) -> None:
    sites = {row.design: row.lut_sites for row in read_lut_rows(data_path("fpga", "lut_rows.csv"))}
    assert sites[f"fmacci_{minifloat}"] / sites[f"imacrow4608_{integer}"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("metric", ["pe_lut6", "lut6"])
def test_every_integer_is_on_the_front_or_cannot_be_told_from_it(metric: str) -> None:
    names, values = list(rows(metric)), list(rows(metric).values())
    _, worst = lut_error()
    best = {names[i] for i in np.flatnonzero(non_dominated(values, ["min", "max"]))}
    near = {names[i] for i in np.flatnonzero(within_error(values, ["min", "max"], [True, False], worst))}
    assert best & set(INTEGERS) == {"int3", "int4"}
    assert near & set(INTEGERS) == {"int5", "int6", "int7", "int8"}


def test_in_a_whole_array_two_exponent_bits_save_less() -> None:
    for bits in range(5, 9):
        (minifloat, _), (integer, _) = rows("lut6")[f"fp{bits}_e2m{bits - 3}"], rows("lut6")[f"int{bits}"]
        one, as_wide = rows()[f"fp{bits}_e2m{bits - 3}"][0], rows()[f"int{bits}"][0]
        assert one / as_wide < minifloat / integer
        assert 0.895 < minifloat / integer < 0.965


def test_without_multipliers_only_ternary_and_lmul_save_luts() -> None:
    sweep = open_sweep(SWEEP.with_name("fpga_multiplier_free.yaml"))
    evaluate, found = PointEvaluator(sweep), {}
    for point in sweep.space:
        if point.overrides["array.rows"] == 16:
            pe = point.overrides["pe"]
            name = " ".join([pe["family"], pe.get("format", ""), point.overrides["target.dsp"]])
            found[name] = evaluate(point)
    luts = {name: row["lut6"] for name, row in found.items()}
    in_luts, in_dsp = luts["exact_mac int8 never"], luts["exact_mac int8 always"]
    assert luts["shift_mac  never"] > in_luts > luts["exact_mac fp8_e3m4 never"] > luts["ternary  never"] > in_dsp
    assert {name for name, row in found.items() if row["dsp"]} == {"exact_mac int8 always"}
