"""The integer MAC: exact dots, wrap-around, passes, and its area against synthesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError


@given(st.integers(2, 8), st.integers(2, 8), st.integers(1, 4), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_dot_is_the_integer_dot_product(w_bits, a_bits, lanes, k, seed):
    pe = make_pe({"family": "int_mac", "w_format": f"int{w_bits}", "a_format": f"int{a_bits}", "lanes": lanes})
    rng = np.random.default_rng(seed)
    w = rng.integers(-(2 ** (w_bits - 1)), 2 ** (w_bits - 1), k)
    a = rng.integers(-(2 ** (a_bits - 1)), 2 ** (a_bits - 1), k)
    codes = (w & (2**w_bits - 1)).astype(np.uint32), (a & (2**a_bits - 1)).astype(np.uint32)
    assert pe.dot(*codes, pe.w_format, pe.a_format) == w @ a


def test_a_narrow_accumulator_wraps_as_twos_complement():
    pe = make_pe({"family": "int_mac", "format": "int8", "accumulator": "int16"})
    codes = np.full(3, 0x80, dtype=np.uint32)  # (-128)^2 three times: 49152 is -16384 in 16 bits
    assert pe.dot(codes, codes, pe.w_format, pe.a_format) == -16384


@pytest.mark.parametrize(("bits", "held"), [(48, True), (40, True), (33, False)])
def test_accumulators_may_be_wider_than_numbers_in_memory(bits, held):
    pe = make_pe({"family": "int_mac", "format": "int16", "accumulator": f"int{bits}", "lanes": 2})
    least = np.full(100, 0x8000, dtype=np.uint32)  # (-32768)^2 a hundred times is more than 36 bits
    exact = 100 * 32768**2
    assert (pe.dot(least, least, pe.w_format, pe.a_format) == exact) == held
    assert pe.dot(least, least, pe.w_format, pe.a_format) % 2**bits == exact % 2**bits
    assert pe.psum_bits == bits


def test_wider_weights_take_passes():
    pe = make_pe({"family": "int_mac", "w_format": "int4_g128", "a_format": "int8"})
    assert pe.cycles_per_step(parse_format("int8"), parse_format("int8")) == 2
    assert pe.cycles_per_step(pe.w_format, pe.a_format) == 1
    assert pe.scaling(pe.w_format, pe.a_format) == "sum"
    assert pe.scaling(parse_format("int8"), parse_format("int8")) == "none"
    assert pe.dequant_parts(pe.w_format, pe.a_format)


def test_what_it_cannot_compute_it_says():
    pe = make_pe({"family": "int_mac", "format": "int8"})
    assert "integers" in str(pe.supports(parse_format("fp16"), parse_format("int8")))
    assert "wider" in str(pe.supports(parse_format("int8"), parse_format("int16")))
    assert pe.supports(parse_format("int4_g128"), parse_format("int8")) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "int_mca", "format": "int8"}, "did you mean 'int_mac'"),
        ({"family": "int_mac", "format": "fp16"}, "integer formats"),
        ({"family": "int_mac", "format": "int8", "acumulator": "int32"}, "did you mean 'accumulator'"),
        ({"family": "int_mac", "format": "int8", "accumulator": "int8"}, "16 to 53"),
        ({"family": "int_mac", "format": "int8", "accumulator": "int54"}, "wider than 53 bits"),
        ({"family": "int_mac", "format": "int8", "accumulator": "uint32"}, "uint32 does not hold .*signed integer"),
        ({"family": "int_mac", "format": "int8", "accumulator": "int048"}, "int048"),
        ({"family": "int_mac", "format": "int32"}, "fewer bits or lanes"),
        ({"family": "int_mac", "format": "int8", "lanes": 0}, "lanes"),
        ({"family": "int_mac", "w_format": "int8"}, "a_format"),
        ({"format": "int8"}, "family"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        make_pe(options)


# ASAP7 area in um2 of MACs without operand registers ; the fit's p90 is 15 %.
@pytest.mark.parametrize(("w", "a", "acc", "area"), [("int4", "int4", "int16", 21), ("int8", "int8", "int32", 62)])
def test_area_is_the_synthesised_one(w, a, acc, area):
    pe = make_pe({"family": "int_mac", "w_format": w, "a_format": a, "accumulator": acc})
    price = price_pe(pe, load_technology("7nm"))
    mac = sum(r.area_um2 for r in price.rows if r.part.role in ("multiplier", "accumulator adder", "accumulator"))
    assert mac == pytest.approx(area, rel=0.15)
    assert price.area_um2 > mac
    assert price.energy_fj == pytest.approx(sum(r.energy_fj for r in price.rows))
