"""K-quants: what we store is what llama.cpp's own layout holds, byte for byte, and gguf reads the same values from it."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from hwsim.formats import parse_format
from hwsim.formats.block.superblock import SuperBlock
from hwsim.formats.gemm import gemm
from hwsim.spec.errors import UsageError

STRUCTURED = ["q4_1", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs"]


def data(rows=5, columns=512, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(4, (rows, columns)) * 2.0 ** rng.integers(-4, 4, (rows, 1))
    x[0, :32] = 0
    return x.astype(np.float32)


def fp16(part):
    return np.asarray(part.codes, dtype="<u2").view(np.uint8).reshape(-1, 2)


def pack_q4_1(stored, codes):
    q = codes.reshape(-1, 32)
    minima = np.asarray(stored.zeros.codes, dtype="<u2") ^ 0x8000  # ours is subtracted, theirs added
    low = minima.view(np.uint8).reshape(-1, 2)
    return np.concatenate([fp16(stored.scales), low, q[:, :16] | q[:, 16:] << 4], axis=1)


def pack_scales(scales, minima):
    """Eight scales and minima of 6 bits in twelve bytes."""
    sc, m = scales.reshape(-1, 8), minima.reshape(-1, 8)
    out = np.empty((len(sc), 12), dtype=np.uint8)
    out[:, :4] = sc[:, :4] | (sc[:, 4:] >> 4) << 6
    out[:, 4:8] = m[:, :4] | (m[:, 4:] >> 4) << 6
    out[:, 8:] = sc[:, 4:] & 15 | (m[:, 4:] & 15) << 4
    return out


def pack_q4_k(stored, codes):
    q = codes.reshape(-1, 4, 2, 32)
    nibbles = (q[:, :, 0] | q[:, :, 1] << 4).reshape(-1, 128)
    scales = pack_scales(stored.scales.codes, stored.zeros.codes)
    return np.concatenate([fp16(stored.level), fp16(stored.selectors), scales, nibbles], axis=1)


def pack_q5_k(stored, codes):
    q = codes.reshape(-1, 4, 2, 32)
    nibbles = (q[:, :, 0] & 15 | (q[:, :, 1] & 15) << 4).reshape(-1, 128)
    high = (codes.reshape(-1, 8, 32) >> 4 << np.arange(8, dtype=np.uint8)[:, None]).sum(axis=1).astype(np.uint8)
    scales = pack_scales(stored.scales.codes, stored.zeros.codes)
    return np.concatenate([fp16(stored.level), fp16(stored.selectors), scales, high, nibbles], axis=1)


def pack_q6_k(stored, codes):
    q = ((codes.astype(np.int64) + 32) % 64).astype(np.uint8).reshape(-1, 2, 4, 32)  # two's complement to offset 32
    low, high = q & 15, q >> 4
    ql = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], axis=-1)
    qh = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    scales = (stored.scales.codes.astype(np.int64) - 128).astype(np.int8).view(np.uint8).reshape(-1, 16)
    return np.concatenate([ql.reshape(-1, 128), qh.reshape(-1, 64), scales, fp16(stored.level)], axis=1)


def pack_iq4_xs(stored, codes):
    q = codes.reshape(-1, 8, 2, 16)
    scales = stored.scales.codes.reshape(-1, 8).astype(np.uint16)
    low = (scales & 15)[:, ::2] | (scales & 15)[:, 1::2] << 4
    high = ((scales >> 4) << 2 * np.arange(8, dtype=np.uint16)).sum(axis=1).astype("<u2").view(np.uint8).reshape(-1, 2)
    return np.concatenate(
        [fp16(stored.level), high, low.astype(np.uint8), (q[:, :, 0] | q[:, :, 1] << 4).reshape(-1, 128)], axis=1
    )


PACKERS = {"q4_1": pack_q4_1, "q4_k": pack_q4_k, "q5_k": pack_q5_k, "q6_k": pack_q6_k, "iq4_xs": pack_iq4_xs}


@pytest.mark.parametrize("name", PACKERS)
def test_gguf_reads_our_values_from_the_bytes_of_the_file(name):
    fmt, x = parse_format(name), data()
    stored = fmt.encode(x)
    packed = PACKERS[name](stored, stored.codes.codes.astype(np.uint8)).astype(np.uint8)
    assert packed.size * 8 == fmt.storage_bits(*x.shape)
    found = dequantize(packed.reshape(len(x), -1), GGMLQuantizationType[name.upper()])
    ours = fmt.quantize(x)
    # theirs are products and sums of float32, ours of float64: the last places may differ
    scale = np.abs(x).max(axis=-1, keepdims=True)
    assert np.abs(found - ours).max() <= 2.0**-22 * scale.max()
    assert np.all(np.abs(found - ours) <= 2.0**-21 * scale)


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("shape", [(3, 512), (2, 700), (1, 5)])
def test_what_is_stored_is_what_quantization_gives(name, shape):
    fmt, x = parse_format(name), data(*shape, seed=1).astype(np.float64)
    stored = fmt.encode(x)
    assert np.array_equal(fmt.decode(stored), fmt.quantize(x))
    assert np.array_equal(np.multiply(*fmt.factors(x)), fmt.quantize(x))
    if shape[1] % fmt.block == 0:
        assert stored.storage_bits == fmt.storage_bits(*shape)


@pytest.mark.parametrize("name", STRUCTURED)
def test_blocks_run_along_any_axis_and_rows_do_not_mix(name):
    fmt, x = parse_format(name), data(4, 300)
    assert np.array_equal(fmt.quantize(x.T, axis=0), fmt.quantize(x).T)
    assert np.array_equal(fmt.quantize(x)[1:2], fmt.quantize(x[1:2]))
    assert np.array_equal(fmt.decode(fmt.encode(x.T, axis=0)), fmt.quantize(x).T)


def test_more_bits_err_less_and_shares_cost_little():
    x = data(16, 4096)

    def noise(name):
        return float(np.sum((parse_format(name).quantize(x) - x) ** 2))

    assert noise("q2_k") > noise("q3_k") > noise("q4_k") > noise("q5_k") > noise("q6_k")
    assert noise("q4_k") < 1.15 * noise("q4_1")  # 6-bit shares against an FP16 pair per 32


def test_only_structured_types_say_so():
    for name in STRUCTURED:
        assert isinstance(parse_format(name), SuperBlock)
        assert not parse_format(name).stable


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinities_are_refused(name, bad):
    x = np.ones(64)
    x[3] = bad
    with pytest.raises(ValueError, match="has no"):
        parse_format(name).quantize(x)


def test_integer_accumulators_take_no_minima():
    x = data(2, 256).astype(np.float64)
    with pytest.raises(UsageError, match="int32"):
        gemm(x, x.T, parse_format("int8"), parse_format("q4_k"), parse_format("int32"))
    assert np.isfinite(gemm(x, x.T, parse_format("int8"), parse_format("q6_k"), parse_format("int32"))).all()
