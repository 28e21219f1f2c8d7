"""What formats take: NaN, infinities, any shape, layout and dtype; and how much memory and how exactly."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import BitMod, ElementFormat, Minifloat, Scaled, format_names, parse_format
from hwsim.formats.base import CHUNK
from hwsim.formats.block import bitmod_groups

MORE = ["int4_t4x8", "int8_channel", "int4_tensor", "int4_asym", "int4_g16_int8", "nf4_g64", "fp8_e4m3_g32_e8m0ceil"]
NAMES = [*format_names(), *MORE]
BLOCKS = [name for name in NAMES if isinstance(parse_format(name), Scaled | BitMod)]


def some(shape=(6, 40), kind=np.float32):
    return (np.random.default_rng(4).standard_normal(shape) * 3).astype(kind)


@pytest.mark.parametrize("name", NAMES)
def test_layouts_do_not_matter(name):
    fmt, x = parse_format(name), some((6, 80))
    expected = fmt.quantize(x[:, ::2].copy())
    for same in (x[:, ::2], np.asfortranarray(x[:, ::2]), x[::-1, ::2][::-1]):
        before = same.copy()
        found = fmt.quantize(same)
        assert np.array_equal(found, expected)
        assert not np.shares_memory(found, same)
        assert np.array_equal(same, before)
    readonly = x[:, ::2].copy()
    readonly.flags.writeable = False
    assert np.array_equal(fmt.quantize(readonly), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int32, np.uint8])
def test_dtypes_of_results(name, kind):
    fmt = parse_format(name)
    x = some(kind=np.float32).astype(kind) if kind is not np.uint8 else np.abs(some()).astype(kind)
    found = fmt.quantize(x)
    wide = np.float32 if kind in (np.float16, np.float32) else np.float64
    assert np.array_equal(found, fmt.quantize(x.astype(wide)))
    if not name.startswith("posit"):  # of a range beyond float32
        assert found.dtype == wide


@pytest.mark.parametrize("name", NAMES)
def test_scalars_and_empty_arrays(name):
    fmt = parse_format(name)
    assert fmt.quantize(np.float32(1.0)).shape == ()
    assert fmt.quantize(np.float32(1.0)) == fmt.quantize(np.array([1.0], dtype=np.float32))[0]
    for shape in ((0,), (0, 4), (4, 0)):
        assert fmt.quantize(np.zeros(shape, dtype=np.float32)).shape == shape


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("sign", [1, -1])
def test_infinities_are_refused_under_a_shared_scale(name, sign):
    fmt, x = parse_format(name), some((3, 200))
    x[1, 77] = sign * np.inf
    with pytest.raises(ValueError, match=f"{fmt.name} has no scale for an infinity"):
        fmt.quantize(x)
    with pytest.raises(ValueError, match="infinity"):
        fmt.encode(x.astype(np.float64))


@pytest.mark.parametrize("name", BLOCKS)
def test_nan_of_a_block_touches_no_other_number(name):
    fmt, x = parse_format(name), some((3, 200))
    x[1, 77] = 0
    clean = fmt.quantize(x)
    x[1, 77] = np.nan
    if getattr(fmt.element, "nan_code", None) is None:
        with pytest.raises(ValueError, match="NaN"):
            fmt.quantize(x)
        with pytest.raises(ValueError, match="NaN"):
            fmt.encode(x)
        return
    clean[1, 77] = np.nan
    assert np.array_equal(fmt.quantize(x), clean, equal_nan=True)
    assert np.array_equal(fmt.decode(fmt.encode(x)), clean, equal_nan=True)


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_largest_and_the_smallest_floats_give_finite_numbers(name, kind):
    fmt, info = parse_format(name), np.finfo(kind)
    for x in (np.full(70, info.max, kind), np.full(70, info.tiny, kind), np.full(70, info.smallest_subnormal, kind)):
        with np.errstate(over="ignore", under="ignore"):
            found = fmt.quantize(x * np.where(np.arange(70) % 2, -1, 1).astype(kind))
        assert not np.isnan(found).any()


@pytest.mark.parametrize("name", ["fp8_e4m3", "bf16", "int8", "fp32", "int32", "fix32_q16", "posit16_es2", "fix8_q4", "posit8_es1", "lns8_f3", "power4_a50",
                                  "nf4", "pot4x2", "fix8_q4_k2", "int4of8", "complex2", "mxfp4", "nvfp4",
                                  "int4_g16_int8", "bitmod4_g128", "int4_asym_g128", "int4_t16x16", "int8_channel",
                                  "int8_tensor", "ternary_channel", "olive4_g128", "olive4_tensor", "llm_int8",
                                  "int4_g128_out10"])  # fmt: skip
@pytest.mark.parametrize("axis", [-1, 0])
def test_memory(name, axis):
    fmt, x = parse_format(name), np.zeros((2048, 2050), dtype=np.float32)
    x[:] = np.linspace(-1, 1, 2050)
    fmt.quantize(x[:8])  # tables are made once
    for work in (lambda: fmt.quantize(x, axis=axis), lambda: encoded(fmt, x, axis)):
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 4 * x.nbytes


def encoded(fmt, x, axis):
    return fmt.encode(x) if isinstance(fmt, ElementFormat) else fmt.encode(x, axis)


def rounded(fmt, x):
    """The nearest value, ties to the even code, from the scalar definition; unsigned formats stop at 0."""
    values = [fmt.decode_scalar(code) for code in range(fmt.max_code + 1)]
    size = abs(x)
    place = min(range(len(values)), key=lambda i: (abs(values[i] - size), i % 2))
    return float(values[place]) if x >= 0 else -float(values[place])


@pytest.mark.parametrize(
    "name", ["fp8_e4m3", "fp8_e5m2", "fp6_e2m3", "fp4_e2m1", "fp8_e4m3fnuz", "fp8_e4m3b11fnuz", "fp4_e1m2"]
)
@settings(max_examples=30)
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30),
    st.integers(0, 2**32 - 1),
)
def test_rounding_in_chunks_is_the_scalar_definition(name, values, seed):
    fmt, rng = parse_format(name), np.random.default_rng(seed)
    codes = [float(fmt.decode_scalar(int(c))) for c in rng.integers(0, fmt.max_code, 6)]
    near = [c * f for c in codes for f in (1, 1.25, 1 + 2.0**-23, 1 - 2.0**-24)]
    x = np.array([*values, *near, *rng.standard_normal(10), 0.0, -0.0], dtype=np.float32)
    found = fmt.quantize(x)
    assert np.array_equal(found, [rounded(fmt, Fraction(float(v))) for v in x])
    assert np.array_equal(found, fmt.quantize(x.astype(np.float64)))
    keeps = fmt.special != "fnuz"
    assert np.array_equal(np.signbit(found), np.signbit(x) & (keeps | (found != 0)))


@pytest.mark.parametrize("name", ["bf16", "tf32", "fp16", "fp8_e4m3", "fp12_e5m6", "fp9_e8m0", "fp10_e7m2b100"])
def test_every_way_of_rounding_agrees_over_all_exponents(name):
    fmt, rng = parse_format(name), np.random.default_rng(8)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32) & rng.choice(
        [0xFFFFFFFF, 0xFFFF8000, 0xFFFFF000], 20_000
    ).astype(np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x)]
    for part in (x, x[np.abs(x) <= fmt.max_value]):
        assert isinstance(fmt, Minifloat)
        slow = fmt._rounded(part)
        found = fmt.quantize(part)
        assert np.array_equal(found, slow)
        assert np.array_equal(np.signbit(found), np.signbit(slow))
    one_bad = x.copy()
    one_bad[7] = np.nan
    assert np.isnan(fmt.quantize(one_bad)[7])
    assert np.array_equal(np.delete(fmt.quantize(one_bad), 7), np.delete(fmt.quantize(x), 7))


@pytest.mark.parametrize(
    "name", ["fp8_e4m3", "bf16", "int8", "nf4", "posit8_es1", "lns8_f3", "pot4x2", "fix8_q4", "mxint8"]
)
def test_pieces_do_not_show(name):
    # Arrays of many elements go other ways than small ones; codebooks look up buckets instead of searching.
    fmt, rng = parse_format(name), np.random.default_rng(6)
    x = some(3 * CHUNK // 32 * 32 + 32)
    grid = fmt.values()
    middles = ((grid[1:] + grid[:-1]) / 2).astype(np.float32)
    near = np.concatenate([middles, np.nextafter(middles, np.float32(9e9)), np.nextafter(middles, np.float32(-9e9))])
    x[: CHUNK // 2] = rng.choice(near, CHUNK // 2)
    wide = rng.integers(0, 2**32, CHUNK // 2, dtype=np.uint32).view(np.float32)
    x[CHUNK // 2 : CHUNK] = np.where(np.isfinite(wide), wide, 0)
    with np.errstate(over="ignore"):
        parts = [fmt.quantize(x[i : i + 3200]) for i in range(0, len(x), 3200)]
        assert np.array_equal(fmt.quantize(x), np.concatenate(parts))


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("size", [1, 7, 64, 128, 1000])
def test_the_quick_search_of_bitmod_finds_what_the_definition_finds(bits, size):
    rng = np.random.default_rng(size)
    x = rng.standard_normal((20_000 // size, size)) * np.exp2(rng.integers(-20, 21, (20_000 // size, 1)))
    x = np.concatenate([x, np.rint(x * 2) / 2, np.rint(x), np.zeros((3, size)), np.full((2, size), 1e9), x * 1e-8])
    groups = x.astype(np.float32)
    amax = np.abs(groups).max(axis=1)
    scale = bitmod_groups.scales(amax, bits)
    room = np.empty((3, groups.size), np.float32)
    found = bitmod_groups.best(groups, amax, scale, bits, room)
    assert np.array_equal(found, bitmod_groups.best_exactly(groups, scale, bits))
    for choices in ((0, 1), (2, 3)):
        among = np.isin(np.arange(4), choices)[:, None].repeat(len(groups), axis=1)
        some = bitmod_groups.best(groups, amax, scale, bits, room, choices)
        assert np.array_equal(some, bitmod_groups.best_exactly(groups, scale, bits, among))
    exact = groups.astype(np.float64)
    errors = []
    for choice in range(4):  # and that is what the element format says
        element, by = bitmod_groups.element(bits, choice), scale[choice][:, None]
        errors.append(np.sum((element.decode(element.encode(exact / by)) * by - exact) ** 2, axis=1))
    assert np.array_equal(found, np.argmin(errors, axis=0))
