"""What every number format must offer: names, codes, quantization, storage; and two other libraries' word on values."""

from __future__ import annotations

from fractions import Fraction

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.formats import ElementFormat, Minifloat, format_names, parse_format
from hwsim.formats.accuracy import fitted_quantize
from hwsim.formats.block.split import Split
from hwsim.formats.block.superblock import SuperBlock
from hwsim.formats.element.codebook import Codebook, Tabulated
from hwsim.formats.element.fixed import Fixed
from hwsim.formats.element.float_table import FloatTable
from hwsim.formats.element.khot import KHot
from hwsim.formats.element.logarithmic import PowerSum
from hwsim.formats.element.nested import Nested
from hwsim.formats.element.posit import Posit
from hwsim.formats.element.power import Power
from hwsim.formats.gemm import UNSCALED_ABOVE, gemm, quantized

NAMES = format_names()
ELEMENTS = [name for name in NAMES if isinstance(parse_format(name), ElementFormat)]
LISTED = [name for name in NAMES if parse_format(name).element.bits <= 16]

minifloat_names = st.tuples(st.integers(1, 8), st.integers(0, 10)).map(lambda em: f"fp{1 + sum(em)}_e{em[0]}m{em[1]}")
integer_names = st.integers(2, 16).map(lambda bits: f"int{bits}")
group_names = st.tuples(
    st.integers(2, 8), st.sampled_from(["", "_asym"]), st.sampled_from([1, 8, 32, 100, 128])
).map(lambda x: f"int{x[0]}{x[1]}_g{x[2]}")  # fmt: skip
any_name = st.one_of(st.sampled_from(NAMES), minifloat_names, integer_names, group_names)


def tensor(rows, columns, seed):
    """Normal data of some size with zeros and with values that lie on and between the grids of formats."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * 2.0 ** rng.integers(-5, 6)
    x = np.where(rng.random(x.shape) < 0.3, np.rint(x * 4) / 4, x)
    # FP16 scales of groups that hold nothing larger than 2^-6 would be subnormal, and rounded coarsely
    return np.where((rng.random(x.shape) < 0.1) | (np.abs(x) < 2**-6), 0.0, x)


tensors = st.builds(tensor, st.integers(1, 3), st.integers(1, 150), st.integers(0, 2**32 - 1))


@given(any_name)
def test_a_format_is_called_by_its_name(name):
    fmt = parse_format(name)
    assert fmt.name == name
    assert parse_format(fmt.name) == fmt
    assert hash(parse_format(fmt.name)) == hash(fmt)


@given(any_name)
def test_storage_is_code_and_metadata(name):
    fmt = parse_format(name)
    per_element = fmt.bits_per_element
    assert isinstance(per_element, Fraction)
    assert fmt.bits == fmt.element.bits <= fmt.element.bits_per_element <= per_element
    # a whole number of features is split off, super-blocks are stored whole: see their own tests
    assume(not isinstance(fmt, Split | SuperBlock))
    block = fmt.block_size
    if block is None:
        assert per_element == fmt.bits or name in ("tf32", "ue4m3")
        assert fmt.storage_bits(3, 7) == 21 * per_element
        return
    levels = 3 * 32 * name.endswith("_int8")  # scales of rows
    # full blocks: exactly the stated average
    assert fmt.storage_bits(3, 5 * block) == 15 * block * per_element + levels
    ragged = fmt.storage_bits(3, 5 * block + 1)  # one element more needs a block's metadata per row
    assert ragged == fmt.storage_bits(3, 5 * block) + fmt.storage_bits(3, 1) - levels
    own = fmt.element.bits_per_element
    assert fmt.storage_bits(3, 1) == 3 * (own + (per_element - own) * block) + levels


@pytest.mark.parametrize("name", LISTED)
def test_codes_and_values_are_inverse(name):
    fmt = parse_format(name).element
    codes = np.arange(2**fmt.bits, dtype=np.uint32)
    values = fmt.decode(codes)
    assert np.array_equal(values, fmt.code_values(), equal_nan=True)
    usable = np.isfinite(values) & (np.abs(values) <= fmt.max_value)
    if not isinstance(fmt, KHot):  # codes with more ones are left unused
        assert usable.sum() > usable.size // 2
    back = fmt.encode(values[usable])
    assert np.array_equal(fmt.decode(back), values[usable])
    if isinstance(fmt, PowerSum):  # many codes have the same sum
        return
    distinct = np.unique(values[usable]).size  # -0 apart, a value has one code
    aliases = codes[usable][back != codes[usable]]
    assert distinct >= usable.sum() - 1
    assert np.all(fmt.decode(aliases) == 0)


@pytest.mark.parametrize("name", ELEMENTS)
def test_what_is_too_large_saturates(name):
    fmt = parse_format(name)
    # the largest magnitude that is used; an infinity is beyond every finite value too
    largest = (
        fmt.values()[-1] if name.endswith(("_minus", "_full", "iq4nl")) else fmt.max_value
    )  # whose largest magnitude is negative
    assert fmt.quantize(np.array([1e300, np.inf]))[0] == fmt.quantize(np.array([np.inf]))[0] == largest
    assert np.isfinite(fmt.quantize(np.array([-1e300]))[0])


@settings(max_examples=150)
@given(any_name, tensors, st.sampled_from([0, 1, -1]))
def test_quantization_keeps_shapes_and_runs_along_its_axis(name, x, axis):
    fmt = parse_format(name)
    found = fmt.quantize(x, axis=axis)
    assert found.shape == x.shape
    assert np.all(np.isfinite(found))
    if axis == 0:
        assert np.array_equal(found, fmt.quantize(x.T, axis=1).T)


more_scales = st.tuples(
    st.sampled_from(["int4", "int8", "fp4_e2m1", "fp8_e4m3", "fp6_e3m2", "nf4", "flint4", "fix8_q4", "posit8_es1"]),
    st.sampled_from(["g16", "g32", "t2x8", "channel", "tensor"]),
    st.sampled_from(["fp16", "fp32", "e8m0", "e8m0ceil", "e4m3", "ue5m3", "int8"]),
).map("_".join)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(any_name, more_scales), tensors)
def test_quantizing_twice_changes_nothing(name, x):
    fmt = parse_format(name)
    assume(fmt.stable)
    once = fmt.quantize(x)
    assert np.array_equal(fmt.quantize(once), once)
    single = fmt.quantize(x.astype(np.float32))
    again = fmt.quantize(single)
    if isinstance(fmt, ElementFormat) or fmt.element.complex_valued:
        assert np.array_equal(again, single)
        return
    assert np.array_equal(element_codes(fmt, single), element_codes(fmt, x.astype(np.float32)))
    assert np.allclose(again, single, rtol=2 * np.finfo(np.float32).eps, atol=0)


def element_codes(fmt, x):
    encoded = fmt.encode(x)
    return encoded.rest.codes.codes if isinstance(fmt, Split) else encoded.codes.codes


@pytest.mark.parametrize("name", ["fp8_e4m3", "posit8_es1", "lns8_f3", "power4_a50", "nf4", "int8_g128", "int4_g128", "mxfp4",
                                  "mxint8", "nvfp4", "fp4_e2m1_g16_ue5m3", "int8_channel_fp32", "int4_tensor", "nf4_g64",
                                  "bitmod4_g128", "msfp12", "llm_int8", "flint4_g32_fp32"])  # fmt: skip
def test_what_is_stable_says_so(name):
    assert parse_format(name).stable


@pytest.mark.parametrize("name", ["olive4_g128", "int8_asym_g128", "ternary_g128", "int4_full_g32",
                                  "int8_g16_e4m3", "int4_g4_int8", "nf4_g4_dq8", "bitmod4_g4_int8", "posit8_es1_g32", "int12_g32"])  # fmt: skip
def test_what_is_not_stable_does_change(name):
    fmt = parse_format(name)
    assert not fmt.stable
    x = np.random.default_rng(0).standard_t(3, (200, 512))
    once = fmt.quantize(x)
    assert not np.array_equal(fmt.quantize(once), once)


@settings(max_examples=150)
@given(any_name, tensors)
def test_order_survives_where_the_scale_is_shared(name, x):
    fmt = parse_format(name)
    assume(not name.startswith("olive"))  # the neighbour of an outlier becomes 0
    assume("_out" not in name)  # features that are split off are rounded more finely
    row = np.sort(x[0])[: fmt.block_size or x.shape[1]]
    assert np.all(np.diff(fmt.quantize(row[None])[0]) >= 0)


@settings(max_examples=150)
@given(any_name, tensors)
def test_signed_formats_treat_both_signs_alike(name, x):
    fmt = parse_format(name)
    assume(not name.startswith(("u", "bitmod")) and "asym" not in name)  # one special value of one sign; zero points
    whole = isinstance(fmt.element, Fixed | Nested) or getattr(fmt.element, "full", False)
    assume(not whole)  # the whole range of two's complement
    assume(not fmt.element.complex_valued)  # 0 becomes 1
    up, down = fmt.quantize(x), fmt.quantize(-x)
    if isinstance(fmt.element, Tabulated) and not isinstance(fmt.element, Posit | FloatTable | Power):
        grid = fmt.element.values()
        assume(np.array_equal(grid, -grid[::-1]))  # not nf4
        # ties go to the lower level of both signs, which is as far away
        assert np.allclose(np.abs(up - x), np.abs(down + x), rtol=1e-12, atol=0)
        return
    assume(not isinstance(fmt.element, FloatTable) or fmt.element.signed)
    assert np.array_equal(down, -up)


@given(any_name)
def test_zeros_stay_zero(name):
    element = parse_format(name).element
    assume(not isinstance(element, Codebook) or 0 in element.levels)  # binary, bipolar, outliers
    assume(not element.complex_valued)  # a phase without a zero
    assert not parse_format(name).quantize(np.zeros((2, 200))).any()


BITS = {
    "fp32": np.float32, "bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2, "fp6_e2m3": ml_dtypes.float6_e2m3fn, "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
}  # fmt: skip
floats32 = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


def beside(values):
    """The values, what lies halfway between neighbours of the list, and one float32 step to both sides."""
    x = np.sort(np.array(values, dtype=np.float32))
    with np.errstate(over="ignore"):
        middles = ((x[1:].astype(np.float64) + x[:-1]) / 2).astype(np.float32)
        near = [x, middles, np.nextafter(middles, np.float32(np.inf)), np.nextafter(middles, np.float32(-np.inf))]
    joined = np.concatenate(near)
    return joined[np.isfinite(joined)]


def saturated(fmt, theirs, x):
    """Their infinities and NaN are our largest values: we saturate."""
    return np.where(np.isfinite(theirs), theirs, np.copysign(fmt.max_value, x))


@pytest.mark.parametrize("name", BITS)
@given(floats32, st.integers(0, 2**32 - 1))
def test_random_float32_are_rounded_as_ml_dtypes_and_numpy_do(name, values, seed):
    fmt, dtype = parse_format(name), BITS[name]
    some = fmt.decode(np.random.default_rng(seed).integers(0, 2**fmt.bits, 50).astype(np.uint32))
    x = beside([*values, *some[np.isfinite(some)]])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        theirs = x.astype(dtype).astype(np.float64)
    assert np.array_equal(fmt.quantize(x), saturated(fmt, theirs, x))


@given(floats32)
def test_tf32_is_float32_without_its_last_13_bits(values):
    fmt = parse_format("tf32")
    codes = np.array(values, dtype=np.float32).view(np.uint32) >> 13
    expected = (codes << 13).view(np.float32)
    usable = np.isfinite(expected)
    assert np.array_equal(fmt.decode(codes[usable]), expected[usable])


GFLOAT = {
    "fp32": gfloat.formats.format_info_binary32, "fp16": gfloat.formats.format_info_binary16,
    "bf16": gfloat.formats.format_info_bfloat16, "fp8_e4m3": gfloat.formats.format_info_ocp_e4m3,
    "fp8_e5m2": gfloat.formats.format_info_ocp_e5m2, "fp6_e2m3": gfloat.formats.format_info_ocp_e2m3,
    "fp6_e3m2": gfloat.formats.format_info_ocp_e3m2, "fp4_e2m1": gfloat.formats.format_info_ocp_e2m1,
}  # fmt: skip


@pytest.mark.parametrize("name", GFLOAT)
@settings(max_examples=60)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**32 - 1))
def test_gfloat_decodes_and_rounds_alike(name, value, seed):
    fmt, info = parse_format(name), GFLOAT[name]
    code = seed % 2**fmt.bits
    theirs, ours = gfloat.decode_float(info, code).fval, float(fmt.decode(np.array([code], dtype=np.uint32))[0])
    assert ours == theirs or (np.isnan(ours) and np.isnan(theirs))
    for x in (value, value * 2.0**-1000, theirs if np.isfinite(theirs) else 0.0):  # saturating, in float64
        assert fmt.quantize(np.array([x]))[0] == gfloat.round_float(info, x, sat=True)


@pytest.mark.parametrize(("name", "dtype"), [("int2", ml_dtypes.int2), ("int4", ml_dtypes.int4), ("int8", np.int8),
                                             ("int16", np.int16), ("uint4", ml_dtypes.uint4)])  # fmt: skip
def test_integers_are_two_s_complement(name, dtype):
    fmt = parse_format(name)
    codes = np.arange(2**fmt.bits)
    wide = np.uint16 if fmt.bits == 16 else np.uint8
    signed = codes.astype(wide).view(np.int16 if fmt.bits == 16 else np.int8).astype(dtype)
    assert np.array_equal(fmt.decode(codes.astype(np.uint32)), signed.astype(np.float64))


@pytest.mark.parametrize("name", format_names())
def test_nan_is_kept_or_refused_but_never_a_number(name):
    fmt = parse_format(name)
    x = np.ones(300, dtype=np.float32)
    x[3] = np.nan
    try:
        found = fmt.quantize(x)
    except ValueError as error:
        assert "NaN" in str(error)
    else:
        assert np.isnan(found[3])
    try:
        codes = fmt.element.encode(x)
    except ValueError as error:
        assert "NaN" in str(error)
    else:
        assert np.isnan(fmt.element.decode(codes)[3])


@pytest.mark.parametrize("name", NAMES)
def test_gemms_take_it_on_both_sides_and_use_its_own_quantization(name):
    fmt = parse_format(name)
    a, w = tensor(4, 140, 0), tensor(3, 140, 1).T
    left, right = (quantized(fmt, x) for x in (a, w.T))
    wide = isinstance(fmt, Minifloat) and fmt.bits > UNSCALED_ABOVE
    assert np.array_equal(left.values, fmt.quantize(a) if wide else fitted_quantize(fmt, a))
    assert np.array_equal(gemm(a, w, fmt, fmt), left.values @ right.values.T)
    assert np.isfinite(gemm(a, w, fmt, fmt, parse_format("fp32"), chunk=16)).all()
