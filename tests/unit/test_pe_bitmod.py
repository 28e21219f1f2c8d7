"""BitMoD's PE: terms as published, its own arithmetic from the definition, area of synthesised units."""

from __future__ import annotations

import csv
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import BitModElement, bit_serial_terms, parse_format, term_table
from hwsim.formats.block.bitmod import SPECIAL
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "bit_serial_terms.csv").open()))


def element_of(row):
    kind, value = row["datatype"], float(row["value"])
    if kind.startswith("INT"):
        return parse_format(f"int{kind[3:4]}"), value
    bits = int(kind[2])
    special = value if value in SPECIAL[bits] else SPECIAL[bits][0]
    return BitModElement("x", bits, special), value


@pytest.mark.parametrize("kind", sorted({r["datatype"] for r in ROWS}))
def test_terms_of_every_value_are_the_published_ones(kind):
    checked = 0
    for row in (r for r in ROWS if r["datatype"] == kind):
        element, value = element_of(row)
        codes = np.flatnonzero(element.code_values() == value)
        assert codes.size, row
        table = term_table(element)
        assert len(table.bsig) == int(row["n_slots"])
        published = [tuple(map(int, re.findall(r"-?\d+", t))) for t in row["terms"].split(";")]
        for slot, (s, e, m, *b) in enumerate(published):  # an empty slot may lack its b
            assert b in ([], [table.bsig[slot]])
            assert table.mantissa[slot][codes[0]] == m
            if m:  # an empty slot has no sign and exponent
                assert (table.sign[slot][codes[0]], table.exponent[slot][codes[0]]) == (s, e), row
        checked += 1
    assert checked > 6


@given(st.integers(2, 16), st.data())
def test_booth_digits_add_up(bits, data):
    element = parse_format(f"int{bits}")
    code = data.draw(st.integers(0, 2**bits - 1))
    t = term_table(element)
    total = sum(
        (-1) ** int(t.sign[i][code]) * 2 ** int(t.exponent[i][code] + t.bsig[i]) * int(t.mantissa[i][code])
        for i in range(len(t.bsig))
    )
    assert total == element.decode(np.array([code]))[0]


@pytest.mark.parametrize(
    ("name", "terms"), [("bitmod3_g128", 2), ("bitmod4_g128", 2), ("int4", 2), ("int5", 3), ("int6", 3), ("int8", 4)]
)
def test_cycles_per_weight(name, terms):
    assert bit_serial_terms(parse_format(name)) == terms


def test_other_formats_have_no_terms():
    with pytest.raises(ValueError, match="fp16 has no bit-serial terms"):
        bit_serial_terms(parse_format("fp16"))


def nearest_even(x: Fraction, unit: int) -> Fraction:
    return round(x / Fraction(2) ** unit) * Fraction(2) ** unit  # Python rounds halves to even


def slow_dot(pe, w_codes, a_codes, element):
    """The PE from its description, one number at a time, in exact arithmetic."""
    act, table = pe.a_format, term_table(element)
    value, unit = Fraction(0), None
    for start in range(0, len(w_codes), pe.lanes):
        lanes = range(start, min(start + pe.lanes, len(w_codes)))
        for slot, bsig in enumerate(table.bsig):
            terms = []
            for i in lanes:
                x = Fraction(float(act.decode(a_codes[i : i + 1])[0]))
                if not table.mantissa[slot][w_codes[i]] or x == 0:
                    continue
                exponent = max(act.min_exponent, int(np.frexp(float(abs(x)))[1]) - 1) + int(
                    table.exponent[slot][w_codes[i]]
                )
                sign = -1 if table.sign[slot][w_codes[i]] else 1
                terms.append((exponent, sign * x * 2 ** int(table.exponent[slot][w_codes[i]])))
            if not terms:
                continue
            grid = max(e for e, _ in terms) - act.mantissa_bits - 3
            total = sum(nearest_even(t, grid) for _, t in terms) * Fraction(2) ** int(bsig)
            if total == 0:
                continue
            grid += int(bsig)
            unit = grid if unit is None else max(unit, grid)
            value = nearest_even(value, unit) + nearest_even(total, unit)
            if not -(2 ** (pe.accumulator_bits - 1)) <= value / Fraction(2) ** unit < 2 ** (pe.accumulator_bits - 1):
                unit += 1
                value = nearest_even(value, unit)
    return float(value)


@given(
    st.sampled_from(["bitmod3_g128", "bitmod4_g128", "int4_g128", "int8", "int5"]),
    st.sampled_from(["fp16", "bf16", "fp8_e4m3"]),
    st.sampled_from([1, 2, 3, 4, 8]),
    st.integers(1, 24),
    st.integers(0, 2**32 - 1),
)
def test_dot_is_the_described_arithmetic(w_name, a_name, lanes, k, seed):
    pe = make_pe({"family": "bitmod", "w_format": w_name, "a_format": a_name, "lanes": lanes})
    rng = np.random.default_rng(seed)
    w = rng.integers(0, 2**pe.w_format.bits, k).astype(np.uint32)
    values = pe.a_format.code_values()
    finite = np.flatnonzero(np.isfinite(values) & (np.abs(values) < 1e30) & ((values == 0) | (np.abs(values) > 1e-30)))
    a = rng.choice(finite, k).astype(np.uint32)
    assert pe.dot(w, a, pe.w_format, pe.a_format) == slow_dot(pe, w, a, pe.w_format.element)


def test_the_accumulator_overflows_to_a_coarser_grid():
    pe = make_pe({"family": "bitmod", "w_format": "int8", "a_format": "fp16", "lanes": 1})
    k = 4096
    w = np.full(k, 0x7F, dtype=np.uint32)
    a = pe.a_format.encode(np.full(k, 1.9990234375))
    found = pe.dot(w, a, pe.w_format, pe.a_format)
    exact = k * 127 * 1.9990234375
    assert found != exact
    assert found == pytest.approx(exact, rel=2.0**-16)  # 28 bits, less the steps of the overflows


def test_dots_of_real_sizes_stay_close_to_exact():
    pe = make_pe({"family": "bitmod"})
    rng = np.random.default_rng(3)
    w = rng.integers(0, 16, (64, 128)).astype(np.uint32)
    a = pe.a_format.encode(rng.standard_normal((64, 128)))
    exact = (pe.w_format.element.decode(w) * pe.a_format.decode(a)).sum(axis=1)
    found = [pe.dot(x, y, pe.w_format, pe.a_format) for x, y in zip(w, a, strict=True)]
    assert np.abs(found - exact).max() < 2.0**-10 * np.abs(exact).max()


# ASAP7 area in um2 of synthesised units, without encoder, dequantizer and operand registers.
UNITS = {("fp16", 2): 109.66, ("bf16", 4): 161.69, ("fp16", 4): 168.0}


@pytest.mark.parametrize(("unit", "area"), UNITS.items())
def test_area_is_the_synthesised_one(unit, area):
    pe = make_pe({"family": "bitmod", "a_format": unit[0], "lanes": unit[1]})
    price = price_pe(pe, load_technology("7nm"))
    apart = {"activations", "terms", "weight decode", "leading ones", "Booth recoding", "encoder weights"}
    bare = sum(r.area_um2 for r in price.rows if r.part.role not in apart)
    assert bare == pytest.approx(area, rel=0.15)  # the fit's 90th percentile on unseen units


def test_encoder_share_is_the_published_one():
    # 2,419 of 99,509 um2 per tile (Table X): 2.4 %; gates alone are good to about 1.5.
    price = price_pe(make_pe({"family": "bitmod"}), load_technology("28nm"))
    encoder = {"weight decode", "leading ones", "Booth recoding", "encoder weights"}
    share = sum(r.area_um2 for r in price.rows if r.part.role in encoder) / price.area_um2
    assert 0.024 / 1.5 < share < 0.024 * 1.5


def test_scales_act_on_sums_and_take_eight_cycles():
    pe = make_pe({"family": "bitmod"})
    assert pe.scaling(pe.w_format, pe.a_format) == "sum"
    assert pe.scaling(parse_format("int8"), pe.a_format) == "none"
    assert pe.dequant_cycles(pe.w_format, pe.a_format) == 8
    assert pe.dequant_parts(pe.w_format, pe.a_format)


def test_what_it_computes():
    pe = make_pe({"family": "bitmod"})
    assert pe.supports(parse_format("int8"), pe.a_format) is None
    assert "wider" in str(pe.supports(parse_format("int12"), pe.a_format))
    assert "built for" in str(pe.supports(pe.w_format, parse_format("bf16")))
    assert "no bit-serial terms" in str(pe.supports(parse_format("fp8_e4m3"), pe.a_format))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a_format": "int8"}, "floats"),
        ({"a_format": "fp32"}, "up to 16 bits"),
        ({"w_format": "fp16"}, "bit-serial"),
        ({"w_format": "int4_asym_g128"}, "bit-serial"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        make_pe({"family": "bitmod", **options})


def test_its_label_has_an_int8_cache():
    found = pairing("bitmod3_g128")
    assert (found.w_format.name, found.a_format.name, found.kv_format.name) == ("bitmod3_g128", "fp16", "int8")
