"""Executors: the same outcomes from one process and from many, whatever happens to a worker."""

from __future__ import annotations

import functools
import multiprocessing
import random
import signal
import time

import pytest

from hwsim.explore.executors import MAX_CHUNK, ProcessExecutor, SerialExecutor, make_executor
from hwsim.explore.outcome import Outcome
from hwsim.spec.errors import HwsimError, UsageError
from tests.support import explore
from tests.support.explore import calls, deadly, once_deadly, patient, picky, points, recorded, square


def outcomes(evaluate, todo, jobs):
    """Return all outcomes by the number of their point; each must come once."""
    with make_executor(evaluate, jobs) as executor:
        found = [outcome for batch in executor.run(todo) for outcome in batch]
    assert len({o.index for o in found}) == len(found)
    return {o.index: o for o in found}


def children():
    return multiprocessing.active_children()


class TestMakeExecutor:
    def test_one_job_needs_no_process(self):
        assert isinstance(make_executor(square, 1), SerialExecutor)
        assert isinstance(make_executor(square, 2), ProcessExecutor)

    @pytest.mark.parametrize("jobs", [0, -3])
    def test_fewer_are_refused(self, jobs):
        with pytest.raises(UsageError, match=f"--jobs must be 1 or more, not {jobs}"):
            make_executor(square, jobs)

    @pytest.mark.parametrize("evaluate", [lambda point: {}, functools.partial(square, lambda: None)])
    def test_what_cannot_be_sent_to_a_process_is_refused_at_once(self, evaluate):
        with pytest.raises(TypeError, match="the evaluation cannot be sent to worker processes: "):
            make_executor(evaluate, 2)
        assert isinstance(make_executor(evaluate, 1), SerialExecutor)


class TestSerial:
    def test_one_outcome_at_a_time_in_order(self):
        with make_executor(picky, 1) as executor:
            batches = list(executor.run(points(6)))
        assert [len(batch) for batch in batches] == [1] * 6
        assert [batch[0].index for batch in batches] == list(range(6))

    def test_nothing_is_evaluated_before_it_is_asked_for(self, tmp_path):
        with make_executor(recorded(tmp_path / "calls"), 1) as executor:
            run = executor.run(points(9))
            next(run)
            next(run)
            assert calls(tmp_path / "calls") == {0: 1, 1: 1}

    def test_every_kind_of_end(self):
        found = outcomes(picky, points(5), 1)
        assert found[1] == Outcome(1, "infeasible", "the buffer cannot hold one tile")
        assert found[2] == Outcome(2, "failed", "no such format")
        assert found[3] == Outcome(3, "failed", "internal error: RuntimeError: a bug")
        assert found[4].row == {"area_mm2": 25, "latency_ms": 0.2, "energy_mj": 2.5, "note": "x"}


class TestProcesses:
    @pytest.mark.parametrize("jobs", [2, 3])
    def test_outcomes_are_those_of_one_process_for_any_order(self, jobs):
        todo = points(MAX_CHUNK * 2 + 7)
        random.Random(jobs).shuffle(todo)
        expected = outcomes(picky, todo, 1)
        found = outcomes(picky, todo, jobs)
        assert found == expected
        assert [list(o.row) for o in found.values()] == [list(expected[i].row) for i in found]

    def test_quick_points_travel_in_groups_but_in_turn(self):
        with make_executor(square, 2) as executor:
            batches = [len(batch) for batch in executor.run(points(400))]
        assert sum(batches) == 400
        # Groups grow as far as a quarter of what is left, to end together.
        assert len(batches) < 200
        assert max(batches) <= MAX_CHUNK

    def test_more_jobs_than_points(self):
        assert outcomes(square, points(1), 3) == outcomes(square, points(1), 1)

    def test_every_point_is_evaluated_once(self, tmp_path):
        outcomes(recorded(tmp_path / "calls"), points(40), 2)
        assert calls(tmp_path / "calls") == dict.fromkeys(range(40), 1)

    def test_no_points_need_no_process(self):
        with make_executor(square, 2) as executor:
            assert list(executor.run([])) == []
            assert children() == []

    def test_a_second_run_takes_the_same_workers(self):
        with make_executor(square, 2) as executor:
            first = [o for batch in executor.run(points(4)) for o in batch]
            workers = {p.pid for p in children()}
            second = [o for batch in executor.run(points(4)) for o in batch]
            assert {p.pid for p in children()} == workers
        assert sorted(first, key=lambda o: o.index) == sorted(second, key=lambda o: o.index)
        assert children() == []

    def test_an_error_in_the_parent_leaves_no_process_behind(self):
        with pytest.raises(ZeroDivisionError), make_executor(square, 2) as executor:
            next(executor.run(points(30)))[1 // 0]
        assert children() == []


class TestDeadWorkers:
    @pytest.mark.parametrize("jobs", [2, 3])
    def test_the_point_that_kills_its_worker_fails_alone(self, jobs):
        todo = points(30)
        found = outcomes(deadly(4, 17), todo, jobs)
        expected = outcomes(square, todo, 1)
        for dead in (4, 17):
            lost = found.pop(dead)
            assert (lost.status, lost.row, lost.transient) == ("failed", {}, True)
            assert lost.reason == "its worker process died twice (exit code -9): killed or out of memory"
            del expected[dead]
        assert found == expected

    def test_every_point_may_be_deadly(self):
        found = outcomes(deadly(0, 1, 2), points(3), 2)
        assert {o.status for o in found.values()} == {"failed"}
        assert len(found) == 3

    def test_a_crash_in_native_code(self):
        found = outcomes(deadly(1, sign=signal.SIGSEGV), points(3), 2)
        assert [found[i].status for i in range(3)] == ["ok", "failed", "ok"]
        assert "(exit code -11)" in found[1].reason

    def test_a_worker_killed_once_costs_nothing(self, tmp_path):
        todo = points(20)
        assert outcomes(once_deadly(tmp_path, 3, 18), todo, 2) == outcomes(square, todo, 1)

    def test_ctrl_c_in_a_worker_is_the_parent_s_business(self):
        todo = points(6)
        assert outcomes(deadly(2, sign=signal.SIGINT), todo, 2) == outcomes(square, todo, 1)

    def test_a_worker_that_cannot_start_ends_the_run(self, monkeypatch):
        # What pickle finds by name here, a fresh process does not.
        def vanishing(point):
            return {}

        vanishing.__qualname__ = "vanishing"
        monkeypatch.setattr(explore, "vanishing", vanishing, raising=False)
        vanishing.__module__ = explore.__name__
        with (
            pytest.raises(HwsimError, match="a worker process could not start .*__main__"),
            make_executor(vanishing, 2) as executor,
        ):
            list(executor.run(points(3)))
        assert children() == []


class TestInterrupt:
    def test_what_workers_have_reported_is_drained(self):
        with make_executor(square, 2) as executor:
            todo = points(8)
            run = executor.run(todo)
            kept = list(next(run))
            with pytest.raises(KeyboardInterrupt):
                run.throw(KeyboardInterrupt)
            deadline = time.monotonic() + 60
            drained = executor.drain()
            while not drained and time.monotonic() < deadline:  # the other worker is still at its points
                time.sleep(0.01)
                drained = executor.drain()
        expected = outcomes(square, todo, 1)
        found = {o.index: o for o in [*kept, *drained]}
        assert drained
        assert len(found) == len(kept) + len(drained)
        assert all(found[i] == expected[i] for i in found)

    def test_draining_waits_for_nobody(self, tmp_path):
        with make_executor(patient(tmp_path / "go"), 2) as executor:
            assert [o.index for o in next(executor.run(points(2)))] == [0]
            assert executor.drain() == []
            assert not (tmp_path / "go").exists()

    def test_a_worker_that_has_died_drains_nothing(self):
        with make_executor(deadly(0, 1), 2) as executor:
            run = executor.run(points(2))
            outcome = next(run)[0]
            assert outcome.status == "failed"
            for process in children():
                process.kill()
                process.join()
            assert executor.drain() == []

    def test_a_single_process_has_nothing_to_drain(self):
        with make_executor(square, 1) as executor:
            next(executor.run(points(3)))
            assert executor.drain() == []
