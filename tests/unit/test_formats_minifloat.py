"""Minifloats against ml_dtypes and gfloat: every code, dense samples with ties, all rounding modes."""

from __future__ import annotations

import gfloat
import gfloat.formats as gf
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import Minifloat, parse_format
from hwsim.formats.rounding import ROUNDINGS
from hwsim.spec.errors import UsageError

ORACLES = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "e4m3ieee": ml_dtypes.float8_e4m3,
    "e5m2": ml_dtypes.float8_e5m2,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e3m4ieee": ml_dtypes.float8_e3m4,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "ue8m0": ml_dtypes.float8_e8m0fnu,
}


def dense(fmt):
    """Every value, every midpoint, their neighbours in float32, and numbers beyond both ends."""
    values = fmt.values()
    middles = (values[1:] + values[:-1]) / 2
    points = np.concatenate([values, middles, values[[0, -1]] * 1.0625, values[[0, -1]] * 2])
    with np.errstate(over="ignore"):
        points = points.astype(np.float32)
        near = [points, np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(-np.inf))]
    rng = np.random.default_rng(1)
    wide = np.ldexp(rng.standard_normal(20_000), rng.integers(-30, 20, 20_000)).astype(np.float32)
    return np.concatenate([*near, wide])


def around_codes(fmt):
    """Some values of a wide format, subnormal and largest ones too, what is halfway to the next, and beyond."""
    codes = np.random.default_rng(2).integers(0, fmt.max_code, 400).astype(np.uint32)
    codes = np.concatenate(
        [codes, np.arange(9), 2**fmt.mantissa_bits - np.arange(1, 5), fmt.max_code - np.arange(1, 5)]
    )
    low, high = (fmt.decode(codes.astype(np.uint32) + np.uint32(step)) for step in (0, 1))
    middle = (low + high) / 2
    # Not the very next number: gfloat adds 0.5 to its distance in float64.
    x = [
        low,
        middle,
        middle + (high - low) * 2**-25,
        middle - (high - low) * 2**-25,
        fmt.max_value * (1 + 2.0 ** -np.arange(1, 28)),
    ]
    return np.concatenate([*x, *(-part for part in x)])


@pytest.mark.parametrize(("name", "dtype"), ORACLES.items())
def test_every_code_is_ml_dtypes(name, dtype):
    fmt = parse_format(name)
    codes = np.arange(2**fmt.bits, dtype=np.uint16 if fmt.bits == 16 else np.uint8)
    with np.errstate(invalid="ignore"):
        expected = codes.view(dtype).astype(np.float64)
    assert np.array_equal(fmt.code_values(), expected, equal_nan=True)
    assert np.array_equal(np.signbit(fmt.code_values()), np.signbit(expected)) or name == "ue8m0"


@pytest.mark.parametrize(("name", "dtype"), ORACLES.items())
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_casts_are_ml_dtypes(name, dtype, kind):
    fmt, x = parse_format(name), dense(parse_format(name))
    if name == "ue8m0":
        # Between 2^-127 and 2^-126, where float32 is subnormal, ml_dtypes rounds everything up.
        x = x[(x >= 2.0**-126) | (x == 2.0**-127)]
    with np.errstate(over="ignore"):
        expected = x.astype(dtype).astype(np.float32)
    inside = np.isfinite(expected)  # ml_dtypes overflows to infinity or NaN, ours saturates
    found = fmt.quantize(x.astype(kind))
    assert found.dtype == kind
    assert np.array_equal(found[inside], expected[inside])
    assert np.array_equal(np.signbit(found[inside]), np.signbit(expected[inside]))
    assert np.all(np.abs(found[~inside]) == fmt.max_value)
    assert np.array_equal(fmt.decode(fmt.encode(x)), found.astype(np.float64))


@pytest.mark.parametrize(("name", "dtype"), ORACLES.items())
def test_overflow_goes_where_ml_dtypes_sends_it(name, dtype):
    fmt, x = parse_format(name), dense(parse_format(name))
    if name == "ue8m0":  # as in the test of casts
        x = np.append(x[(x >= 2.0**-126) | (x == 2.0**-127)], [0, -0.0, -1, -np.inf, np.inf]).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = x.astype(dtype).astype(np.float32)
    found = fmt.quantize(x, overflow="infinity")
    assert np.array_equal(found, expected, equal_nan=True)


GFLOAT = {
    "fp16": gf.format_info_binary16, "bf16": gf.format_info_bfloat16, "e5m2": gf.format_info_ocp_e5m2,
    "e4m3fn": gf.format_info_ocp_e4m3, "e3m2": gf.format_info_ocp_e3m2, "e2m3": gf.format_info_ocp_e2m3,
    "e2m1": gf.format_info_ocp_e2m1, "fp32": gf.format_info_binary32,
}  # fmt: skip
MODES = {
    "nearest_even": gfloat.RoundMode.TiesToEven,
    "nearest_away": gfloat.RoundMode.TiesToAway,
    "toward_zero": gfloat.RoundMode.TowardZero,
    "up": gfloat.RoundMode.TowardPositive,
    "down": gfloat.RoundMode.TowardNegative,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GFLOAT)
def test_every_rounding_mode_is_gfloats(name, mode):
    fmt = parse_format(name)
    x = around_codes(fmt)
    if fmt.bits <= 16:
        x = np.concatenate([x, (dense(fmt)[-4000:] if fmt.bits > 8 else dense(fmt)).astype(np.float64)])
    for overflow in ("saturate", "infinity"):
        if overflow == "infinity" and GFLOAT[name].num_nans == 0 and GFLOAT[name].num_infs == 0:
            continue  # gfloat refuses it, ours saturates
        expected = gfloat.round_ndarray(GFLOAT[name], x, MODES[mode], sat=overflow == "saturate")
        found = fmt.quantize(x, rounding=mode, overflow=overflow)
        assert np.array_equal(found, expected, equal_nan=True)
        zeros = found == 0
        assert np.array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


NAMES = [*ORACLES, "fp5_e2m2", "fp7_e3m3", "fp12_e5m6", "tf32", "fp32", "ue4m3", "ue5m3", "fp4_e1m2", "fp4_e3m0"]


@given(st.sampled_from(NAMES), st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=30))
def test_quantizing_twice_is_quantizing_once(name, xs):
    fmt = parse_format(name)
    once = fmt.quantize(np.array(xs))
    assert np.array_equal(fmt.quantize(once), once)
    assert np.array_equal(fmt.quantize(np.sort(xs)), np.sort(once))  # monotone
    if isinstance(fmt, Minifloat) and fmt.signed:
        assert np.array_equal(fmt.quantize(-np.array(xs)), -once)


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "bf16"])
def test_nan_stays_nan(name):
    fmt = parse_format(name)
    x = np.array([1.0, np.nan, -2.0], dtype=np.float32)
    assert np.array_equal(fmt.quantize(x), x, equal_nan=True)
    assert np.array_equal(fmt.quantize(x, rounding="up"), x, equal_nan=True)
    assert np.isnan(fmt.decode(fmt.encode(x))[1])


@pytest.mark.parametrize("mode", ROUNDINGS)
def test_nan_is_refused_where_there_is_none(mode):
    with pytest.raises(ValueError, match="no code for NaN"):
        parse_format("e2m1").quantize(np.array([np.nan]), rounding=mode, seed=1)


@pytest.mark.parametrize("name", ["e4m3fn", "e2m1", "bf16", "ue4m3", "int8"])
def test_shapes_dtypes_and_infinities(name):
    fmt = parse_format(name)
    assert fmt.quantize(np.array([], dtype=np.float32)).shape == (0,)
    assert fmt.quantize(np.float32(1.0)).shape == ()
    grid = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(fmt.quantize(grid.T), fmt.quantize(grid).T)
    assert np.array_equal(fmt.quantize(grid[:, ::2]), fmt.quantize(grid)[:, ::2])
    assert fmt.quantize(grid.astype(np.float16)).dtype == np.float32
    assert fmt.quantize(np.arange(3)).dtype == np.float64
    assert fmt.quantize(np.array([np.inf]))[0] == fmt.max_value


def test_stochastic_rounding_is_unbiased_and_seeded():
    fmt = parse_format("e2m1")
    x = np.full(200_000, 2.3)
    found = fmt.quantize(x, rounding="stochastic", seed=5)
    assert set(np.unique(found)) == {2.0, 3.0}
    # The mean of 200,000 draws of deviation 0.458 lies within five standard errors.
    assert found.mean() == pytest.approx(2.3, abs=5 * 0.4583 / 200_000**0.5)
    assert np.array_equal(found, fmt.quantize(x, rounding="stochastic", seed=5))
    assert not np.array_equal(found, fmt.quantize(x, rounding="stochastic", seed=6))
    with pytest.raises(UsageError, match="needs a seed"):
        fmt.quantize(x, rounding="stochastic")


def test_unknown_modes_are_named():
    with pytest.raises(UsageError, match="did you mean 'nearest_even'"):
        parse_format("e2m1").quantize(np.zeros(1), rounding="nearest_evn")
    with pytest.raises(UsageError, match="did you mean 'saturate'"):
        parse_format("e2m1").quantize(np.zeros(1), overflow="saturat")


@pytest.mark.parametrize(("name", "canonical"), [("e4m3fn", "fp8_e4m3"), ("e5m2", "fp8_e5m2"), ("e2m1", "fp4_e2m1"),
                                                 ("fp8_e4m3fn", "fp8_e4m3"), ("e4m3fnuz", "fp8_e4m3fnuz"),
                                                 ("fp8_e5m2ieee", "fp8_e5m2")])  # fmt: skip
def test_short_names(name, canonical):
    assert parse_format(name).name == canonical
    assert parse_format(canonical) == parse_format(name)


@pytest.mark.parametrize("name", ["e5m2fn", "fp8_e4m4", "e9m1", "e4m3b999"])
def test_impossible_names(name):
    with pytest.raises(UsageError):
        parse_format(name)


ML_DTYPES = {
    "fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2, "fp8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "fp8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "fp8_e4m3ieee": ml_dtypes.float8_e4m3,
    "fp8_e3m4ieee": ml_dtypes.float8_e3m4, "fp8_e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "bf16": ml_dtypes.bfloat16, "fp16": np.float16,
}  # fmt: skip


@pytest.mark.parametrize("name", ML_DTYPES)
def test_overflow_begins_where_ml_dtypes_has_it(name):
    fmt = parse_format(name)
    half = 2.0 ** (np.frexp(fmt.max_value)[1] - 1 - fmt.mantissa_bits - 1)
    tie = np.float32(fmt.max_value + half)
    x = np.array([fmt.max_value, np.nextafter(tie, np.float32(0)), tie, np.nextafter(tie, np.float32(np.inf))])
    x = np.concatenate([x, -x]).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        theirs = x.astype(ML_DTYPES[name]).astype(np.float32)
    assert np.array_equal(fmt.quantize(x, overflow="infinity"), theirs, equal_nan=True)
