"""Powers of integers against their definition: uniform codes in the power domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.accuracy import fitted_quantize, loss, sqnr_db
from hwsim.spec.errors import UsageError

names = st.tuples(st.integers(2, 9), st.integers(20, 200)).map(lambda ba: f"power{ba[0]}_a{ba[1]}")
numbers = st.lists(st.floats(-1.5, 1.5, allow_nan=False), min_size=1, max_size=40)


@given(names, numbers)
def test_codes_are_rounded_powers(name, xs):
    fmt = parse_format(name)
    for x, code in zip(xs, fmt.integers(fmt.encode(np.array(xs))).tolist(), strict=True):
        power = fmt.top * math.copysign(min(abs(x), 1.0) ** fmt.exponent, x)
        if abs(abs(power) % 1 - 0.5) < 1e-9:  # the float64 bound and the float64 power need not agree on a tie
            assert code in (math.floor(power), math.ceil(power))
        else:
            assert code == round(power)


@given(names)
def test_values_are_the_roots_of_codes(name):
    fmt = parse_format(name)
    codes = np.arange(2**fmt.bits)
    values, whole = fmt.decode(codes), fmt.integers(codes)
    assert np.flatnonzero(np.isnan(values)).tolist() == [fmt.top + 1]
    for value, q in zip(values.tolist(), whole.tolist(), strict=True):
        if q >= -fmt.top:
            assert value == pytest.approx(math.copysign((abs(q) / fmt.top) ** (1 / fmt.exponent), q), rel=1e-14)
    assert np.array_equal(fmt.integers(fmt.encode(values[~np.isnan(values)])), whole[~np.isnan(values)])


def test_products_of_codes_are_codes_of_products():
    fmt = parse_format("power4_a50")
    a, b = np.meshgrid(np.arange(1, 8), np.arange(1, 8))
    product = fmt.decode(a) * fmt.decode(b)
    assert (a * b / 49) ** (1 / fmt.exponent) == pytest.approx(product, rel=1e-14)


@given(st.integers(2, 12), numbers)
def test_an_exponent_of_one_is_the_symmetric_integer_but_for_ties(bits, xs):
    power, integer = parse_format(f"power{bits}_a100"), parse_format(f"int{bits}")
    x = np.array(xs)
    scaled = np.clip(x, -1, 1) * power.top
    x, scaled = (part[np.abs(np.abs(scaled) % 1 - 0.5) > 1e-9] for part in (x, scaled))
    assert np.array_equal(power.integers(power.encode(x)), integer.quantize(scaled))


@given(names)
def test_bounds_go_towards_zero(name):
    fmt = parse_format(name)
    bounds = ((np.arange(fmt.top) + 0.5) / fmt.top) ** (1 / fmt.exponent)
    below = fmt.decode(np.arange(fmt.top))
    assert np.array_equal(fmt.quantize(bounds), below)
    assert np.array_equal(fmt.quantize(-bounds), -below)
    above = np.nextafter(bounds, np.inf)
    assert np.array_equal(fmt.quantize(above), fmt.decode(np.arange(1, fmt.top + 1)))
    assert np.array_equal(fmt.quantize(-above), -fmt.quantize(above))
    assert np.array_equal(fmt.quantize(bounds, rounding="nearest_away"), fmt.quantize(above))


@given(names, numbers)
def test_order_sign_and_repetition(name, xs):
    fmt = parse_format(name)
    for dtype in (np.float32, np.float64):
        x = np.sort(np.array(xs, dtype=dtype))
        found = fmt.quantize(x)
        assert np.all(np.diff(found) >= 0)
        assert np.array_equal(fmt.quantize(found), found)
        assert np.array_equal(fmt.quantize(-x), -found)


@given(names, numbers, st.integers(0, 99))
def test_other_roundings_take_a_neighbour(name, xs, seed):
    fmt = parse_format(name)
    x = np.array(xs)
    down, up = (fmt.quantize(x, rounding=rounding) for rounding in ("down", "up"))
    assert np.all((down <= np.clip(x, -1, 1)) & (np.clip(x, -1, 1) <= up))
    for rounding in ("nearest_away", "stochastic"):
        found = fmt.quantize(x, rounding=rounding, seed=seed)
        assert np.all((found == down) | (found == up))


def test_stochastic_rounding_expects_the_number_itself():
    fmt = parse_format("power4_a50")
    value, (low, high) = (2.3 / 7) ** 2, fmt.decode(np.array([2, 3]))
    found = fmt.quantize(np.full(100_000, value), rounding="stochastic", seed=3)
    share = (value - low) / (high - low)  # 0.258, not the 0.3 of the power domain
    # five standard errors
    assert np.mean(found == high) == pytest.approx(share, abs=5 * (share * (1 - share) / 100_000) ** 0.5)
    assert np.mean(found == low) == 1 - np.mean(found == high)


def test_less_than_one_serves_bell_shapes():
    """PowerQuant's point: for bell-shaped data an exponent below 1 loses least."""
    assert sqnr_db(parse_format("power4_a70")) > sqnr_db(parse_format("int4"))
    x = np.random.default_rng(2).laplace(size=(16, 4096))
    errors = {a: loss(x, fitted_quantize(parse_format(f"power4_a{a}"), x)).mse for a in (40, 60, 100, 150)}
    assert min(errors, key=errors.get) in (40, 60)


@pytest.mark.parametrize("name", ["power1_a50", "power17_a50", "power4_a19", "power4_a201"])
def test_impossible_names_are_refused(name):
    with pytest.raises(UsageError, match=f"{name}: valid:"):
        parse_format(name)
