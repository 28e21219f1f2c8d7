"""Block dot products: bit for bit against a scalar twin, what is exact, what scales cost."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import Integer, Minifloat, parse_format
from hwsim.hardware.circuits import Adder, AdderTree, Multiplier, Shifter
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError


def two(exponent):
    return Fraction(2) ** int(exponent)


def field(element, code):
    """Value and exponent of one code, from its bits."""
    if isinstance(element, Integer):
        value = Fraction(float(element.decode(np.array([code]))[0]))
        return value, element.bits - 1 - (6 if element.max_value < 2 else 0)
    value = element.decode_scalar(int(code))
    stored = (int(code) >> element.mantissa_bits) % 2**element.exponent_bits
    return value, max(stored, 1) - element.bias


def fp32(x):
    """Round to nearest even, 24 bits, smallest step 2^-149, saturating."""
    if x == 0:
        return x
    exponent = -149
    while abs(x) >= two(exponent + 24):
        exponent += 1
    steps = x / two(exponent)
    low = floor(steps)
    rest = steps - low
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and low % 2 == 1)
    top = (2**24 - 1) * two(104)
    return max(-top, min(top, (low + up) * two(exponent)))


def twin(pe, w, a, scales):
    """One lane at a time in exact fractions, as the module describes the hardware."""
    acc = Fraction(0)
    for start in range(0, len(w), pe.lanes):
        pairs = [(field(pe.w_format.element, x), field(pe.a_format.element, y))
                 for x, y in zip(w[start : start + pe.lanes], a[start : start + pe.lanes], strict=True)]  # fmt: skip
        total = Fraction(0)
        top = max(e + f for (_, e), (_, f) in pairs)
        for (x, _), (y, _) in pairs:
            product = x * y
            if pe.alignment == "largest":
                last = two(top + 3 - pe.window)
                product = (1 if product >= 0 else -1) * floor(abs(product) / last) * last
            total += product
        acc = fp32(acc + total * (Fraction(1) if scales is None else Fraction(float(scales[start]))))
    return float(acc)


def usable(element, rng, size):
    values = element.code_values()
    return rng.choice(np.flatnonzero(np.isfinite(values)), size).astype(np.uint32)


SPECS = [
    {"format": "mxfp4"},
    {"format": "mxfp4", "alignment": "largest"},
    {"format": "mxfp6_e2m3"},
    {"format": "mxfp6_e3m2", "lanes": 8},
    {"format": "mxfp6_e3m2", "lanes": 8, "window": 9},
    {"format": "mxfp8_e4m3"},
    {"format": "mxfp8_e4m3", "window": 12},
    {"format": "mxfp8_e5m2", "lanes": 16},
    {"format": "mxint8"},
    {"format": "nvfp4"},
    {"format": "fp4_e2m1_g16_ue5m3"},
    {"format": "int4_g16_e4m3"},
    {"format": "msfp12"},
    {"w_format": "mxfp4", "a_format": "mxfp8_e4m3"},
    {"w_format": "mxint8", "a_format": "mxfp8_e4m3"},
    {"w_format": "mxfp4", "a_format": "fp8_e5m2"},
    {"format": "fp8_e4m3", "lanes": 4},
    {"format": "fp16", "lanes": 8},
    {"format": "bf16", "lanes": 4},
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_it_is_its_scalar_twin(spec, seed, size):
    pe = make_pe({"family": "block_dot", **spec})
    rng = np.random.default_rng(seed)
    w, a = usable(pe.w_format.element, rng, size), usable(pe.a_format.element, rng, size)
    scales = None
    if pe.w_format.block_size:
        blocks = -(-size // pe.lanes)
        shared = np.ldexp(rng.integers(8, 225, blocks).astype(float), rng.integers(-20, 10, blocks))
        scales = np.repeat(shared, pe.lanes)[:size]
    assert pe.dot(w, a, pe.w_format, pe.a_format, scales) == twin(pe, w, a, scales)


@pytest.mark.parametrize(("name", "window"), [("mxfp4", 10), ("mxfp6_e2m3", 14), ("mxfp6_e3m2", 20), ("mxint8", 16),
                                              ("mxfp8_e4m3", 24), ("mxfp8_e5m2", 24), ("int4_g16_e4m3", 8)])  # fmt: skip
def test_the_window_is_that_of_the_formula(name, window):
    pe = make_pe({"family": "block_dot", "format": name})
    assert pe.window == window  # min(2^(x+1) + 2y, 24), x = 0 and y = bits - 1 for integers
    assert pe.alignment == ("fixed" if window < 24 else "largest")


@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "fp8_e3m4"])
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_wide_enough_windows_are_exact_however_they_align(name, seed):
    rng = np.random.default_rng(seed)
    pes = [make_pe({"family": "block_dot", "format": name, "lanes": 16, "alignment": kind})
           for kind in ("fixed", "largest")]  # fmt: skip
    w, a = (usable(pes[0].w_format.element, rng, 16) for _ in range(2))
    exact = pes[0].w_format.element.decode(w) @ pes[0].a_format.element.decode(a)
    assert [pe.dot(w, a, pe.w_format, pe.a_format) for pe in pes] == [exact] * 2  # few enough bits for fp32


def test_the_largest_magnitudes_fit_into_the_window():
    for name in ("mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxint8", "mxfp8_e4m3", "mxfp8_e5m2"):
        pe = make_pe({"family": "block_dot", "format": name})
        element = pe.w_format.element
        smallest = element.decode(np.array([1]))[0]
        if pe.alignment == "fixed":
            worst = np.abs(element.code_values()).max() / smallest
            assert worst**2 <= 2 ** (pe.window - 1), name
        else:
            assert element.max_value < 2.0 ** (int(np.log2(element.max_value)) + 1)


def test_what_falls_out_of_the_window_is_cut_towards_zero():
    pe = make_pe({"family": "block_dot", "format": "fp8_e4m3", "lanes": 2, "window": 9})
    w = pe.w_format.element.encode(np.array([1.0, 2.0**-7]))
    for sign in (1, -1):
        a = pe.a_format.element.encode(np.array([1.0, sign * 1.0]))
        assert pe.dot(w, a, pe.w_format, pe.a_format) == 1.0  # 9 bits below 2: places 2^1 … 2^-6
    wider = make_pe({"family": "block_dot", "format": "fp8_e4m3", "lanes": 2, "window": 10})
    a = pe.a_format.element.encode(np.array([1.0, -1.0]))
    assert wider.dot(w, a, pe.w_format, pe.a_format) == 1 - 2.0**-7


def test_lanes_must_share_a_scale():
    pe = make_pe({"family": "block_dot", "format": "mxfp4", "lanes": 2})
    codes = np.array([2, 2])
    with pytest.raises(ValueError, match="share one scale"):
        pe.dot(codes, codes, pe.w_format, pe.a_format, np.array([1.0, 2.0]))


def of(pe, role):
    return next(part for part in pe.parts() if part.role == role)


def test_parts_have_the_widths_of_the_datapath():
    pe = make_pe({"family": "block_dot", "format": "nvfp4"})
    assert of(pe, "significand multiplier").circuit == Multiplier(2, 2)
    assert of(pe, "adder tree").circuit == AdderTree(16, 10)
    assert of(pe, "align").circuit == Shifter(10, 5)  # exponent fields add up to 0 … 4
    assert of(pe, "scaled sum").circuit == Multiplier(14, 8)
    assert of(pe, "scale product").circuit == Multiplier(4, 4)
    mx = make_pe({"family": "block_dot", "format": "mxfp8_e4m3"})
    assert of(mx, "scale exponents").circuit == Adder(8)
    assert {p.role for p in mx.parts()} >= {"largest exponent", "distance", "align", "negate"}
    integers = make_pe({"family": "block_dot", "format": "mxint8"})
    assert not {p.role for p in integers.parts()} & {"sign", "hidden bit", "exponent adder", "distance"}


def test_sharing_beats_a_float_mac_per_lane():
    technology = load_technology("7nm")
    for label, lanes in (("mxfp4", 32), ("mxfp8_e4m3", 32), ("nvfp4", 16)):
        shared = price_pe(make_pe(pairing(f"{label}_dot").pe_spec), technology)
        alone = price_pe(make_pe({"family": "float_mac", "format": label}), technology)
        assert shared.area_um2 / lanes < alone.area_um2 / 2
        assert shared.energy_fj / lanes < alone.energy_fj


def test_ue5m3_scales_cost_a_little_more_than_ue4m3():
    """+0.5 % area in an 8-lane PE at 4 nm ("Is Finer Better?", App. K): the sign and the order of magnitude.

    That PE also computes BF16, FP8 and INT8, so its share of one more exponent bit is smaller.
    """
    technology = load_technology("7nm")
    areas = [price_pe(make_pe({"family": "block_dot", "format": f"fp4_e2m1_g16_{scale}", "lanes": 8}), technology)
             for scale in ("e4m3", "ue5m3")]  # fmt: skip
    grown = areas[1].area_um2 / areas[0].area_um2 - 1
    assert 0.0005 < grown < 0.02


@pytest.mark.parametrize(("spec", "message"), [
    ({"format": "int4_g128"}, "fp16 scales"),
    ({"format": "int4_asym_g128"}, "zero points"),
    ({"format": "nf4_g64_e8m0"}, "neither signed integers nor floats"),
    ({"format": "bitmod4_g128"}, "neither|scale"),
    ({"format": "mxfp4", "lanes": 24}, "do not divide"),
    ({"format": "nvfp4", "lanes": 32}, "do not divide"),
    ({"format": "mxfp4", "window": 4}, "valid: auto, or 5 to 32 bits"),
    ({"format": "mxfp8_e4m3", "alignment": "fixed"}, "38 bits, not 24"),
    ({"format": "fp32"}, "narrower formats"),
    ({"format": "mxfp4", "alignment": "left"}, "fixed"),
    ({"format": "mxfp4", "windows": 9}, "window"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(spec, message):
    with pytest.raises(UsageError, match=message):
        make_pe({"family": "block_dot", **spec})


def test_narrower_formats_run_on_it():
    pe = make_pe({"family": "block_dot", "format": "mxfp8_e4m3", "lanes": 16})
    e2m1, e5m2 = parse_format("mxfp4"), parse_format("mxfp8_e5m2")
    assert pe.supports(e2m1, e2m1) is None
    assert "do not fit" in str(pe.supports(e5m2, e2m1))
    assert "do not fit" in str(pe.supports(parse_format("nvfp4"), e2m1))  # its scale needs a multiplier
    assert "do not divide" in str(pe.supports(parse_format("fp4_e2m1_g8_e8m0"), e2m1))
    assert isinstance(e2m1.element, Minifloat)
    codes = np.arange(16)
    assert pe.dot(codes, codes, e2m1, e2m1) == (e2m1.element.decode(codes) ** 2).sum()


def test_labels():
    assert pairing("mxfp4_dot8").pe_spec == {"family": "block_dot", "format": "mxfp4", "lanes": 8}
    assert make_pe(pairing("nvfp4_dot").pe_spec).lanes == 16
    assert make_pe(pairing("msfp12_dot").pe_spec).glitch_family == "dot"
    assert pairing("mxfp4").pe_spec["family"] == "float_mac"
