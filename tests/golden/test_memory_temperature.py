"""Leakage over temperature against CACTI's runs, and that nothing else moves with it."""

from __future__ import annotations

import csv
import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_register_file, build_sram, sram_figures
from hwsim.hardware.memory.figures import NAMES
from hwsim.hardware.memory.nodes import leakage_corrections
from hwsim.hardware.memory.temperature import ROWS_K, temperature_logs
from hwsim.hardware.technology.temperature import temperature_range_k
from hwsim.spec.errors import MissingFigureError

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "sram_leakage_cacti7.csv").open()))
CASES = [row for row in ROWS if row["temp_K"] != "360"]

kelvins = st.floats(*temperature_range_k())
nodes = st.sampled_from([7, 16, 22, 28, 32, 45, 65, 90]) | st.floats(7, 90)
devices = st.sampled_from(["hp", "lstp", "lop"])


def of(row):
    return int(row["tech_nm"]), row["device"].removeprefix("itrs-")


def ratio(row):
    """CACTI's leakage over its own at 360 K, corrected where that is misprinted; and ours."""
    base = next(
        r for r in ROWS if r["temp_K"] == "360" and all(r[k] == row[k] for k in ("tech_nm", "device", "size_bytes"))
    )
    corrected = float(base["leak_mW_total"]) * leakage_corrections().get(of(row), (1.0, ""))[0]
    theirs = float(row["leak_mW_total"]) / corrected
    node, device = of(row)
    ours = math.exp(temperature_logs(float(row["temp_K"]), node, device)[NAMES.index("leakage_mw")])
    return ours / theirs


def test_the_rows_are_all_there():
    assert len(ROWS) == 225
    assert {row["temp_K"] for row in ROWS} == {"300", "320", "340", "360", "380"}


def test_every_run_is_found_within_the_spread_of_its_arrays():
    ratios = [ratio(row) for row in CASES]
    assert max(abs(r - 1) for r in ratios) < 0.10  # 22 nm lstp, whose base differs by array
    assert statistics.mean(abs(r - 1) for r in ratios) < 0.01


@given(kelvins, kelvins, nodes, devices)
def test_leakage_rises_with_temperature_even_where_cacti_misprints_it(one, other, node, device):
    low, high = sorted((one, other))
    cool, warm = (build_sram(2**15, 64, 1, node, device, None, k) for k in (low, high))
    assert cool.leakage_mw <= warm.leakage_mw * (1 + 1e-12)
    for name in NAMES:
        if name != "leakage_mw":
            assert getattr(cool, name) == getattr(warm, name)


@pytest.mark.parametrize("device", ["hp", "lstp", "lop"])
def test_far_apart_it_rises_by_at_least_a_half(device):
    for node in (7, 22, 28, 45, 90):
        low, high = (build_sram(2**15, 64, 1, node, device, None, k).leakage_mw for k in temperature_range_k())
        assert high > 1.5 * low


def test_at_the_temperature_of_the_rows_nothing_is_said_and_elsewhere_the_source():
    usual, warm, between = (build_sram(2**13, 64, 1, 45, "hp", None, k) for k in (ROWS_K, 380.0, 370.0))
    assert usual == build_sram(2**13, 64, 1, 45)
    assert "leakage at" not in usual.answered_by
    assert warm.answered_by == f"{usual.answered_by}, leakage at 380 K (estimated)"
    leakage = NAMES.index("leakage_mw")
    assert "CACTI 7 SRAM leakage over temperature, itrs-hp at 45 nm: 360 to 380 K" in warm.sources[leakage]
    assert between.leakage_mw == pytest.approx(math.sqrt(usual.leakage_mw * warm.leakage_mw))
    assert warm.estimates[leakage]
    assert warm.sources[0] == usual.sources[0]


def test_below_22_nm_the_growth_is_that_of_22_nm_and_says_so():
    cool, usual = (build_sram(2**13, 64, 1, 7, "hp", None, k) for k in (300.0, ROWS_K))
    assert cool.leakage_mw / usual.leakage_mw == pytest.approx(0.2871, rel=1e-3)
    assert "itrs-hp at 22 nm: 360 to 300 K" in cool.source


def test_register_files_take_that_of_sram_and_say_so():
    cool, usual = (build_register_file(64, 32, 1, 1, 45, "hp", 0, None, k) for k in (300.0, ROWS_K))
    assert cool.leakage_mw / usual.leakage_mw == pytest.approx(0.4501, rel=1e-3)
    assert "of SRAM of the same device" in cool.source


@pytest.mark.parametrize("kelvin", [298.1, 380.1, math.nan, 0.0])
def test_what_no_row_has_is_refused(kelvin):
    for build in (
        lambda: build_sram(2**13, 64, 1, 45, "hp", None, kelvin),
        lambda: build_register_file(64, 32, 1, 1, 45, "hp", 0, None, kelvin),
        lambda: sram_figures(2**13, 64, 1, 45, "hp", kelvin),
    ):
        with pytest.raises(
            MissingFigureError, match=r"no leakage figures at .* K; valid: 298.15 to 380 K \(25 to 106.85"
        ):
            build()
