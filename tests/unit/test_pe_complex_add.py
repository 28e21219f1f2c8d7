"""Quarter turns: complex sums against Python's complex numbers; the number of real additions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError
from tests.support.exact import round_fraction

turns = st.integers(0, 3)
int8 = st.integers(-128, 127)


@given(st.lists(st.tuples(turns, int8, int8), min_size=1, max_size=20), st.integers(1, 5))
def test_integer_parts_are_those_of_complex_products(some, lanes):
    pe = make_pe({"family": "complex_add", "lanes": lanes})
    w, re, im = (np.array(side) for side in zip(*some, strict=True))
    wanted = sum([1, 1j, -1, -1j][c] * complex(x, y) for c, x, y in some)
    assert pe.dot(w, (re & 255) + 1j * (im & 255), pe.w_format, pe.a_format) == wanted


@given(st.lists(st.tuples(turns, int8), min_size=1, max_size=20))
def test_plain_codes_are_real_activations(some):
    pe = make_pe(pairing("complex2").pe_spec)
    w, x = (np.array(side) for side in zip(*some, strict=True))
    assert pe.dot(w, x & 255, pe.w_format, pe.a_format) == sum([1, 1j, -1, -1j][c] * y for c, y in some)


fp16_codes = st.integers(0, 0x7BFF)


@given(st.lists(st.tuples(turns, fp16_codes, fp16_codes), min_size=1, max_size=9))
def test_float_parts_round_after_every_addition(some):
    pe = make_pe({"family": "complex_add", "a_format": "fp16", "accumulator": "fp16", "lanes": 2})
    fp16 = parse_format("fp16")
    re = im = 0.0
    for c, x_code, y_code in some:
        x, y = (Fraction(float(fp16.decode(np.array([code]))[0])) for code in (x_code, y_code))
        for _ in range(c):
            x, y = -y, x
        re, im = (round_fraction(Fraction(acc) + part, fp16) for acc, part in ((re, x), (im, y)))
    w, xs, ys = (np.array(side) for side in zip(*some, strict=True))
    assert pe.dot(w, xs + 1j * ys, pe.w_format, pe.a_format) == complex(re, im)


def test_both_sums_wrap_on_their_own():
    pe = make_pe({"family": "complex_add", "a_format": "int8", "accumulator": "int9", "lanes": 1})
    w, a = np.zeros(3, dtype=int), np.full(3, 127 + 1j * 1)
    assert pe.dot(w, a, pe.w_format, pe.a_format) == (381 - 512) + 3j


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_layer_has_two_real_additions_per_weight(inputs, outputs):
    pe = make_pe({"family": "complex_add"})
    assert pe.additions(np.zeros((outputs, inputs), dtype=np.uint32)) == 2 * inputs * outputs


def test_it_is_far_cheaper_than_four_real_multipliers():
    tech = load_technology("7nm")
    ours = price_pe(make_pe({"family": "complex_add", "lanes": 1}), tech)
    mac = price_pe(make_pe({"family": "int_mac", "format": "int8"}), tech)
    assert ours.area_um2 < 2 * mac.area_um2  # two accumulators and no multiplier


@pytest.mark.parametrize("options", [{"w_format": "ternary"}, {"a_format": "complex2"}, {"accumulator": "fp16"}])
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "complex_add", **options})
