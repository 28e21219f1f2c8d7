"""Lossless accumulation: exact sums of every pair of codes, widths of the minifloat paper, FPGA and ASIC prices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.approximate import multiply
from hwsim.formats.sums import lossless_float_bits, lossless_integer_bits
from hwsim.hardware.fpga import family_cells, load_fabric
from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.pe import make_pe
from hwsim.hardware.target import pe_on_fabric
from hwsim.spec.errors import UsageError

ZCU104 = load_device("zcu104")
FORMATS = ("int2", "int3", "int4", "int6", "int8", "fp4_e2m1", "fp6_e2m3", "fp6_e3m2", "fp8_e4m3", "fp8_e5m2")


@pytest.mark.parametrize(
    ("name", "bits"),
    [("int8", 30), ("fp4_e2m1", 22), ("fp6_e2m3", 26), ("fp6_e3m2", 32), ("fp8_e4m3", 50), ("fp8_e5m2", 80)],
)
def test_accumulators_are_as_wide_as_the_minifloat_paper_says(name: str, bits: int) -> None:
    assert make_pe({"family": "exact_mac", "format": name}).psum_bits == bits
    assert lossless_integer_bits(8, 8, 4608) == 30
    assert lossless_float_bits((4, 3), (4, 3), 4608) == 50


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("product", ["exact", "lmul"])
@given(data=st.data())
def test_sums_are_exact(name: str, product: str, data: st.DataObject) -> None:
    fmt = parse_format(name)
    if product == "lmul" and name.startswith("int"):
        return
    pe = make_pe({"family": "exact_mac", "format": name, "product": product, "lanes": 4, "length": 64})
    values = fmt.element.decode(np.arange(1 << fmt.bits))
    codes = st.sampled_from(np.flatnonzero(np.isfinite(values)).tolist())
    length = data.draw(st.integers(1, 64))
    w, a = (np.array(data.draw(st.lists(codes, min_size=length, max_size=length))) for _ in "wa")
    products = values[w] * values[a] if product == "exact" else multiply("lmul_bitfield", fmt.element, w, a)  # type: ignore[arg-type]
    exact = sum((Fraction(value) for value in products.tolist()), Fraction(0))
    assert pe.dot(w, a, fmt, fmt) == float(exact)


@pytest.mark.parametrize("name", ["int8", "fp8_e5m2"])
def test_longest_sums_do_not_wrap_and_longer_ones_may(name: str) -> None:
    fmt = parse_format(name)
    values = fmt.element.decode(np.arange(1 << fmt.bits))
    least = int(np.argmin(np.where(np.isfinite(values), values, 0)))
    pe = make_pe({"family": "exact_mac", "format": name, "length": 16})
    for length in (16, 16 << 3):
        codes = np.full(length, least)
        right = pe.dot(codes, codes, fmt, fmt) == length * values[least] ** 2
        assert right or length > 16


@pytest.mark.parametrize("name", FORMATS)
def test_fabric_price_is_that_of_the_synthesised_family(name: str) -> None:
    pe = make_pe({"family": "exact_mac", "format": name})
    element = pe.w_format.element
    if name.startswith("int"):
        cells = family_cells("int_mac", {"wa": pe.w_format.bits, "wb": pe.w_format.bits, "acc": pe.psum_bits})
    else:
        fields = {"E": element.exponent_bits, "M": element.mantissa_bits}  # type: ignore[attr-defined]
        cells = family_cells("fp_mac_kulisch", {**fields, "acc": pe.psum_bits})
    # Parts take whole LUTs each; a sign's gate is one more.
    assert pe_on_fabric(pe, ZCU104, "never").sites.lut == pytest.approx(load_fabric().luts(cells), abs=3.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "bf16"}, "valid: up to 8 bits"),
        ({"format": "int8_g128"}, "two signed integers or two minifloats, no blocks"),
        ({"w_format": "int8", "a_format": "fp8_e4m3"}, "two signed integers or two minifloats"),
        ({"format": "uint8"}, "two signed integers or two minifloats"),
        ({"format": "int8", "product": "lmul"}, "L-Mul takes one float for both"),
        ({"format": "int8", "length": 0}, "length: must be a whole number from 1"),
        ({"format": "int8", "product": "rough"}, "exact_mac knows no 'rough'"),
    ],
)
def test_mistakes_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_pe({"family": "exact_mac", **options})
