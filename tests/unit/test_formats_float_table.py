"""Floats by table against gfloat: every P3109 format of 3 to 10 bits, every code, every midpoint."""

from __future__ import annotations

import gfloat
import gfloat.formats
import numpy as np
import pytest
from gfloat import Domain, Signedness

from hwsim.formats import parse_format
from hwsim.formats.element.float_table import FloatTable
from hwsim.spec.errors import UsageError

CASES = [(k, p, s, d) for k in range(3, 11) for p in range(1, k + 1) for s in "su" for d in "ef" if s == "u" or p < k]


@pytest.mark.parametrize(("k", "p", "signed", "domain"), CASES)
def test_p3109_is_what_gfloat_says(k, p, signed, domain):
    info = gfloat.formats.format_info_p3109(
        k, p, {"s": Signedness.Signed, "u": Signedness.Unsigned}[signed],
        {"e": Domain.Extended, "f": Domain.Finite}[domain],
    )  # fmt: skip
    fmt = parse_format(f"p3109_k{k}p{p}{signed}{domain}")
    theirs = np.array([gfloat.decode_float(info, code).fval for code in range(2**k)])
    assert np.array_equal(fmt.code_values(), theirs, equal_nan=True)
    grid = fmt.values()
    middles = (grid[1:] + grid[:-1]) / 2
    x = np.concatenate([grid, middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf), [1e30]])
    x = np.append(x, -grid[-1] * 3) if signed == "s" else np.abs(x)
    assert fmt.quantize(x).tolist() == [gfloat.round_float(info, float(value), sat=True) for value in x]
    assert np.array_equal(fmt.decode(fmt.encode(x)), fmt.quantize(x))


def test_the_ending_may_be_left_out():
    assert parse_format("p3109_k8p4") == parse_format("p3109_k8p4se")


@pytest.mark.parametrize("name", ["p3109_k8p8", "p3109_k2p1", "p3109_k17p4", "p3109_k8p0"])
def test_widths_out_of_range_are_refused(name):
    with pytest.raises(UsageError, match="valid: 3 to 16 bits"):
        parse_format(name)


def test_negative_zero_keeps_its_sign_where_it_has_a_code():
    fmt = FloatTable("f", 2, 1, 1, infinities=True)
    codes = fmt.encode(np.array([-0.0, 0.0, -0.1]))
    assert codes.tolist() == [8, 0, 8]
    assert np.signbit(fmt.quantize(np.array([-0.0, 0.0, -0.1]))).tolist() == [True, False, True]
    assert not np.signbit(parse_format("p3109_k8p3").quantize(np.array([-0.0])))[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"exponent_bits": 9, "mantissa_bits": 8, "bias": 1},
        {"exponent_bits": 2, "mantissa_bits": 1, "bias": 1, "signed": False, "nan_at_negative_zero": True},
        {"exponent_bits": 2, "mantissa_bits": 1, "bias": 1, "zero": False},
        {"exponent_bits": 1, "mantissa_bits": 0, "bias": 1, "high_nans": 1, "infinities": True},
    ],
)
def test_contradictions_are_refused(fields):
    with pytest.raises(ValueError, match="valid: |can stand for -0|include zero"):
        FloatTable("f", **fields)
