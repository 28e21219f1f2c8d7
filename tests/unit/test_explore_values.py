"""Values of a swept field: quantities, the short forms of an axis, and every way to get one wrong."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hwsim.explore import values as values_module
from hwsim.explore.values import (
    MAX_AXIS_LENGTH,
    UNITS,
    Quantity,
    base_number,
    canonical_json,
    expand_axis,
    expand_values,
    plain_number,
    quantity_text,
    read_quantity,
    repeated,
)
from hwsim.spec.units import BANDWIDTH, ENERGY_PER_BIT, FREQUENCY, POWER, SIZE, VOLTAGE

#: Numbers as people write them: at most 15 digits, which a float keeps.
written_numbers = st.one_of(
    st.integers(0, 10**15 - 1).map(str),
    st.decimals(0, 10**6, places=6).map(lambda d: f"{d:f}"),
    st.builds("{}e{}".format, st.integers(1, 9999), st.integers(-12, 12)),
)

#: Data as YAML gives it, without texts that could be quantities.
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.sampled_from([0.5, "", "a", "fp16", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)


def rewritten(value):
    """Return the same data with mappings in reverse, lists as tuples and whole numbers as floats."""
    if isinstance(value, dict):
        return {key: rewritten(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return tuple(map(rewritten, value))
    return float(value) if type(value) is int else value


def json_text(value):
    return json.dumps(value, sort_keys=True)


class TestQuantities:
    @pytest.mark.parametrize(
        ("text", "kind", "exact"),
        [
            ("512 KiB", "B", 524288),
            ("512KiB", "B", 524288),
            ("  0.5   MiB ", "B", 524288),
            ("1 GB", "B", 10**9),
            ("1 kB", "B", 1000),
            ("3 bit", "B", Fraction(3, 8)),
            ("1 GHz", "Hz", 10**9),
            ("-2.5 MHz", "Hz", -2500000),
            ("+1e3 Hz", "Hz", 1000),
            (".5 W", "W", Fraction(1, 2)),
            ("5 µW", "W", Fraction(5, 10**6)),  # micro sign
            ("5 μW", "W", Fraction(5, 10**6)),  # Greek letter
            ("5 uW", "W", Fraction(5, 10**6)),
            ("25.6 GB/s", "B/s", 25_600_000_000),
            ("0.7 pJ/bit", "pJ/bit", Fraction(7, 10)),
            ("0.9 V", "V", Fraction(9, 10)),
        ],
    )
    def test_numbers_with_a_unit_are_exact(self, text, kind, exact):
        found = read_quantity(text)
        assert (found.kind, found.exact) == (kind, exact)

    @pytest.mark.parametrize(
        "value",
        [
            *["fp16", "512", "KiB", "", "512 kib", "512 Kb", "28nm", "28 nm", "1e9999 B", "1 2 B", "1 GHz!", "٣ KiB"],
            *[None, 512, 1.5, True, ["1 B"], {"a": "1 B"}],
        ],
    )
    def test_anything_else_is_no_quantity(self, value):
        assert read_quantity(value) is None

    def test_every_unit_of_every_dimension_but_the_node(self):
        for dimension in (SIZE, FREQUENCY, BANDWIDTH, ENERGY_PER_BIT, VOLTAGE, POWER):
            for unit, factor in {**dimension.units, **dimension.also}.items():
                assert read_quantity(f"3 {unit}") == Quantity(dimension.base, 3 * factor, unit)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("524288 B", "512 KiB"),
            ("1.5 MiB", "1536 KiB"),
            ("1024 MiB", "1 GiB"),
            ("1000 B", "1000 B"),
            ("1 kB", "1000 B"),
            ("0 KiB", "0 GiB"),
            ("1 bit", "1 bit"),
            ("0.3 B", "0.3 B"),
            ("1000 MHz", "1000 MHz"),
            ("0.10 GHz", "0.1 GHz"),
            ("5 µW", "5 uW"),
        ],
    )
    def test_sizes_take_the_largest_binary_unit_that_divides_them_others_keep_theirs(self, text, expected):
        assert quantity_text(read_quantity(text)) == expected

    @given(written_numbers, st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "  "]))
    def test_text_reads_back_to_the_same_value(self, number, unit, blank):
        quantity = read_quantity(f"{number}{blank}{unit}")
        again = read_quantity(quantity_text(quantity))
        assert (again.kind, again.exact) == (quantity.kind, quantity.exact)

    @given(written_numbers, st.sampled_from(sorted(UNITS)))
    def test_text_is_a_fixed_point(self, number, unit):
        text = quantity_text(read_quantity(f"{number} {unit}"))
        assert quantity_text(read_quantity(text)) == text

    @given(st.integers(0, 2**60))
    def test_a_number_of_bytes_is_kept_to_the_byte(self, count):
        text = quantity_text(Quantity("B", Fraction(count), "B"))
        assert read_quantity(text).exact == count

    def test_plain_numbers(self):
        assert plain_number(Fraction(6, 2)) == 3
        assert type(plain_number(Fraction(6, 2))) is int
        assert plain_number(Fraction(1, 4)) == 0.25

    def test_base_numbers(self):
        assert base_number("512 KiB") == 524288
        assert type(base_number("512 KiB")) is int
        assert base_number("0.7 pJ/bit") == 0.7
        for other in ("fp16", 3, 2.5, None, True):
            assert base_number(other) is other


class TestCanonical:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("0.5 MiB", "512 KiB"),
            (1.0, 1),
            ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
            ([1, "1 kB"], (1.0, "1000 B")),
            ({"x": {"clock": "1 GHz"}}, {"x": {"clock": "1000 MHz"}}),
            ({1: "a"}, {"1": "a"}),
        ],
    )
    def test_equal_meanings_are_equal(self, one, other):
        assert canonical_json(one) == canonical_json(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, True),
            (0, False),
            (None, "null"),
            (1, "1"),
            (0.5, "0.5"),
            ("1 W", "1 V"),
            ("1 B", "1 B/s"),
            ([1, 2], [2, 1]),
            ("28nm", "28 nm"),
            ({"a": None}, {}),
        ],
    )
    def test_other_meanings_are_not(self, one, other):
        assert canonical_json(one) != canonical_json(other)

    @given(data)
    def test_order_of_keys_and_kind_of_whole_numbers_do_not_matter(self, value):
        assert canonical_json(rewritten(value)) == canonical_json(value)

    @given(data, data)
    def test_other_data_have_other_texts(self, one, other):
        assert (canonical_json(one) == canonical_json(other)) == (json_text(one) == json_text(other))


class TestLists:
    def test_values_stay_as_written_in_their_order(self):
        values = [64, "128 KiB", {"family": "mac"}, "fp16", 1.5, True, None]
        assert expand_axis(values) == tuple(values)

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ([], "found no values; valid: at least one"),
            ([1, 2, 1], "the value 1 stands twice"),
            ([1, 1.0], "the value 1.0 stands twice"),
            (["512 KiB", "0.5 MiB"], "the value '0.5 MiB' stands twice"),
            ([524288, "512 KiB"], "the value '512 KiB' stands twice"),
            (["1 GHz", "1000 MHz"], "the value '1000 MHz' stands twice"),
            ([{"f": 1, "size": "1 KiB"}, {"size": "1024 B", "f": 1}], "the value {'size': '1024 B', 'f': 1} stands"),
            ([[1, 2]], "found the list [1, 2] as a value; valid: numbers, words or mappings"),
            ([1, math.nan], "found nan; valid: finite numbers"),
            ([math.inf], "found inf; valid: finite numbers"),
            (5, "found 5; valid: a list of values, or one of range, linear, geometric"),
            ("16", "found '16'; valid: a list of values, or one of range, linear, geometric"),
            (None, "found None; valid: a list of values, or one of"),
        ],
    )
    def test_what_is_refused(self, written, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            expand_axis(written)

    def test_true_is_not_one(self):
        assert expand_axis([True, 1, False, 0]) == (True, 1, False, 0)

    def test_a_zipped_path_may_repeat_a_value(self):
        assert expand_values([16, 16, 32]) == (16, 16, 32)
        with pytest.raises(ValueError, match="found no values"):
            expand_values([])

    @given(st.lists(st.integers(-5, 5), max_size=8))
    def test_the_first_repeated_value_is_found(self, values):
        expected = next((i for i, v in enumerate(values) if v in values[:i]), None)
        assert repeated(values) == expected


class TestRange:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ([16, 64, 16], (16, 32, 48, 64)),
            ([1, 10, 4], (1, 5, 9)),  # the last step stays below the end
            ([10, 1, -3], (10, 7, 4, 1)),
            ([5, 5, 1], (5,)),
            ([0, 1, 0.1], (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)),
            (["64 KiB", "256 KiB", "64 KiB"], ("64 KiB", "128 KiB", "192 KiB", "256 KiB")),
            (["1 GHz", "1.5 GHz", "250 MHz"], ("1 GHz", "1.25 GHz", "1.5 GHz")),
            (["1 MiB", "512 KiB", "-256 KiB"], ("1 MiB", "768 KiB", "512 KiB")),
        ],
    )
    def test_values(self, written, expected):
        values = expand_axis({"range": written})
        assert values == expected
        assert [type(v) for v in values] == [type(v) for v in expected]

    @given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool))
    def test_whole_numbers_are_those_of_python(self, first, last, step):
        expected = tuple(range(first, last + (1 if step > 0 else -1), step))
        assume(expected)
        assert expand_axis({"range": [first, last, step]}) == expected

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ([1, 9, 0], "range: the step 0 never leads from the first value to the last"),
            ([1, 9, -1], "range: the step -1 never leads"),
            (["1 KiB", "2 KiB", 512], "range: the step 512 is not of the kind of the ends"),
            (["1 KiB", "2 KiB", "1 Hz"], "range: the step '1 Hz' is not of the kind of the ends"),
            (["1 KiB", 9, 1], "range: the ends mix B and a plain number; valid: two values of one kind"),
            (["1 KiB", "1 GHz", 1], "range: the ends mix B and Hz"),
            ([1, 9], "found range: [1, 9]; valid: range: [first, last, step]"),
            (7, "found range: 7; valid: range: [first, last, step]"),
            ([1, 9, "x"], "range: found 'x'; valid: a number, or a number with a unit such as '64 KiB'"),
            ([True, 9, 1], "range: found True; valid: a number"),
            ([1, math.inf, 1], "range: found inf; valid: a number"),
            ([0, 10**9, 1], f"range: gives 1000000001 values; valid: at most {MAX_AXIS_LENGTH}"),
            ([0, 1, 1e-300], f"valid: at most {MAX_AXIS_LENGTH}"),
        ],
    )
    def test_what_is_refused(self, written, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            expand_axis({"range": written})


class TestSpaced:
    @pytest.mark.parametrize(
        ("form", "written", "expected"),
        [
            ("linear", [0, 1, 5], (0, 0.25, 0.5, 0.75, 1)),
            ("linear", [8, 2, 3], (8, 5, 2)),
            ("linear", ["1 GHz", "2 GHz", 3], ("1 GHz", "1.5 GHz", "2 GHz")),
            ("geometric", ["64 KiB", "2 MiB", 6], ("64 KiB", "128 KiB", "256 KiB", "512 KiB", "1 MiB", "2 MiB")),
            ("geometric", ["2 MiB", "512 KiB", 3], ("2 MiB", "1 MiB", "512 KiB")),
            ("geometric", [1, 1000, 4], (1, 10, 100, 1000)),
            ("geometric", [16, 64, 3], (16, 32, 64)),
            ("geometric", [16, 32, 3], (16, 23, 32)),  # 22.6 to whole numbers
            ("geometric", [16, 100], None),
            ("geometric", ["1 kB", "2 kB", 3], ("1000 B", "1414 B", "2000 B")),
            ("geometric", ["0.5 GHz", "2 GHz", 3], ("0.5 GHz", "1 GHz", "2 GHz")),
            ("geometric", [0.5, 8, 5], (0.5, 1, 2, 4, 8)),
            ("geometric", [0.1, 34.3, 4], (0.1, 0.7, 4.9, 34.3)),  # a whole ratio is exact
            ("geometric", [3, 7, 2], (3, 7)),
        ],
    )
    def test_values(self, form, written, expected):
        if expected is None:
            with pytest.raises(ValueError, match=re.escape(f"valid: {form}: [first, last, count]")):
                expand_axis({form: written})
            return
        values = expand_axis({form: written})
        assert values == expected
        assert [type(v) for v in values] == [type(v) for v in expected]

    def test_real_ends_give_real_values_between(self):
        first, second, third = expand_axis({"geometric": [1.0, 2.0, 3]})
        assert (first, third) == (1, 2)
        assert second == pytest.approx(math.sqrt(2), rel=1e-15)

    @given(st.integers(1, 2**40), st.integers(1, 2**40), st.integers(2, 30))
    @example(2**40, 1, 5)
    def test_geometric_sizes_hold_both_ends_and_stay_within_a_byte_of_the_law(self, first, last, count):
        assume(max(first, last) / min(first, last) > 2.0 ** (count - 1))  # so that no two round together
        values = expand_axis({"geometric": [f"{first} B", f"{last} B", count]})
        sizes = [base_number(value) for value in values]
        assert (len(sizes), sizes[0], sizes[-1]) == (count, first, last)
        for i, size in enumerate(sizes):
            law = first * (last / first) ** (i / (count - 1))
            # Half a byte of rounding, and of the power function some units in the last place.
            assert abs(size - law) <= 0.5 + 1e-12 * law

    @given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(2, 40))
    def test_linear_is_exact(self, first, last, count):
        assume(first != last)
        values = expand_axis({"linear": [first, last, count]})
        exact = [first + Fraction(last - first, count - 1) * i for i in range(count)]
        assert list(values) == [plain_number(value) for value in exact]

    @pytest.mark.parametrize("form", ["range", "linear", "geometric"])
    def test_the_longest_axis(self, form, monkeypatch):
        monkeypatch.setattr(values_module, "MAX_AXIS_LENGTH", 4)
        assert len(expand_axis({form: [1, 4, 1 if form == "range" else 4]})) == 4
        with pytest.raises(ValueError, match=f"{form}: gives 5 values; valid: at most 4"):
            expand_axis({form: [1, 5, 1 if form == "range" else 5]})

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ({"linear": [1, 9, 1]}, "linear: found the count 1; valid: a whole number from 2 on"),
            ({"linear": [1, 9, 2.5]}, "linear: found the count 2.5"),
            ({"linear": [1, 9, True]}, "linear: found the count True"),
            ({"linear": [1, 9, 10**6]}, f"linear: gives 1000000 values; valid: at most {MAX_AXIS_LENGTH}"),
            ({"linear": [5, 5, 3]}, "the value 5 stands twice"),
            ({"geometric": [0, 9, 3]}, "geometric: both ends must be above zero"),
            ({"geometric": [-4, 9, 3]}, "geometric: both ends must be above zero"),
            ({"geometric": [1, 4, 10]}, "geometric: values fall together when rounded to whole numbers; valid: fewer"),
            ({"geometric": [1e-308, 1e308, 3]}, "geometric: [1e-308, 1e+308, 3] leads out of the range of numbers"),
            ({"geometric": ["1e400 B", "1e410 B", 4]}, "leads out of the range of numbers"),
            ({"geometrik": [1, 9, 3]}, "valid: geometric, linear, range (did you mean 'geometric'?)"),
            ({"range": [1, 2, 1], "linear": [1, 2, 2]}, "valid: exactly one of range, linear, geometric"),
            ({}, "found {}; valid: exactly one of range, linear, geometric"),
            ({1: [1, 2, 3]}, "found {1: [1, 2, 3]}; valid: geometric, linear, range"),
        ],
    )
    def test_what_is_refused(self, written, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            expand_axis(written)
