"""GEMM results: against a scalar twin in exact arithmetic, against the PEs, against closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.accuracy import fitted_quantize, loss, sqnr_db
from hwsim.formats.element.integer import Integer
from hwsim.formats.gemm import gemm, gemm_loss, named_gemm_loss, quantized
from hwsim.hardware.pe import make_pe
from hwsim.spec.errors import UsageError
from tests.support.exact import round_fraction

FP32 = parse_format("fp32")


def matrices(m, k, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, k)), rng.standard_normal((k, n))


def hold(total, accumulator, unit):
    """Return what the accumulator makes of an exact total."""
    if accumulator is None:
        return total
    if isinstance(accumulator, Integer):
        half = 2 ** (accumulator.bits - 1)
        return ((int(total / unit) + half) % (2 * half) - half) * unit
    return Fraction(round_fraction(total, accumulator))


def twin(a, w, a_format, w_format, accumulator, chunk):
    """Return the same one number at a time; the elements and scales are taken as given."""
    left, right = quantized(a_format, a), quantized(w_format, w.T)
    places = [getattr(fmt.element, "last_place", 1.0) for fmt in (a_format, w_format)]
    unit = Fraction(places[0]) * Fraction(places[1]) if isinstance(accumulator, Integer) else None
    length = a.shape[1]
    out = np.empty((len(left.elements), len(right.elements)))
    for m, n in np.ndindex(out.shape):
        pieces, total, count = [], Fraction(0), 0
        for k in range(length):
            scales = [
                operand.scales[row, min(k, operand.scales.shape[1] - 1)] for operand, row in ((left, m), (right, n))
            ]
            total += Fraction(left.elements[m, k]) * Fraction(right.elements[n, k])
            count += 1
            ends = k + 1 == length or any(b and (k + 1) % b == 0 for b in (left.block, right.block))
            if count == chunk or ends:
                total, count = hold(total, accumulator, unit), 0
            if ends:
                pieces.append(float(total) * scales[0] * scales[1])
                total = Fraction(0)
        result = Fraction(0)
        for piece in pieces:
            result = Fraction(round_fraction(result + Fraction(piece), FP32 if unit else accumulator))
        out[m, n] = pieces[0] if len(pieces) == 1 else float(result)
    return out


@pytest.mark.parametrize(
    ("a_name", "w_name", "accumulator"),
    [
        ("fp8_e4m3", "fp8_e4m3", "fp16"),
        ("fp8_e5m2", "int4", "bf16"),
        ("fp16", "int4_g16", "fp32"),
        ("mxfp4", "mxfp8_e4m3", "bf16"),
        ("nvfp4", "int8_g8", "fp16"),
        ("fp8_e4m3", "int4_asym_g16", "fp16"),
        ("bf16", "bitmod4_g16", "fp32"),
        ("posit8_es1", "nf4_g32", "bf16"),
        ("int8", "int8", "int12"),
        ("int8_channel", "int4_g16", "int9"),
        ("mxint8", "int4_asym_g16", "int10"),
        ("mxint8", "mxint8", "int14"),
        ("int8_tensor", "int4_t4x16", "int10"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_it_is_the_scalar_twin(a_name, w_name, accumulator, chunk):
    a, w = matrices(3, 42, 4)  # 42 leaves ragged blocks and chunks
    arguments = a, w, *(parse_format(name) for name in (a_name, w_name, accumulator)), chunk
    assert np.array_equal(gemm(*arguments), twin(*arguments))


@pytest.mark.parametrize("name", ["fp8_e4m3", "int4_g128", "mxfp4", "nvfp4", "bitmod3_g128", "int4_asym_g128", "int8_t4x8",
                                  "int8_tensor", "int4_channel", "nf4_g64", "int4_g16_int8", "lns8_f3"])  # fmt: skip
def test_elements_times_scales_are_the_quantized_tensor(name):
    fmt = parse_format(name)
    x = matrices(6, 200, 1)[0]
    x[0, :130] = 0  # a block of zeros
    found = quantized(fmt, x)
    assert np.array_equal(found.values, fitted_quantize(fmt, x))
    if "asym" not in name and "bitmod" not in name:
        assert np.isin(found.elements, fmt.element.code_values()).all()


@pytest.mark.parametrize("accumulator", ["fp32", "fp16", "bf16", "fp8_e5m2"])
@pytest.mark.parametrize("name", ["fp8_e4m3", "fp6_e2m3", "fp16"])
def test_float_macs_compute_it(name, accumulator):
    fmt = parse_format(name)
    pe = make_pe({"family": "float_mac", "format": name, "accumulator": accumulator})
    check_pe(pe, fmt, fmt, {"accumulator": parse_format(accumulator)})


@pytest.mark.parametrize("bits", [14, 15, 32])
def test_integer_macs_compute_it_and_wrap(bits):
    w, a = parse_format("int4"), parse_format("int8")
    pe = make_pe({"family": "int_mac", "w_format": "int4", "a_format": "int8", "accumulator": f"int{bits}", "lanes": 3})
    long = tuple(np.abs(x) for x in matrices(2, 8000, 2))  # of one sign, so that sums grow
    check_pe(pe, w, a, {"accumulator": parse_format(f"int{bits}"), "chunk": 3}, long)
    wraps = gemm_loss(*long, a, w, parse_format(f"int{bits}"), 3) != gemm_loss(*long, a, w, parse_format("int30"), 3)
    assert wraps == (bits < 32)


@pytest.mark.parametrize("semantics", ["bitfield", "formula"])
@pytest.mark.parametrize("name", ["fp8_e4m3", "bf16"])
def test_lmul_macs_compute_it(name, semantics):
    fmt = parse_format(name)
    pe = make_pe({"family": "lmul", "format": name, "semantics": semantics, "accumulator": "fp16"})
    check_pe(pe, fmt, fmt, {"accumulator": parse_format("fp16"), "multiplier": f"lmul_{semantics}"})


def check_pe(pe, w_format, a_format, options, operands=None):
    a, w = operands or matrices(4, 50, 5)
    left, right = quantized(a_format, a), quantized(w_format, w.T)
    found = gemm(a, w, a_format, w_format, **options)
    for m, n in np.ndindex(found.shape):
        codes = right.fmt.encode(right.elements[n]), left.fmt.encode(left.elements[m])
        result = pe.dot(*codes, w_format, a_format)
        assert found[m, n] == float(result) * left.scales[m, 0] * right.scales[n, 0]


def test_without_an_accumulator_it_is_the_product_of_the_quantized_matrices():
    a, w = matrices(5, 300, 6)
    fmt, other = parse_format("mxfp4"), parse_format("int4_g128")
    expected = fmt.quantize(a) @ other.quantize(w, axis=0)
    assert np.array_equal(gemm(a, w, fmt, other), expected)
    assert gemm_loss(a, w, fmt, other) == loss(a @ w, expected)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_wide_accumulator_loses_nothing(length, seed):
    a, w = matrices(2, length, 2, seed)
    for name, accumulator in (("fp8_e4m3", "fp32"), ("int8", "int32"), ("mxint8", "int32")):
        fmt = parse_format(name)
        wide = gemm(a, w, fmt, fmt, parse_format(accumulator))
        # E4M3 products reach from 2^-18 to 2^17: 40 of them may need more than FP32's 24 bits.
        assert wide == pytest.approx(gemm(a, w, fmt, fmt), rel=1e-4 if name == "fp8_e4m3" else 1e-6)


def test_narrower_accumulators_and_shorter_chunks_lose_more():
    fmt = parse_format("fp8_e4m3")
    by_width = [named_gemm_loss(fmt, fmt, accumulator=parse_format(name), chunk=64).sqnr_db for name in
                ("fp8_e4m3", "bf16", "fp32")]  # fmt: skip
    assert by_width == sorted(by_width)
    assert by_width[-1] == pytest.approx(named_gemm_loss(fmt, fmt).sqnr_db, abs=0.01)  # FP32's noise is 60 dB below
    by_chunk = [named_gemm_loss(fmt, fmt, accumulator=parse_format("bf16"), chunk=c).sqnr_db for c in (16, 64, 1024)]
    assert by_chunk == sorted(by_chunk)


def test_an_accumulator_that_wraps_is_worse_than_useless():
    fmt = parse_format("int8")
    assert named_gemm_loss(fmt, fmt, accumulator=parse_format("int16"), chunk=16).sqnr_db < 0
    assert named_gemm_loss(fmt, fmt, accumulator=parse_format("int24"), chunk=16) == named_gemm_loss(
        fmt, fmt, accumulator=parse_format("int32"), chunk=16
    )


@pytest.mark.parametrize("pair", [("int8", "int8"), ("int4_g128", "fp8_e4m3"), ("mxfp4", "mxfp4"), ("nvfp4", "nvfp4")])
def test_noises_of_both_operands_add_up(pair):
    w, a = (parse_format(name) for name in pair)
    expected = -10 * math.log10(sum(10 ** (-sqnr_db(fmt) / 10) for fmt in (w, a)))
    # 4,096 results of which 64 share a row of A or a column of W: a sampling error of some 0.1 dB.
    assert named_gemm_loss(a, w).sqnr_db == pytest.approx(expected, abs=0.3)


def test_lmul_costs_more_than_its_formats():
    fmt = parse_format("fp8_e4m3")
    exact = named_gemm_loss(fmt, fmt).sqnr_db
    rounded = named_gemm_loss(fmt, fmt, multiplier="rounded").sqnr_db
    approximate = {name: named_gemm_loss(fmt, fmt, multiplier=name).sqnr_db for name in
                   ("lmul_bitfield", "lmul_formula", "mitchell")}  # fmt: skip
    assert exact > rounded > max(approximate.values())
    # Signs alternate in the sum, so a bias of all products scales the result: mean error 5 % is -26 dB.
    assert 18 < approximate["lmul_bitfield"] < 26


@pytest.mark.parametrize("name", ["bf16", "fp16", "tf32"])
def test_wide_floats_are_taken_as_they_are(name):
    fmt = parse_format(name)
    a, w = matrices(4, 100, 5)
    assert np.array_equal(quantized(fmt, a).values, fmt.quantize(a))
    assert np.array_equal(gemm(a, w, fmt, fmt), fmt.quantize(a) @ fmt.quantize(w))
    # FP32 is enough for them: nothing overflows, and its noise is far below theirs.
    assert gemm_loss(a, w, fmt, fmt, FP32).sqnr_db == pytest.approx(gemm_loss(a, w, fmt, fmt).sqnr_db, abs=0.01)


def test_named_losses_are_kept():
    fmt = parse_format("fp8_e4m3")
    assert named_gemm_loss(fmt, fmt) is named_gemm_loss(fmt, fmt)
    assert named_gemm_loss(fmt, fmt, "student_t3", "laplace") != named_gemm_loss(fmt, fmt)
    with pytest.raises(UsageError, match="did you mean 'laplace'"):
        named_gemm_loss(fmt, fmt, "laplac")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulator": "int32"}, "valid: a float"),
        ({"accumulator": "mxfp4"}, "formats without blocks"),
        ({"chunk": 0}, "1 product or more"),
        ({"multiplier": "lmul_bits"}, "did you mean 'lmul_bitfield'"),
        ({"multiplier": "mitchell", "w_format": "fp8_e5m2"}, "one format on both sides"),
        ({"multiplier": "mitchell", "a_format": "int8"}, "at least one mantissa bit"),
        ({"multiplier": "mitchell", "w_format": "bitmod4_g128"}, "one format on both sides"),
    ],
)
def test_mistakes_are_named(options, message):
    names = {"a_format": "fp8_e4m3", "w_format": "fp8_e4m3", **options}
    given = {k: parse_format(v) if k != "multiplier" and isinstance(v, str) else v for k, v in names.items()}
    with pytest.raises(UsageError, match=message):
        gemm(*matrices(2, 8, 2), **given)


def test_shapes_must_fit():
    fmt = parse_format("int8")
    for a, w in ((np.ones((2, 3)), np.ones((4, 2))), (np.ones(3), np.ones((3, 2)))):
        with pytest.raises(UsageError, match="valid: "):
            gemm(a, w, fmt, fmt)
    assert (
        gemm(np.ones((2, 0)), np.ones((0, 3)), parse_format("mxfp4"), parse_format("mxfp4")).tolist() == [[0.0] * 3] * 2
    )
