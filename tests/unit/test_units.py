"""Units: exact, case-sensitive, positive, and with an answer for every typing mistake."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hwsim.spec import units
from hwsim.spec.errors import UsageError, shown
from hwsim.spec.units import (
    ALWAYS,
    AREA,
    BANDWIDTH,
    DIMENSIONS,
    ENERGY,
    ENERGY_PER_BIT,
    FREQUENCY,
    LENGTH,
    NODE,
    POWER,
    SIZE,
    TEMPERATURE,
    TIME,
    VOLTAGE,
    AreaMm2,
    BandwidthBytesPerS,
    EnergyPjPerBit,
    FrequencyHz,
    NodeNm,
    PowerW,
    SizeBytes,
    TimeNs,
    VoltageV,
    format_bytes,
    format_si,
    parse_quantity,
)

GOOD = [
    (SIZE, "512 KiB", 524_288),
    (SIZE, "2 MiB", 2_097_152),
    (SIZE, "2MiB", 2_097_152),
    (SIZE, "  8   B ", 8),
    (SIZE, "64 bit", 8),
    (SIZE, "1.5 KiB", 1536),
    (SIZE, "0.5 KB", 500),
    (SIZE, "1 KB", 1000),
    (SIZE, "1 kB", 1000),
    (SIZE, "1 GiB", 2**30),
    (SIZE, "1 GB", 10**9),
    (SIZE, "1 TiB", 2**40),
    (SIZE, "1 TB", 10**12),
    (SIZE, "18 Kibit", 2304),
    (SIZE, "36 kbit", 4500),
    (SIZE, "1e3 B", 1000),
    (SIZE, "+4 B", 4),
    (SIZE, "4096", 4096),
    (SIZE, 4096, 4096),
    (SIZE, 4096.0, 4096),
    (SIZE, ".5 KiB", 512),
    (SIZE, "2 bytes", 2),
    (FREQUENCY, "1 GHz", 1e9),
    (FREQUENCY, "500 MHz", 5e8),
    (FREQUENCY, "32.768 kHz", 32_768.0),
    (FREQUENCY, 1e9, 1e9),
    (FREQUENCY, 940_000_000, 940e6),
    (FREQUENCY, "1e9", 1e9),
    (FREQUENCY, "500 Hz", 500.0),
    (FREQUENCY, 10**6, 1e6),
    (BANDWIDTH, "25.6 GB/s", 25.6e9),
    (BANDWIDTH, "1 GiB/s", 2.0**30),
    (BANDWIDTH, "8 Gbit/s", 1e9),
    (BANDWIDTH, "8 Gbps", 1e9),
    (BANDWIDTH, "1.2 TB/s", 1.2e12),
    (BANDWIDTH, "64 bit/s", 8.0),
    (ENERGY_PER_BIT, "0.7 pJ/bit", 0.7),
    (ENERGY_PER_BIT, "700 fJ/bit", 0.7),
    (ENERGY_PER_BIT, "8 pJ/B", 1.0),
    (ENERGY_PER_BIT, "0.004 nJ/bit", 4.0),
    (ENERGY_PER_BIT, "3.9 pJ/b", 3.9),
    (VOLTAGE, "0.9 V", 0.9),
    (VOLTAGE, "900 mV", 0.9),
    (TEMPERATURE, "360 K", 360.0),
    (TEMPERATURE, "85 degC", 358.15),
    (TEMPERATURE, "-40°C", 233.15),
    (LENGTH, "50 um", 0.05),
    (LENGTH, "2 mm", 2.0),
    (POWER, "5 mW", 0.005),
    (POWER, "5 uW", 5e-6),
    (POWER, "5 \N{MICRO SIGN}W", 5e-6),
    (POWER, "5 \N{GREEK SMALL LETTER MU}W", 5e-6),
    (POWER, "1.2 kW", 1200.0),
    (ENERGY, "3.5 pJ", 3.5),
    (ENERGY, "2 nJ", 2000.0),
    (TIME, "300 ps", 0.3),
    (TIME, "2 µs", 2000.0),
    (TEMPERATURE, "360 K", 360.0),
    (TEMPERATURE, 360, 360.0),
    (TEMPERATURE, "85 degC", 358.15),
    (TEMPERATURE, "-20 °C", 253.15),
    (NODE, "28nm", 28.0),
    (NODE, "28 nm", 28.0),
    (NODE, 28, 28.0),
    (NODE, "0.18 um", 180.0),
]

BAD = [
    (
        SIZE,
        "512 KiBs",
        "'512 KiBs' is not a size; write a number and a unit, "
        "valid: B, KiB, MiB, GiB, KB, MB, GB, bit (did you mean 'KiB'?)",
    ),
    (SIZE, "-1 KiB", "'-1 KiB' must be > 0"),
    (SIZE, -1, "-1 must be > 0"),
    (SIZE, 0, "0 must be > 0"),
    (SIZE, "0 MiB", "'0 MiB' must be > 0"),
    (SIZE, "0.3 B", "'0.3 B' is not a whole number of bytes"),
    (SIZE, 0.3, "0.3 is not a whole number of bytes"),
    (SIZE, "4 bit", "'4 bit' is not a whole number of bytes"),
    (SIZE, "1,024 B", "is not a size"),
    (SIZE, "1_024", "is not a size"),
    (SIZE, "0x10 B", "is not a size"),
    (SIZE, "KiB", "for example 512 KiB"),
    (SIZE, "", "is not a size"),
    (SIZE, "1 2 KiB", "is not a size"),
    (SIZE, "1 KiB KiB", "is not a size"),
    (SIZE, "inf", "is not a size"),
    (SIZE, math.inf, "must be finite"),
    (SIZE, math.nan, "must be finite"),
    (SIZE, True, "true is not a size"),
    (SIZE, None, "null is not a size"),
    (SIZE, [1], "is not a size"),
    (SIZE, 2**63, "too large"),
    (SIZE, "1e30 GiB", "too large"),
    (SIZE, "1e9999 B", "is not a size"),
    (SIZE, "512 MHz", "is not a size"),
    (SIZE, "512 kib", "did you mean 'KiB'"),
    (FREQUENCY, "1 ghz", "did you mean 'GHz'"),
    (FREQUENCY, "1 mHz", "did you mean 'MHz'"),
    (FREQUENCY, "-1 GHz", "must be > 0"),
    (FREQUENCY, False, "is not a frequency"),
    (LENGTH, 2, "2 has no unit and would be in mm; write a number and a unit, valid: mm, um, for example 0.5 mm"),
    (AREA, "2", "'2' has no unit and would be in mm2; write a number and a unit, valid: mm2, um2, for example 2 mm2"),
    (TIME, 40, "40 has no unit and would be in ns; write a number and a unit, valid: ps, ns, us"),
    (TIME, "1e30", "'1e30' has no unit"),
    (ENERGY, 3.5, "3.5 has no unit and would be in pJ"),
    (ENERGY_PER_BIT, 0.7, "0.7 has no unit and would be in pJ/bit"),
    (POWER, 5, "5 has no unit and would be in W; write a number and a unit, valid: W, mW"),
    (FREQUENCY, 500, "500 has no unit and would be in Hz; write a number and a unit, valid: Hz, kHz, MHz, GHz"),
    (FREQUENCY, " 940. ", "' 940. ' has no unit"),
    (BANDWIDTH, 25.6, "25.6 has no unit and would be in B/s"),
    (BANDWIDTH, "25.6 GB", "did you mean 'GB/s'"),
    (BANDWIDTH, "25.6 GiB", "did you mean 'GiB/s'"),
    (ENERGY_PER_BIT, "0.7 pJ", "did you mean 'pJ/bit'"),
    (ENERGY_PER_BIT, 0, "must be > 0"),
    (VOLTAGE, "0.9 v", "did you mean 'V'"),
    (TEMPERATURE, 85, "would be in K"),
    (TEMPERATURE, "85 degF", "is not a temperature"),
    (TEMPERATURE, "-300 degC", "must be > 0"),
    (VOLTAGE, math.nan, "must be finite"),
    (POWER, "5 MW", "'5 MW' is not a power"),
    (ENERGY, "3 pJ/bit", "'3 pJ/bit' is not an energy"),
    (TEMPERATURE, "85", "'85' has no unit and would be in K"),
    (TEMPERATURE, "-300 degC", "'-300 degC' must be > 0"),
    (NODE, "1e999 nm", "too large for a technology node"),
    (NODE, "1e-999 nm", "too small for a technology node"),
    (NODE, "28 n", "did you mean 'nm'"),
]


@pytest.mark.parametrize(("dimension", "value", "expected"), GOOD, ids=[f"{d.base}-{v!r}" for d, v, _ in GOOD])
def test_reads(dimension, value, expected):
    parsed = dimension.parse(value)
    assert parsed == expected
    assert type(parsed) is (int if dimension is SIZE else float)


@pytest.mark.parametrize(("dimension", "value", "message"), BAD, ids=[f"{d.base}-{v!r}" for d, v, _ in BAD])
def test_refuses(dimension, value, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        dimension.parse(value)


class TestExactness:
    @given(st.integers(1, 2**40))
    def test_a_size_is_itself(self, count):
        assert SIZE.parse(count) == SIZE.parse(f"{count} B") == SIZE.parse(f"{8 * count} bit") == count

    @given(st.integers(1, 2**22), st.sampled_from(["KiB", "MiB", "GiB"]), st.integers(0, 10))
    def test_binary_fractions_are_exact(self, count, unit, shift):
        exact = Fraction(count, 2**shift)
        decimal = f"{count * 5**shift}e-{shift}"  # count / 2**shift in decimal, exactly
        assert SIZE.parse(f"{decimal} {unit}") == exact * SIZE.units[unit]

    @given(st.integers(1, 10**9), st.integers(0, 9))
    def test_decimal_fractions_are_exact(self, mantissa, places):
        text = f"{mantissa}e-{places} GB"
        if mantissa * 10**9 % 10**places:
            with pytest.raises(UsageError, match="whole number of bytes"):
                SIZE.parse(text)
        else:
            assert SIZE.parse(text) == mantissa * 10**9 // 10**places

    @given(st.decimals(min_value="0.001", max_value="1000", places=3), st.sampled_from(DIMENSIONS[1:]))
    def test_floats_are_correctly_rounded(self, number, dimension):
        for unit, factor in dimension.units.items():
            assert dimension.parse(f"{number} {unit}") == float(Fraction(number) * factor)

    def test_no_drift_where_floats_have_it(self):
        assert 0.1 * 3 != 0.3
        assert FREQUENCY.parse("0.3 GHz") == 300e6
        assert BANDWIDTH.parse("4.35 GB/s") == 4_350_000_000.0


@given(st.text())
def test_any_text_is_a_quantity_or_a_usage_error(text):
    for dimension in DIMENSIONS:
        try:
            value = dimension.parse(text)
        except UsageError as error:
            assert shown(text) in str(error)
        else:
            assert 0 < value < math.inf


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=2)))
def test_any_value_is_a_quantity_or_a_usage_error(value):
    for dimension in DIMENSIONS:
        try:
            parsed = dimension.parse(value)
        except UsageError:
            continue
        assert parsed == (value if dimension.whole else float(value))
        assert 0 < parsed < math.inf


class TestTables:
    def test_units_mean_one_thing(self):
        seen = {}
        for dimension in DIMENSIONS:
            for unit in {*dimension.units, *dimension.also}:
                assert seen.setdefault(unit, dimension) is dimension

    def test_listed_and_unlisted_units_do_not_overlap(self):
        for dimension in DIMENSIONS:
            assert not set(dimension.units) & set(dimension.also)

    def test_the_base_unit_is_one(self):
        for dimension in DIMENSIONS:
            assert dimension.units[dimension.base] == 1

    def test_examples_are_valid(self):
        for dimension in DIMENSIONS:
            assert dimension.parse(dimension.example) > 0

    @pytest.mark.parametrize("prefix", ["k", "M", "G"])
    def test_bit_and_byte_prefixes_agree(self, prefix):
        byte = SIZE.factor(f"{prefix}B")
        assert SIZE.factor(f"{prefix}bit") == byte / 8
        assert BANDWIDTH.factor(f"{prefix}bps") == byte / 8

    def test_ki_and_k_differ(self):
        for ki, k in (("KiB", "KB"), ("MiB", "MB"), ("GiB", "GB")):
            assert SIZE.units[ki] > SIZE.units[k]


class TestField:
    @pytest.mark.parametrize(
        ("annotation", "text", "expected"),
        [
            (SizeBytes, "1 KiB", 1024),
            (FrequencyHz, "1 GHz", 1e9),
            (BandwidthBytesPerS, "1 GB/s", 1e9),
            (VoltageV, "1 V", 1.0),
            (NodeNm, "7nm", 7.0),
        ],
    )
    def test_validates_in_pydantic(self, annotation, text, expected):
        adapter = TypeAdapter(annotation)
        assert adapter.validate_python(text) == expected
        assert adapter.validate_python(expected) == expected
        with pytest.raises(ValidationError, match="must be > 0"):
            adapter.validate_python(-1)

    @pytest.mark.parametrize(
        ("annotation", "text", "expected"),
        [(EnergyPjPerBit, "1 pJ/bit", 1.0), (PowerW, "1 W", 1.0), (TimeNs, "1 us", 1e3), (AreaMm2, "1 mm2", 1.0)],
    )
    def test_asks_for_a_unit_where_the_base_is_one_of_many(self, annotation, text, expected):
        adapter = TypeAdapter(annotation)
        assert adapter.validate_python(text) == expected
        for bare in (expected, str(expected)):
            with pytest.raises(ValidationError, match="has no unit"):
                adapter.validate_python(bare)

    def test_optional_fields_take_none(self):
        assert TypeAdapter(SizeBytes | None).validate_python(None) is None

    @pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.base)
    def test_schema_pattern_accepts_what_parse_accepts(self, dimension):
        schema = dimension.__get_pydantic_json_schema__(None, None)
        json.dumps(schema)
        *numbers, text = schema["anyOf"]
        assert len(numbers) == (dimension.least_bare != ALWAYS)
        for number in numbers:
            assert number["type"] == ("integer" if dimension.whole else "number")
            assert number.get("minimum", 0) == dimension.least_bare
        for unit in (*dimension.units, *dimension.also, *dimension.offsets):
            assert re.search(text["pattern"], f"1.5e3 {unit}")
        assert bool(re.search(text["pattern"], "12")) == bool(numbers)
        assert re.search(text["pattern"], dimension.example)
        assert not re.search(text["pattern"], "12 apples")
        assert not re.search(text["pattern"], f"-1 {dimension.base}")

    @given(st.sampled_from([(d, v) for d, v, _ in GOOD if isinstance(v, str)]))
    def test_schema_pattern_accepts_the_good_examples(self, pair):
        dimension, text = pair
        pattern = dimension.__get_pydantic_json_schema__(None, None)["anyOf"][-1]["pattern"]
        assert re.search(pattern, text.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}"))


class TestParseQuantity:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (3, (3, "")),
            (0.5, (Fraction(1, 2), "")),
            ("1e3", (1000, "")),
            ("64 KiB", (65_536, "B")),
            ("4 bit", (Fraction(1, 2), "B")),
            ("1.5 GHz", (1_500_000_000, "Hz")),
            ("5 µW", (Fraction(5, 10**6), "W")),
            ("28nm", (28, "nm")),
            (Fraction(1, 3), (Fraction(1, 3), "")),
        ],
    )
    def test_reads_any_known_unit(self, value, expected):
        assert parse_quantity(value) == expected

    @pytest.mark.parametrize("value", ["five", "", None, True, [1], math.inf, math.nan, "5 apples", "1 KiBs"])
    def test_refuses(self, value):
        with pytest.raises(UsageError):
            parse_quantity(value)

    def test_unknown_unit_names_the_nearest(self):
        with pytest.raises(UsageError, match="unknown unit 'ghz'; .*did you mean 'GHz'"):
            parse_quantity("1 ghz")

    @given(st.sampled_from([(d, u) for d in DIMENSIONS for u in d.units]), st.integers(1, 10**6))
    def test_agrees_with_the_dimension(self, pair, count):
        dimension, unit = pair
        assert parse_quantity(f"{count} {unit}") == (dimension.exact(f"{count} {unit}"), dimension.base)


class TestFormatBytes:
    @pytest.mark.parametrize(
        ("count", "expected"),
        [
            (0, "0 B"),
            (1, "1 B"),
            (1000, "1000 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (524_288, "512 KiB"),
            (2**20 - 1, "1 MiB"),
            (25 * 2**20, "25 MiB"),
            (3 * 2**50, "3072 TiB"),
            (1_234_567, "1.177 MiB"),
            (-2048, "-2 KiB"),
            (0.5, "0.5 B"),
        ],
    )
    def test_reads_well(self, count, expected):
        assert format_bytes(count) == expected

    @given(st.integers(1, 2**45))
    def test_round_trip_within_the_digits_shown(self, count):
        value, base = parse_quantity(format_bytes(count))
        assert base == "B"
        assert abs(value - count) <= count * Fraction(6, 10_000)

    @given(st.integers(1, 999), st.sampled_from(["B", "KiB", "MiB", "GiB"]))
    def test_round_trip_is_exact_for_short_numbers(self, count, unit):
        assert format_bytes(SIZE.parse(f"{count} {unit}")) == f"{count} {unit}"


class TestFormatSi:
    @pytest.mark.parametrize(
        ("value", "unit", "expected"),
        [
            (25.6e9, "B/s", "25.6 GB/s"),
            (1e9, "Hz", "1 GHz"),
            (0.7e-12, "J/bit", "700 fJ/bit"),
            (5e-3, "W", "5 mW"),
            (5e-6, "W", "5 µW"),
            (999.99e6, "Hz", "1 GHz"),
            (999_999, "Hz", "1 MHz"),
            (123_456, "Hz", "123.5 kHz"),
            (0, "W", "0 W"),
            (1, "V", "1 V"),
            (-2e3, "V", "-2 kV"),
            (math.inf, "W", "inf W"),
            (1e20, "Hz", "100000 PHz"),
            (1e-18, "J", "0.001 fJ"),
        ],
    )
    def test_reads_well(self, value, unit, expected):
        assert format_si(value, unit) == expected

    def test_digits(self):
        assert format_si(1234.5678, "W", digits=6) == "1.23457 kW"
        assert format_si(1234.5678, "W", digits=2) == "1.2 kW"

    @given(st.floats(1e-14, 1e15))
    def test_keeps_the_value(self, value):
        number, unit = format_si(value, "x").split()
        exponent = {p: e for e, p in units._SI_PREFIXES.items()}[unit.removesuffix("x")]
        assert float(number) * 10.0**exponent == pytest.approx(value, rel=6e-4)
        assert 1 <= float(number) < 1000

    @given(st.floats(1e-3, 9e14), st.sampled_from(["Hz", "V"]))
    def test_is_readable_again_where_the_prefix_is_known(self, value, unit):
        text = format_si(value, unit)
        try:
            number, base = parse_quantity(text)
        except UsageError:
            return
        assert base == unit
        assert float(number) == pytest.approx(value, rel=6e-4)
