"""Complex weights of {1, i, -1, -i} against their definition."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cli.formats import losses
from hwsim.formats import bit_statistics, parse_format
from hwsim.formats.accuracy import fitted_quantize, loss, sqnr_db
from hwsim.formats.digits import ENCODINGS, digit_table, whole_numbers
from hwsim.formats.distributions import sample
from hwsim.report.explain import Question
from hwsim.report.explain.format import explain_format
from hwsim.spec.errors import UsageError

FMT = parse_format("complex2")
parts = st.one_of(st.floats(-1e6, 1e6), st.integers(-4, 4).map(float))
numbers = st.lists(st.builds(complex, parts, parts), min_size=1, max_size=40)


def test_codes_are_quarter_turns():
    assert FMT.code_values().tolist() == [1, 1j, -1, -1j]
    assert FMT.code_values().dtype == np.complex128
    for a in range(4):
        for b in range(4):
            product = FMT.decode(np.array([a])) * FMT.decode(np.array([b]))
            assert FMT.encode(product).tolist() == [(a + b) % 4]
    assert (FMT.bits, FMT.bits_per_element, FMT.storage_bits(3, 5)) == (2, 2, 30)


@given(numbers)
def test_the_nearest_phase_is_taken_and_diagonals_turn_on(zs):
    for z, code in zip(zs, FMT.encode(np.array(zs)).tolist(), strict=True):
        if z == 0:
            assert code == 0
        elif abs(z.real) == abs(z.imag):
            assert (
                code
                == {(1, 1): 1, (-1, 1): 2, (-1, -1): 3, (1, -1): 0}[
                    (math.copysign(1, z.real), math.copysign(1, z.imag))
                ]
            )
        else:
            assert code == min(range(4), key=lambda c: abs(cmath.phase(z / abs(z) / 1j**c)))


@given(numbers, st.sampled_from([np.complex64, np.complex128]))
def test_a_quarter_turn_commutes_with_quantizing(zs, dtype):
    z = np.array(zs, dtype=dtype)
    found = FMT.quantize(z)
    assert found.dtype == dtype
    assert np.array_equal(np.abs(found), np.ones(len(zs)))
    assert np.array_equal(FMT.quantize(found), found)
    turned = z != 0  # 0 stays where it is
    assert np.array_equal(FMT.quantize(z[turned] * dtype(1j)), found[turned] * dtype(1j))


def test_real_arrays_stay_real():
    found = FMT.quantize(np.array([3.0, -0.1, 0.0, -0.0, -np.inf], dtype=np.float32))
    assert (found.dtype, found.tolist()) == (np.float32, [1, -1, 1, 1, -1])
    assert FMT.quantize(np.array([[2, -3]])).tolist() == [[1, -1]]
    assert FMT.quantize(np.float64(-2)).shape == ()


@given(numbers)
def test_scales_are_the_means_of_what_they_stand_for(zs):
    z = np.array(zs)
    codes = FMT.encode(z).tolist()
    re = [abs(v.real) for v, c in zip(zs, codes, strict=True) if c in (0, 2)]
    im = [abs(v.imag) for v, c in zip(zs, codes, strict=True) if c in (1, 3)]
    expected = (sum(re) / max(1, len(re)), sum(im) / max(1, len(im)))
    assert FMT.scales(z) == pytest.approx(expected)
    scaled = [(expected[c % 2]) * 1j**c for c in codes]
    assert np.allclose(fitted_quantize(FMT, z), scaled, rtol=1e-12)
    # The mean is the least-squares scale of each part.
    best = np.sum(np.abs(fitted_quantize(FMT, z) - z) ** 2)
    for factor in (0.99, 1.01):
        assert np.sum(np.abs(fitted_quantize(FMT, z) * factor - z) ** 2) >= best * (1 - 1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_pairs_of_real_numbers_are_complex_ones(seed, columns):
    x = np.random.default_rng(seed).standard_normal((3, columns))
    padded = np.concatenate([x, np.zeros((3, columns % 2))], axis=1)
    z = fitted_quantize(FMT, padded[:, ::2] + 1j * padded[:, 1::2])
    found = fitted_quantize(FMT, x)
    assert found.shape == x.shape
    assert np.array_equal(found[:, ::2], z.real)
    assert np.array_equal(found[:, 1::2], z.imag[:, : columns // 2])


def test_loss_is_that_of_the_plane():
    # E[max(|a|, |b|)]² / 2 of two normal numbers is kept of the power of 1: 1 - 2 / π = 0.3634
    expected = -10 * math.log10(1 - 2 / math.pi)
    assert sqnr_db(FMT, "gaussian") == pytest.approx(expected, abs=0.02)
    x = sample("laplace")
    assert loss(x, fitted_quantize(FMT, x)).sqnr_db == pytest.approx(sqnr_db(FMT, "laplace"), abs=1e-3)


def test_digits_and_statistics_are_refused():
    codes = np.array([0, 1, 2], dtype=np.uint8)
    for refused in (
        lambda: whole_numbers(FMT),
        lambda: bit_statistics(codes, FMT),
        *(lambda encoding=encoding: digit_table(FMT, encoding) for encoding in ENCODINGS),
    ):
        with pytest.raises(UsageError, match="complex2 is complex"):
            refused()


def test_explanation_draws_the_plane():
    sections = {section.title: section for section in explain_format("complex2", Question())}
    plane = sections["plane of the 4 values of complex2"].frame
    assert plane.to_numpy().tolist() == [[1, "·", "01", "·"], [0, "10", "·", "00"], [-1, "·", "11", "·"]]
    assert sections["codes of complex2"].frame.to_numpy().tolist() == [["0·", "1", "i"], ["1·", "-1", "-i"]]
    compared = losses(("complex2", "binary"), ("gaussian",))
    assert compared["bits_per_element"].tolist() == [1.0, 1.0]  # of a real number


def test_what_has_no_phase_is_refused():
    for z in (np.array([np.nan]), np.array([complex(0, np.nan)])):
        for use in (FMT.quantize, FMT.encode, FMT.scaled_quantize):
            with pytest.raises(ValueError, match="complex2 has no code for NaN"):
                use(z)
    with pytest.raises(UsageError, match="nearest phase only"):
        FMT.quantize(np.ones(3), rounding="up")
