"""Digits and bit statistics: exhaustive counts, properties, brute force, and figures measured by others."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as distributions

from hwsim.formats import ElementFormat, parse_format
from hwsim.formats.digits import ENCODINGS, digit_table, whole_numbers
from hwsim.formats.statistics import (
    bit_statistics,
    code_histogram,
    digit_histogram,
    expected_maximum,
    mean_digits,
)
from hwsim.spec.errors import UsageError

INT8 = parse_format("int8")
FORMATS = ["int8", "int7", "int2", "uint8", "uint7", "uint1", "int16", "uint16", "fp8_e4m3", "fp8_e5m2", "fp16"]
FORMATS += ["bf16", "fp4_e2m1", "ue8m0", "fp8_e4m3fnuz"]
DIGIT_SETS = {
    "twos_complement": {0, 1},
    "sign_magnitude": {0, 1},
    "booth": {-2, -1, 0, 1, 2},
    "naf": {-1, 0, 1},
    "ent": {-1, 0, 1, 2},
}
#: Non-zero digits of the 256 codes: Booth and EN-T measured by others (TPE, arXiv 2503.06342); ones are binomial.
INT8_COUNTS = {
    "booth": [1, 12, 54, 108, 81],
    "ent": [1, 15, 60, 108, 72],
    "twos_complement": [1, 8, 28, 56, 70, 56, 28, 8, 1],
}
#: Mean non-zero digits of normal INT8 data: std, EN-T, Booth (TPE's encoders, sampled by others).
TPE = [(10, 1.760, 1.923), (20, 2.113, 2.292), (30, 2.335, 2.529), (40, 2.489, 2.672), (50, 2.604, 2.768)]
#: Sampled by others: data scaled by the largest magnitude of a group; zero share, then mean ones in two's
#: complement and sign-magnitude, NAF and Booth digits.
ABSMAX = [
    ("norm", 128, 0.0089, 3.9991, 2.9292, 2.4496, 2.7187),
    ("norm", 1024, 0.0108, 3.9937, 2.7673, 2.36, 2.6358),
    ("norm", 4096, 0.012, 3.9896, 2.6942, 2.3106, 2.5855),
    ("laplace", 128, 0.0213, 3.9698, 2.5401, 2.1699, 2.4111),
    ("laplace", 4096, 0.0344, 3.9346, 2.1772, 1.9346, 2.1523),
    ("t5", 128, 0.0151, 3.9932, 2.6269, 2.2348, 2.4857),
    ("t5", 4096, 0.0323, 3.9477, 2.0941, 1.8782, 2.0856),
    ("t3", 1024, 0.0517, 3.893, 1.884, 1.7133, 1.9035),
]


@pytest.mark.parametrize(("encoding", "counts"), INT8_COUNTS.items())
def test_non_zero_digits_of_all_int8_codes(encoding, counts):
    assert digit_histogram(np.ones(256), INT8, encoding).tolist() == counts


@pytest.mark.parametrize(
    ("fmt", "encoding", "mean"),
    [
        ("int8", "booth", 3.0),
        ("int8", "ent", 747 / 256),
        ("int8", "naf", 711 / 256),
        ("int8", "sign_magnitude", 897 / 256),
        ("int6", "naf", 135 / 64),
        ("int6", "booth", 2.25),
        ("int4", "naf", 1.4375),
        ("int4", "booth", 1.5),
    ],
)
def test_mean_digits_of_equally_likely_codes(fmt, encoding, mean):
    given_format = parse_format(fmt)
    assert mean_digits(digit_histogram(np.ones(2**given_format.bits), given_format, encoding)) == mean


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", [*FORMATS, "bitmod3_g128", "bitmod4_g128"])
def test_digits_are_of_their_set_and_give_the_whole_number(name, encoding):
    element = parse_format(name).element
    table, whole = digit_table(element, encoding), whole_numbers(element)
    assert set(np.unique(table.digits)) <= DIGIT_SETS[encoding]
    assert np.array_equal(table.values(), np.where(whole.negative, -whole.values, whole.values))


@pytest.mark.parametrize("name", [name for name in FORMATS if "int" in name])
def test_the_whole_number_of_an_integer_is_its_value(name):
    element = parse_format(name)
    assert np.array_equal(whole_numbers(element).values, element.code_values())


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2", "fp16", "fp4_e2m1", "fp8_e4m3fnuz", "ue8m0"])
def test_the_whole_number_of_a_minifloat_is_its_significand(name):
    element = parse_format(name)
    values, whole = element.code_values(), whole_numbers(element)
    finite = np.isfinite(values)
    power = np.maximum(np.frexp(np.where(values == 0, 2.0**-999, values))[1] - 1, element.min_exponent)
    signed = np.where(whole.negative, -1, 1) * np.ldexp(whole.values.astype(float), power - element.mantissa_bits)
    assert np.array_equal(signed[finite], values[finite])
    assert not whole.values[~finite].any()


def test_levels_of_bitmod_are_counted_in_halves():
    element = parse_format("bitmod4_g128").element
    assert np.array_equal(whole_numbers(element).values, 2 * element.code_values())


def _fewest_signed_digits(value):
    """Fewest powers of two that add or subtract up to a number, by recursion over its lowest bit."""
    if value in (0, 1):
        return value
    if value % 2 == 0:
        return _fewest_signed_digits(value // 2)
    return 1 + min(_fewest_signed_digits((value - 1) // 2), _fewest_signed_digits((value + 1) // 2))


@given(st.integers(0, 2**16 - 1))
def test_naf_is_non_adjacent_and_minimal(code):
    fmt = parse_format("int16")
    table = digit_table(fmt, "naf")
    digits = table.digits[:, code] != 0
    assert not (digits[1:] & digits[:-1]).any()
    assert table.counts()[code] == _fewest_signed_digits(abs(int(fmt.code_values()[code])))


@given(st.integers(0, 255))
def test_ent_digits_by_hand(code):
    value = abs(int(INT8.code_values()[code]))
    carry, digits = 0, []
    for place in range(0, 8, 2):
        pair = ((value >> place) & 3) + carry
        carry = int(pair >= 3)
        digits.append(pair - 4 * carry)
    assert carry == 0
    assert digit_table(INT8, "ent").digits[:, code].tolist() == digits


def test_digit_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        digit_table(INT8, "naf").digits[0, 0] = 1


def _normal_codes(std):
    """Probabilities of INT8 codes of rounded normal data clipped to ±127."""
    edges = np.concatenate([[-np.inf], np.arange(-126.5, 127), [np.inf]])
    weights = np.zeros(256)
    weights[np.arange(-127, 128) & 255] = np.diff(distributions.norm.cdf(edges, scale=std))
    return weights


@pytest.mark.parametrize(("std", "ent", "booth"), TPE)
def test_normal_int8_data_as_measured_for_tpe(std, ent, booth):
    """Ours is the exact expectation; the measured means are samples, and how they clip is not stated: 0.01."""
    weights = _normal_codes(std)
    assert weights.sum() == pytest.approx(1)
    assert mean_digits(digit_histogram(weights, INT8, "ent")) == pytest.approx(ent, abs=0.01)
    assert mean_digits(digit_histogram(weights, INT8, "booth")) == pytest.approx(booth, abs=0.01)


def _absmax_codes(name, group, points=2000):
    """Probabilities of INT8 codes of groups scaled by their largest magnitudes, equally likely groups in rows."""
    named = distributions.t(int(name[1:])) if name[0] == "t" else getattr(distributions, name)()
    chance = (np.arange(points) + 0.5) / points
    largest = named.isf((1 - chance ** (1 / group)) / 2)[:, None]
    edges = np.concatenate([[0], np.arange(0.5, 127) / 127, [1]])
    below = 1 - 2 * named.sf(largest * edges)
    magnitude = np.diff(below / below[:, -1:], axis=1) * (group - 1) / group
    magnitude[:, 127] += 1 / group
    zero, half = magnitude[:, :1], magnitude[:, 1:] / 2
    return np.hstack([zero, half, np.zeros_like(zero), half[:, ::-1]])


@pytest.mark.parametrize(("name", "group", "zeros", "ones", "magnitude", "naf", "booth"), ABSMAX)
def test_groups_scaled_by_their_largest_as_measured(name, group, zeros, ones, magnitude, naf, booth):
    """Ours is the exact expectation, theirs are samples of a size not stated, in differences of both signs: 0.006."""
    weights = _absmax_codes(name, group).mean(axis=0)
    found = [mean_digits(digit_histogram(weights, INT8, encoding)) for encoding in ENCODINGS[:4]]
    assert weights[0] == pytest.approx(zeros, abs=0.001)
    assert found == pytest.approx([ones, magnitude, booth, naf], abs=0.006)


#: Lanes in lockstep within a group, sampled by others: NAF and Booth digits of the slowest of 8, 16, 32, 64.
LOCKSTEP = [
    ("norm", 4096, [3.3014, 3.5273, 3.7731, 3.9447], [3.7326, 3.9278, 3.9942, 3.9999]),
    ("t5", 4096, [2.8534, 3.0392, 3.162, 3.2994], [3.141, 3.3366, 3.5382, 3.7359]),
    ("t3", 4096, [2.4062, 2.6351, 2.8362, 2.9869], [2.6946, 2.9179, 3.0914, 3.2555]),
    ("t3", 1024, [2.6859, 2.909, 3.0742, 3.225], [2.9807, 3.1939, 3.3889, 3.5865]),
]


@pytest.mark.parametrize(("name", "group", "naf", "booth"), LOCKSTEP)
def test_lockstep_lanes_within_a_group_as_measured(name, group, naf, booth):
    """Averaged over groups: samples as above, 0.006. One distribution for all is off by up to 0.13."""
    weights = _absmax_codes(name, group)
    for encoding, measured in (("naf", naf), ("booth", booth)):
        counts = digit_histogram(weights, INT8, encoding)
        found = [expected_maximum(counts, lanes).mean() for lanes in (8, 16, 32, 64)]
        assert found == pytest.approx(measured, abs=0.006)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any), st.integers(1, 4))
def test_expected_maximum_equals_brute_force(counts, lanes):
    total = sum(counts)
    brute = sum(
        max(draw) * np.prod([counts[digit] / total for digit in draw])
        for draw in product(range(len(counts)), repeat=lanes)
    )
    assert expected_maximum(counts, lanes) == pytest.approx(brute, abs=1e-12)


def test_expected_maximum_of_one_lane_is_the_mean_and_of_parts_an_array():
    weights = np.array([[1, 2, 3, 0], [0, 0, 4, 4]])
    assert expected_maximum(weights, 1) == pytest.approx(mean_digits(weights))
    assert expected_maximum(weights, 3).tolist() == [expected_maximum(row, 3) for row in weights]


@pytest.mark.parametrize(
    ("weights", "lanes"), [([0, 0], 2), ([1, -1, 3], 2), ([np.nan], 1), ([1], 0), ([1], 1.5), (1, 1)]
)
def test_expected_maximum_refuses_what_is_no_distribution(weights, lanes):
    with pytest.raises(UsageError):
        expected_maximum(weights, lanes)


def _direct(values, codes, fmt, sigma=3.0):
    """Statistics of one part from its elements, one by one."""
    kept = [code for code in codes if np.isfinite(values[code])]
    present = np.array([values[code] for code in kept])
    threshold = sigma * np.std(present)
    table = {name: digit_table(fmt, name).counts() for name in ENCODINGS}
    whole = np.abs(whole_numbers(fmt).values)
    width = int(whole.max()).bit_length()
    return {
        "zero": np.sum(present == 0) / len(codes),
        "special": 1 - len(kept) / len(codes),
        "digits": {name: np.mean([count[code] for code in kept]) for name, count in table.items()},
        "ones": [np.mean([whole[code] >> place & 1 for code in kept]) for place in range(width)],
        "threshold": threshold,
        "outliers": sum(abs(values[code]) > threshold for code in codes) / len(codes),
    }


def _assert_part(found, at, want):
    assert found.zero_share[at] == pytest.approx(want["zero"])
    assert found.special_share[at] == pytest.approx(want["special"], abs=1e-12)
    assert {name: mean[at] for name, mean in found.digit_means.items()} == pytest.approx(want["digits"])
    assert found.position_share[at].tolist() == pytest.approx(want["ones"])
    assert found.outlier_threshold[at] == pytest.approx(want["threshold"])
    assert found.outlier_share[at] == pytest.approx(want["outliers"])


def _codes(fmt, shape, seed=0):
    """Codes of heavy-tailed data, with outliers, and with NaN where the format has it."""
    rng = np.random.default_rng(seed)
    scale = fmt.max_value / 20
    codes = fmt.encode(np.clip(rng.standard_t(3, shape) * scale, -fmt.max_value, fmt.max_value)).astype(np.uint16)
    if np.isnan(fmt.code_values()).any():
        codes.flat[3] = np.flatnonzero(np.isnan(fmt.code_values()))[0]
    return codes


@pytest.mark.parametrize("name", ["int4_g32", "mxfp4", "nvfp4", "int4_asym_g16", "int8_channel", "int4_t4x4"])
def test_values_of_a_block_format_give_the_same_as_their_codes(name):
    fmt, x = parse_format(name), np.random.default_rng(2).standard_normal((8, 70)).astype(np.float32)
    for axis in (None, "row", 16):
        found, codes = bit_statistics(x, fmt, axis), bit_statistics(fmt.encode(x).codes.codes, fmt, axis)
        assert np.array_equal(found.histogram, codes.histogram)
        assert np.array_equal(found.zero_share, codes.zero_share)
        assert {k: v.tolist() for k, v in found.digit_means.items()} == {
            k: v.tolist() for k, v in codes.digit_means.items()
        }


def test_all_int8_values_have_booth_mean_3_and_ent_mean_2_918():
    for values, name in ((np.arange(-128.0, 128.0), "int8_full"), (np.arange(-128, 128, dtype=np.int8), "int8"),
                         (np.arange(-128, 128), "int8")):  # fmt: skip
        found = bit_statistics(values, parse_format(name)).digit_means
        assert found["booth"] == 3
        assert found["ent"] == 747 / 256
    assert bit_statistics(np.arange(-129, 128), INT8).histogram[128] == 0  # not all have a code: clipped to -127


@pytest.mark.parametrize("chunk", [1 << 18, 64])
@pytest.mark.parametrize("name", ["int4", "int8", "fp8_e4m3", "fp8_e5m2", "fp4_e2m1", "uint6"])
def test_parts_equal_the_count_of_every_element(name, chunk):
    """Codes of 4 bits go through histograms, of 8 bits through the codes; small chunks force histograms."""
    fmt = parse_format(name)
    codes, values = _codes(fmt, (6, 70)), fmt.code_values()
    _assert_part(bit_statistics(codes, fmt, chunk=chunk), (), _direct(values, codes.ravel(), fmt))
    by_row, by_column = (bit_statistics(codes, fmt, axis, chunk=chunk) for axis in ("row", "column"))
    by_group = bit_statistics(codes, fmt, 32, chunk=chunk)
    assert by_row.count.tolist() == [70] * 6
    assert by_column.count.tolist() == [6] * 70
    assert by_group.count.tolist() == [[32, 32, 6]] * 6
    for row in range(6):
        _assert_part(by_row, row, _direct(values, codes[row], fmt))
        for group in range(3):
            _assert_part(by_group, (row, group), _direct(values, codes[row, 32 * group : 32 * group + 32], fmt))
    for column in range(70):
        _assert_part(by_column, column, _direct(values, codes[:, column], fmt))


def _same(a, b):
    arrays = ["count", "histogram", "zero_share", "special_share", "position_share"]
    arrays += ["outlier_threshold", "outlier_share"]
    assert all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in arrays)
    assert all(np.array_equal(a.digit_histograms[name], b.digit_histograms[name]) for name in ENCODINGS)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["int4", "int8", "fp8_e4m3", "fp6_e2m3"]),
    st.sampled_from([None, "row", "column", 1, 5, 16, 100]),
    st.tuples(st.integers(1, 7), st.integers(1, 40)),
    st.integers(1, 300),
    st.integers(0, 9),
)
def test_any_chunk_gives_the_same(name, axis, shape, chunk, seed):
    fmt = parse_format(name)
    codes = np.random.default_rng(seed).integers(0, 2**fmt.bits, shape, dtype=np.uint8)
    _same(bit_statistics(codes, fmt, axis, chunk=chunk), bit_statistics(codes, fmt, axis))


@pytest.mark.parametrize("axis", [None, "row", "column", 16])
def test_values_give_the_same_as_their_codes_and_strides_do_not_matter(axis):
    values = np.random.default_rng(1).normal(0, 40, (30, 50)).astype(np.float32)
    codes = INT8.encode(values)
    wanted = bit_statistics(codes, INT8, axis)
    _same(bit_statistics(values, INT8, axis), wanted)
    _same(bit_statistics(np.asfortranarray(values), INT8, axis, chunk=128), wanted)
    _same(bit_statistics(np.repeat(values, 2, axis=1)[:, ::2], INT8, axis, chunk=128), wanted)
    _same(bit_statistics(codes.astype(np.uint8), parse_format("int8_g128"), axis), wanted)


@pytest.mark.parametrize("axis", ["row", "column", 16])
def test_parts_add_up_to_the_whole(axis):
    codes = _codes(INT8, (20, 90))
    whole, parts = bit_statistics(codes, INT8), bit_statistics(codes, INT8, axis)
    assert whole.count == parts.count.sum() == codes.size
    assert np.array_equal(whole.histogram, parts.histogram)
    for name in ENCODINGS:
        counts = parts.digit_histograms[name]
        assert np.array_equal(counts.reshape(-1, counts.shape[-1]).sum(axis=0), whole.digit_histograms[name])
        assert np.array_equal(digit_histogram(whole.histogram, INT8, name), whole.digit_histograms[name])


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_histogram_counts_every_code(chunk):
    codes = np.repeat(np.arange(256), np.arange(256) % 5).reshape(2, -1).T
    assert code_histogram(codes, INT8, chunk=chunk).tolist() == [code % 5 for code in range(256)]


def test_outliers_above_sigma_or_above_a_magnitude():
    values = np.array([0.0] * 99 + [100.0])  # σ² = 100 - 1
    for sigma, share in ((3.0, 0.01), (10.0, 0.01), (10.1, 0.0)):
        assert bit_statistics(values, INT8, outlier_sigma=sigma).outlier_share == share
    assert bit_statistics(values, INT8).outlier_threshold == 3 * np.sqrt(99)
    assert bit_statistics(values, INT8, outlier_above=99.5).outlier_share == 0.01
    assert bit_statistics(values, INT8, outlier_above=100).outlier_share == 0


def test_nan_and_infinity_are_special_and_have_no_digits():
    fmt = parse_format("fp8_e5m2")
    found = bit_statistics(np.array([0x7C, 0x7F, 0x80, 0x3E], dtype=np.uint8), fmt)  # inf, NaN, -0, 1.5
    assert (found.special_share, found.zero_share) == (0.5, 0.25)
    assert found.digit_histograms["sign_magnitude"].tolist() == [1, 0, 1, 0]
    assert found.position_share.tolist() == [0.0, 0.5, 0.5]
    assert found.outlier_share == 0.25  # infinity
    with np.errstate(all="raise"):
        alone = bit_statistics(np.array([0x7F], dtype=np.uint8), fmt)
    assert np.isnan(alone.digit_means["booth"])


def test_wide_codes_and_scalars():
    values = np.linspace(-2, 2, 100)
    found = bit_statistics(values, parse_format("fp16"))
    assert found.histogram.size == 2**16
    assert found.position_share.shape == (11,)
    assert found.position_share[10] == 1.0  # the hidden bit
    assert bit_statistics(3.0, INT8).digit_means["twos_complement"] == 2


class _Quotients(ElementFormat):
    """Integers divided by a number that only this test knows."""

    name, block_size, max_value = "quotients", None, 1.0

    def __init__(self, base, divisor):
        self.base, self.bits, self.divisor = parse_format(base), parse_format(base).bits, divisor

    def decode(self, codes):
        return self.base.decode(codes) / self.divisor

    def encode(self, values):
        return self.base.encode(np.asarray(values) * self.divisor)


def test_a_format_without_whole_numbers_has_no_digits_but_the_rest():
    thirds = _Quotients("uint2", 3)
    found = bit_statistics(np.array([[0.0, 1 / 3], [1.0, 1.0]]), thirds, "row", outlier_above=0.5)
    assert found.histogram.tolist() == [1, 1, 0, 2]
    assert found.zero_share.tolist() == [0.5, 0.0]
    assert found.outlier_share.tolist() == [0.0, 1.0]
    assert (found.digit_means, found.position_share.shape) == ({}, (2, 0))
    with pytest.raises(UsageError, match="no digits"):
        digit_table(thirds, "booth")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("base", ["int2", "int8", "int16", "uint8", "uint16"])
def test_fixed_point_has_the_digits_of_its_integers(base, encoding):
    fixed, whole = digit_table(_Quotients(base, 16), encoding), digit_table(parse_format(base), encoding)
    assert np.array_equal(fixed.digits, whole.digits)
    assert np.array_equal(fixed.values(), whole.values())


def test_the_result_is_frozen():
    with pytest.raises(FrozenInstanceError):
        bit_statistics([1.0], INT8).format = "int4"


@pytest.mark.parametrize(
    ("tensor", "fmt", "options", "message"),
    [
        ([], "int8", {}, "no elements"),
        ([1.0], "fp32", {}, "32-bit codes"),
        ([1.0], "bitmod4_g128", {}, "pass codes"),
        ([1.0], "int8", {"axis": "row"}, "needs a matrix"),
        ([[1.0]], "int8", {"axis": "rwo"}, "row"),
        ([[1.0]], "int8", {"axis": 0}, "group size"),
        ([[1.0]], "int8", {"axis": True}, "group size"),
        ([1.0], "int8", {"chunk": 0}, "chunk"),
        ([1.0], "int8", {"outlier_sigma": -1}, "outlier_sigma"),
        ([1.0], "int8", {"outlier_above": np.nan}, "outlier_above"),
        ([np.nan], "int8", {}, "no code for NaN"),
        (np.array([16], dtype=np.uint8), "int4", {}, "16 is no code of int4"),
        (["a"], "int8", {}, "dtype"),
        ([1j], "int8", {}, "dtype"),
    ],
)
def test_refusals(tensor, fmt, options, message):
    with pytest.raises(UsageError, match=message):
        bit_statistics(tensor, parse_format(fmt), **options)


def test_histogram_and_digit_refusals():
    with pytest.raises(UsageError, match="whole numbers"):
        code_histogram([0.5], INT8)
    with pytest.raises(UsageError, match="-1 is no code"):
        code_histogram([-1], INT8)
    with pytest.raises(UsageError, match="booth"):
        digit_table(INT8, "boothe")
    with pytest.raises(UsageError, match="one per code"):
        digit_histogram(np.ones(16), INT8, "naf")
