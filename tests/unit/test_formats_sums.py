"""Sums in FP32 by the machine are those of the exact sum, rounded once, bit for bit; and steps side by side those in turn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim.formats import parse_format
from hwsim.formats import sums as module
from hwsim.formats.sums import add_exactly_rounded, add_in_turn, add_rounded, sum_products

FP32, BF16, FP16, E5M2 = (parse_format(name).element for name in ("fp32", "bf16", "fp16", "fp8_e5m2"))
LARGEST = float(np.finfo(np.float32).max)

singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
#: Products of two bf16: 16 bits, of exponents far beyond those of FP32.
products = st.builds(
    lambda whole, power: float(np.ldexp(float(whole), power)), st.integers(-(2**16), 2**16), st.integers(-280, 230)
)


def same(found, expected):
    return np.array_equal(np.asarray(found).view(np.uint64), np.asarray(expected, dtype=np.float64).view(np.uint64))


def exactly(x, y):
    """The exact sum to the nearest FP32, a tie to the even one, at most the largest."""
    exact = Fraction(x) + Fraction(y)
    if not exact:
        return x + y
    power = max(int(np.frexp(float(abs(exact)))[1]), -125) - 24
    while abs(exact) / Fraction(2) ** power >= 2**24:
        power += 1
    while power > -149 and abs(exact) / Fraction(2) ** power < 2**23:
        power -= 1
    value = round(exact / Fraction(2) ** power) * Fraction(2) ** power  # a tie to even
    if abs(value) > LARGEST:
        return LARGEST if exact > 0 else -LARGEST
    return float(value) if value else float(np.copysign(0.0, float(exact)))


@settings(max_examples=500)
@given(singles, products)
def test_a_sum_is_the_exact_one_rounded_once(x, y):
    found = add_rounded(FP32, np.array([x]), np.array([y]))
    assert same(found, [exactly(x, y)])
    assert same(found, add_exactly_rounded(FP32, np.array([x]), np.array([y])))


@settings(max_examples=300)
@given(singles.filter(lambda x: 0 < abs(x) < 2.0**127), st.integers(-40, 3), st.sampled_from([0, 1, -1]), st.booleans())
def test_what_is_almost_a_tie_is_none(x, beyond, side, negative):
    # half of the last place of x, and one place of a product far below it
    half = float(np.spacing(np.float32(x))) / 2
    y = (half + side * half * 2.0**-15) * (-1) ** negative
    tiny = y + side * 2.0 ** (beyond - 60) * half
    for term in (y, tiny, half, -half):
        assert same(add_rounded(FP32, np.array([x]), np.array([term])), [exactly(x, term)])


def test_a_tie_that_float64_makes_is_not_taken_for_one():
    x, y = float(2**30), 64 + 2.0**-24  # the sum needs 55 bits: float64 has 2^30 + 64, a tie of FP32
    assert x + y == x + 64
    assert np.float64(x + y).astype(np.float32) == x
    assert add_rounded(FP32, np.array([x]), np.array([y]))[0] == x + 128


def test_beyond_the_normal_numbers():
    x = np.array([LARGEST, -LARGEST, 2.0**-126, 2.0**-149, 0.0, -0.0, np.nan, LARGEST, 0.0])
    y = np.array([2.0**103, -(2.0**200), -(2.0**-150), 2.0**-151, 0.0, -0.0, 1.0, 2.0**102, -(2.0**-151)])
    assert same(add_rounded(FP32, x, y), add_exactly_rounded(FP32, x, y))
    assert same(add_rounded(FP32, np.float64(1.5), np.float64(2.0**-24)), np.float64(1.5))
    assert add_rounded(FP32, np.zeros((2, 1)), np.ones((1, 3))).shape == (2, 3)


def in_turn(fmt, acc, terms):
    for at in range(terms.shape[-1]):
        acc = add_exactly_rounded(fmt, np.asarray(acc, dtype=np.float64), terms[..., at])
    return acc


@settings(max_examples=200)
@given(
    arrays(np.float64, (2, 3), elements=singles),
    arrays(np.float64, (2, 3, 5), elements=st.one_of(singles, products, st.sampled_from([LARGEST, -LARGEST]))),
    st.sampled_from([FP32, BF16, FP16]),
)
def test_terms_are_added_one_after_the_other(acc, terms, fmt):
    acc = fmt.quantize(acc)
    assert same(add_in_turn(fmt, acc, terms), in_turn(fmt, acc, terms))


def operands(rng, fmt, shape, spread):
    values = fmt.quantize(np.ldexp(rng.standard_normal(shape), rng.integers(-spread, spread + 1, shape)))
    return values * (rng.random(shape) > 0.1)


@pytest.mark.parametrize("fmt", [BF16, FP16, E5M2])
@pytest.mark.parametrize("accumulator", [FP32, BF16])
@pytest.mark.parametrize("shape", [(1, 7, 40), (3, 5, 33), (30, 40, 17), (70, 130, 9), (700, 1, 5), (2, 9000, 3)])
@pytest.mark.parametrize("spread", [0, 8, 70])
def test_products_are_added_in_turn_whatever_their_shape_and_range(fmt, accumulator, shape, spread):
    m, n, k = shape
    rng = np.random.default_rng(m + n + k + spread)
    a, w = operands(rng, fmt, (m, k), spread), operands(rng, fmt, (k, n), spread)
    acc = accumulator.quantize(rng.standard_normal((m, n)))
    before = acc.copy()
    expected = in_turn(accumulator, acc, a[:, None, :] * w.T)
    assert same(sum_products(accumulator, acc, a, w), expected)
    assert same(acc, before)


def test_only_what_float32_has_is_left_to_it(monkeypatch):
    taken = []
    plain = module._machine_sums
    monkeypatch.setattr(module, "_machine_sums", lambda *given: taken.append(1) or plain(*given))
    rng = np.random.default_rng(0)

    def asked(a, w, acc=None):
        taken.clear()
        acc = np.zeros((30, 40)) if acc is None else acc
        with np.errstate(invalid="ignore"):  # infinity times 0
            terms = a[:, None, :] * w.T
        assert same(sum_products(FP32, acc, a, w), in_turn(FP32, acc, terms))
        return bool(taken)

    a, w = operands(rng, BF16, (30, 6), 3), operands(rng, BF16, (6, 40), 3)
    assert asked(a, w)
    assert asked(np.zeros_like(a), w)
    assert not asked(a * 2.0**100, w * 2.0**40)  # beyond the largest
    assert not asked(a * 2.0**-100, w * 2.0**-60)  # below the last place
    assert not asked(a, FP32.quantize(rng.standard_normal((6, 40))))  # 8 and 24 bits
    assert not asked(np.where(a == a.max(), np.inf, a), w)
    assert not asked(a, w, np.full((30, 40), 1 / 3))
    large = np.full((30, 40), LARGEST)
    assert asked(np.abs(a) * 2.0**57, np.abs(w) * 2.0**60, large)  # and finds it saturated, in the exact way
