"""Wires: the table to the digit, C V² at other supplies, and what is beyond the table marked."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.hardware.technology import WireChoice, load_technology, technology_names, wire
from hwsim.hardware.technology.wires import wire_styles
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError

ROWS = read_csv_rows("technology", "wires.csv")


def test_the_table_is_whole():
    assert len(ROWS) == 5 * 2 * 2 * 6
    assert {r["style"] for r in ROWS} == set(wire_styles())


@pytest.mark.parametrize("row", ROWS, ids=lambda r: "_".join(list(r.values())[:4]))
def test_rows_are_met_at_their_supply(row):
    found = wire(float(row["node_nm"]), float(row["vdd_v"]), WireChoice(row["style"], row["device"], row["projection"]))
    assert found.energy_fj_per_bit_mm == pytest.approx(float(row["energy_fj_per_bit_mm"]))
    assert found.delay_ns_per_mm == pytest.approx(float(row["delay_ns_per_mm"]))
    assert not found.estimated
    leak = row["leakage_mw_per_mm"]
    assert found.leakage_mw_per_mm == (pytest.approx(float(leak)) if leak else None)


@pytest.mark.parametrize(
    ("node", "vdd", "optimal", "slack"),
    [(90, 1.2, 792, 436), (65, 1.1, 646, 341), (45, 1.0, 456, 257), (32, 0.9, 363, 198), (22, 0.8, 290, 151)],
)
def test_published_figures_of_the_table(node, vdd, optimal, slack):
    assert round(wire(node, vdd, WireChoice("delay_optimal")).energy_fj_per_bit_mm) == optimal
    assert round(wire(node, vdd).energy_fj_per_bit_mm) == slack
    assert 0.06 < wire(node, vdd, WireChoice("delay_optimal")).delay_ns_per_mm < 0.11


CHOICES = st.builds(
    WireChoice,
    st.sampled_from(wire_styles()),
    st.sampled_from(["hp", "lstp"]),
    st.sampled_from(["conservative", "aggressive"]),
)


@given(st.floats(2, 180), st.floats(0.4, 2), st.floats(0.4, 2), CHOICES)
def test_energy_is_that_of_a_capacitance(node, one, other, choice):
    assume(one != other)
    a, b = wire(node, one, choice), wire(node, other, choice)
    assert a.energy_fj_per_bit_mm / b.energy_fj_per_bit_mm == pytest.approx((one / other) ** 2)
    for value in (a.energy_fj_per_bit_mm, a.delay_ns_per_mm):
        assert math.isfinite(value)
        assert value > 0
    assert a.delay_ns_per_mm == b.delay_ns_per_mm


def test_between_nodes_capacitance_is_interpolated_in_the_logarithms():
    share = math.log(28 / 22) / math.log(32 / 22)
    ends = [wire(n, 1.0).energy_fj_per_bit_mm for n in (22, 32)]
    found = wire(28, 0.9)
    assert found.energy_fj_per_bit_mm == pytest.approx(ends[0] ** (1 - share) * ends[1] ** share * 0.81)
    assert found.estimated
    assert "interpolated in log(node) to 28 nm" in found.source


@pytest.mark.parametrize(("node", "end"), [(7, 22), (2, 22), (130, 90), (180, 90)])
def test_beyond_the_table_the_last_capacitance_stands(node, end):
    found = wire(node, 1.0)
    assert found.energy_fj_per_bit_mm == pytest.approx(wire(end, 1.0).energy_fj_per_bit_mm)
    assert found.estimated
    assert "beyond the table (estimated)" in found.source
    # Thinner wires are slower, by the slope of the last two nodes.
    assert (found.delay_ns_per_mm > wire(end, 1.0).delay_ns_per_mm) == (node < end)


def test_capacitance_hardly_shrinks_which_is_why():
    per_volt = [wire(n, 1.0).energy_fj_per_bit_mm for n in (45, 32, 22)]
    assert max(per_volt) / min(per_volt) < 1.1
    best = [wire(n, 1.0, WireChoice("delay_optimal")).energy_fj_per_bit_mm for n in (45, 32, 22)]
    assert max(best) / min(best) < 1.02


@pytest.mark.parametrize("name", technology_names())
def test_a_technology_has_wires_at_its_own_supply(name):
    technology = load_technology(name)
    assert technology.wire_fj_per_bit_mm == wire(technology.node_nm, technology.vdd_v).energy_fj_per_bit_mm
    lower = load_technology(name, round(technology.vdd_v * 0.9, 4))
    ratio = lower.wire_fj_per_bit_mm / technology.wire_fj_per_bit_mm
    assert ratio == pytest.approx((lower.vdd_v / technology.vdd_v) ** 2)


def test_other_wires_can_be_chosen():
    slow = load_technology("28nm", wires=WireChoice("low_swing"))
    assert slow.wire_fj_per_bit_mm < load_technology("28nm").wire_fj_per_bit_mm / 10
    with pytest.raises(UsageError, match="did you mean 'slack_30'"):
        wire(28, 0.9, WireChoice("slack_31"))
    with pytest.raises(UsageError, match="must be positive"):
        wire(0, 0.9)
