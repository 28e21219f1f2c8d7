"""Powers of two and K-hot weights: exact products by shifts, cost that grows with the powers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.pe.families.shift_mac import powers
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

NAMES = ["pot4", "pot4x1", "pot3x2", "pot4x2", "fix8_q7_k1", "fix8_q4_k2", "fix8_q7_k3"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lanes", [1, 3])
def test_every_weight_times_many_activations(name, lanes):
    fmt = parse_format(name)
    pe = make_pe({"family": "shift_mac", "w_format": name, "lanes": lanes})
    values = fmt.code_values()
    for code in np.flatnonzero(np.isfinite(values)):
        for x in (-128, -7, 0, 1, 127):
            w, a = np.array([code]), np.array([x & 255])
            assert pe.dot(w, a, pe.w_format, pe.a_format) == values[code] * x


@given(st.sampled_from(NAMES), st.data())
def test_sums_are_exact(name, data):
    fmt = parse_format(name)
    usable = [int(c) for c in np.flatnonzero(np.isfinite(fmt.code_values()))]
    some = st.tuples(st.sampled_from(usable), st.integers(-128, 127))
    pairs = data.draw(st.lists(some, min_size=1, max_size=16))
    pe = make_pe({"family": "shift_mac", "w_format": name})
    w, a = np.array(pairs).T
    assert pe.dot(w, a & 255, pe.w_format, pe.a_format) == sum(float(fmt.code_values()[c]) * x for c, x in pairs)


@pytest.mark.parametrize(("name", "terms", "most"), [("pot4", 1, 6), ("pot4x2", 2, 6), ("pot3x2", 2, 2),
                                                     ("fix8_q7_k3", 3, 6)])  # fmt: skip
def test_terms_and_shifts(name, terms, most):
    made = powers(parse_format(name).element)
    assert (made.terms, made.most) == (terms, most)


def test_more_powers_cost_more_until_a_multiplier_is_cheaper():
    tech = load_technology("7nm")
    found = [price_pe(make_pe({"family": "shift_mac", "w_format": f"fix8_q7_k{k}"}), tech) for k in (1, 2, 3)]
    areas = [price.area_um2 for price in found]
    assert areas == sorted(areas)
    int8 = price_pe(make_pe({"family": "int_mac", "format": "int8"}), tech)
    # One power saves the multiplier; three barrel shifters cost more than one 8 x 8 array.
    assert areas[0] < int8.area_um2 < areas[2]


@pytest.mark.parametrize("options", [{"w_format": "nf4"}, {"w_format": "int4"}, {"a_format": "fp16"},
                                     {"w_format": "complex2"}, {"accumulator": "int8"}])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "shift_mac", **options})
