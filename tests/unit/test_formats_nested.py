"""Nested integers against exact double rounding of fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.accuracy import fitted_quantize
from hwsim.formats.terms import term_table
from hwsim.hardware.pe import make_pe
from hwsim.simulate.accuracy import arithmetic_sqnr_db
from hwsim.spec.errors import UsageError

widths = st.tuples(st.integers(2, 15), st.integers(3, 16)).filter(lambda lh: lh[0] < lh[1])
numbers = st.one_of(
    st.floats(-40000, 40000, width=32),
    st.integers(-(2**18), 2**18).map(lambda n: n / 8),  # on, between and halfway between the grids
    st.integers(-(2**17), 2**17).map(lambda n: float(np.nextafter(n / 4, np.inf))),
)


def cut(x, low, high):
    """Two roundings, each exact and to even (Python rounds fractions so), each clipped to two's complement."""
    stored = min(max(round(Fraction(x)), -(2 ** (high - 1))), 2 ** (high - 1) - 1)
    code = min(max(round(Fraction(stored, 2 ** (high - low))), -(2 ** (low - 1))), 2 ** (low - 1) - 1)
    return stored, code


@given(widths, st.lists(numbers, min_size=1, max_size=30), st.sampled_from([np.float32, np.float64]))
def test_both_roundings_are_done(lh, xs, dtype):
    low, high = lh
    fmt = parse_format(f"int{low}of{high}")
    x = np.array(xs, dtype=dtype)
    expected = [cut(float(value), low, high) for value in x]
    assert fmt.stored(x).tolist() == [stored for stored, _ in expected]
    assert fmt.integers(fmt.encode(x)).tolist() == [code for _, code in expected]
    values = [code * 2 ** (high - low) for _, code in expected]
    assert fmt.quantize(x).tolist() == fmt.decode(fmt.encode(x)).tolist() == values
    assert fmt.quantize(x).dtype == dtype
    assert np.array_equal(fmt.quantize(np.array(values, dtype=dtype)), values)  # the second time changes nothing


def test_two_roundings_are_not_one():
    fmt = parse_format("int4of8")
    assert fmt.quantize(np.array([8.4, -8.4, 24.4, 7.9])).tolist() == [0, 0, 32, 0]  # one rounding: 16, -16, 32, 0
    assert parse_format("int4").quantize(np.array([8.4 / 16])).tolist() == [1]
    apart = np.arange(-128, 128, 1 / 16)
    once = np.clip(np.rint(apart / 16), -8, 7) * 16
    assert np.mean(fmt.quantize(apart) != once) > 0.01


@given(widths, st.lists(numbers, min_size=2, max_size=40))
def test_order_survives(lh, xs):
    fmt = parse_format(f"int{lh[0]}of{lh[1]}")
    assert np.all(np.diff(fmt.quantize(np.sort(np.array(xs)))) >= 0)


@given(widths, st.lists(numbers, min_size=1, max_size=30))
def test_signs_are_alike_but_for_the_step_below_the_range(lh, xs):
    fmt = parse_format(f"int{lh[0]}of{lh[1]}")
    x = np.array(xs)
    inside = x[np.abs(x) <= fmt.max_value + fmt.factor / 2 - 1]
    assert np.array_equal(fmt.quantize(-inside), -fmt.quantize(inside))
    assert fmt.quantize(np.array([-np.inf, np.inf])).tolist() == [-fmt.max_value - fmt.factor, fmt.max_value]
    assert fmt.values().tolist() == [c * fmt.factor for c in range(-(2 ** (lh[0] - 1)), 2 ** (lh[0] - 1))]


def test_every_width_is_read_from_the_one_stored_tensor():
    x = np.random.default_rng(5).standard_normal((4, 256))
    scale = np.abs(x).max(axis=-1, keepdims=True) / 127
    stored = np.rint(x / scale)
    for low in (2, 4, 6):
        fmt = parse_format(f"int{low}of8")
        step = 2 ** (8 - low)
        expected = np.clip(np.rint(stored / step), -(2 ** (low - 1)), 2 ** (low - 1) - 1) * step * scale
        assert np.array_equal(fitted_quantize(fmt, x), expected)
        grouped = parse_format(f"int{low}of8_g128")
        assert (grouped.name, grouped.bits_per_element) == (f"int{low}of8_g128", low + Fraction(16, 128))
        rows = parse_format(f"int{low}of8_channel_fp32").quantize(x)
        assert rows == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_second_rounding_costs_at_most_half_a_stored_step():
    x = np.random.default_rng(8).uniform(-110, 110, 100_000)
    for low in (4, 5, 6):
        fmt = parse_format(f"int{low}of8")
        inside = x[np.abs(x) < fmt.max_value]
        once = np.rint(inside / fmt.factor) * fmt.factor
        twice = fmt.quantize(inside)
        assert np.abs(twice - inside).max() <= (fmt.factor + 1) / 2
        # a stored integer halfway between two codes takes half of its numbers the longer way: 1/4 on step²/12
        ratio = np.sum((twice - inside) ** 2) / np.sum((once - inside) ** 2)
        assert ratio == pytest.approx(1 + 3 / fmt.factor**2, abs=0.01)


@pytest.mark.parametrize(("rounding", "one_way"), [("up", np.ceil), ("down", np.floor), ("toward_zero", np.trunc)])
def test_two_roundings_one_way_are_one(rounding, one_way):
    x = np.random.default_rng(6).uniform(-100, 100, 500)
    assert np.array_equal(parse_format("int4of8").quantize(x, rounding=rounding), one_way(x / 16) * 16)


@pytest.mark.parametrize("name", ["int8of8", "int1of8", "int4of17", "int9of8"])
def test_impossible_widths_are_refused(name):
    with pytest.raises(UsageError, match=f"{name}: valid:"):
        parse_format(name)


def test_nan_has_no_code():
    for use in (parse_format("int4of8").quantize, parse_format("int4of8").encode):
        with pytest.raises(ValueError, match="NaN"):
            use(np.array([np.nan]))


@pytest.mark.parametrize("name", ["int4of8", "int6of8", "int5of8", "int8", "mxint8"])
def test_bit_serial_terms_add_up_to_the_values(name):
    element = parse_format(name).element
    terms = term_table(element)
    weights = np.ldexp(1.0, terms.exponent + terms.bsig[:, None]) * terms.mantissa
    assert np.array_equal(np.sum(np.where(terms.sign == 1, -weights, weights), axis=0), element.code_values())


@pytest.mark.parametrize("options", [{"family": "int_mac", "format": "int8"}, {"family": "bitmod", "a_format": "fp16"},
                                     {"family": "float_mac", "w_format": "int4_g128", "a_format": "fp16"}])  # fmt: skip
def test_datapaths_of_integers_run_the_cut_width(options):
    pe = make_pe(options)
    nested, plain = parse_format("int4of8_g128"), parse_format("int4_g128")
    assert pe.supports(nested, pe.a_format) is None
    assert pe.cycles_per_step(nested, pe.a_format) == pe.cycles_per_step(plain, pe.a_format)
    assert arithmetic_sqnr_db(pe, nested, pe.a_format) > 80
