"""Formats that keep outlier features in FP16, against their definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cli.formats import losses
from hwsim.formats import parse_format
from hwsim.formats.accuracy import sqnr_db
from hwsim.formats.distributions import OUTLIER_EVERY, sample
from hwsim.formats.element.integer import Integer
from hwsim.hardware.pe import make_pe
from hwsim.report.explain import Question
from hwsim.report.explain.format import explain_format
from hwsim.spec.errors import UsageError

BASES = ["int4_g8", "int8_channel", "int4_asym_g8", "fp4_e2m1_g16", "int4_t2x8", "int8_tensor"]


def tensor(rows, columns, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * 2
    x = np.where(rng.random(x.shape) < 0.2, np.rint(x), x)  # ties, and magnitudes of exactly 6
    return x * np.where(rng.random(columns) < 0.1, 10.0, 1.0)


tensors = st.builds(tensor, st.integers(1, 4), st.integers(1, 80), st.integers(0, 2**32 - 1))


def glued(fmt, x, apart):
    """FP16 columns beside those of the base, quantized as a tensor of their own."""
    found = np.empty_like(x)
    rest = [j for j in range(x.shape[1]) if j not in apart]
    found[:, apart] = x[:, apart].astype(np.float16)
    if rest:
        found[:, rest] = fmt.base.quantize(x[:, rest])
    return found


@given(st.sampled_from(BASES), st.integers(1, 500), tensors)
def test_the_largest_features_are_kept(base, per_mille, x):
    fmt = parse_format(f"{base}_out{per_mille}")
    columns = x.shape[1]
    count = int(Fraction(columns * per_mille, 1000) + Fraction(1, 2))
    apart = sorted(range(columns), key=lambda j: (-max(abs(x[:, j])), j))[:count]
    assert np.flatnonzero(fmt.outlier_positions(x)).tolist() == sorted(apart)
    assert np.array_equal(fmt.quantize(x), glued(fmt, x, sorted(apart)))
    assert fmt.outlier_share(x) == count / columns
    assert fmt.storage_bits(x.shape[0], columns) == (
        fmt.base.storage_bits(x.shape[0], columns - count) + 16 * x.shape[0] * count
    )


@given(tensors)
def test_llm_int8_keeps_features_that_reach_six_anywhere(x):
    fmt = parse_format("llm_int8")
    apart = [j for j in range(x.shape[1]) if any(abs(v) >= 6 for v in x[:, j])]
    assert np.flatnonzero(fmt.outlier_positions(x)).tolist() == apart
    assert fmt.outlier_share(x) == pytest.approx(len(apart) / x.shape[1])
    found = fmt.quantize(x)
    assert np.array_equal(found, glued(fmt, x, apart))
    for row, done in zip(x, found, strict=True):
        rest = np.delete(row, apart)
        scale = float(np.float32(np.abs(rest).max(initial=0) / 127)) or 1.0
        assert np.array_equal(np.delete(done, apart), np.rint(rest / scale) * scale)


@given(st.sampled_from(["llm_int8", "int4_g8_out100"]), tensors)
def test_features_run_along_the_axis(name, x):
    fmt = parse_format(name)
    assert np.array_equal(fmt.quantize(x, axis=0), fmt.quantize(x.T).T)
    assert np.array_equal(fmt.outlier_positions(x, axis=0), fmt.outlier_positions(x.T))
    stacked = np.stack([x, -x / 2])  # positions are those of the whole tensor, not of a matrix of it
    assert np.array_equal(fmt.outlier_positions(stacked), fmt.outlier_positions(x))
    assert np.array_equal(fmt.quantize(-x), -fmt.quantize(x))
    single = x.astype(np.float32)
    assert fmt.quantize(single).dtype == np.float32


@given(tensors)
def test_repeating_llm_int8_changes_nothing(x):
    fmt = parse_format("llm_int8")
    once = fmt.quantize(x)
    assert np.array_equal(fmt.quantize(once), once)


def test_storage_is_the_weighted_mean():
    assert parse_format("llm_int8").bits_per_element == Fraction(999, 1000) * 8 + Fraction(16, 1000)
    fmt = parse_format("int4_g128_out10")
    assert fmt.bits_per_element == Fraction(99, 100) * Fraction(33, 8) + Fraction(16, 100)
    k = 12800  # 128 outliers, 99 full groups
    assert fmt.storage_bits(3, k) == 3 * k * fmt.bits_per_element
    assert parse_format("int8_channel_out5").storage_bits(2, 1000) == 2 * (995 * 8 + 16 + 5 * 16)
    assert (fmt.bits, fmt.block_size) == (4, 128)


def test_outlier_channels_of_a_known_distribution_are_found():
    x = sample("gaussian_outlier_channels")
    fmt = parse_format("llm_int8")
    assert fmt.outlier_share(x) == 1 / OUTLIER_EVERY
    assert np.flatnonzero(fmt.outlier_positions(x))[:3].tolist() == [0, OUTLIER_EVERY, 2 * OUTLIER_EVERY]
    assert fmt.outlier_share(sample("gaussian")) == 0
    bare, split = (sqnr_db(parse_format(n), "gaussian_outlier_channels") for n in ("int8_channel", "llm_int8"))
    assert split > bare + 15


def test_measured_bits_count_the_outliers_that_are_there():
    x, fmt = sample("gaussian_outlier_channels"), parse_format("llm_int8")
    share = Fraction(1, OUTLIER_EVERY)
    assert fmt.measured_bits(x) == pytest.approx(float((1 - share) * 8 + share * 16))
    assert fmt.measured_bits(sample("gaussian")) == 8
    assert fmt.measured_bits(sample("student_t3")) > 12  # some row of most features reaches 6
    assert losses(("llm_int8",), ("gaussian_outlier_channels",))["bits_per_element"].tolist() == [fmt.measured_bits(x)]


@pytest.mark.parametrize(("name", "words"), [("llm_int8", "those that reach 6 in any row; 0.1% counted"),
                                             ("int4_g128_out10", "the largest, 1.0% of them; 1.0% counted")])  # fmt: skip
def test_the_explanation_says_what_is_kept(name, words):
    first, *_, last = explain_format(name, Question())
    assert words in first.frame["value"].tolist()
    shares = dict(zip(last.frame["distribution"], last.frame["outlier features"], strict=True))
    assert shares["gaussian_outlier_channels"] == (1 / 128 if name == "llm_int8" else 41 / 4096)


def test_edges_of_the_range():
    fmt = parse_format("llm_int8")
    assert fmt.quantize(np.zeros((0, 4))).shape == (0, 4)
    assert fmt.outlier_share(np.zeros((3, 0))) == 0
    assert fmt.quantize(np.array(7.3)) == np.float16(7.3)
    assert fmt.quantize(np.array([[np.inf, 1.0]])).tolist() == [[65504.0, pytest.approx(1.0)]]
    with pytest.raises(ValueError, match="llm_int8 has no code for NaN"):
        fmt.quantize(np.array([7.0, np.nan]))
    for name in ("int4_g128_out0", "int4_g128_out501"):
        with pytest.raises(UsageError, match=f"{name}: valid: 1 to 500 per mille"):
            parse_format(name)
    with pytest.raises(UsageError, match="unknown format"):
        parse_format("nonsense_out5")


def test_integer_datapaths_refuse_it():
    for name in ("llm_int8", "int4_g128_out10"):
        fmt = parse_format(name)
        assert not isinstance(fmt.element, Integer)
        for options in ({"family": "int_mac", "format": "int8"}, {"family": "float_mac", "format": "fp16"},
                        {"family": "bitmod", "a_format": "fp16"}):  # fmt: skip
            assert make_pe(options).supports(fmt, parse_format("int8")) is not None


@pytest.mark.parametrize("name", ["llm_int8", "int4_g128_out10", "int8_channel_out50", "nvfp4_out100"])
@pytest.mark.parametrize(("shape", "axis"), [((7, 300), -1), ((300, 7), 0), ((2, 3, 129), -1), ((64,), -1), ((), -1)])
def test_decoding_gives_what_quantization_gives(name, shape, axis):
    fmt = parse_format(name)
    x = np.random.default_rng(3).standard_normal(shape) * 3
    encoded = fmt.encode(x, axis)
    assert np.array_equal(fmt.decode(encoded), fmt.quantize(x, axis))
    if len(shape) == 2 and fmt.threshold is None:
        assert encoded.storage_bits == fmt.storage_bits(7, 300)
