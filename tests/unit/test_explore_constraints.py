"""Constraints: what an expression may say, what it means, and everything that it may not do."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hwsim.explore.constraints import parse_condition, parse_expression
from hwsim.explore.values import UNITS, base_number
from hwsim.explore.variables import Fields
from hwsim.spec.errors import UsageError

VARIABLES = {
    "area_mm2": 9.5,
    "array.rows": 16,
    "array.cols": 32,
    "pe.format": "fp16",
    "size": "512 KiB",
    "missing": None,
    "blank": math.nan,
    "zero": 0,
    "flag": True,
    "levels.0.size": 7,
}


def value(text, variables=VARIABLES):
    return parse_expression(text).value(variables)


def refused(text, variables=VARIABLES):
    with pytest.raises(UsageError) as caught:
        value(text, variables)
    return str(caught.value)


class TestArithmetic:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("7 // 2", 3),
            ("-7 // 2", -4),
            ("7 % 4", 3),
            ("-7 % 4", 1),
            ("7 / 2", 3.5),
            ("2 ** 10", 1024),
            ("2 ** -1", 0.5),
            ("-2 ** 2", -4),
            ("(-2) ** 3", -8),
            ("(-2) ** 2.0", 4.0),
            ("0 ** 0.5", 0.0),
            ("0.25 ** 0.5", 0.5),
            ("2 ** 64", 18446744073709551616),
            ("1e12 ** 2", 1e24),
            ("+3 - -4", 7),
            ("array.rows * array.cols", 512),
            ("array.rows*array.cols - 12", 500),
            ("levels[0].size", 7),
            ("min(3, 1, 2)", 1),
            ("max(array.rows, array.cols)", 32),
            ("max([1, 5, 2])", 5),
            ("min('b', 'a')", "a"),
            ("abs(-2.5)", 2.5),
            ("abs(array.rows - array.cols) / 4", 4.0),
            ("true_ + 1", 2),
        ],
    )
    def test_values(self, text, expected):
        found = value(text, {**VARIABLES, "true_": 1})
        assert found == expected
        assert type(found) is type(expected)

    def test_line_breaks_at_the_ends_and_comments_do_no_harm(self):
        assert value("\n  1 + 1  # two\n") == 2

    def test_names_are_collected_once_and_functions_are_none(self):
        expression = parse_expression("min(a.b, c) < a.b + levels[2].size and not d")
        assert expression.names == {"a.b", "c", "levels.2.size", "d"}

    def test_equal_texts_are_one_expression(self):
        assert parse_expression("a < 1") is parse_expression("a < 1")


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("512 KiB", 524288),
            ("512KiB + 1", 524289),
            ("1.5 MiB", 1572864),
            ("2 * 3 kB", 6000),
            ("1 GHz / 1 MHz", 1000.0),
            ("25.6 GB/s", 25_600_000_000),
            ("8 GB/s / 2", 4e9),
            ("8 GB / 2", 4e9),
            ("0.7 pJ/bit", 0.7),
            ("5 µW", 5e-06),
            ("5 μW", 5e-06),
            ("1e3 B", 1000),
            ("16 bit", 2),
            ("size", 524288),
            ("size / 1 KiB", 512.0),
        ],
    )
    def test_numbers_with_a_unit_are_in_the_base_unit(self, text, expected):
        found = value(text)
        assert found == expected
        assert type(found) is type(expected)

    @pytest.mark.parametrize("unit", sorted(UNITS))
    def test_every_unit(self, unit):
        assert value(f"3 {unit}") == base_number(f"3 {unit}")
        assert value(f"2 * (3{unit} - 1{unit})") == pytest.approx(4 * base_number(f"1 {unit}"), rel=1e-15)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("size == '512 KiB'", True),
            ('size == "0.5 MiB"', True),
            ("size != 524288", False),
            ("size in ['256 KiB', '0.5 MiB']", True),
            ("size in [256 KiB, 0.5 MiB]", True),
            ("pe.format == 'size 512 KiB'", False),
        ],
    )
    def test_quoted_quantities_are_quantities_other_quoted_texts_stay_as_they_are(self, text, expected):
        assert value(text) is expected

    @pytest.mark.parametrize("text", ["a1 B", "1 KiBx", "1 2 KiB", "1e9999 B", "1 b", "28 nm"])
    def test_what_only_looks_like_a_unit_is_a_syntax_error(self, text):
        assert "is not an expression" in refused(text)

    def test_a_name_may_be_a_unit(self):
        assert value("B * 2", {"B": 3}) == 6
        assert value("2 * W", {"W": 5}) == 10


class TestConditions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("area_mm2 <= 12", True),
            ("area_mm2 > 12", False),
            ("array.rows * array.cols <= 4096", True),
            ("8 <= array.rows < array.cols", True),
            ("8 <= array.rows < 16", False),
            ("1 < 2 > 0 != 3", True),
            ("pe.format == 'fp16'", True),
            ('pe.format != "int8"', True),
            ("pe.format in ['fp16', 'bf16']", True),
            ("pe.format in ('fp16',)", True),
            ("pe.format not in ['int8']", True),
            ("'16' in pe.format", True),
            ("array.rows in [16, 32]", True),
            ("array.rows in []", False),
            ("not area_mm2 > 12", True),
            ("area_mm2 < 1 or array.rows == 16", True),
            ("area_mm2 < 1 and array.rows == 16", False),
            ("not (area_mm2 < 1 or array.rows == 16)", False),
            ("zero == 0 or 1 / zero > 1", True),  # the right side is not computed
            ("zero != 0 and 1 / zero > 1", False),
            ("zero < 0 < 1 / zero", False),
            ("flag == True", True),
            ("flag and array.rows", True),
        ],
    )
    def test_holds(self, text, expected):
        assert parse_condition(text).holds(VARIABLES) is expected

    @pytest.mark.parametrize("text", ["1 + 2", "area_mm2", "'yes'", "True", "-3", "min(1, 2)", "[1 < 2]", "abs(1) + 1"])
    def test_an_expression_without_comparison_is_no_condition(self, text):
        with pytest.raises(UsageError, match="is no condition; write a comparison such as area_mm2 <= 12"):
            parse_condition(text)

    def test_the_reason_shows_every_variable(self):
        condition = parse_condition("array.rows * area_mm2 <= 12 and missing < 3 and pe.format == 'x'")
        assert condition.why_not({**VARIABLES, "area_mm2": 1 / 3}) == (
            "constraint array.rows * area_mm2 <= 12 and missing < 3 and pe.format == 'x' is not met: "
            "area_mm2 = 0.333333, array.rows = 16, missing = none, pe.format = fp16"
        )


class TestNoValue:
    @pytest.mark.parametrize("name", ["missing", "blank"])
    @pytest.mark.parametrize("form", ["{} < 5", "{} >= 5", "{} == 5", "not {} < 5", "{} + 1 < 5", "max({}, 9) > 5"])
    def test_a_variable_without_value_meets_nothing(self, name, form):
        condition = parse_condition(form.format(name))
        assert condition.value(VARIABLES) is None
        assert condition.holds(VARIABLES) is False

    def test_unless_it_does_not_decide(self):
        assert parse_condition("area_mm2 < 10 or missing < 5").holds(VARIABLES) is True
        assert parse_condition("area_mm2 > 10 and missing < 5").value(VARIABLES) is False
        assert parse_condition("missing < 5 or area_mm2 < 10").holds(VARIABLES) is True  # the order says nothing
        assert parse_condition("missing < 5 and area_mm2 > 10").value(VARIABLES) is False
        assert parse_condition("missing < 5 or area_mm2 > 10").value(VARIABLES) is None
        assert parse_condition("missing < 5 and area_mm2 < 10").value(VARIABLES) is None


class TestNames:
    def test_an_unknown_variable_is_named_with_the_nearest(self):
        message = refused("array.row < 5")
        assert message.startswith("unknown variable 'array.row' in 'array.row < 5'; valid: area_mm2, array.cols")
        assert "(did you mean 'array.rows'?)" in message

    def test_names_can_be_checked_beforehand(self):
        expression = parse_expression("array.rows < 5 and areamm2 < 3")
        with pytest.raises(UsageError, match=r"unknown variable 'areamm2' .*\(did you mean 'area_mm2'\?\)"):
            expression.check_names(VARIABLES)
        parse_expression("array.rows < 5").check_names(iter(VARIABLES))

    def test_fields_of_an_architecture_serve_as_variables(self):
        fields = Fields({"pe": {"family": "mac", "format": "fp16"}, "levels": [{"size": "1 KiB"}], "clock": "1 GHz"})
        assert value("pe == 'mac fp16' and levels[0].size == 1 KiB and clock <= 1 GHz", fields) is True
        assert parse_condition("pe.lanes == 4").holds(fields) is False


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("pe.format < 5", "'pe.format < 5' mixes numbers and words (pe.format = fp16)"),
            ("pe.format + 1", "mixes numbers and words (pe.format = fp16)"),
            ("pe.format * 3", "mixes numbers and words"),
            ("pe.format % 3", "mixes numbers and words"),
            ("-pe.format", "mixes numbers and words"),
            ("abs('x')", "\"abs('x')\" mixes numbers and words"),
            ("min(5)", "'min(5)' mixes numbers and words"),
            ("array.rows in 16", "mixes numbers and words (array.rows = 16)"),
            ("[1] < 2", "mixes numbers and words"),
            ("1 / zero", "'1 / zero': division by zero (zero = 0)"),
            ("1 // 0", "by zero"),
            ("1 % 0", "by zero"),
            ("0 ** -1", "'0 ** -1': "),
            ("1e300 * 10 ** 60 > 10 ** 60 * 1.0 ** 2 * 10 ** 60 / 0", "zero"),
            ("10**60 * 10**60 * 10**60 * 10**60 * 10**60 * 10**60 * 1.0", "int too large to convert to float"),
            ("max([])", "'max([])': max of nothing"),
            ("a = 3", "'a = 3' is not an expression: "),
        ],
    )
    def test_one_clear_message(self, text, message):
        found = refused(text)
        assert message in found
        assert "\n" not in found

    def test_a_single_equals_sign_gets_a_hint(self):
        assert refused("area_mm2 = 3").endswith("; write == to compare")
        assert "write ==" not in refused("area_mm2 <= ")
        assert "write ==" not in refused("area_mm2 == 3 3")

    @pytest.mark.parametrize(
        "text", ["", "   ", "1 +", "(1", "a b", "1 <", "\0", "a\0", "'open", "a; b", "x := 3", "a\nb"]
    )
    def test_no_expression_at_all(self, text):
        assert re.search("is not an expression|cannot be read", refused(text))


class TestRefused:
    """What would let a file act, hang the program or fill the memory."""

    @pytest.mark.parametrize(
        "text",
        [
            "lambda: 1",
            "(lambda x: x)(1)",
            "[x for x in [1]]",
            "{1, 2}",
            "{'a': 1}",
            "1 if 2 else 3",
            "a @ b",
            "1 << 2",
            "1 | 2",
            "~1",
            "a is b",
            "None",
            "...",
            "3j",
            "b'x'",
            "f'{a}'",
            "a[1:2]",
            "a['b']",
            "a[-1]",
            "a[b]",
            "'abc'.real",
            "(1).real",
            "[1][0]",
            "*a, b",
            "(y := 3)",
            "await x",
            "(yield)",
        ],
    )
    def test_syntax_that_is_not_needed(self, text):
        assert re.search("is not allowed in an expression|is not an expression|unknown function", refused(text))

    @pytest.mark.parametrize(
        "text",
        [
            "print(1)",
            "__import__('os')",
            "open('x')",
            "'abc'.upper()",
            "array.rows.bit_length()",
            "min.__class__()",
            "min(1, 2)(3)",
            "max(1, key=2)",
            "min()",
            "sum([1])",
            "().__class__.__bases__[0]()",
        ],
    )
    def test_calls_of_anything_but_min_max_abs(self, text):
        assert refused(text).endswith("unknown function; valid: abs, max, min")

    def test_the_part_that_is_not_allowed_is_shown(self):
        assert refused("1 + (a << 2)") == "'1 + (a << 2)': 'a << 2' is not allowed in an expression"

    @pytest.mark.parametrize(
        "text",
        ["9 ** 9 ** 9", "10 ** 1000", "2 ** 65", "2 ** -65", "(10 ** 13) ** 2", "2 ** 1e300", "1e13 ** 2", "x ** x"],
    )
    def test_huge_powers(self, text):
        assert "is out of range" in refused(text, {"x": 10**5000})

    def test_a_huge_number_is_not_spelt_out(self):
        assert refused("x ** 2 > 1", {"x": 10**5000}) == (
            "'x ** 2 > 1': a number of 16610 bits ** 2 is out of range (x = a number of 16610 bits)"
        )

    def test_powers_stay_real(self):
        assert "(-8) ** 0.5': -8 ** 0.5 is no real number" in refused("(-8) ** 0.5")
        assert "is no real number" in refused("(-1) ** (x - x)", {"x": math.inf})

    @pytest.mark.parametrize("text", ["[0] * 10 ** 12", "10 ** 12 * [0]", "'a' * 10 ** 12", "'a' + 'b'", "[1] + [2]"])
    def test_lists_and_words_are_not_repeated(self, text):
        assert "mixes numbers and words" in refused(text)

    @pytest.mark.parametrize("nested", ["(" * 900 + "1" + ")" * 900, "-" * 1900 + "1", "not " * 480 + "1"])
    def test_deep_nesting(self, nested):
        try:
            value(nested)
        except UsageError as error:
            assert re.search("cannot be read|nested too deeply|is not an expression", str(error))

    def test_an_expression_read_at_the_foot_of_the_stack_is_refused_at_its_top(self):
        expression = parse_expression("+".join(["1"] * 200))

        def deeper():
            try:
                return deeper()
            except RecursionError:
                return expression.value({})

        assert expression.value({}) == 200
        with pytest.raises(UsageError, match="is nested too deeply"):
            deeper()

    def test_length(self):
        assert value("1 + 1".ljust(2000)) == 2
        assert "is longer than 2000 characters" in refused("1 + 1".ljust(2001))

    @given(st.text(alphabet="ab.01 +-*/%<>=!()[],'\"\\notrinmaxKiB:{}@#\n\t", max_size=30))
    @example("1e99999999 B")
    @example("0x" + "f" * 100)
    @example("min(max(abs(-1), 2), 3)")
    def test_any_text_gives_a_value_or_one_usage_error(self, text):
        try:
            value(text, {"a": 3, "b": "w", "a.b": None})
        except UsageError as error:
            assert str(error)


# --- against Python itself -----------------------------------------------------------------------

ORACLE = {"a": 3, "b": -7, "x": 2.5, "z": 0, "array.rows": 16, "array.cols": 24}
NAMES = {
    **{name: item for name, item in ORACLE.items() if "." not in name},
    "array": SimpleNamespace(rows=16, cols=24),
    "min": min,
    "max": max,
    "abs": abs,
    "__builtins__": {},
}

atoms = st.one_of(
    st.integers(-20, 20).map(lambda n: str(n) if n >= 0 else f"({n})"),
    st.sampled_from(["0.5", "1e3", "2.", ".25"]),
    st.sampled_from(sorted(ORACLE)),
)


def _more_numbers(inner):
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*"]), inner),
        st.builds("{} ** {}".format, atoms, st.integers(-3, 3)),
        st.builds("(-{})".format, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
        st.builds("abs({})".format, inner),
    )


numbers = st.recursive(atoms, _more_numbers, max_leaves=6)
comparisons = st.one_of(
    st.builds("{} {} {}".format, numbers, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), numbers),
    st.builds("{} < {} <= {}".format, numbers, numbers, numbers),
    st.builds("{} in [{}, {}]".format, numbers, numbers, numbers),
    st.builds("{} not in ({}, {})".format, numbers, numbers, numbers),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("(not {} and {})".format, inner, inner),
    ),
    max_leaves=5,
)


def outcome(compute):
    """Return a value, or the kind of failure; the one NaN is equal to itself here."""
    try:
        found = compute()
    except (UsageError, ZeroDivisionError, OverflowError):
        return "refused"
    return "nan" if found != found else (type(found), found)


@given(numbers)
def test_numbers_are_those_of_python(text):
    assert outcome(lambda: value(text, ORACLE)) == outcome(lambda: eval(text, NAMES))


@given(conditions)
@example("not a < b and 1 / z > 1 or x == 2.5")
def test_conditions_are_those_of_python(text):
    assert outcome(lambda: parse_condition(text).value(ORACLE)) == outcome(lambda: eval(text, NAMES))
