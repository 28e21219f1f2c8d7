"""Outcomes: whatever an evaluation does becomes one row with a status and, if need be, a reason."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from hwsim.explore.outcome import ROW_STATUSES, STATUSES, Outcome, evaluate_safely, one_line
from hwsim.spec.errors import ConservationError, InfeasibleError, MissingFigureError, Problem, SpecError, UsageError
from tests.support.explore import points

POINT = points(8)[7]


def settle(returned):
    return evaluate_safely(lambda point: returned, POINT)


def failing(error):
    def evaluate(point):
        raise error

    return evaluate_safely(evaluate, POINT)


class TestMetrics:
    def test_a_row_keeps_its_order_and_its_plain_values(self):
        row = {"b": 1, "a": 2.5, "word": "x", "none": None, "flag": True, "huge": math.inf}
        outcome = settle(row)
        assert outcome == Outcome(7, "ok", "", row)
        assert list(outcome.row) == list(row)
        assert not outcome.transient

    def test_numpy_scalars_become_python_numbers(self):
        row = {"a": np.float64(0.1), "b": np.int32(7), "c": np.bool_(True), "d": np.array(3.5), "e": np.float32(0.5)}
        found = settle(row).row
        assert found == {"a": 0.1, "b": 7, "c": True, "d": 3.5, "e": 0.5}
        assert [type(v) for v in found.values()] == [float, int, bool, float, float]

    def test_the_evaluation_may_name_its_own_status(self):
        assert settle({"status": "ok", "reason": "", "a": 1}) == Outcome(7, "ok", "", {"a": 1})
        assert settle({"status": "infeasible", "reason": "no room", "a": 1}) == Outcome(
            7, "infeasible", "no room", {"a": 1}
        )
        assert settle({"status": "failed", "a": math.nan}).reason == ""

    @pytest.mark.parametrize(
        ("returned", "reason"),
        [
            ({"a": math.nan, "b": 1, "c": math.nan}, "a, c is not a number (NaN)"),
            ({"a": np.float64("nan")}, "a is not a number (NaN)"),
            (None, "internal error: TypeError: the evaluation returned NoneType, not a mapping of metrics"),
            ([1], "internal error: TypeError: the evaluation returned list, not a mapping of metrics"),
            ({"a": [1]}, "internal error: TypeError: metric 'a' is a list, not a number, a word or None"),
            ({"a": np.zeros(2)}, "internal error: TypeError: metric 'a' is a ndarray, not a number, a word or None"),
            ({"a": 1j}, "internal error: TypeError: metric 'a' is a complex, not a number, a word or None"),
            (
                {"status": "excluded"},
                "internal error: ValueError: the evaluation returned status 'excluded', "
                "not one of ok, infeasible, failed",
            ),
        ],
    )
    def test_a_row_that_cannot_be_stored_fails(self, returned, reason):
        assert settle(returned) == Outcome(7, "failed", reason)


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "status", "reason", "transient"),
        [
            (InfeasibleError("no tile fits"), "infeasible", "no tile fits", False),
            (UsageError("unknown format 'fp3'"), "failed", "unknown format 'fp3'", False),
            (MissingFigureError("no source"), "failed", "no source", False),
            (ConservationError("lost MACs"), "failed", "lost MACs", False),
            (RuntimeError("a bug"), "failed", "internal error: RuntimeError: a bug", False),
            (ZeroDivisionError(), "failed", "internal error: ZeroDivisionError: ", False),
            (RecursionError("deep"), "failed", "internal error: RecursionError: deep", False),
            (MemoryError(), "failed", "MemoryError: ", True),
            (OSError(28, "No space left on device"), "failed", "OSError: [Errno 28] No space left on device", True),
        ],
    )
    def test_each_kind(self, error, status, reason, transient):
        assert failing(error) == Outcome(7, status, reason, {}, transient)

    def test_a_reason_fits_in_one_cell(self):
        assert failing(UsageError("one\n  two\tthree")).reason == "one two three"

    def test_problems_of_a_file_are_listed_without_their_place(self):
        error = SpecError(
            [Problem("f", 3, 1, "", "broken"), Problem("f", 2, 1, "array.rows", "must be > 0", "rows: 0")]
        )
        assert failing(error).reason == "array.rows: must be > 0; broken"
        assert one_line(error) == "array.rows: must be > 0; broken"

    def test_text_that_no_file_can_hold_is_replaced(self):
        reason = failing(OSError(f"cannot open {chr(0xDCFF)}.csv")).reason
        assert reason == r"OSError: cannot open \udcff.csv"
        reason.encode()

    @pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
    def test_interrupts_pass_through(self, stop):
        with pytest.raises(stop):
            failing(stop())


def test_outcomes_travel_between_processes():
    outcome = failing(InfeasibleError("no tile fits"))
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_statuses():
    assert STATUSES == ("ok", "infeasible", "failed")
    assert set(ROW_STATUSES) == {*STATUSES, "excluded"}
