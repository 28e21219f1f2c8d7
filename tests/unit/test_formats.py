"""Formats against ml_dtypes for every code, against their definition, and against published SQNR."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import Minifloat, bit_serial_terms, format_names, parse_format, parse_pair
from hwsim.formats.accuracy import sqnr_db
from hwsim.spec.errors import UsageError

ORACLES = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
}


@pytest.mark.parametrize(("name", "dtype"), ORACLES.items())
def test_every_code_decodes_as_ml_dtypes_does(name, dtype):
    fmt = parse_format(name)
    codes = np.arange(2**fmt.bits, dtype=np.uint16 if fmt.bits == 16 else np.uint8)
    with np.errstate(invalid="ignore"):  # ml_dtypes flags its NaN payloads
        expected = codes.view(dtype).astype(np.float64)
    assert np.array_equal(fmt.code_values(), expected, equal_nan=True)


@pytest.mark.parametrize(("name", "dtype"), ORACLES.items())
def test_every_finite_value_and_every_midpoint_rounds_as_ml_dtypes_does(name, dtype):
    fmt = parse_format(name)
    values = np.unique(fmt.code_values()[np.isfinite(fmt.code_values())])
    middles = (values[1:] + values[:-1]) / 2
    near = np.concatenate([values, middles, np.nextafter(middles, 9e9), np.nextafter(middles, -9e9)])
    exact32 = near.astype(np.float32).astype(np.float64)
    assert np.array_equal(fmt.quantize(exact32), exact32.astype(np.float32).astype(dtype).astype(np.float64))


@pytest.mark.parametrize("name", ["fp3_e1m1", "fp5_e2m2", "fp7_e3m3", "fp8_e3m4", "fp9_e4m4", "fp12_e5m6", "fp8_e4m3"])
def test_numpy_decode_equals_the_definition(name):
    fmt = parse_format(name)
    assert isinstance(fmt, Minifloat)
    for code, value in enumerate(fmt.code_values()):
        exact = fmt.decode_scalar(code)
        assert (exact is None) == (not np.isfinite(value))
        assert exact is None or exact == Fraction(float(value))


@pytest.mark.parametrize("name", [*ORACLES, "int8", "int4", "uint4", "int2", "fp5_e2m2", "fp8_e3m4"])
def test_codes_survive_decoding_and_encoding(name):
    fmt = parse_format(name).element
    values = fmt.code_values()
    usable = np.isfinite(values) & (np.abs(values) <= fmt.max_value)
    codes = np.flatnonzero(usable).astype(np.uint32)
    assert np.array_equal(fmt.encode(values[usable]), codes)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.sampled_from(["fp8_e4m3", "fp6_e3m2", "int8", "fp16"])
)
def test_the_nearest_value_is_chosen(xs, name):
    fmt = parse_format(name).element
    values = fmt.code_values()
    values = values[np.isfinite(values) & (np.abs(values) <= fmt.max_value)]
    found = fmt.quantize(np.array(xs))
    best = np.min(np.abs(values[None, :] - np.array(xs)[:, None]), axis=1)
    assert np.array_equal(np.abs(found - np.array(xs)), best)


PUBLISHED = {  # Gaussian dB, absmax scaling: fpga-and-formats note, section 4
    "int8_g128": 43.8, "fp8_e4m3": 31.5, "fp8_e5m2": 25.6, "mxfp6_e2m3": 30.9, "nvfp4": 20.4, "bitmod4_g128": 20.2,
    "int4_g128": 18.6, "int4_asym_g128": 19.9, "mxfp4": 18.8, "bitmod3_g128": 14.2, "int3_g128": 11.2,
}  # fmt: skip


@pytest.mark.parametrize(("name", "db"), PUBLISHED.items())
def test_sqnr_is_the_published_one(name, db):
    assert sqnr_db(parse_format(name)) == pytest.approx(db, abs=0.15)  # 65,536 samples here, 524,288 there


def test_metadata_counts():
    widths = {
        "mxfp4": Fraction(17, 4),
        "nvfp4": Fraction(9, 2),
        "int4_g128": Fraction(33, 8),
        "mxint8": Fraction(33, 4),
    }
    for name, bits in widths.items():
        assert parse_format(name).bits_per_element == bits
    assert parse_format("bitmod3_g128").bits_per_element == 3 + Fraction(10, 128)
    assert parse_format("int4_asym_g128").bits_per_element == 4 + Fraction(24, 128)


def test_mx_scale_is_a_power_of_two_of_the_largest_element():
    fmt = parse_format("mxfp4")
    block = np.zeros(32)
    block[0] = 7.9  # floor(log2) = 2, the largest element's exponent is 2: scale 1, clamps to 6
    assert fmt.quantize(block)[0] == 6.0
    assert np.array_equal(fmt.quantize(block * 2**10), fmt.quantize(block) * 2**10)


def test_blocks_are_independent_and_ragged_ends_kept():
    x = np.random.default_rng(0).standard_normal((3, 200))
    for name in ("int4_g128", "mxfp8_e4m3", "bitmod4_g128", "int4_asym_g128"):
        fmt = parse_format(name)
        whole = fmt.quantize(x)
        assert whole.shape == x.shape
        assert np.array_equal(whole[:, :128], fmt.quantize(x[:, :128]))
        assert np.array_equal(fmt.quantize(x.T, axis=0).T, whole)


def test_terms_of_the_bit_serial_pe():
    terms = {"bitmod3_g128": 2, "bitmod4_g128": 2, "int8": 4, "int6": 3, "int5": 3, "int4": 2}
    assert {name: bit_serial_terms(parse_format(name)) for name in terms} == terms
    with pytest.raises(ValueError, match="fp16"):
        bit_serial_terms(parse_format("fp16"))


@pytest.mark.parametrize("name", ["fp8_e4m4", "int99", "int4_g0", "fp8-e4m3", "", "bitmod5_g128"])
def test_bad_names_are_refused(name):
    with pytest.raises(UsageError):
        parse_format(name)


def test_the_nearest_name_is_suggested():
    with pytest.raises(UsageError, match="did you mean 'mxfp4'"):
        parse_format("mxpf4")


def test_every_listed_name_parses_to_itself():
    for name in format_names():
        assert parse_format(name).name == name


def test_pairs():
    assert [f.name for f in parse_pair("w4a16")] == ["int4", "fp16"]
    assert [f.name for f in parse_pair("w4a8_g128")] == ["int4_g128", "int8"]
    with pytest.raises(UsageError):
        parse_pair("w4")
