"""Ternary PE: add, subtract or skip, against plain Python; area and energy of synthesised units."""

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
from tests.support.synthesis import ROWS, lanes_of, ratio

weights = st.lists(st.sampled_from([0, 1, 3]), min_size=1, max_size=24)


@given(weights, st.integers(8, 20), st.data())
def test_integer_sums_are_those_of_a_loop_and_wrap(w, acc_bits, data):
    a = data.draw(st.lists(st.integers(-128, 127), min_size=len(w), max_size=len(w)))
    pe = make_pe({"family": "ternary", "a_format": "int8", "lanes": 4, "accumulator": f"int{max(acc_bits, 11)}"})
    total = 0
    for code, x in zip(w, a, strict=True):
        total += {0: 0, 1: x, 3: -x}[code]
    half = 2 ** (pe.accumulator.bits - 1)
    wanted = (total + half) % (2 * half) - half
    codes = np.array(a) & 255
    assert pe.dot(np.array(w), codes, pe.w_format, pe.a_format) == wanted


@given(weights, st.data())
def test_float_sums_round_after_every_addition(w, data):
    pe = make_pe({"family": "ternary", "a_format": "fp16", "accumulator": "fp16", "lanes": 3})
    fp16 = parse_format("fp16")
    a = np.array(data.draw(st.lists(st.integers(0, 0x7BFF), min_size=len(w), max_size=len(w))))
    total = 0.0
    for code, x in zip(w, fp16.decode(a), strict=True):
        total = round_fraction(Fraction(total) + {0: 0, 1: 1, 3: -1}[code] * Fraction(float(x)), fp16)
    assert pe.dot(np.array(w), a, pe.w_format, pe.a_format) == total


@given(weights)
def test_additions_are_the_weights_that_are_not_zero(w):
    assert make_pe({"family": "ternary"}).additions(np.array(w)) == len([code for code in w if code])


@pytest.mark.parametrize("name", ["tern_i8_k8", "tern_i8_k16"])
def test_area_and_energy_of_synthesised_units(name):
    # Ternary units are among the worst rows of the area fit (±20 %): synthesis keeps a mux per lane.
    row = ROWS[name]
    pe = make_pe({"family": "ternary", "a_format": "int8", "lanes": lanes_of(row), "accumulator": "int24"})
    assert ratio(pe, row) == pytest.approx(1, abs=0.21)
    assert ratio(pe, row, "energy") == pytest.approx(1, abs=0.20)


def test_it_costs_no_more_than_the_smallest_multiplier_that_takes_ternary_weights():
    tech = load_technology("7nm")
    for a_format in ("int8", "fp16"):
        ours = price_pe(make_pe({"family": "ternary", "a_format": a_format, "lanes": 1}), tech)
        family = "int_mac" if a_format == "int8" else "float_mac"
        w_format = "int2" if a_format == "int8" else "fp16"
        mac = price_pe(make_pe({"family": family, "w_format": w_format, "a_format": a_format}), tech)
        assert ours.area_um2 < mac.area_um2 * 1.05


@pytest.mark.parametrize("options", [{"w_format": "int2"}, {"a_format": "nf4"}, {"accumulator": "fp32"},
                                     {"accumulator": "int8"}, {"a_format": "fp32"}])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "ternary", **options})


def test_labels():
    assert pairing("ternary_g128").pe_spec["family"] == "ternary"
    assert pairing("ternary_a16").a_format.name == "fp16"
