"""Areas of block formats against arXiv 2510.25602, Table 5 (same throughput, MXFP8 = 1)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.pe.gate_model import lane_area, lane_cells, lane_transistors, widths, window
from hwsim.hardware.technology import load_technology, technology_names
from hwsim.report.explain import Question
from hwsim.report.explain.pe import explain_pe
from hwsim.spec.errors import UsageError

#: Format, published area relative to MXFP8 (Table 5).
TABLE_5 = {"mxfp8_e4m3": 1.0, "mxint8": 0.79, "nvfp4": 0.54, "int4_g16_e4m3": 0.38}


@pytest.mark.parametrize("name", technology_names())
def test_the_closed_form_is_within_12_percent_in_any_technology(name):
    # 12 %: the paper's FP32 accumulator, E4M3 dequantizer and cell library are not stated
    areas = {fmt: lane_area(parse_format(fmt), load_technology(name)) for fmt in TABLE_5}
    for fmt, published in TABLE_5.items():
        assert areas[fmt] / areas["mxfp8_e4m3"] == pytest.approx(published, rel=0.12), fmt
    assert sorted(areas, key=areas.get, reverse=True) == list(TABLE_5)


def test_the_parts_are_in_the_same_order_and_within_20_percent():
    # 20 %: parts also have registers, sign handling and a rounding accumulator
    areas = {}
    for name in TABLE_5:
        pe = make_pe({"family": "block_dot", "format": name})
        areas[name] = price_pe(pe, load_technology("7nm")).area_um2 / pe.lanes
    for name, published in TABLE_5.items():
        assert areas[name] / areas["mxfp8_e4m3"] == pytest.approx(published, rel=0.20), name
    assert sorted(areas, key=areas.get, reverse=True) == list(TABLE_5)


def test_parts_and_gates_agree_on_absolute_area_without_registers():
    # within a factor of 1.6: fitted cell areas against transistors, whole datapaths against the minimum
    technology = load_technology("7nm")
    for name in TABLE_5:
        pe = make_pe({"family": "block_dot", "format": name})
        rows = price_pe(pe, technology).rows
        logic = sum(row.area_um2 for row in rows if row.part.group != "register") / pe.lanes
        assert 1 / 1.6 < logic / lane_area(parse_format(name), technology) < 1.6, name


@pytest.mark.parametrize(
    ("x", "y", "n"), [(0, 7, 16), (0, 3, 8), (2, 1, 10), (2, 3, 14), (3, 2, 20), (4, 3, 24), (5, 2, 24)]
)
def test_the_window(x, y, n):
    assert window(x, y) == n


def test_counts_are_those_of_the_table():
    integers, floats = lane_cells(0, 7), lane_cells(4, 3)
    assert integers["multiplier"]["and"] == 64
    assert floats["multiplier"]["and"] == 16
    assert (integers["adders"]["fa"], floats["adders"]["fa"]) == (16, 24)
    assert floats["exponents"] == {"fa": 12}
    assert floats["aligner"]["mux"] == pytest.approx(24 * 4.585, rel=1e-3)
    assert set(floats) - set(integers) == {"exponents", "aligner"}
    assert lane_cells(4, 3, lanes=16)["normaliser"]["mux"] == 2 * lane_cells(4, 3, lanes=32)["normaliser"]["mux"]


def test_wider_elements_and_scales_are_never_cheaper():
    for x in range(6):
        sizes = [lane_transistors(x, y) for y in range(1, 12)]
        assert sizes == sorted(sizes)
    for one, two in pairwise([lane_transistors(x, 3) for x in range(1, 6)]):
        assert one < two
    assert lane_transistors(2, 1, "none") < lane_transistors(2, 1, "e8m0") < lane_transistors(2, 1, "e4m3")


def test_any_element_has_an_area_and_nonsense_is_refused():
    assert widths(parse_format("fp6_e3m2")) == (3, 2, "none")
    assert widths(parse_format("mxint8")) == (0, 7, "e8m0")
    assert lane_area(parse_format("fp12_e6m5"), load_technology("7nm")) > 0
    with pytest.raises(UsageError, match="valid: widths"):
        lane_cells(-1, 3)


def test_explain_shows_the_model_beside_the_parts():
    sections = explain_pe("block_dot", Question({"format": "nvfp4"}, "7nm"))
    frame = next(s.frame for s in sections if "gate model" in s.title)
    assert frame["relative"].dropna().to_numpy() == pytest.approx([0.54], rel=0.12)
    mixed = explain_pe("block_dot", Question({"w_format": "mxfp4", "a_format": "mxfp8_e4m3"}, "7nm"))
    assert not any("gate model" in s.title for s in mixed)
