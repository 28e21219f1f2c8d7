"""ANT's PE: bases and shifts of flint, products against values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.families.ant import base_and_shift, base_bits, most_shift
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

LEVELS = {4: [0, 1, 2, 3, 4, 6, 8, 16], 5: [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32, 64]}


@pytest.mark.parametrize(("name", "most"), [("flint4", 3), ("flint5", 4)])
def test_every_code_is_a_small_base_and_a_shift(name, most):
    fmt = parse_format(name)
    base, shift = base_and_shift(fmt, np.arange(2**fmt.bits))
    assert np.array_equal(np.sign(base) * (np.abs(base) << shift), fmt.code_values())
    assert np.abs(base).max() < 2 ** (base_bits(fmt) - 1)
    assert most_shift(fmt) == shift.max() == most


@given(st.sampled_from([4, 5]), st.integers(1, 4), st.data())
def test_products_are_those_of_the_values(bits, lanes, data):
    pe = make_pe({"family": "ant", "format": f"flint{bits}", "lanes": lanes})
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, 2**bits - 1)] * 2), min_size=1, max_size=16))

    def value(code):
        return LEVELS[bits][code % 2 ** (bits - 1)] * (-1 if code >= 2 ** (bits - 1) else 1)

    w, a = np.array(pairs).T
    assert pe.dot(w, a, pe.w_format, pe.a_format) == sum(value(x) * value(y) for x, y in pairs)


def test_a_decoder_costs_less_than_a_table_and_a_float_mac():
    tech = load_technology("7nm")
    ours = price_pe(make_pe(pairing("flint4").pe_spec), tech).area_um2
    table = price_pe(make_pe({"family": "codebook_mac", "w_format": "flint4"}), tech).area_um2
    int4 = price_pe(make_pe({"family": "int_mac", "format": "int4"}), tech).area_um2
    assert int4 < ours < table


@pytest.mark.parametrize("options", [{"w_format": "nf4"}, {"a_format": "fp16"}, {"accumulator": "int8"}])
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "ant", **options})
