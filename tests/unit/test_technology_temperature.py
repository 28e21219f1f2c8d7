"""Leakage over temperature: exact at the rows, monotone between them, the wrong rows left out."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.hardware.circuits import Adder
from hwsim.hardware.technology import load_technology, technology_names
from hwsim.hardware.technology.temperature import (
    LOGIC_REFERENCE_K,
    SRAM_REFERENCE_K,
    leakage_factor,
    temperature_range_k,
)
from hwsim.simulate.architecture import open_arch
from hwsim.spec.data import find_example, read_csv_rows
from hwsim.spec.errors import SpecError, UsageError

ROWS = read_csv_rows("technology", "leakage_temperature.csv")
LEFT_OUT = [r for r in ROWS if r["used"] == "no"]


@pytest.mark.parametrize("row", [r for r in ROWS if r["used"] == "yes"], ids=lambda r: "_".join(list(r.values())[:3]))
def test_rows_are_met(row):
    found = leakage_factor(float(row["node_nm"]), row["device"], float(row["temperature_k"]), 300)
    assert found.value == pytest.approx(float(row["ratio"]))
    assert not found.estimated


def test_the_known_errors_of_the_table_are_left_out_and_nothing_else():
    assert [(r["node_nm"], r["device"], r["temperature_k"]) for r in LEFT_OUT] == [
        ("90", "lop", "360"),
        ("22", "lstp", "360"),
    ]


@pytest.mark.parametrize("row", LEFT_OUT, ids=lambda r: r["node_nm"] + r["device"])
def test_what_is_left_out_is_bridged(row):
    node, device = float(row["node_nm"]), row["device"]
    cool, gone, hot = (leakage_factor(node, device, t, 300).value for t in (340, 360, 380))
    assert gone == pytest.approx(math.sqrt(cool * hot))
    assert cool < gone < hot
    assert not cool < float(row["ratio"]) < hot


@given(
    st.sampled_from([3, 7, 16, 22, 28, 32, 45, 65, 90, 130]),
    st.sampled_from(["hp", "lstp", "lop"]),
    st.floats(*temperature_range_k()),
    st.floats(*temperature_range_k()),
)
def test_warmer_leaks_more(node, device, one, other):
    assume(abs(one - other) > 1e-6)
    low, high = sorted((one, other))
    factor = leakage_factor(node, device, high, low).value
    assert factor > 1
    assert leakage_factor(node, device, low, high).value == pytest.approx(1 / factor)


def test_between_nodes_and_beyond_them_is_marked():
    between = leakage_factor(28, "hp", 360, 300)
    low, high = (leakage_factor(n, "hp", 360, 300).value for n in (22, 32))
    share = math.log(28 / 22) / math.log(32 / 22)
    assert between.value == pytest.approx(low ** (1 - share) * high**share)
    assert between.estimated
    assert leakage_factor(7, "hp", 360, 300).value == low
    assert leakage_factor(7, "hp", 360, 300).estimated


@pytest.mark.parametrize(("kelvin", "device"), [(298, "hp"), (381, "hp"), (math.nan, "hp"), (300, "hq")])
def test_out_of_range(kelvin, device):
    with pytest.raises(UsageError, match=r"valid: (298\.15 to 380 K|hp)"):
        leakage_factor(45, device, kelvin, 300)


@pytest.mark.parametrize("name", technology_names())
def test_logic_leaks_by_the_curve_from_25_degrees(name):
    usual, warm, same = (load_technology(name, temperature_k=t) for t in (None, 360.0, LOGIC_REFERENCE_K))
    leak = [t.price(Adder(8)).leakage_nw for t in (usual, warm, same)]
    assert leak[2] == leak[0]
    assert leak[1] == pytest.approx(leak[0] * leakage_factor(usual.node_nm, "hp", 360, LOGIC_REFERENCE_K).value)
    assert leak[1] > leak[0]
    assert warm.price(Adder(8)).energy_fj == usual.price(Adder(8)).energy_fj
    assert usual.sram_leakage_factor("hp").value == warm.sram_leakage_factor("hp").value == 1.0


def test_kinds_of_hardware_are_moved_by_laws_of_their_own():
    technology = load_technology("28nm", 0.8, 340.0)
    factors = {c.name: c.value for c in technology.conditions("lstp")}
    assert factors["wire energy"] == pytest.approx((0.8 / 0.9) ** 2)
    assert factors["SRAM leakage, lstp"] == leakage_factor(28, "lstp", 340, SRAM_REFERENCE_K).value
    assert factors["DRAM"] == factors["SRAM energy and delay"] == 1
    assert factors["logic leakage"] == pytest.approx(leakage_factor(28, "hp", 340, 298.15).value * 0.8 / 0.9)
    assert factors["logic energy"] < 1 < factors["logic delay"]
    assert technology.price(Adder(8)).energy_fj == pytest.approx(
        load_technology("28nm").price(Adder(8)).energy_fj * factors["logic energy"]
    )


def test_a_chip_leaks_by_both_curves():
    arch = find_example("arch_configs", "edge_16x16_45nm")
    usual, warm = (open_arch(arch, {"technology.temperature": t} if t else {}).accelerator for t in (None, "85 degC"))
    srams = sum(s.leakage_mw for s in usual.srams.values()) * 1e-3
    logic = usual.leakage_w - srams
    kelvin = 358.15
    wanted = logic * leakage_factor(45, "hp", kelvin, 298.15).value
    wanted += srams * leakage_factor(45, "lstp", kelvin, 360).value
    assert warm.leakage_w == pytest.approx(wanted)
    assert usual.area_mm2 == warm.area_mm2


@pytest.mark.parametrize(("value", "words"), [("85", "no unit"), ("85 degF", "K"), ("500 K", "298.15 to 380 K")])
def test_a_wrong_temperature_is_refused_at_its_place(value, words):
    with pytest.raises(SpecError, match=words):
        open_arch(find_example("arch_configs", "systolic_32x32_28nm"), {"technology.temperature": value})
