"""Approximate multipliers: published and measured errors, the integer addition, code by code."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import Minifloat, parse_format
from hwsim.formats.approximate import MULTIPLIERS, TABLE_BITS, multiplier_error, multiply
from hwsim.formats.multiplier.lmul import offset_bits
from hwsim.spec.errors import UsageError

DATA = Path(__file__).parents[1] / "data"
SIX_DECIMALS = list(csv.DictReader((DATA / "lmul_error.csv").open()))
FOUR_DECIMALS = list(csv.DictReader((DATA / "lmul_error_semantics.csv").open()))
VARIANTS = {
    "formula (1+a+b+2^-l)": "lmul_formula",
    "integer add with carry into exponent": "lmul_bitfield",
    "Mitchell (no offset)": "mitchell",
}
ADDERS = list(VARIANTS.values())


@pytest.mark.parametrize(
    "row", FOUR_DECIMALS, ids=[f"{VARIANTS[r['variant']]}-{r['mant_bits']}" for r in FOUR_DECIMALS]
)
def test_every_printed_digit_of_the_table(row):
    found = multiplier_error(VARIANTS[row["variant"]], int(row["mant_bits"]))
    printed = [row[f"{name}_rel_err"] for name in ("mean_abs", "mean", "max_abs", "rms")]
    assert list(found) == pytest.approx([float(text) for text in printed], abs=5.1e-5)  # four decimals


@pytest.mark.parametrize("row", SIX_DECIMALS, ids=[f"m{r['m']}" for r in SIX_DECIMALS])
def test_every_printed_digit_of_the_other_table(row):
    m = int(row["m"])
    assert offset_bits(m) == int(row["l"])
    real, bit, mitchell = (multiplier_error(name, m) for name in ADDERS)
    found = [real.mean, real.mean_abs, real.max_abs, bit.mean, bit.mean_abs, bit.max_abs, mitchell.mean_abs,
             mitchell.mean, multiplier_error("rounded", m).mean_abs]  # fmt: skip
    columns = ["meanrel_real", "mre_real", "max_real", "meanrel_bit", "mre_bit", "max_bit", "mre_mitchell",
               "bias_mitchell", "mre_exact_rne"]  # fmt: skip
    assert found == pytest.approx([float(row[c]) for c in columns], abs=6e-7)  # six decimals


@pytest.mark.parametrize(("m", "published"), [(1, 0.319), (2, 0.111), (3, 0.068), (4, 0.069), (5, 0.072)])
def test_formula_reproduces_the_published_errors_and_bitfield_does_not(m, published):
    # arXiv 2412.18948, Table IV: three digits of the form R; 0.002 covers their rounding.
    assert multiplier_error("lmul_formula", m).mean_abs == pytest.approx(published, abs=0.002)
    assert abs(multiplier_error("lmul_bitfield", m).mean_abs - published) > 0.01


def test_offsets_are_worse_than_none_with_few_mantissa_bits():
    for m in (1, 2, 3, 4):
        assert multiplier_error("lmul_bitfield", m).mean_abs > multiplier_error("mitchell", m).mean_abs
    for m in (5, 7, 10):
        assert multiplier_error("lmul_bitfield", m).mean_abs < multiplier_error("mitchell", m).mean_abs


@given(st.sampled_from(["fp8_e4m3", "fp8_e5m2", "bf16", "fp16", "fp6_e3m2", "fp8_e3m4"]),
       st.sampled_from(["lmul_bitfield", "mitchell"]), st.data())  # fmt: skip
def test_carrying_multipliers_are_one_integer_addition(name, multiplier, data):
    fmt = parse_format(name)
    e, m = fmt.exponent_bits, fmt.mantissa_bits
    finite = st.integers(2**m, fmt.max_code)  # normal magnitudes
    x, y = data.draw(finite), data.draw(finite)
    signs = data.draw(st.integers(0, 3))
    offset = 1 << (m - offset_bits(m)) if multiplier == "lmul_bitfield" else 0
    fields = x + y - (fmt.bias << m) + offset  # exponent and mantissa as one number; the exponent may leave its range
    expected = Fraction(fields % 2**m + 2**m, 2**m) * Fraction(2) ** ((fields >> m) - fmt.bias)
    sign = 1 << (e + m)
    w = np.array([x + sign * (signs & 1)], dtype=np.uint32)
    a = np.array([y + sign * (signs >> 1)], dtype=np.uint32)
    found = Fraction(float(multiply(multiplier, fmt, w, a)[0]))
    assert found == (-expected if signs in (1, 2) else expected)


@given(st.sampled_from(["fp8_e4m3", "bf16", "fp16", "fp6_e2m3"]), st.data())
def test_formula_as_written(name, data):
    fmt = parse_format(name)
    codes = [data.draw(st.integers(2**fmt.mantissa_bits, fmt.max_code)) for _ in range(2)]
    (i, x), (j, y) = (divmod(code, 2**fmt.mantissa_bits) for code in codes)
    total = 1 + Fraction(x + y, 2**fmt.mantissa_bits) + Fraction(1, 2 ** offset_bits(fmt.mantissa_bits))
    found = multiply("lmul_formula", fmt, *(np.array([code]) for code in codes))
    assert Fraction(float(found[0])) == total * Fraction(2) ** (i + j - 2 * fmt.bias)


@given(st.sampled_from(["fp8_e4m3", "fp8_e5m2", "fp16", "fp4_e2m1"]), st.data())
def test_rounded_is_the_product_to_the_nearest_even_mantissa(name, data):
    fmt = parse_format(name)
    codes = [data.draw(st.integers(0, fmt.max_code)) for _ in range(2)]
    exact = Fraction(1)
    for code in codes:
        exact *= fmt.decode_scalar(code)
    expected = exact
    if exact:
        power = 0
        while exact * Fraction(2) ** -power >= 2**fmt.sig_bits:
            power += 1
        while exact * Fraction(2) ** -power < 2 ** (fmt.sig_bits - 1):
            power -= 1
        expected = round(exact * Fraction(2) ** -power) * Fraction(2) ** power  # Python rounds half to even
    assert Fraction(float(multiply("rounded", fmt, *(np.array([code]) for code in codes))[0])) == expected


def test_zeros_subnormals_and_specials():
    fmt = parse_format("fp16")
    zero, small, one, inf = (np.array([c], dtype=np.uint32) for c in (0, 5, 0x3C00, 0x7C00))
    for name in MULTIPLIERS.names():
        assert multiply(name, fmt, zero, one)[0] == 0
        assert multiply(name, fmt, inf, one)[0] == np.inf
        assert np.isnan(multiply(name, fmt, inf, zero)[0])
    for name in ADDERS:
        assert multiply(name, fmt, small, one)[0] == 0
    assert multiply("rounded", fmt, small, one)[0] == fmt.decode(small)[0]


@pytest.mark.parametrize("name", MULTIPLIERS.names())
def test_tables_of_narrow_formats_are_the_multiplier_itself(name):
    fmt = parse_format("fp8_e5m2")
    assert fmt.bits <= TABLE_BITS
    x, y = np.random.default_rng(0).integers(0, 256, (2, 500)).astype(np.uint32)
    assert np.array_equal(multiply(name, fmt, x, y), MULTIPLIERS.get(name)(fmt, x, y), equal_nan=True)
    assert multiply(name, fmt, x[:, None], y[None, :7]).shape == (500, 7)


@pytest.mark.parametrize("name", MULTIPLIERS.names())
def test_every_multiplier_commutes_and_keeps_signs(name):
    fmt = parse_format("fp8_e4m3")
    x, y = np.random.default_rng(1).integers(0, 127, (2, 500)).astype(np.uint32)
    product = multiply(name, fmt, x, y)
    assert np.array_equal(product, multiply(name, fmt, y, x))
    assert np.array_equal(-product, multiply(name, fmt, x | 128, y))
    assert np.array_equal(product, multiply(name, fmt, x | 128, y | 128))
    one = np.array([fmt.bias << fmt.mantissa_bits])
    assert np.isfinite(multiply(name, fmt, x, one)).all()


def test_mistakes_are_named():
    with pytest.raises(UsageError, match="did you mean 'mitchell'"):
        multiplier_error("mitchel", 3)
    with pytest.raises(UsageError, match="valid: 1 to 12"):
        multiplier_error("mitchell", 23)
    for fmt in (parse_format("int8"), parse_format("ue4m3"), Minifloat("e5m0", 5, 0, "ieee")):
        with pytest.raises(UsageError, match="at least one mantissa bit"):
            multiply("mitchell", fmt, np.zeros(1), np.zeros(1))
