"""Scaling between nodes, flavours and supplies: monotone, transitive, marked, and refused where nothing is sourced."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.hardware.technology import Point, load_technology, scale_factor
from hwsim.hardware.technology.fits import fits, ladder
from hwsim.hardware.technology.node_scaling import QUANTITIES, SMALLEST_BULK_NM, neighbours
from hwsim.hardware.technology.supply import supply_factors
from hwsim.spec.errors import MissingFigureError, UsageError


def supplies(node, flavour):
    below, above, share = neighbours(node, flavour)
    rows = (below, above) if share else (below,)
    return max(r.range_v[0] for r in rows), min(r.range_v[1] for r in rows)


@st.composite
def points(draw):
    node = draw(
        st.one_of(
            st.floats(7, 180), st.sampled_from([7.0, 10.0, 14.0, 16.0, 20.0, 32.0, 45.0, 65.0, 90.0, 130.0, 180.0])
        )
    )
    flavour = "bulk" if node >= SMALLEST_BULK_NM else draw(st.sampled_from(["hp", "lp"]))
    low, high = supplies(node, flavour)
    assume(low < high)
    return Point(node, flavour, draw(st.floats(low, high)))


@given(points(), points(), points(), st.sampled_from(QUANTITIES), st.sampled_from(["auto", "alpha_power"]))
def test_a_to_b_to_c_is_a_to_c(a, b, c, quantity, law):
    direct = scale_factor(quantity, a, c, law).value
    assert direct == pytest.approx(scale_factor(quantity, a, b, law).value * scale_factor(quantity, b, c, law).value)
    assert math.isfinite(direct)
    assert direct > 0
    assert scale_factor(quantity, a, a, law).value == 1


@given(points(), st.floats(0, 1), st.sampled_from(["auto", "alpha_power"]))
def test_more_supply_is_more_energy_and_power_and_less_delay(point, place, law):
    low, high = supplies(point.node_nm, point.flavour)
    other = Point(point.node_nm, point.flavour, low + place * (high - low))
    assume(other.vdd_v > point.vdd_v * (1 + 1e-9))
    assert scale_factor("energy", point, other).value > 1
    assert scale_factor("power", point, other).value > 1
    assert scale_factor("delay", point, other, law).value < 1
    assert scale_factor("area", point, other).value == 1


@given(st.floats(7, 180), st.floats(7, 180), st.sampled_from(["hp", "lp"]))
def test_a_smaller_node_is_smaller(one, other, flavour):
    assume(abs(one - other) > 1e-6)
    small, large = (Point(n, flavour if n < 65 else "bulk", 1.0) for n in sorted((one, other)))
    assert scale_factor("area", large, small).value < 1


@pytest.mark.parametrize("flavour", ["hp", "lp"])
def test_flavours_never_meet(flavour):
    assert {fit.flavour for fit in ladder(flavour)} == {flavour, "bulk"}
    below, above, _ = neighbours(28, flavour)
    assert (below.label, above.label) == (f"20{flavour.upper()}", f"32{flavour.upper()}")
    below, above, _ = neighbours(55, flavour)
    assert (below.label, above.label) == (f"45{flavour.upper()}", "65")


def test_there_are_eighteen_rows():
    assert len(fits()) == 18
    assert [f.node_nm for f in ladder("lp")] == [7, 10, 14, 16, 20, 32, 45, 65, 90, 130, 180]


@pytest.mark.parametrize("node", [12, 22, 28, 40, 55, 110])
def test_nodes_without_a_row_lie_between_their_neighbours_and_are_marked(node):
    flavour = "bulk" if node >= 65 else "hp"
    below, above, share = neighbours(node, flavour)
    assert 0 < share < 1
    vdd = 0.9 if node < 65 else 1.2
    origin = Point(45, "hp", 0.9)
    found = scale_factor("energy", origin, Point(node, flavour, vdd))
    assert found.estimated
    assert "interpolated in log(node)" in found.source
    ends = [row.energy_at(vdd) / fits()[45.0, "hp"].energy_at(0.9) for row in (below, above)]
    # Independent: linear in the logarithms.
    place = (math.log(node) - math.log(below.node_nm)) / (math.log(above.node_nm) - math.log(below.node_nm))
    assert math.log(found.value) == pytest.approx((1 - place) * math.log(ends[0]) + place * math.log(ends[1]))
    assert not scale_factor("energy", origin, Point(32, "hp", 0.9)).estimated


@pytest.mark.parametrize(("node", "flavour"), [(5, "hp"), (3, "lp"), (6.9, "hp"), (250, "bulk")])
def test_nodes_that_nothing_is_sourced_for_are_refused(node, flavour):
    with pytest.raises(MissingFigureError, match="valid nodes: 7 to 180 nm"):
        scale_factor("energy", Point(45, "hp", 0.9), Point(node, flavour, 0.7))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Point(65, "hp", 1.0), "no hp rows at 65 nm; valid: bulk"),
        (lambda: Point(45, "bulk", 1.0), "no bulk rows at 45 nm; valid: hp, lp"),
        (lambda: Point(45, "ph", 1.0), "unknown flavour 'ph'; valid: bulk, hp, lp"),
        (lambda: Point(-45, "hp", 1.0), "must be positive"),
        (lambda: Point(45, "hp", math.nan), "must be positive"),
        (lambda: scale_factor("enrgy", Point(45, "hp", 1.0), Point(45, "hp", 1.0)), "did you mean 'energy'"),
        (lambda: scale_factor("delay", Point(45, "hp", 1.0), Point(45, "hp", 1.0), "cubic"), "valid: alpha_power"),
        (lambda: scale_factor("energy", Point(45, "hp", 0.9), Point(45, "hp", 0.4)), r"valid: 0\.6 to 1\.5 V"),
        (
            lambda: scale_factor("delay", Point(45, "hp", 0.9), Point(45, "hp", 1.1), "fit"),
            r"stops falling at 0\.949 V",
        ),
    ],
)
def test_errors_say_what_is_valid(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_where_the_alpha_power_law_answers_the_source_says_so():
    found = scale_factor("delay", Point(45, "hp", 0.9), Point(45, "hp", 1.1))
    assert found.estimated
    assert "45HP: alpha-power law" in found.source
    assert "made to fall" in scale_factor("delay", Point(45, "hp", 0.9), Point(45, "hp", 0.95)).source
    assert not scale_factor("delay", Point(45, "hp", 0.7), Point(45, "hp", 0.9)).estimated


@pytest.mark.parametrize("fit", list(fits().values()), ids=lambda f: f.label)
def test_delays_fall_are_published_at_the_nominal_supply_and_do_not_jump(fit):
    low, high = fit.range_v
    steps = [low + (high - low) * i / 400 for i in range(401)]
    for law in ("auto", "alpha_power"):
        assert all(fit.delay_at(a, law) > fit.delay_at(b, law) > 0 for a, b in pairwise(steps))
        assert fit.delay_at(fit.nominal_v, law) == pytest.approx(fit.delay_at(fit.nominal_v), rel=1e-12)
    for joint in (fit.bridge_v, fit.nominal_v, fit.end_v):
        if joint < high:
            before, after = (fit.delay_at(joint * (1 + e), "auto") for e in (-1e-9, 1e-9))
            assert before == pytest.approx(after, rel=1e-6)
    for vdd in (v for v in steps if v <= fit.bridge_v):
        assert fit.delay_at(vdd, "auto") == fit.delay_at(vdd)
    if fit.bridge_v < fit.end_v:
        assert fit.label in ("45HP", "32HP")
        place = [fit.bridge_v + (fit.end_v - fit.bridge_v) * i / 100 for i in range(101)]
        worst = max(abs(fit.delay_at(v, "auto") / fit.delay_at(v) - 1) for v in place)
        assert worst < {"45HP": 0.03, "32HP": 0.115}[fit.label]  # the dip of the cubic
        assert any(fit.delay_at(b) > fit.delay_at(a) for a, b in pairwise(place))


NODES = st.sampled_from(
    [(2, 0.7), (7, 0.7), (12, 0.8), (28, 0.9), (32, 0.9), (40, 0.9), (45, 0.9), (65, 1.1), (130, 1.8), (180, 1.8)]
)


@given(NODES, st.floats(0.8, 1.2), st.floats(0.8, 1.2), st.sampled_from(["auto", "alpha_power"]))
def test_a_technology_is_never_slower_at_more_supply(node, one, other, law):
    assume(abs(one - other) > 1e-9)
    low, high = (supply_factors(node[0], node[1], node[1] * share, law) for share in sorted((one, other)))
    assert low.energy < high.energy
    assert low.delay > high.delay > 0


def test_rows_that_rise_at_the_nominal_supply_are_left_to_sound_ones():
    twenty, large = (fits()[float(n), "hp"].delay_at for n in (20, 45))
    assert supply_factors(28, 0.9, 0.8).delay == pytest.approx(twenty(0.8) / twenty(0.9))
    assert supply_factors(40, 0.9, 0.8).delay == pytest.approx(large(0.8) / large(0.9))
    share = math.log(32 / 20) / math.log(45 / 20)
    wanted = (twenty(0.8) / twenty(0.9)) ** (1 - share) * (large(0.8) / large(0.9)) ** share
    assert supply_factors(32, 0.9, 0.8).delay == pytest.approx(wanted)
    assert "cubic delay of 20HP and 45HP" in supply_factors(32, 0.9, 0.8).source


def test_a_cubic_is_not_followed_to_nothing():
    # SKY130 works at 1.8 V, the end of the 130 nm row's range; 20 % above, its cubic would leave 0.4 % of the delay.
    row = fits()[130.0, "bulk"]
    assert row.delay_at(2.16) / row.delay_at(1.8) < 0.01
    assert 0.85 < supply_factors(130, 1.8, 2.16).delay < 0.95
    assert supply_factors(130, 1.8, 1.5).delay == pytest.approx(row.delay_at(1.5) / row.delay_at(1.8))


def test_the_fit_alone_refuses_where_it_does_not_fall():
    with pytest.raises(UsageError, match="20HP stops falling at 0.958 V"):
        supply_factors(28, 0.9, 1.0, "fit")
    assert supply_factors(7, 0.7, 0.6, "fit") == supply_factors(7, 0.7, 0.6, "auto")
    with pytest.raises(UsageError, match="auto"):
        load_technology("7nm", 0.65, delay_law="autp")
