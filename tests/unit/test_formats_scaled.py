"""Scaled formats: geometry and scales, the OCP rule from its text. Their SQNR: tests/golden/test_sqnr_rows.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import formats
from hwsim.formats import parse_format
from hwsim.formats.accuracy import loss
from hwsim.formats.distributions import DISTRIBUTIONS, sample
from hwsim.spec.errors import UsageError


@given(st.sampled_from(["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2"]), st.integers(0, 2**32 - 1))
def test_mx_blocks_follow_the_text_of_the_specification(name, seed):
    # OCP MX v1.0, 6.3: X = 2^floor(log2(max|v|)) / 2^emax; P = v / X rounded, clamped to the largest.
    fmt, rng = parse_format(name), np.random.default_rng(seed)
    block = np.ldexp(rng.standard_normal(32), rng.integers(-6, 6, 32))
    element = fmt.element
    emax = math.floor(math.log2(element.max_value))
    scale = 2.0 ** (math.floor(math.log2(np.abs(block).max())) - emax)
    values = element.values()
    for v, found in zip(block, fmt.quantize(block), strict=True):
        target = min(max(v / scale, values[0]), values[-1])
        distance = np.abs(values - target)
        nearest = values[distance == distance.min()]
        assert found / scale in nearest
        if len(nearest) == 2:  # a tie goes to the even code
            assert element.encode(np.array([found / scale]))[0] % 2 == 0


def test_ceil_scales_never_clamp():
    x = sample("gaussian")[:4]
    fmt = parse_format("fp4_e2m1_g32_e8m0ceil")
    blocks = x.reshape(-1, 32)
    amax = np.abs(blocks).max(axis=1, keepdims=True)
    scale = fmt.scales(amax)
    assert (amax / scale <= 6).all()
    assert (amax / scale > 3).all()
    assert np.array_equal(np.log2(scale), np.rint(np.log2(scale)))


def test_tiles_share_a_scale():
    x = np.random.default_rng(0).standard_normal((40, 50))
    fmt = parse_format("int4_t16x16")
    found = fmt.quantize(x)
    for r in range(0, 40, 16):
        for c in range(0, 50, 16):
            tile = x[r : r + 16, c : c + 16]
            alone = parse_format("int4_tensor").quantize(tile)
            assert np.array_equal(found[r : r + 16, c : c + 16], alone)
    assert fmt.bits_per_element == 4 + 16 / 256
    assert fmt.storage_bits(40, 50) == 40 * 50 * 4 + 3 * 4 * 16


def test_channels_and_tensors():
    x = np.random.default_rng(0).standard_normal((5, 77))
    rows = parse_format("int8_channel").quantize(x)
    assert np.array_equal(rows, np.vstack([parse_format("int8_tensor").quantize(row[None]) for row in x]))
    assert parse_format("int8_channel").storage_bits(5, 77) == 5 * 77 * 8 + 5 * 16
    assert parse_format("int8_tensor").storage_bits(5, 77) == 5 * 77 * 8


def test_vs_quant_scales_are_whole_shares_of_their_row():
    x = np.random.default_rng(0).standard_normal((3, 256))
    amax = np.abs(x.reshape(3, 16, 16)).max(axis=-1, keepdims=True)
    scales = parse_format("int4_g16_int8").scales(amax)
    shares = scales / scales.max(axis=-2, keepdims=True) * 255
    assert np.allclose(shares, np.rint(shares), atol=1e-9)
    assert np.rint(shares).max() == 255


@given(st.sampled_from(["int4_g128", "mxfp4", "nvfp4", "msfp12", "int8_channel", "fp8_e4m3_tensor", "int4_t4x8", "bitmod4_g128",
                        "int4_asym_g128"]), st.sampled_from([np.float16, np.float32, np.float64]))  # fmt: skip
def test_axes_shapes_and_dtypes(name, kind):
    fmt = parse_format(name)
    x = np.random.default_rng(1).standard_normal((6, 8, 40)).astype(kind)
    found = fmt.quantize(x)
    assert found.shape == x.shape
    assert found.dtype == (np.float64 if kind is np.float64 else np.float32)
    assert np.array_equal(fmt.quantize(np.moveaxis(x, -1, 0), axis=0), np.moveaxis(found, -1, 0))
    assert fmt.quantize(x[:0]).shape == (0, 8, 40)
    assert not np.shares_memory(found, x)
    assert not fmt.quantize(np.zeros((2, 40), kind)).any()


@pytest.mark.parametrize("mode", ["toward_zero", "up", "down", "nearest_away"])
def test_elements_round_as_asked(mode):
    x = np.random.default_rng(2).standard_normal((2, 64))
    fmt = parse_format("int4_g32")
    scale = np.repeat(fmt.scales(np.abs(x.reshape(2, 2, 32)).max(axis=-1, keepdims=True)), 32, axis=-1).reshape(2, 64)
    steps = {
        "toward_zero": np.trunc,
        "up": np.ceil,
        "down": np.floor,
        "nearest_away": lambda v: np.trunc(v + np.copysign(0.5, v)),
    }
    assert np.array_equal(fmt.quantize(x, rounding=mode), np.clip(steps[mode](x / scale), -7, 7) * scale)


def test_losses_of_known_errors():
    found = loss(np.array([3.0, 4.0]), np.array([3.0, 3.5]))
    assert found.mse == 0.125
    assert found.max_error == 0.5
    assert found.sqnr_db == pytest.approx(10 * math.log10(25 / 0.25))
    assert found.cosine == pytest.approx(23 / (5 * math.hypot(3, 3.5)))
    assert loss(np.ones(3), np.ones(3)).sqnr_db == math.inf


def test_distributions_are_named_and_fixed():
    for name in DISTRIBUTIONS:
        assert sample(name) is sample(name)
        assert sample(name).shape == (128, 4096)
        assert np.isfinite(sample(name)).all()
    with pytest.raises(UsageError, match="did you mean 'laplace'"):
        sample("laplac")


def test_own_formats_can_be_registered():
    own = formats.Minifloat("my_fp6", 4, 1, "finite")
    assert formats.register(own) is own
    assert formats.get("my_fp6") is own
    assert "my_fp6" in formats.format_names()
    assert formats.register(own) is own
    assert formats.get("my_fp6_g32_e8m0").code is own
    with pytest.raises(UsageError, match="exists already"):
        formats.register(formats.Minifloat("my_fp6", 3, 2, "finite"))
    with pytest.raises(UsageError, match="exists already"):
        formats.register(formats.Minifloat("int4_g128", 3, 2, "finite"))


@pytest.mark.parametrize("name", ["int4_g0", "int99_g128", "int4_t0x4", "nosuch_g128", "int4_g128_fp61"])
def test_impossible_names(name):
    with pytest.raises(UsageError):
        parse_format(name)


@pytest.mark.parametrize(("name", "canonical"), [("e2m1_g16_fp16", "fp4_e2m1_g16"), ("int4_g128_fp16", "int4_g128"),
                                                 ("int8_tensor_fp32", "int8_tensor_fp32")])  # fmt: skip
def test_canonical_names(name, canonical):
    assert parse_format(name).name == canonical
    assert parse_format(canonical) == parse_format(name)


@pytest.mark.parametrize("name", ["ternary", "binary", "posit8_es1"])
@pytest.mark.parametrize("geometry", ["g16", "t3x16", "channel", "tensor"])
def test_scales_fit_what_the_element_says_in_blocks_too(name, geometry):
    """Ragged blocks count what is there, not the zeros that fill them up."""
    fmt, element = parse_format(f"{name}_{geometry}_fp32"), parse_format(name)
    x = np.random.default_rng(3).laplace(size=(7, 45)) * 0.03
    step = {"g16": (1, 16), "t3x16": (3, 16), "channel": (1, 45), "tensor": (7, 45)}[geometry]
    expected = np.empty_like(x)
    for top in range(0, 7, step[0]):
        for left in range(0, 45, step[1]):
            block = x[top : top + step[0], left : left + step[1]]
            fitted = np.sqrt(np.mean(block**2)) if name.startswith("posit") else np.mean(np.abs(block))
            scale = np.float64(np.float32(fitted))
            expected[top : top + step[0], left : left + step[1]] = element.quantize(block / scale) * scale
    found = fmt.quantize(x)
    # the sum of a block is added up in another order, which may move an FP32 scale by one unit
    assert found == pytest.approx(expected, rel=2**-22)
    assert np.array_equal(fmt.decode(fmt.encode(x)), found)
