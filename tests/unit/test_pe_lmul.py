"""L-Mul: dot products, area beside synthesis, labels; its products are those of tests/unit/test_formats_approximate.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.approximate import multiply
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.hardware.technology.operations import operation_parts
from hwsim.spec.errors import UsageError


@given(st.sampled_from(["formula", "bitfield"]), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_dot_adds_products_with_one_rounding_each(semantics, lanes, seed):
    pe = make_pe({"family": "lmul", "format": "fp8_e4m3", "semantics": semantics, "lanes": lanes})
    finite = np.flatnonzero(np.isfinite(pe.w_format.code_values()))
    w, a = np.random.default_rng(seed).choice(finite, (2, 10)).astype(np.uint32)
    expected = np.float32(0)
    for product in multiply(f"lmul_{semantics}", pe.w_format, w, a):
        expected = np.float32(np.float64(expected) + product)  # both have few bits: the sum is exact
    assert pe.dot(w, a, pe.w_format, pe.a_format) == float(expected)


# ASAP7 area in um2 of synthesised L-Mul MACs into FP32 and of bare L-Mul units (bit fields).
MACS = {"fp8_e4m3": 134.8, "fp8_e5m2": 134.4, "bf16": 143.0, "fp16": 142.0}
BARE = {"bf16": 13.28, "fp6_e3m2": 5.06, "fp8_e5m2": 7.07, "fp12_e5m6": 11.77, "fp32": 26.39, "fp8_e4m3": 5.7}


@pytest.mark.parametrize(("name", "area"), MACS.items())
def test_area_of_the_mac_is_the_synthesised_one(name, area):
    price = price_pe(make_pe({"family": "lmul", "format": name}), load_technology("7nm"))
    assert sum(r.area_um2 for r in price.rows if r.part.role != "operands") == pytest.approx(area, rel=0.15)


@pytest.mark.parametrize(("name", "area"), BARE.items())
def test_area_of_the_bare_unit(name, area):
    # The note calls L-Mul one of the worst fitted: ±20 %; here ripple adders of full cells stand
    # for an addition of a constant, which synthesis trims.
    price = price_pe(make_pe({"family": "lmul", "format": name}), load_technology("7nm"))
    assert sum(r.area_um2 for r in price.rows if r.part.group in ("multiplier", "decode")) == pytest.approx(
        area, rel=0.35
    )


def test_area_of_bf16_l_mul_over_a_multiplier_that_rounds_to_bf16():
    # .239 combinational in FreePDK45 and .332 registered in Nangate45, public syntheses; asked within 25 %
    tech, (exact, _) = load_technology("7nm"), operation_parts("mul", parse_format("bf16"))
    rows = price_pe(make_pe({"family": "lmul", "format": "bf16"}), tech).rows
    cheap = sum(r.area_um2 for r in rows if r.part.group in ("multiplier", "decode"))
    found = cheap / sum(tech.price(part.circuit).area_um2 * part.count for part in exact)
    assert 0.24 * 0.75 <= found <= 0.33 * 1.25


def test_most_of_the_saving_is_lost_behind_the_accumulator():
    # Synthesised at 7 nm: 69 % of a bf16 multiplier, 20 % of the MAC; 54 % and 6 % for e4m3.
    tech = load_technology("7nm")

    def areas(family, name):
        rows = price_pe(
            make_pe({"family": family, "format": name, **({"subnormals": False} if family == "float_mac" else {})}),
            tech,
        ).rows
        multiplier = sum(
            r.area_um2 for r in rows if r.part.group in ("multiplier", "decode") or r.part.role == "exponent adder"
        )
        return multiplier, sum(r.area_um2 for r in rows if r.part.role != "operands")

    for name, whole in (("bf16", 0.20), ("fp8_e4m3", 0.06)):
        (exact, exact_mac), (cheap, cheap_mac) = areas("float_mac", name), areas("lmul", name)
        assert 1 - cheap / exact > 2.5 * (1 - cheap_mac / exact_mac)
        assert 1 - cheap_mac / exact_mac == pytest.approx(whole, abs=0.08)


def test_labels_name_format_and_semantics():
    assert pairing("lmul_e4m3").pe_spec == {"family": "lmul", "format": "fp8_e4m3", "semantics": "bitfield"}
    assert pairing("lmul_bf16_formula").pe_spec["semantics"] == "formula"
    with pytest.raises(UsageError, match="lmul_e4m3"):
        pairing("lmul_e4m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "int8"}, "one float"),
        ({"w_format": "bf16", "a_format": "fp16"}, "one float for both"),
        ({"format": "fp8_e7m0"}, "mantissa bit"),
        ({"format": "bf16", "semantics": "formulae"}, "did you mean 'formula'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        make_pe({"family": "lmul", **options})


def test_it_computes_its_own_format_only():
    pe = make_pe({"family": "lmul", "format": "bf16"})
    assert pe.supports(pe.w_format, pe.a_format) is None
    assert "one format" in str(pe.supports(parse_format("fp16"), pe.a_format))
