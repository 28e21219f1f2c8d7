"""Errors on one screen, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.screen import HEIGHT, LONGEST, LONGEST_WORD, WIDTH, fitted, on_screen

pytestmark = pytest.mark.usefixtures("folded")


def problem(line: int, message: str = "must be even", source: str = "rows: 3") -> Problem:
    return Problem("f.yaml", line, 7, "array.rows", message, source)


def test_a_short_error_is_itself():
    assert on_screen(UsageError("no such thing")) == "error: no such thing"
    assert on_screen(SpecError([problem(1)])) == "error: f.yaml:1:7: array.rows: must be even\n    rows: 3\n          ^"
    assert on_screen(UsageError("x"), prefix="warning: ") == "warning: x"


def test_long_messages_are_wrapped_at_words_and_indented():
    words = " ".join(f"word{i}" for i in range(60))
    lines = on_screen(UsageError(words)).splitlines()
    assert len(lines) > 3
    assert all(line.startswith("  ") and not line.startswith("    ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == f"error: {words}"


def test_the_line_of_the_file_and_its_caret_are_kept_as_they_are():
    source = "x" * 90
    lines = on_screen(SpecError([Problem("f.yaml", 1, 81, "", "m", source)])).splitlines()
    assert lines[1:] == [f"    {source}", f"    {' ' * 80}^"]


@pytest.mark.parametrize("count", [7, 8, 9, 1000])
def test_many_problems_are_counted(count):
    lines = on_screen(SpecError(problem(n) for n in range(1, count + 1))).splitlines()
    shown = sum(line.endswith("^") for line in lines)
    assert len(lines) <= HEIGHT
    if count == 7:
        assert shown == 7
    else:
        left = count - shown
        assert shown == 7
        assert lines[-1] == f"… and {left} more problem{'s' if left > 1 else ''}"


def test_a_huge_value_loses_its_middle_and_the_advice_survives():
    text = on_screen(UsageError(f"unknown format {'x' * 100_000!r}; valid: fp16 (did you mean 'fp16'?)"))
    assert text.startswith("error: unknown format")
    assert " ".join(text.split()).endswith("(did you mean 'fp16'?)")
    assert len(text) < LONGEST
    spaced = on_screen(UsageError(f"unknown {'x ' * 50_000}; valid: fp16"))
    assert spaced.endswith("valid: fp16")
    assert " … " in spaced


def test_control_characters_never_reach_the_terminal():
    assert on_screen(UsageError("a\x1b[31mb\udcffc\x00")) == r"error: a\x1b[31mb\udcffc\x00"
    assert on_screen(SpecError([Problem("f.yaml", 1, 1, "a\nb\x1b", "m")])) == r"error: f.yaml:1:1: a\nb\x1b: m"


@given(st.lists(st.builds(problem, st.integers(0, 9), st.text(max_size=300), st.text(max_size=300)), min_size=1))
def test_any_problems_fit_one_screen(problems):
    lines = on_screen(SpecError(problems)).split("\n")
    assert 1 <= len(lines) <= HEIGHT
    assert all(len(line) <= WIDTH and line.isprintable() for line in lines)


@given(st.text(max_size=2000))
def test_any_message_fits_one_screen(text):
    lines = on_screen(UsageError(text)).split("\n")
    assert 1 <= len(lines) <= HEIGHT
    assert all(line.isprintable() for line in lines)
    # A line that begins like an excerpt of a file is not wrapped.
    assert all(len(line) <= WIDTH or line.startswith("    ") for line in lines)


def test_fitted_keeps_short_lines_and_blank_ones():
    text = "Usage: hwsim run\n\nError: no\n"
    assert fitted(text) == text
    long = fitted("a " * 100)
    assert max(map(len, long.splitlines())) <= WIDTH
    assert fitted("x" * (LONGEST_WORD - 1)).replace("\n  ", "") == "x" * (LONGEST_WORD - 1)
