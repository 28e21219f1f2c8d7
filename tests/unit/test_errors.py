"""Errors: exit codes, wording, places, and the way home from a worker process."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec import errors
from hwsim.spec.errors import (
    EXCERPT,
    ComparisonError,
    ConservationError,
    HwsimError,
    IncompleteError,
    InfeasibleError,
    MissingFigureError,
    Problem,
    SpecError,
    UsageError,
    closest,
    did_you_mean,
)

CODES = {
    HwsimError: 1,
    UsageError: 2,
    SpecError: 2,
    MissingFigureError: 2,
    InfeasibleError: 2,
    IncompleteError: 3,
    ComparisonError: 4,
    ConservationError: 1,
}


def test_every_class_has_the_documented_exit_code():
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, HwsimError)}
    assert classes == set(CODES)
    assert {c: c.exit_code for c in classes} == CODES


def test_table_of_the_module_names_every_class():
    for cls, code in CODES.items():
        row = next(line for line in errors.__doc__.splitlines() if f":class:`{cls.__name__}`" in line)
        assert f" {code} " in row


def test_usage_errors_are_value_errors_so_validators_may_raise_them():
    for cls in (UsageError, SpecError, MissingFigureError, InfeasibleError):
        assert issubclass(cls, ValueError)
    for cls in (ConservationError, IncompleteError, ComparisonError):
        assert not issubclass(cls, ValueError)


class TestProblem:
    def test_shows_place_path_message_and_caret(self):
        problem = Problem("a.yaml", 3, 5, "array.rows", "must be > 0", "    rows: -1")
        assert str(problem).splitlines() == [
            "a.yaml:3:5: array.rows: must be > 0",
            "        rows: -1",
            "        ^",
        ]

    @pytest.mark.parametrize(
        ("line", "column", "path", "expected"),
        [
            (0, 0, "", "f: bad"),
            (0, 0, "a.b", "f: a.b: bad"),
            (4, 0, "", "f:4: bad"),
            (4, 2, "a", "f:4:2: a: bad"),
        ],
    )
    def test_leaves_out_what_is_unknown(self, line, column, path, expected):
        assert str(Problem("f", line, column, path, "bad")) == expected

    def test_caret_stands_under_the_column_behind_tabs(self):
        shown, caret = str(Problem("f", 1, 3, "", "bad", "\t\tx: 1")).splitlines()[1:]
        assert shown[caret.index("^")] == "x"

    def test_control_characters_do_not_reach_the_terminal(self):
        assert "\x1b" not in str(Problem("f", 1, 1, "", "bad", "a: \x1b[31mred"))

    @given(st.integers(1, 1000), st.integers(0, 999))
    def test_long_lines_are_cut_around_the_caret(self, length, offset):
        offset %= length
        line = "".join(chr(0x3B1 + i % 24) if i != offset else "X" for i in range(length))
        shown, caret = str(Problem("f", 1, offset + 1, "", "bad", line)).splitlines()[1:]
        assert len(shown) <= EXCERPT + 5
        assert shown[caret.index("^")] == "X"


class TestSpecError:
    problems = (Problem("b", 1, 1, "", "x"), Problem("a", 9, 1, "", "y"), Problem("a", 2, 1, "", "z"))

    def test_reports_all_in_file_order(self):
        error = SpecError(self.problems)
        assert [p.message for p in error.problems] == ["z", "y", "x"]
        assert str(error).splitlines() == ["a:2:1: z", "a:9:1: y", "b:1:1: x"]

    def test_takes_any_iterable(self):
        assert len(SpecError(p for p in self.problems).problems) == 3

    def test_survives_pickling(self):
        error = SpecError(self.problems)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is SpecError
        assert again.problems == error.problems
        assert str(again) == str(error)


class TestDidYouMean:
    def test_names_the_nearest(self):
        assert did_you_mean("rwos", ["rows", "cols"]) == "valid: cols, rows (did you mean 'rows'?)"

    def test_says_nothing_when_nothing_is_near(self):
        assert did_you_mean("zzz", ["rows", "cols"]) == "valid: cols, rows"

    def test_keeps_an_order(self):
        assert did_you_mean("q", ["KiB", "B"], ordered=True) == "valid: KiB, B"

    def test_in_an_ordered_list_the_first_longer_name_is_nearest(self):
        assert did_you_mean("pJ", ["fJ/bit", "pJ/bit", "pJ/B"], ordered=True).endswith("(did you mean 'pJ/bit'?)")

    def test_without_any_names(self):
        assert did_you_mean("x", []) == "valid: none"

    def test_long_lists_are_cut_but_still_searched(self):
        text = did_you_mean("name98", [f"name{i:02}" for i in range(100)])
        assert "… (100 in all)" in text
        assert text.endswith("(did you mean 'name98'?)")

    @pytest.mark.parametrize(
        ("name", "near"), [("kib", "KiB"), ("GHZ", "GHz"), ("28NM", "28nm"), (28, "28nm"), (5, None)]
    )
    def test_case_and_type_do_not_matter(self, name, near):
        assert closest(name, ["KiB", "GHz", "28nm"]) == near

    @given(st.text(), st.lists(st.text()))
    def test_closest_is_a_valid_name_or_none(self, name, valid):
        near = closest(name, valid)
        assert near is None or near in valid
