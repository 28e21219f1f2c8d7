"""Cost laws of circuits: textbook counts, and growth with every width."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim.hardware.circuits as circuits
from hwsim.hardware.circuits import (
    CELLS,
    Adder,
    AdderTree,
    BoothEncoder,
    BoothMultiplier,
    BoothSelector,
    CarrySelectAdder,
    Circuit,
    CompressorTree,
    EntEncoder,
    FanOut,
    FunnelShifter,
    Multiplier,
    Mux,
    Popcount,
    PrefixAdder,
    Rom,
    Shifter,
    StaggeredTree,
    SumDifference,
    float_addition,
)
from hwsim.hardware.circuits.compressors import SUM_LEVELS
from hwsim.hardware.technology import load_technology

#: Every circuit at some widths of its own.
WIDTHS = {
    "block": 4,
    "radix": 4,
    "inputs": 8,
    "ways": 4,
    "words": 16,
    "positions": 16,
    "taps": 4,
    "ports": 1,
    "loads": 64,
}
KINDS = [c for c in vars(circuits).values() if isinstance(c, type) and issubclass(c, Circuit) and c is not Circuit]


def example(kind):
    given = {f.name: WIDTHS.get(f.name, 12) for f in fields(kind) if f.type == "int"}
    return kind(**given)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_cells_are_known_counted_and_priced(kind):
    circuit = example(kind)
    cells = circuit.cells()
    assert set(cells) <= set(CELLS)
    assert all(count >= 0 for count in cells.values())
    assert sum(cells.values()) > 0
    assert circuit.levels() > 0
    assert load_technology("7nm").price(circuit).area_um2 > 0


#: Fields that are choices of structure, not sizes: more of them may be cheaper.
CHOICES = ("block", "radix")


@pytest.mark.parametrize(
    ("kind", "name"), [(k, f.name) for k in KINDS for f in fields(k) if f.type == "int" and f.name not in CHOICES]
)
def test_wider_is_never_cheaper_or_faster(kind, name):
    narrow = example(kind)
    for step in (1, 2, 5):
        wide = replace(narrow, **{name: getattr(narrow, name) + step})
        for cell in CELLS:
            assert wide.cells().get(cell, 0) >= narrow.cells().get(cell, 0), cell
        assert wide.levels() >= narrow.levels()


def test_booth_has_half_or_a_third_of_the_rows():
    assert BoothMultiplier(16, 16).digits == 8
    assert BoothMultiplier(16, 16, signed=False).digits == 9
    assert BoothMultiplier(16, 16, radix=8).digits == 6
    assert BoothMultiplier(16, 16).cells()["fa"] < Multiplier(16, 16).cells()["fa"] * 0.6
    with pytest.raises(ValueError, match="valid: 4, 8"):
        BoothMultiplier(8, 8, radix=2)


def test_fast_adders_buy_time_with_area():
    from hwsim.hardware.circuits import Adder

    tech = load_technology("7nm")
    ripple, select, prefix = (tech.price(c) for c in (Adder(32), CarrySelectAdder(32), PrefixAdder(32)))
    assert ripple.area_um2 < select.area_um2
    assert ripple.area_um2 < prefix.area_um2
    assert prefix.delay_ps < select.delay_ps < ripple.delay_ps


@pytest.mark.parametrize(("inputs", "rows"), [(3, 1), (4, 2), (6, 3), (9, 4), (13, 5), (19, 6)])
def test_dadda_s_numbers_are_the_inputs_that_a_depth_can_take(inputs, rows):
    # Dadda 1965: 3, 4, 6, 9, 13, 19 numbers take 1 … 6 levels of 3:2; log1.5 errs by one at most
    assert round(CompressorTree(inputs, 8).levels() / SUM_LEVELS) in (rows, rows - 1, rows + 1)


@pytest.mark.parametrize(
    ("circuit", "delay_ps"), [(CompressorTree(3, 8), 65.8), (BoothEncoder(16), 80.4), (BoothSelector(16), 142.4)]
)
def test_delays_of_compressors_and_booth_gates_are_the_synthesised_ones(circuit, delay_ps):
    # rows c_csa8, boothenc16 and boothpp16, ASAP7; 3 % are the rounding of their levels
    assert load_technology("7nm").price(circuit).delay_ps == pytest.approx(delay_ps, rel=0.03)


@pytest.mark.parametrize(("circuit", "area_um2"), [(BoothEncoder(16), 4.4615), (BoothSelector(16), 8.194)])
def test_areas_of_booth_gates_against_synthesis(circuit, area_um2):
    # rows boothenc16 and boothpp16 (ASAP7); the fit's 90th percentile is 15 %
    assert load_technology("7nm").price(circuit).area_um2 == pytest.approx(area_um2, rel=0.15)


def test_ent_costs_more_than_booth():
    tech = load_technology("7nm")
    assert tech.price(EntEncoder(8)).area_um2 > tech.price(BoothEncoder(8)).area_um2
    assert EntEncoder(8).levels() > BoothEncoder(8).levels()  # a negation and a rippling carry


def test_a_compressor_tree_leaves_two_numbers():
    assert CompressorTree(2, 8).cells() == {"fa": 0.0}
    assert CompressorTree(2, 8).levels() == 0
    assert CompressorTree(3, 8).cells()["fa"] >= 8
    with pytest.raises(ValueError, match="3:2, 4:2, 6:2"):
        CompressorTree(8, 8, "5:2")


@pytest.mark.parametrize(("inputs", "full_adders"), [(3, 1), (7, 4), (15, 11), (31, 26)])
def test_full_adders_of_a_counter_of_ones(inputs, full_adders):
    assert Popcount(inputs).cells() == {"fa": full_adders}  # n - log2(n + 1)


def test_a_funnel_shifter_is_wider_than_a_barrel_shifter():

    assert FunnelShifter(16, 16).cells()["shift"] == 4 * 16 + (1 + 2 + 4 + 8) - 4
    assert Shifter(16, 16).cells() == {"shift": 4 * 16 - (1 + 2 + 4 + 8), "and": 1 + 2 + 4 + 8}  # zeros come in
    assert Shifter(4, 16).cells() == {"shift": 4 * 4 - (1 + 2 + 4 + 4), "and": 11}  # no more zeros than bits


def test_the_lowest_row_of_a_table_costs_nothing():
    assert Rom(16, 8).cells() == {"tree": 7 * 8}
    assert Rom(2, 8).cells() == {"tree": 8}


def test_a_fan_out_is_a_tree_of_buffers():
    assert FanOut(3, 8).nodes() == []
    assert FanOut(3, 64).nodes() == [8]
    assert FanOut(3, 65).nodes() == [9, 2]
    assert FanOut(3, 64).cells()["and"] == pytest.approx(3 * 8 * 0.0729 / 0.0875)
    assert FanOut(3, 8).levels() == 0 < FanOut(3, 64).levels()


def test_a_sum_and_a_difference_share_gates():
    one, both = Adder(9).cells(), SumDifference(9).cells()
    assert one["cpa"] < both["cpa"] < 2 * one["cpa"]
    assert both["ha"] == 2 * one["ha"]


@given(st.integers(1, 32), st.integers(2, 64))
def test_multiplexers_of_trees_are_counted_apart(bits, ways):
    assert Mux(bits, ways).cells() == {"mux" if ways == 2 else "tree": bits * (ways - 1)}


@pytest.mark.parametrize(("exponent", "significand"), [(8, 24), (5, 11), (4, 4), (8, 8)])
def test_float_parts_are_on_the_path_once_each(exponent, significand):
    found = float_addition(exponent, significand, significand)
    assert len({part.role for part in found}) == len(found)
    wider = float_addition(exponent, significand, 2 * significand)
    for narrow, wide in zip(found, wider, strict=True):
        assert sum(wide.circuit.cells().values()) >= sum(narrow.circuit.cells().values())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_live_in_a_circuit_never_grows_on_the_way_to_its_result(kind):
    one = example(kind)
    live = [one.live_bits(step / 8) for step in range(9)]
    assert all(bits >= 1 for bits in live)
    if kind not in (AdderTree, StaggeredTree):  # whose numbers widen from level to level
        assert live == sorted(live, reverse=True)


def test_live_bits_of_trees_are_those_of_their_levels():
    assert [AdderTree(8, 4).live_bits(level / 3) for level in range(4)] == [32, 20, 12, 7]
    assert CompressorTree(8, 4).live_bits(0) == 8 * 7
    assert CompressorTree(8, 4).live_bits(1) == 2 * 7
    assert [Multiplier(8, 4).live_bits(done) for done in (0, 1)] == [24, 12]
    assert [Mux(5, 8).live_bits(done) for done in (0, 1)] == [40, 5]
