"""Binary PE: XNOR and popcount, conditional negation; area of synthesised units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.pe import make_pe, pairing
from hwsim.spec.errors import UsageError
from tests.support.synthesis import ROWS, lanes_of, ratio

bits = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80)


@given(bits, st.integers(1, 64))
def test_popcounts_are_sums_of_signs(pairs, lanes):
    pe = make_pe({"family": "binary", "lanes": lanes})
    w, a = np.array(pairs).T
    assert pe.dot(w, a, pe.w_format, pe.a_format) == sum((2 * x - 1) * (2 * y - 1) for x, y in pairs)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-128, 127)), min_size=1, max_size=30))
def test_integers_are_added_or_subtracted(pairs):
    pe = make_pe(pairing("binary_a8").pe_spec)
    w, a = np.array(pairs).T
    assert pe.dot(w, a & 255, pe.w_format, pe.a_format) == sum(x if sign else -x for sign, x in pairs)


@pytest.mark.parametrize("name", ["xnor_k32", "xnor_k64"])
def test_area_and_energy_of_synthesised_units(name):
    # The fit's 90th percentile is 15 %; energy has one density and one glitch factor for both units.
    row = ROWS[name]
    pe = make_pe({"family": "binary", "lanes": lanes_of(row), "accumulator": "int16"})
    assert ratio(pe, row) == pytest.approx(1, abs=0.15)
    assert ratio(pe, row, "energy") == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("options", [{"w_format": "ternary"}, {"a_format": "nf4"}, {"accumulator": "int4"}])
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "binary", **options})


def test_labels():
    assert pairing("binary").a_format.name == "binary"
    assert pairing("binary_a16").a_format.name == "fp16"
