"""Bit Fusion: bricks per product as published, fused products against whole ones, area beside synthesised arrays."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.families.bitfusion import bricks_of
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

INT8 = parse_format("int8")


def bitfusion(**options):
    return make_pe({"family": "bitfusion", **options})


@pytest.mark.parametrize(("w", "a", "products"), [
    ("int2", "int2", 16), ("int4", "int4", 4), ("int2", "int8", 4), ("int8", "int2", 4), ("int4", "int8", 2),
    ("int8", "int8", 1), ("int3", "int8", 2), ("int6", "int5", 1), ("ternary", "int8", None),
])  # fmt: skip
def test_products_per_cycle_of_16_bricks(w, a, products):
    # The authors' artifact page (act-lab.org/artifacts/bitfusion): 16 bricks are 16 engines of two bits, four of
    # 2 × 8, 4 × 4 or 8 × 2, one of 8 × 8
    pe, w, a = bitfusion(), parse_format(w), parse_format(a)
    if products is None:
        assert pe.supports(w, a) is not None
    else:
        assert pe.supports(w, a) is None
        assert pe.macs_per_cycle(w, a) == products


def test_sixteen_bits_take_64_bricks_or_four_times_the_cycles():
    wide, int16 = parse_format("int16"), {"format": "int16", "accumulator": "int32", "lanes": 1}
    assert bitfusion(w_format="int16", a_format="int8").lanes == 64
    assert bitfusion(w_format="int16", a_format="int8").macs_per_cycle(wide, INT8) == 2
    assert bitfusion(**int16).macs_per_cycle(wide, wide) == Fraction(1, 64)


@pytest.mark.parametrize(("bits", "bricks"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (6, 4), (8, 4), (9, 8), (16, 8)])
def test_widths_are_rounded_up_to_powers_of_two(bits, bricks):
    assert bricks_of(bits) == bricks


@given(st.integers(2, 8), st.integers(2, 8), st.booleans(), st.booleans(), st.integers(1, 20), st.data())
def test_fused_products_are_whole_ones(wb, ab, unsigned_w, unsigned_a, lanes, data):
    names = [("u" if unsigned else "") + f"int{bits}" for unsigned, bits in ((unsigned_w, wb), (unsigned_a, ab))]
    pe = bitfusion(w_format=names[0], a_format=names[1], lanes=lanes)
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, 2**wb - 1), st.integers(0, 2**ab - 1)), min_size=1, max_size=40)
    )
    w, a = np.array(pairs).T
    ws = [int(x) - 2**wb * (x >= 2 ** (wb - 1) and not unsigned_w) for x in w]
    as_ = [int(y) - 2**ab * (y >= 2 ** (ab - 1) and not unsigned_a) for y in a]
    assert pe.dot(w, a, pe.w_format, pe.a_format) == sum(x * y for x, y in zip(ws, as_, strict=True))


def test_bricks_are_three_bit_signed_multipliers():
    pe = bitfusion()
    w, a = np.array([0x80, 0x7F, 0xFF]), np.array([0x80, 0x80, 0x01])
    made = pe.products(w, a, INT8, INT8)
    assert made.shape == (3 * 16,)
    for one in made.reshape(16, 3).ravel():
        assert abs(int(one)) <= 9 << 12  # up to 3 × 3 of unsigned digits, placed by up to 6 + 6 bits
    assert made.sum() == 128 * 128 - 127 * 128 - 1


#: Area in µm² of arrays with N = 8 and 16, M = 1, by widest and narrowest operands: systolic_array_synth.csv of the
#: authors' simulator (github.com/hsharma35/bitfusion, results/), 500 MHz.
SYNTHESISED = {(8, 2): (11970.68, 23785.42), (8, 8): (3625.90, 7095.34),
               (4, 2): (2558.68, 5106.60), (4, 4): (1373.80, 2735.26)}  # fmt: skip


MISSED = pytest.mark.xfail(strict=True, reason="ours is 3.76: an INT8 MAC is priced as synthesised, at 0.95")


@pytest.mark.parametrize(("bits", "published"), [pytest.param(8, 3.41, marks=MISSED), (4, 1.87)])
def test_what_flexibility_costs(bits, published):
    # One more PE that composes its operands from 2 bits over one more of fixed width: within 10 %. Their accumulators are
    # not known; INT32 is assumed. Whole arrays of one PE have 2.52 and 1.53: they hold more than a PE does.
    more = [(large - small) / 8 for small, large in (SYNTHESISED[bits, 2], SYNTHESISED[bits, bits])]
    assert more[0] / more[1] == pytest.approx(published, abs=0.005)
    t45, formats = load_technology("45nm"), {"format": f"int{bits}"}
    fused, fixed = bitfusion(max_bits=bits, **formats), make_pe({"family": "int_mac", **formats})
    assert price_pe(fused, t45).area_um2 / price_pe(fixed, t45).area_um2 == pytest.approx(published, rel=0.10)


def test_a_unit_for_more_bits_costs_more():
    t7 = load_technology("7nm")
    areas = [price_pe(bitfusion(format="int2", max_bits=bits), t7).area_um2 for bits in (2, 4, 8, 16)]
    assert areas == sorted(set(areas))
    of_sixteen = [price_pe(bitfusion(format="int2", max_bits=bits, lanes=16), t7).area_um2 for bits in (2, 4, 8)]
    assert of_sixteen == sorted(set(of_sixteen))


def test_sums_of_fused_bricks_hold_the_widest_products():
    pe = bitfusion(max_bits=16)
    assert [pe.fused_bits(level) for level in range(1, 7)] == [8, 12, 20, 22, 26, 34]
    assert bitfusion().fused_bits(4) == 18
    assert bitfusion().fused_bits(5) == 19  # two whole products


def test_labels_and_what_does_not_fit():
    pe = make_pe(pairing("bitfusion_w4a8_g128").pe_spec)
    assert (pe.max_bits, pe.lanes) == (8, 16)
    assert pe.supports(INT8, INT8) is None  # the unit is that of INT8
    assert "int8" in str(bitfusion(format="int4", max_bits=4).supports(INT8, INT8))
    assert "no integers" in str(pe.supports(parse_format("fp8_e4m3"), INT8))


@pytest.mark.parametrize(("options", "message"), [
    ({"max_bits": 4}, "valid: 8, 16"), ({"max_bits": "8"}, "valid"), ({"format": "fp16"}, "valid: int2"),
    ({"max_bit": 8}, "did you mean.*max_bits"), ({"a_format": "int8_asym_g128"}, "valid"),
])  # fmt: skip
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        bitfusion(**options)
