"""Stochastic rounding, Hadamard, dyadic requantization, modular multiplication: behaviour and parts."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.hardware.circuits import GROUPS
from hwsim.hardware.technology import load_technology
from hwsim.hardware.units import UNITS, make_unit
from hwsim.spec.errors import UsageError

WIDER = {"stochastic_rounding": {"bits": 32}, "hadamard": {"bits": 20}, "dyadic_requantization": {"bits": 40},
         "modular_multiplier": {"bits": 40}}  # fmt: skip


@pytest.mark.parametrize("name", UNITS.names())
def test_units_are_whole_priced_and_grow(name):
    unit, wide = make_unit(name), make_unit(name, WIDER[name])
    assert {p.group for p in unit.parts()} <= set(GROUPS)
    assert any(p.group == "register" for p in unit.parts())
    small, large = (u.price(load_technology("7nm")) for u in (unit, wide))
    assert 0 < small.area_um2 < large.area_um2
    assert 0 < small.energy_fj < large.energy_fj
    with pytest.raises(UsageError, match="valid"):
        make_unit(name, {"bits": 1000})
    with pytest.raises(UsageError, match="no such option"):
        make_unit(name, {"width": 8})


@pytest.mark.parametrize("state_bits", [8, 16])
def test_the_lfsr_has_the_longest_period(state_bits):
    unit = make_unit("stochastic_rounding", {"state_bits": state_bits, "dropped": 1})
    state, period = unit.step(1), 1
    while state != 1:
        state, period = unit.step(state), period + 1
    assert period == 2**state_bits - 1


@pytest.mark.parametrize("dropped", [1, 4, 7, 8])
@pytest.mark.parametrize("value", [0, 1, 100, 255, 1000, -1, -77])
def test_stochastic_rounding_is_unbiased(dropped, value):
    unit = make_unit("stochastic_rounding", {"dropped": dropped})
    count = 2**16 - 1  # once around, or a whole divisor of it several times
    found = unit.round(np.full(count, value), seed=0xACE1)
    assert set(np.unique(found)) <= {value >> dropped, (value >> dropped) + 1}
    assert abs(found.mean() - value / 2**dropped) <= 2.0**-14  # all patterns but one of zeros


def test_a_standing_generator_is_refused():
    with pytest.raises(UsageError, match="seed"):
        make_unit("stochastic_rounding").random_bits(3, seed=0)


@pytest.mark.parametrize("group", [2, 8, 32])
def test_hadamard_is_the_matrix(group):
    unit = make_unit("hadamard", {"group": group})
    matrix = np.array([[1]])
    while len(matrix) < group:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    x = np.random.default_rng(1).integers(-(2**15), 2**15, (3, 5, group))
    assert np.array_equal(unit.transform(x), x @ matrix)
    assert np.array_equal(unit.transform(unit.transform(x)), group * x)
    assert np.abs(unit.transform(x)).max() <= 2 ** (unit.bits - 1 + unit.stages)
    adders = sum(p.count for p in unit.parts() if p.group == "accumulator")
    assert adders == unit.operations()["add"] == group * np.log2(group)


@settings(max_examples=100)
@given(st.integers(-(2**31), 2**31 - 1), st.floats(2.0**-31, 0.99))
def test_dyadic_requantization_is_exact_arithmetic(x, scale):
    unit = make_unit("dyadic_requantization")
    b, c = unit.dyadic(scale)
    assert 2**15 <= b < 2**16
    assert abs(Fraction(b, 2**c) / Fraction(scale) - 1) <= Fraction(1, 2**16)
    exact = floor(Fraction(x * b, 2**c) + Fraction(1, 2))
    assert unit.requantize(np.array([x]), scale)[0] == max(-127, min(127, exact))


@settings(max_examples=150)
@given(st.integers(4, 62), st.data())
def test_barrett_and_bytes_are_modular_multiplication(bits, data):
    unit = make_unit("modular_multiplier", {"bits": bits})
    q = data.draw(st.integers(2 ** (bits - 1) + 1, 2**bits - 1))
    x, y = (data.draw(st.integers(0, q - 1)) for _ in range(2))
    assert unit.multiply(x, y, q) == x * y % q


@settings(max_examples=100)
@given(st.integers(2**30 + 1, 2**31 - 1), st.data())
def test_byte_matrices_give_the_product_with_16_byte_macs(q, data):
    unit = make_unit("modular_multiplier")
    a, x = (data.draw(st.integers(0, q - 1)) for _ in range(2))
    matrix = unit.byte_matrix(a, q)
    assert matrix.size == unit.byte_macs == 16  # CROSS: 4 bytes per residue below 2^31
    assert matrix.min() >= 0
    assert matrix.max() <= 255
    assert unit.multiply_bytes(matrix, x, q) == a * x % q


def test_sums_of_bytes_that_one_reduction_does_not_take_are_refused():
    unit = make_unit("modular_multiplier", {"bits": 10})
    with pytest.raises(UsageError, match="sum of byte products"):
        unit.multiply_bytes(unit.byte_matrix(500, 1000), 3, 1000)
    for bits in (8, 13, 18, 24, 31, 40):
        wide = make_unit("modular_multiplier", {"bits": bits})
        q, a, x = 2**bits - 1, 2**bits - 3, 2**bits - 7
        assert wide.multiply_bytes(wide.byte_matrix(a, q), x, q) == a * x % q
