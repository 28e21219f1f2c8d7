"""Digits of posits: those of the significand, decoded bit by bit from the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import bit_statistics, digit_histogram, expected_maximum, parse_format
from hwsim.formats.digits import ENCODINGS, digit_table, whole_numbers

posits = st.tuples(st.integers(3, 12), st.integers(0, 4)).map(lambda n: f"posit{n[0]}_es{n[1]}")


def significand(fmt, code):
    """(sign, whole number) of a code: hidden bit and fraction, filled up to the longest fraction; (False, 0) for 0, NaR."""
    value = fmt.decode_scalar(code)
    if not value:
        return False, 0
    mantissa = abs(value)
    while mantissa >= 2:
        mantissa /= 2
    while mantissa < 1:
        mantissa *= 2
    whole = mantissa * 2 ** max(0, fmt.bits - 3 - fmt.es)
    assert whole.denominator == 1
    return value < 0, whole.numerator


@given(posits)
def test_the_whole_number_is_the_significand(name):
    fmt = parse_format(name)
    whole = whole_numbers(fmt)
    expected = [significand(fmt, code) for code in range(2**fmt.bits)]
    assert list(zip(whole.negative.tolist(), whole.values.tolist(), strict=True)) == expected
    assert whole.width == 1 + max(0, fmt.bits - 3 - fmt.es)
    assert int(whole.values.max()).bit_length() == whole.width
    assert not whole.signed


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(posits)
def test_digits_add_up(encoding, name):
    fmt = parse_format(name)
    found = digit_table(fmt, encoding)
    expected = [(-1) ** sign * whole for sign, whole in (significand(fmt, c) for c in range(2**fmt.bits))]
    assert found.values().tolist() == expected
    if encoding == "sign_magnitude":
        assert found.counts().tolist() == [abs(whole).bit_count() for whole in expected]


def test_wide_posits_have_digits_too():
    fmt = parse_format("posit16_es2")
    codes = np.random.default_rng(1).integers(0, 2**16, 4096).astype(np.uint16)
    found = bit_statistics(codes, fmt)
    booth = digit_histogram(found.histogram, fmt, "booth")
    assert booth.tolist() == found.digit_histograms["booth"].tolist()
    assert found.digit_means["naf"] <= found.digit_means["sign_magnitude"]
    assert found.position_share[-1] == pytest.approx(
        np.mean((codes != 0) & (codes != 2**15)), abs=1e-3
    )  # the hidden bit
    assert expected_maximum(booth, 8) > found.digit_means["booth"]
