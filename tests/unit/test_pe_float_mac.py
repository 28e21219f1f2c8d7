"""The float MAC: one rounding per addition, exactly; its area against synthesised MACs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.sums import add_round_odd
from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError
from tests.support.exact import round_fraction


@given(
    st.sampled_from(["fp8_e4m3", "fp8_e5m2", "bf16", "fp16", "fp4_e2m1", "int8"]),
    st.sampled_from(["fp32", "fp16", "bf16"]),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
def test_every_addition_rounds_the_exact_sum_once(name, accumulator, lanes, seed):
    pe = make_pe({"family": "float_mac", "format": name, "accumulator": accumulator, "lanes": lanes})
    values = pe.w_format.element.code_values()
    if not pe.keeps_subnormals(pe.w_format):
        values = np.where(np.abs(values) < 2.0**pe.w_format.min_exponent, 0.0, values)
    finite = np.flatnonzero(np.isfinite(values) & (np.abs(values) < 1e3))
    w, a = np.random.default_rng(seed).choice(finite, (2, 12)).astype(np.uint32)
    expected = 0.0
    for x, y in zip(values[w], values[a], strict=True):
        expected = round_fraction(Fraction(expected) + Fraction(float(x)) * Fraction(float(y)), pe.accumulator)
    assert pe.dot(w, a, pe.w_format, pe.a_format) == expected


def test_round_to_odd_saves_the_case_that_double_rounding_loses():
    fp16 = parse_format("fp16")
    x, y = np.array([1.0 + 2.0**-11]), np.array([2.0**-60])  # just above a midpoint of fp16
    assert fp16.quantize(x + y)[0] == 1.0
    assert fp16.quantize(add_round_odd(x, y))[0] == 1.0 + 2.0**-10


def test_only_what_fits_is_supported():
    pe = make_pe({"family": "float_mac", "format": "fp16"})
    assert pe.supports(parse_format("fp8_e5m2"), parse_format("fp16")) is None
    assert "built for integers" in str(pe.supports(parse_format("int8"), parse_format("fp16")))
    w4 = make_pe({"family": "float_mac", "w_format": "int4_g128", "a_format": "fp16"})
    assert w4.supports(w4.w_format, w4.a_format) is None
    assert "zero point" in str(w4.supports(parse_format("int4_asym_g128"), parse_format("fp16")))
    assert "do not fit" in str(pe.supports(parse_format("mxfp8_e4m3"), parse_format("fp16")))
    assert "do not fit" in str(pe.supports(parse_format("bf16"), parse_format("fp16")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "fp16", "accumulator": "int32"}, "valid: a float"),
        ({"format": "fp32", "w_format": "bitmod4_g128"}, "not bitmod4_g128"),
        ({"w_format": "int4_asym_g128", "a_format": "fp16"}, "zero points"),
        ({"format": "fp16", "subnormals": "yes"}, "valid: true, false, auto"),
        ({"format": "fp16", "lanes": True}, "lanes"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        make_pe({"family": "float_mac", **options})


# ASAP7 area in um2 of synthesised MACs into FP32 and into their own format (structural rows).
MACS = {("bf16", "fp32"): 177.5, ("fp16", "fp32"): 207.4, ("fp8_e4m3", "fp32"): 144.4, ("fp8_e5m2", "fp32"): 139.1,
        ("fp4_e2m1", "fp32"): 131.2, ("bf16", "bf16"): 107.4, ("fp16", "fp16"): 142.0}  # fmt: skip


@pytest.mark.parametrize(("formats", "area"), MACS.items())
def test_area_is_the_synthesised_one(formats, area):
    # As synthesised: what is added in FP32 is exact, in the format itself a rounded product.
    options = {"format": formats[0], "accumulator": formats[1], "subnormals": False}
    if formats[1] != "fp32":
        options["product"] = formats[1]
    pe = make_pe({"family": "float_mac", **options})
    price = price_pe(pe, load_technology("7nm"))
    mac = sum(r.area_um2 for r in price.rows if r.part.role != "operands")
    assert mac == pytest.approx(area, rel=0.07)


@given(
    st.sampled_from(["fp8_e4m3", "fp8_e5m2", "bf16", "fp16"]),
    st.sampled_from(["fp16", "bf16", "fp8_e5m2"]),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
def test_products_are_rounded_before_they_are_added_where_it_is_not_fused(name, product, lanes, seed):
    pe = make_pe({"family": "float_mac", "format": name, "product": product, "lanes": lanes, "subnormals": True})
    values = pe.w_format.element.code_values()
    finite = np.flatnonzero(np.isfinite(values) & (np.abs(values) < 100))
    w, a = np.random.default_rng(seed).choice(finite, (2, 12)).astype(np.uint32)
    expected = 0.0
    for x, y in zip(values[w], values[a], strict=True):
        rounded = round_fraction(Fraction(float(x)) * Fraction(float(y)), parse_format(product))
        expected = round_fraction(Fraction(expected) + Fraction(rounded), pe.accumulator)
    assert pe.dot(w, a, pe.w_format, pe.a_format) == expected


def test_rounding_products_costs_a_rounder_and_saves_width():
    def price(**options):
        return price_pe(make_pe({"family": "float_mac", "format": "fp16", "accumulator": "fp16", **options}), tech)

    tech = load_technology("7nm")
    fused, rounded = price(), price(product="fp16")
    roles = {row.part.role for row in rounded.rows} - {row.part.role for row in fused.rows}
    assert roles == {"normalise product", "sticky product", "round product", "flush product"}
    assert rounded.area_um2 < fused.area_um2  # the adder is 14 bits wide instead of 25
    assert make_pe({"family": "float_mac", "format": "fp16", "product": "exact"}).product is None
    with pytest.raises(UsageError, match="product"):
        make_pe({"family": "float_mac", "format": "fp16", "product": "int8"})


def test_the_multiplier_is_the_smaller_part_of_a_narrow_mac():
    price = price_pe(make_pe({"family": "float_mac", "format": "fp8_e4m3"}), load_technology("7nm"))
    multiplier = sum(r.area_um2 for r in price.rows if r.part.group == "multiplier")
    assert multiplier < 0.15 * price.area_um2


@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e2m3", "mxfp8_e4m3", "nvfp4"])
def test_block_scales_act_on_every_product_exactly(name):
    pe, rng = make_pe({"family": "float_mac", "format": name}), np.random.default_rng(5)
    fmt, k = pe.w_format, 64
    assert pe.scaling(fmt, fmt) == "product"
    finite = np.flatnonzero(np.isfinite(fmt.element.code_values()))
    w, a = rng.choice(finite, (2, k)).astype(np.uint32)
    blocks = k // fmt.block_size
    if name == "nvfp4":
        codes = rng.integers(1, 0x7F, (2, blocks)).astype(np.uint32)  # positive E4M3 scales
        per_block = np.prod(parse_format("fp8_e4m3").decode(codes), axis=0)
    else:
        per_block = np.ldexp(1.0, rng.integers(-10, 10, (2, blocks)).sum(axis=0))
    scales = np.repeat(per_block, fmt.block_size)
    values = fmt.element.code_values()
    expected = 0.0
    for x, y, s in zip(values[w], values[a], scales, strict=True):
        exact = Fraction(expected) + Fraction(float(x)) * Fraction(float(y)) * Fraction(float(s))
        expected = round_fraction(exact, pe.accumulator)
    assert pe.dot(w, a, fmt, fmt, scales) == expected


def test_scales_and_subnormals_have_their_price():
    tech = load_technology("7nm")

    def area(name, **options):
        return price_pe(make_pe({"family": "float_mac", "format": name, **options}), tech).area_um2

    assert area("fp4_e2m1") < area("mxfp4") < area("nvfp4")
    assert area("fp16") < area("fp16", subnormals=True)
    assert area("fp8_e4m3") == area("fp8_e4m3", subnormals=True) > area("fp8_e4m3", subnormals=False)


def test_flushed_subnormals_count_as_zero():
    codes = np.array([1], dtype=np.uint32)  # the smallest subnormal
    one = parse_format("fp16").encode(np.array([1.0]))
    for kept in (True, False):
        pe = make_pe({"family": "float_mac", "format": "fp16", "subnormals": kept})
        assert pe.dot(codes, one, pe.w_format, pe.a_format) == (2.0**-24 if kept else 0.0)


def test_lanes_are_adders_in_series():
    tech = load_technology("7nm")
    one, four = (price_pe(make_pe({"family": "float_mac", "format": "fp16", "lanes": n}), tech) for n in (1, 4))
    assert four.delay_ps > 3 * one.delay_ps
    assert 3.5 * one.area_um2 < four.area_um2 < 4 * one.area_um2


@pytest.mark.parametrize(
    ("options", "slowest"),
    [
        ({"family": "float_mac", "w_format": "fp8_e4m3", "a_format": "fp8_e5m2"}, "weight"),
        ({"family": "float_mac", "w_format": "fp4_e2m1", "a_format": "fp8_e4m3"}, "activation"),
        ({"family": "approx_mac", "format": "bf16"}, "weight"),
        ({"family": "ant", "w_format": "flint4", "a_format": "flint5"}, "activation"),
        ({"family": "olive", "w_format": "olive4_tensor", "a_format": "olive8_tensor"}, "activation"),
    ],
)
def test_decoders_of_both_operands_work_at_the_same_time(options, slowest):
    decoders = [part for part in make_pe(options).parts() if part.group == "decode"]
    assert {part.role.split()[0] for part in decoders if part.role != "zero detection"} == {"weight", "activation"}
    assert {part.role.split()[0] for part in decoders if part.on_path} == {slowest}
