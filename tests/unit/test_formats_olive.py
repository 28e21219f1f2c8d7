"""OliVe against its definition, pair by pair in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.accuracy import sqnr_db
from hwsim.formats.block.encoded import Encoded, Part
from hwsim.formats.block.olive import RATIOS
from hwsim.formats.element.integer import Integer
from hwsim.hardware.pe import make_pe
from hwsim.spec.errors import UsageError


def tensor(rows, columns, seed):
    """Normal data with some large numbers, ties in units of powers of two, zeros."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * 2.0 ** rng.integers(-3, 4)
    x = np.where(rng.random(x.shape) < 0.2, np.rint(x * 2) / 2, x)
    x = np.where(rng.random(x.shape) < 0.1, x * 20, x)
    return np.where(rng.random(x.shape) < 0.1, 0.0, x)


tensors = st.builds(tensor, st.integers(1, 3), st.integers(1, 40), st.integers(0, 2**32 - 1))
names = st.sampled_from(["olive4_g8", "olive4_g7", "olive4_g2", "olive8_g16", "olive4_channel", "olive4_tensor"])


def abfloats(bits):
    """``outlier_value`` of the repository with exp_bit = 2 and exp_base = 5, from its steps to those of the integers."""
    mantissas = 2 ** (bits - 3)
    found = [2 ** (5 + e) * (1 + m / mantissas) for e in range(4) for m in range(mantissas) if e or m]
    return [value * 2 ** (bits - 1) / 32 for value in found]


def pair(values, bits):
    """Quantize one pair, or a single number, in units of the scale."""
    top, outliers = 2 ** (bits - 1) - 1, abfloats(bits)
    normal = [math.copysign(min(round(abs(v)), top), v) for v in values]
    out = [abs(v) > (top + outliers[0]) / 2 for v in values]
    if len(values) == 1 or not any(out):
        return normal
    kept = 0 if out[0] and not (out[1] and abs(values[1]) > abs(values[0])) else 1
    value = values[kept]
    found = [0.0, 0.0]
    found[kept] = math.copysign(min(outliers, key=lambda level: (abs(level - abs(value)), level)), value)
    return found


def block(values, scale, bits):
    pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
    return [q * scale for p in pairs for q in pair([v / (scale or 1.0) for v in p], bits)]


def searched(values, rows, bits):
    """The scale of least squared error over all rows (lists) of a block, all ratios tried in turn."""
    flat = np.array(values)
    alpha = abs(flat.mean()) + 3 * (flat.std(ddof=1) if len(flat) > 1 else 0.0)
    errors = {}
    for ratio in RATIOS:
        scale = float(np.float16(alpha * ratio / (2 ** (bits - 1) - 1)))
        errors[ratio] = (
            sum((q - v) ** 2 for row in rows for q, v in zip(block(row, scale, bits), row, strict=True)),
            scale,
        )
    return errors


@pytest.mark.parametrize("bits", [4, 8])
def test_outliers_are_those_of_the_repository_in_units_of_the_integers(bits):
    element = parse_format(f"olive{bits}_tensor").element
    assert element.outliers.tolist() == abfloats(bits)
    if bits == 4:
        repository = parse_format("abfloat4").values()  # integers in steps of 4 there
        assert (element.outliers * 4).tolist() == repository[repository > 0].tolist()
        assert element.outliers.tolist() == [12, 16, 24, 32, 48, 64, 96]


FP16 = parse_format("fp16")


def scales_of(encoded):
    return FP16.decode(encoded.scales.codes)


@settings(max_examples=60)
@given(names, tensors)
def test_pairs_are_quantized_as_defined_with_the_best_scale(name, x):
    fmt = parse_format(name)
    encoded = fmt.encode(x)
    scales = scales_of(encoded)
    size = fmt.block_size or x.shape[1]
    cut = [[row[i : i + size] for i in range(0, len(row), size)] for row in x.tolist()]
    blocks = [cut_row for rows in cut for cut_row in rows]
    groups = [blocks] if fmt.geometry == "tensor" else [[b] for b in blocks]
    assert len(groups) == scales.size
    expected = [
        [block(b, scale, fmt.bits) for b in group] for group, scale in zip(groups, scales.tolist(), strict=True)
    ]
    flat = [value for group in expected for row in group for value in row]
    assert fmt.quantize(x).reshape(-1).tolist() == flat
    for group, scale in zip(groups, scales.tolist(), strict=True):
        errors = searched([v for row in group for v in row], group, fmt.bits)
        found = sum((q - v) ** 2 for row in group for q, v in zip(block(row, scale, fmt.bits), row, strict=True))
        least = min(error for error, _ in errors.values())
        # sums in another order: a scale of equal error up to the last bits may be another one
        assert found <= least * (1 + 1e-6) + 1e-30


@given(names, tensors, st.sampled_from([0, 1, -1]), st.sampled_from([np.float32, np.float64]))
def test_decoding_gives_what_quantizing_does(name, x, axis, dtype):
    fmt = parse_format(name)
    given_ = x.astype(dtype)
    encoded = fmt.encode(given_, axis)
    assert (encoded.shape, encoded.codes.codes.dtype, encoded.axis) == (x.shape, np.uint8, axis)
    assert encoded.codes.codes.max() < 2**fmt.bits
    assert np.array_equal(fmt.decode(encoded).astype(dtype), fmt.quantize(given_, axis))
    assert fmt.quantize(given_, axis).dtype == dtype
    assert np.array_equal(fmt.quantize(-given_, axis), -fmt.quantize(given_, axis))


@given(tensors)
def test_an_identifier_stands_beside_every_outlier_and_no_other(x):
    fmt = parse_format("olive4_g8")
    codes = np.pad(fmt.encode(x).codes.codes, ((0, 0), (0, x.shape[1] % 2)))
    marked = codes == 8
    assert not np.any(marked[:, ::2] & marked[:, 1::2])
    partner = marked.reshape(len(marked), -1, 2)[..., ::-1].reshape(marked.shape)
    assert not np.isin(codes[partner], [0, 8]).any()  # the two codes that are no abfloat
    scales = np.repeat(scales_of(fmt.encode(x)).reshape(len(x), -1), 8, axis=-1)[:, : x.shape[1]]
    size = np.abs(fmt.quantize(x)) / np.where(scales > 0, scales, 1)
    assert np.all((size >= 12) == partner[:, : x.shape[1]])


def test_codes_of_a_row_by_hand():
    fmt = parse_format("olive4_tensor")
    codes = np.array([[3, 15, 1, 8, 8, 0b1010, 8, 7]], dtype=np.uint8)  # 3 -1 | 12 . | . -16 | . 96
    values = fmt.decode(
        Encoded(fmt.name, Part(codes, 4), Part(FP16.encode(np.array([0.5])), 16), -1, np.dtype(np.float64))
    )
    assert values.tolist() == [[1.5, -0.5, 6, 0, 0, -8, 0, 48]]


def test_of_two_outliers_the_smaller_is_the_victim():
    x = np.array([[1.0, -1.0] * 500 + [60.0, 2.0, 3.0, -80.0, 90.0, 91.0, 70.0, -70.0]])
    found = parse_format("olive4_tensor").quantize(x)[0, -8:]
    assert (found == 0).tolist() == [False, True, True, False, True, False, False, True]


def test_the_last_of_an_odd_row_has_no_victim():
    fmt = parse_format("olive4_channel")
    x = np.full((2, 101), 1.0)
    x[0, -1], x[1, -2] = 50.0, 50.0
    found, scales = fmt.quantize(x), scales_of(fmt.encode(x))
    assert found[0, -1] == 7 * scales[0]
    assert found[1, -2] >= 12 * scales[1]


def test_storage():
    assert parse_format("olive4_g128").bits_per_element == 4 + Fraction(16, 128)
    assert parse_format("olive8_g32").bits_per_element == 8 + Fraction(16, 32)
    assert parse_format("olive4_g64").storage_bits(3, 65) == 3 * (65 * 4 + 2 * 16)
    assert parse_format("olive4_channel").storage_bits(3, 65) == 3 * (65 * 4 + 16)
    assert parse_format("olive4_tensor").storage_bits(3, 65) == 3 * 65 * 4


def test_edges_of_the_range():
    fmt = parse_format("olive4_g8")
    assert fmt.quantize(np.zeros((0, 4))).shape == fmt.encode(np.zeros((0, 4))).shape == (0, 4)
    assert fmt.quantize(np.float32(0)).shape == fmt.encode(np.array(3.0)).shape == ()
    assert np.isfinite(fmt.quantize(np.array([np.inf, 1.0, -np.inf, 1e300]))).all()
    with pytest.raises(UsageError, match="nearest level only"):
        fmt.quantize(np.ones(4), rounding="up")
    for use in (fmt.quantize, fmt.encode):
        with pytest.raises(ValueError, match="NaN"):
            use(np.array([1.0, np.nan]))
    for name in ("olive4_g1", "olive4_g65537"):
        with pytest.raises(UsageError, match=f"{name}: valid:"):
            parse_format(name)


def test_integer_datapaths_refuse_it():
    fmt, int8 = parse_format("olive4_g128"), parse_format("int8")
    assert not isinstance(fmt.element, Integer)
    for options in ({"family": "int_mac", "format": "int8"}, {"family": "float_mac", "format": "fp16"},
                    {"family": "bitmod", "a_format": "fp16"}):  # fmt: skip
        assert make_pe(options).supports(fmt, int8) is not None


def test_it_keeps_outliers_that_integers_of_the_same_width_give_up_everything_for():
    for distribution in ("student_t3", "gaussian_outlier_channels"):
        assert (
            sqnr_db(parse_format("olive4_channel"), distribution)
            > sqnr_db(parse_format("int4_channel"), distribution) + 6
        )
