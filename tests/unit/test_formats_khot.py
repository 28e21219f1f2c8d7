"""K-hot fixed point against its definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError

shapes = st.tuples(st.integers(2, 10), st.integers(0, 12), st.integers(1, 9)).filter(lambda s: s[2] < s[0])
numbers = st.lists(
    st.one_of(st.floats(-300, 300), st.integers(-999, 999).map(lambda n: n / 32)), min_size=1, max_size=30
)


def sums_of_powers(bits, fraction_bits, ones):
    """Every sum of at most ``ones`` different powers of two of the magnitude's places."""
    places = [2.0 ** (place - fraction_bits) for place in range(bits - 1)]
    return sorted({sum(chosen) for n in range(ones + 1) for chosen in combinations(places, n)})


@given(shapes)
def test_values_are_the_sums_of_so_many_powers(shape):
    bits, fraction_bits, ones = shape
    fmt = parse_format(f"fix{bits}_q{fraction_bits}_k{ones}")
    positive = sums_of_powers(*shape)
    assert fmt.values().tolist() == [-value for value in positive[:0:-1]] + positive
    for code, value in enumerate(fmt.code_values().tolist()):
        magnitude = code & (2 ** (bits - 1) - 1)
        if magnitude.bit_count() <= ones:
            assert value == (-1) ** (code >> (bits - 1)) * magnitude / 2**fraction_bits
        else:
            assert np.isnan(value)


@given(shapes, numbers)
def test_the_nearest_is_taken_and_the_lower_of_two(shape, xs):
    fmt = parse_format("fix{}_q{}_k{}".format(*shape))
    values = fmt.values().tolist()
    x = np.array(xs)
    assert fmt.quantize(x).tolist() == [min(values, key=lambda v: (abs(v - given), v)) for given in xs]
    codes = fmt.encode(x)
    assert max(int(code & (2 ** (shape[0] - 1) - 1)).bit_count() for code in codes) <= shape[2]
    assert np.array_equal(fmt.decode(codes), fmt.quantize(x))


@given(st.integers(2, 9), st.integers(0, 8), numbers)
def test_with_all_bits_it_is_symmetric_fixed_point(bits, fraction_bits, xs):
    fmt, fixed = parse_format(f"fix{bits}_q{fraction_bits}_k{bits - 1}"), parse_format(f"fix{bits}_q{fraction_bits}")
    assert fmt.values().tolist() == fixed.values().tolist()[1:]
    x = np.clip(np.array(xs), -fmt.max_value, fmt.max_value)
    halfway = np.abs(x) * 2**fraction_bits % 1 == 0.5
    assert np.array_equal(fmt.quantize(x[~halfway]), fixed.quantize(x[~halfway]))


def test_plain_bits_count_not_signed_digits():
    assert parse_format("fix5_q0_k2").quantize(np.array([7.0])).tolist() == [6.0]  # 8 - 1 would have two digits
    assert parse_format("fix5_q0_k1").values().tolist() == [-8, -4, -2, -1, 0, 1, 2, 4, 8]


def test_scaled_and_refused():
    fmt = parse_format("fix8_q7_k2_g64")
    assert (fmt.name, fmt.element.ones, float(fmt.bits_per_element)) == ("fix8_q7_k2_g64", 2, 8.25)
    for name in ("fix8_q4_k0", "fix8_q4_k8", "fix17_q4_k2", "fix1_q0_k1", "fix8_q33_k2"):
        with pytest.raises(UsageError, match=f"{name}: valid:"):
            parse_format(name)
