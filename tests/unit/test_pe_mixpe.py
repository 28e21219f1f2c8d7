"""MixPE: rows that are shifted and added, against plain products; synthesised and published figures."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError
from tests.support.exact import round_fraction
from tests.support.synthesis import ROWS, ratio


@given(st.integers(2, 8), st.integers(2, 12), st.integers(1, 5), st.data())
def test_rows_add_up_to_products(wb, ab, lanes, data):
    pe = make_pe({"family": "mixpe", "w_format": f"int{wb}", "a_format": f"int{ab}", "lanes": lanes})
    some = st.tuples(st.integers(-(2 ** (wb - 1)), 2 ** (wb - 1) - 1), st.integers(-(2 ** (ab - 1)), 2 ** (ab - 1) - 1))
    pairs = data.draw(st.lists(some, min_size=1, max_size=12))
    w, a = (np.array(side) for side in zip(*pairs, strict=True))
    found = pe.dot(w & (2**wb - 1), a & (2**ab - 1), pe.w_format, pe.a_format)
    assert found == sum(x * y for x, y in pairs)


@given(st.lists(st.tuples(st.integers(-8, 7), st.integers(0, 0x7BFF)), min_size=1, max_size=8))
def test_significands_are_multiplied_exactly_and_summed_with_one_rounding(pairs):
    pe = make_pe(pairing("mixpe_w4a16").pe_spec)
    fp16, fp32 = parse_format("fp16"), parse_format("fp32")
    total = 0.0
    for w, code in pairs:
        total = round_fraction(Fraction(total) + w * Fraction(float(fp16.decode(np.array([code]))[0])), fp32)
    w, a = (np.array(side) for side in zip(*pairs, strict=True))
    assert pe.dot(w & 15, a, pe.w_format, pe.a_format) == total


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["class"] == "shiftadd"])
def test_area_and_energy_of_synthesised_units(name):
    # The fit's 90th percentile is 15 %; the 4 x 4 unit is small.
    p = json.loads(ROWS[name]["params"])
    pe = make_pe({"family": "mixpe", "w_format": f"int{p['w']}", "a_format": f"int{p['n']}", "lanes": p["K"]})
    assert ratio(pe, ROWS[name]) == pytest.approx(1, abs=0.15)
    # One density for the family, whose rows are 0.79 to 0.95 of the technology's.
    assert ratio(pe, ROWS[name], "energy") == pytest.approx(1, abs=0.15)


def area(**options):
    parts = [part for part in make_pe(options).parts() if part.role != "operands"]
    return load_technology("7nm").price_parts(parts, "integer_mac").area_um2


def test_shift_and_add_does_not_beat_a_multiplier_of_its_own_widths():
    # ASAP7: W4A8 multiplier MAC 46 um2, shift-and-add W4A8 47, INT8 MAC 62. The first two differ by
    # less than the fit's noise: they are asserted to be within a tenth, the third to be clearly larger.
    shift_add = area(family="mixpe", w_format="int4", a_format="int8")
    narrow = area(family="int_mac", w_format="int4", a_format="int8")
    wide = area(family="int_mac", format="int8")
    assert narrow < shift_add < narrow * 1.1
    assert shift_add < 0.8 * wide
    for found, published in ((shift_add, 47), (narrow, 46), (wide, 62)):
        assert found == pytest.approx(published, rel=0.1)


def efficiency(ours, theirs, node="28nm"):
    """Return (area x power) of ``theirs`` over that of ``ours`` at 500 MHz."""
    prices = [pipelined_price(make_pe(pairing(x).pe_spec), load_technology(node), 5e8)[0] for x in (ours, theirs)]
    product = [p.area_um2 * (p.energy_fj + p.clock_fj + p.leakage_nw * 1e6 / 5e8) for p in prices]
    return product[1] / product[0]


@pytest.mark.parametrize(("ours", "theirs", "published", "low", "high"), [
    ("mixpe_w4a8", "int8", 2.289, 1.2, 2.3), ("mixpe_w4a16", "fp16", 4.82, 1.6, 4.9)])  # fmt: skip
def test_published_area_power_products_are_an_upper_bound(ours, theirs, published, low, high):
    # MixPE's own simulator gives 2.289 and 4.82 without saying what its PEs hold. Ours hold a 32-bit or
    # FP32 accumulator and operand registers, which shift-and-add leaves as they are, and keep 1.4 and 1.9.
    found = efficiency(ours, theirs)
    assert low < found < high
    assert 0.35 < found / published < 1


POWERS_UW = (344.3, 673.4, 1032.9)


def powers():
    """Power in uW of W4A8, W4A16 and FP16 PEs at 28 nm and 500 MHz."""
    tech, found = load_technology("28nm"), []
    for label in ("mixpe_w4a8", "mixpe_w4a16", "fp16"):
        price, _ = pipelined_price(make_pe(pairing(label).pe_spec), tech, 5e8)
        found.append((price.energy_fj + price.clock_fj) * 0.5 + price.leakage_nw * 1e-3)
    return found


def test_published_powers_of_pes_keep_their_order_and_ratios():
    # 28 nm, 500 MHz: 344, 673, 1033 uW (results/systolic_array_synth.csv). Ours are 0.25 to 0.5 of them:
    # settled 28 nm energies scaled from 7 nm, without wires and clock tree. Ratios hold within a third.
    found = powers()
    for ours, published in zip(found, POWERS_UW, strict=True):
        assert 0.25 < ours / published < 0.6
    assert found == sorted(found)
    assert found[2] / found[1] == pytest.approx(POWERS_UW[2] / POWERS_UW[1], rel=0.33)


@pytest.mark.xfail(
    strict=True,
    reason="ours is 2.90 for 1.96: beside integers we price FP32 sums higher, whose logic glitches as that of synthesised MACs",
)
def test_published_power_of_float_over_integer_activations():
    found = powers()
    assert found[1] / found[0] == pytest.approx(POWERS_UW[1] / POWERS_UW[0], rel=0.33)


def test_scales_act_after_the_group():
    pe = make_pe(pairing("mixpe_w4a8_g128").pe_spec)
    w, a, tech = pe.w_format, pe.a_format, load_technology("28nm")
    assert pe.scaling(w, a) == "sum"
    assert all(part.group != "dequantization" for part in pe.parts())
    scaler = dequantizer_price(pe, w, a, tech, 5e8).energy_fj / 128
    assert scaler < 0.2 * price_pe(pe, tech).energy_fj  # one per 128 products is little


@pytest.mark.parametrize("options", [{"w_format": "nf4"}, {"w_format": "int16"}, {"w_format": "int4_asym_g128"},
                                     {"a_format": "fp32"}, {"accumulator": "fp32"}])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "mixpe", **options})
