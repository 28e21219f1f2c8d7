"""Sweeps from file to table: the same table for any jobs, shards, interruptions and resumptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hwsim.explore import sweep as sweep_module
from hwsim.explore.identity import Identity
from hwsim.explore.merge import merge_stores
from hwsim.explore.metrics import METRICS
from hwsim.explore.result import SweepResult, stored_result, sweep_result, table
from hwsim.explore.search import SEARCHES, Search
from hwsim.explore.search.exhaustive import Exhaustive
from hwsim.explore.store import Entry, Record, Store
from hwsim.explore.sweep import Progress, Shard, parse_shard, run_sweep
from hwsim.spec.errors import InfeasibleError, UsageError
from tests.support.explore import SWEEP, calls, deadly, make, picky, points, recorded, square, write_sweep

ROOT = Path(__file__).resolve().parents[2]


def run(sweep, evaluate=square, store=None, **options):
    return run_sweep(sweep, evaluate, store, revision=options.pop("revision", "r1"), **options)


def csv(result):
    return result.frame.to_csv(index=False)


class Stop:
    """A progress callback that interrupts after so many points."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.finished >= self.after:
            raise KeyboardInterrupt


EXPECTED = """\
design_id,workload,array.rows,memories.weights.size,area_mm2,latency_ms,energy_mj,note,status,reason
rows=4 64KiB,a batch=1,4,65536,16,0.25,2.0,x,ok,
rows=4 64KiB,b,4,65536,16,0.25,3.0,x,ok,
rows=4 128KiB,a batch=1,4,131072,16,0.25,2.0,x,ok,
rows=4 128KiB,b,4,131072,16,0.25,3.0,x,ok,
rows=8 64KiB,a batch=1,8,65536,64,0.125,4.0,x,ok,
rows=8 64KiB,b,8,65536,64,0.125,5.0,x,ok,
rows=8 128KiB,a batch=1,8,131072,64,0.125,4.0,x,ok,
rows=8 128KiB,b,8,131072,64,0.125,5.0,x,ok,
rows=16 64KiB,a batch=1,16,65536,256,0.0625,8.0,x,ok,
rows=16 64KiB,b,16,65536,256,0.0625,9.0,x,ok,
rows=16 128KiB,a batch=1,16,131072,256,0.0625,8.0,x,ok,
rows=16 128KiB,b,16,131072,256,0.0625,9.0,x,ok,
"""


class TestTable:
    def test_the_whole_table(self, tmp_path):
        result = run(make(tmp_path))
        frame = result.frame
        assert list(frame.columns) == [
            *["design_id", "workload", "array.rows", "memories.weights.size"],
            *METRICS,
            *["note", "status", "reason"],
        ]
        assert frame.dropna(axis="columns", how="all").to_csv(index=False) == EXPECTED
        assert (result.name, result.total, result.evaluated, result.reused, result.pruned) == (
            "tiny-sweep",
            12,
            12,
            0,
            0,
        )
        assert result.counts == {"ok": 12, "excluded": 0, "infeasible": 0, "failed": 0}
        assert result.exit_code == 0
        assert result.objectives == {"energy_mj": "min", "latency_ms": "min"}

    def test_it_is_the_same_for_any_number_of_jobs(self, tmp_path):
        sweep = make(tmp_path)
        tables = [csv(run(sweep, picky, jobs=jobs)) for jobs in (1, 2, 3)]
        assert tables[0] == tables[1] == tables[2]

    def test_it_is_the_same_from_memory_from_disk_and_from_the_store_alone(self, tmp_path):
        sweep = make(tmp_path)
        with Store(tmp_path / "r.sqlite") as store:
            result = run(sweep, picky, store)
        with Store(tmp_path / "r.sqlite") as store:
            again, alone = sweep_result(sweep, store), stored_result(store, "tiny-sweep")
        assert csv(result) == csv(again) == csv(alone) == csv(run(sweep, picky))
        assert alone.columns == result.columns
        assert alone.objectives == result.objectives

    def test_rows_without_metrics_keep_their_reason(self, tmp_path):
        result = run(make(tmp_path), picky)
        rows = result.frame[result.frame["status"] != "ok"]
        assert rows[["design_id", "workload", "status", "reason"]].values.tolist() == [
            ["rows=4 64KiB", "b", "infeasible", "the buffer cannot hold one tile"],
            ["rows=4 128KiB", "a batch=1", "failed", "no such format"],
            ["rows=4 128KiB", "b", "failed", "internal error: RuntimeError: a bug"],
        ]
        assert rows[list(METRICS)].isna().all(axis=None)
        assert result.counts == {"ok": 9, "excluded": 0, "infeasible": 1, "failed": 2}
        assert result.exit_code == 3

    def test_a_sweep_of_nothing_but_the_base(self, tmp_path):
        result = run(make(tmp_path, "name: x\nbase: base.yaml\nworkloads: [w.yaml]\n"), lambda point: {"area_mm2": 1.5})
        assert result.rows[0][:3] == ("tiny", "w", 1.5)

    def test_equal_designs_are_evaluated_once_and_have_a_row_each(self, tmp_path):
        sweep = make(
            tmp_path, SWEEP.replace("[64 KiB, 128 KiB]", "[64 KiB]") + "zip: {note: [a, b], pe.lanes: [2, 2]}\n"
        )
        folder = tmp_path / "calls"
        assert len(run(sweep, recorded(folder)).rows) == 12
        assert len(calls(folder)) == 12
        same = make(tmp_path, SWEEP + "zip: {description: [one, two]}\n")
        result = run(same, recorded(tmp_path / "same"))
        assert (len(result.rows), result.evaluated, result.reused) == (24, 12, 12)
        assert set(calls(tmp_path / "same").values()) == {1}

    def test_figures_that_are_no_metrics_come_after_them_in_the_order_of_the_rows(self):
        def record(number, **row):
            return Record(Entry(number, "k", f"d{number}", "w", {"p": number}), "ok", "", row)

        columns, rows = table(["p", "q"], [record(0, zeta=1, area_mm2=2), record(1, alpha=3, zeta=4)])
        assert columns == ("design_id", "workload", "p", "q", *METRICS, "zeta", "alpha", "status", "reason")
        assert rows[0][:5] == ("d0", "w", 0, None, 2)
        assert rows[1][-4:] == (4, 3, "ok", "")

    def test_html_shows_the_counts(self, tmp_path):
        html = run(make(tmp_path), picky)._repr_html_()
        assert html.startswith("<b>tiny-sweep</b>: 9 ok, 1 infeasible, 2 failed<")
        assert "rows=4 64KiB" in html

    def test_the_front(self, tmp_path):
        result = run(make(tmp_path))
        assert len(result.front()) == 12  # each row count is on the front; sizes are equal
        assert set(result.front({"energy_mj": "min"})["array.rows"]) == {4}
        assert set(result.front(where="array.rows > 4 and memories.weights.size <= 64 KiB")["design_id"]) == {
            "rows=8 64KiB",
            "rows=16 64KiB",
        }


class TestConstraints:
    def test_on_fields_they_take_points_out_beforehand(self, tmp_path):
        folder = tmp_path / "calls"
        sweep = make(
            tmp_path, SWEEP + "constraints: [array.rows * array.cols <= 64, memories.weights.size < 100 KiB]\n"
        )
        result = run(sweep, recorded(folder))
        assert result.frame["design_id"].unique().tolist() == ["rows=4 64KiB", "rows=8 64KiB"]
        assert (result.pruned, result.total, len(calls(folder)), result.exit_code) == (8, 4, 4, 0)

    def test_on_metrics_they_mark_rows_that_stay(self, tmp_path):
        sweep = make(tmp_path, SWEEP + "constraints: [area_mm2 <= 64, energy_mj / array.rows < 0.7]\n")
        result = run(sweep)
        assert result.counts == {"ok": 6, "excluded": 6, "infeasible": 0, "failed": 0}
        assert (result.exit_code, result.pruned, len(result.rows)) == (0, 0, 12)
        frame = result.frame.set_index(["design_id", "workload"])
        assert frame.loc[("rows=16 64KiB", "b"), "reason"] == "constraint area_mm2 <= 64 is not met: area_mm2 = 256"
        assert frame.loc[("rows=4 64KiB", "b"), "reason"] == (
            "constraint energy_mj / array.rows < 0.7 is not met: array.rows = 4, energy_mj = 3"
        )
        assert frame.loc[("rows=16 64KiB", "b"), "energy_mj"] == 9.0
        assert "excluded" not in set(result.front()["status"])

    def test_they_do_not_touch_rows_without_metrics(self, tmp_path):
        result = run(make(tmp_path, SWEEP + "constraints: [area_mm2 <= 0]\n"), picky)
        assert result.counts == {"ok": 0, "excluded": 9, "infeasible": 1, "failed": 2}

    def test_a_metric_without_value_meets_no_constraint(self, tmp_path):
        result = run(make(tmp_path, SWEEP + "constraints: [sqnr_db > 0]\n"))
        assert result.counts["excluded"] == 12
        assert result.frame["reason"][0] == "constraint sqnr_db > 0 is not met: sqnr_db = none"

    def test_another_constraint_evaluates_nothing_again(self, tmp_path):
        with Store() as store:
            first = run(make(tmp_path), store=store)
            folder = tmp_path / "calls"
            tighter = run(
                make(tmp_path, SWEEP + "constraints: [array.rows < 16, area_mm2 < 60]\n"), recorded(folder), store
            )
            assert calls(folder) == {}
            assert tighter.counts == {"ok": 4, "excluded": 4, "infeasible": 0, "failed": 0}
            assert csv(run(make(tmp_path), store=store)) == csv(first)

    def test_when_nothing_is_left(self, tmp_path):
        result = run(make(tmp_path, SWEEP + "constraints: [array.rows > 1000]\n"))
        assert (len(result.rows), result.total, result.pruned, result.exit_code) == (0, 0, 12, 0)
        assert list(result.frame.columns)[:3] == ["design_id", "workload", "array.rows"]
        assert len(result.front()) == 0


class TestResume:
    def test_a_second_run_evaluates_nothing(self, tmp_path):
        sweep = make(tmp_path)
        with Store(tmp_path / "r.sqlite") as store:
            first = run(sweep, picky, store)
        with Store(tmp_path / "r.sqlite") as store:
            folder = tmp_path / "calls"
            second = run(sweep, recorded(folder), store)
        assert calls(folder) == {}
        assert csv(second) == csv(first)
        assert (first.evaluated, first.reused, second.evaluated, second.reused) == (12, 0, 0, 12)

    @pytest.mark.parametrize("after", [1, 5, 11])
    def test_an_interrupted_run_goes_on_where_it_was(self, tmp_path, after):
        sweep, folder = make(tmp_path), tmp_path / "calls"
        with Store(tmp_path / "r.sqlite") as store:
            with pytest.raises(KeyboardInterrupt):
                run(sweep, recorded(folder), store, progress=Stop(after))
            assert len(store) == after
            part = sweep_result(sweep, store)
            assert (len(part.rows), part.total, part.exit_code) == (after, 12, 3)
        with Store(tmp_path / "r.sqlite") as store:
            result = run(sweep, recorded(folder), store)
        assert calls(folder) == dict.fromkeys(range(12), 1)
        assert (result.evaluated, result.reused) == (12 - after, after)
        assert csv(result) == csv(run(sweep))

    def test_ctrl_c_with_several_jobs_keeps_what_was_finished(self, tmp_path):
        sweep, folder = make(tmp_path), tmp_path / "calls"
        with Store(tmp_path / "r.sqlite") as store:
            with pytest.raises(KeyboardInterrupt):
                run(sweep, recorded(folder), store, jobs=2, progress=Stop(3))
            kept = len(store)
            assert 3 <= kept <= 12
            result = run(sweep, recorded(folder), store, jobs=2)
            assert (result.evaluated, result.reused) == (12 - kept, kept)
        assert csv(result) == csv(run(sweep))

    def test_ctrl_c_inside_an_evaluation(self, tmp_path):
        sweep = make(tmp_path)

        def evaluate(point):
            if point.index == 7:
                raise KeyboardInterrupt
            return square(point)

        with Store(tmp_path / "r.sqlite") as store:
            with pytest.raises(KeyboardInterrupt):
                run(sweep, evaluate, store)
            assert len(store) == 7

    def test_a_wider_sweep_reuses_a_narrower_one(self, tmp_path):
        with Store() as store:
            run(make(tmp_path), store=store)
            folder = tmp_path / "calls"
            wider = run(make(tmp_path, SWEEP.replace("[4, 8, 16]", "[2, 16, 8, 4]")), recorded(folder), store)
            assert (wider.evaluated, wider.reused) == (4, 12)
            assert wider.frame["array.rows"].drop_duplicates().tolist() == [2, 16, 8, 4]
            assert len(store.sweeps()) == 2

    def test_another_revision_evaluates_all_again(self, tmp_path):
        sweep = make(tmp_path)
        with Store() as store:
            run(sweep, store=store)
            newer = run(sweep, store=store, revision="r2")
            assert (newer.evaluated, newer.reused, len(newer.rows)) == (12, 0, 12)

    def test_a_changed_workload_file_evaluates_its_points_again(self, tmp_path):
        text = SWEEP.replace("{model: b}", "t.csv")
        (tmp_path / "t.csv").write_text("one")
        with Store() as store:
            run(make(tmp_path, text), store=store)
            (tmp_path / "t.csv").write_text("two")
            again = run(make(tmp_path, text), store=store)
            assert (again.evaluated, again.reused) == (6, 6)

    def test_failures_that_may_not_happen_again_are_tried_again(self, tmp_path):
        sweep = make(tmp_path)
        with Store() as store:
            first = run(sweep, deadly(2, 5), store, jobs=2)
            assert first.counts["failed"] == 2
            assert (first.evaluated, first.exit_code) == (12, 3)
            second = run(sweep, store=store)
            assert (second.evaluated, second.reused, second.exit_code) == (2, 10, 0)

    def test_failures_that_will_happen_again_are_not(self, tmp_path):
        sweep = make(tmp_path)
        with Store() as store:
            run(sweep, picky, store)
            second = run(sweep, picky, store)
            assert (second.evaluated, second.exit_code) == (0, 3)


KILLED = """
import sys
from tests.support.explore import recorded, make
from hwsim.explore.spec import load_sweep
from hwsim.explore.store import Store
from hwsim.explore.sweep import run_sweep
from pathlib import Path

halts = iter("h")

def halt(progress):
    if progress.finished >= 4 and next(halts, None):
        print("four", flush=True)
        sys.stdin.read()

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with Store(folder / "r.sqlite") as store:
        evaluate = recorded(folder / "calls")
        run_sweep(load_sweep(folder / "sweep.yaml"), evaluate, store, int(sys.argv[2]), progress=halt, revision="r1")
"""


@pytest.mark.parametrize(("sign", "jobs"), [(signal.SIGKILL, 1), (signal.SIGKILL, 2), (signal.SIGINT, 2)])
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, sign, jobs):
    sweep = make(tmp_path)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    with subprocess.Popen(
        [sys.executable, script, tmp_path, str(jobs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout.readline() == "four\n", process.stderr.read()
        process.send_signal(sign)
        _, message = process.communicate(timeout=60)
    assert ("KeyboardInterrupt" in message) == (sign == signal.SIGINT)
    with Store(tmp_path / "r.sqlite") as store:
        kept = len(store)
        assert 4 <= kept < 12 or jobs > 1
        result = run(sweep, recorded(tmp_path / "calls"), store)
        assert (result.evaluated, result.reused) == (12 - kept, kept)
    assert csv(result) == csv(run(sweep))


class TestShards:
    @pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
    def test_they_merge_to_the_same_table(self, tmp_path, count):
        sweep = make(tmp_path, SWEEP + "constraints: [array.rows * array.cols > 32, energy_mj < 9]\n")
        paths = []
        for number in range(1, count + 1):
            paths.append(tmp_path / f"{number}.sqlite")
            with Store(paths[-1]) as store:
                run(sweep, store=store, shard=Shard(number, count))
        merge_stores(tmp_path / "all.sqlite", paths)
        with Store(tmp_path / "all.sqlite") as store:
            folder = tmp_path / "calls"
            merged = run(sweep, recorded(folder), store)
        assert calls(folder) == {}
        assert csv(merged) == csv(run(sweep))

    def test_they_deal_designs_so_that_workloads_stay_together(self, tmp_path):
        sweep = make(tmp_path)
        results = [run(sweep, shard=Shard(number, 4)) for number in (1, 2, 3, 4)]
        designs = [r.frame["design_id"].unique().tolist() for r in results]
        assert designs == [
            ["rows=4 64KiB", "rows=16 64KiB"],
            ["rows=4 128KiB", "rows=16 128KiB"],
            ["rows=8 64KiB"],
            ["rows=8 128KiB"],
        ]
        assert [r.total for r in results] == [4, 4, 2, 2]
        assert sum(r.evaluated for r in results) == 12

    def test_in_one_store_they_add_up(self, tmp_path):
        sweep = make(tmp_path)
        with Store(tmp_path / "r.sqlite") as store:
            first = run(sweep, store=store, shard=Shard(1, 2))
            second = run(sweep, store=store, shard=Shard(2, 2))
            assert (len(first.rows), first.total, first.evaluated) == (6, 6, 6)
            assert (len(second.rows), second.total, second.evaluated) == (12, 12, 6)
            assert csv(second) == csv(stored_result(store)) == csv(run(sweep))
            assert csv(run(sweep, store=store, shard=Shard(1, 2))) == csv(second)

    def test_a_shard_of_another_revision_does_not_mix_with_the_old_ones(self, tmp_path):
        sweep = make(tmp_path)
        with Store() as store:
            run(sweep, store=store, shard=Shard(1, 2))
            newer = run(sweep, store=store, shard=Shard(2, 2), revision="r2")
            assert (len(newer.rows), newer.total) == (6, 6)

    def test_shards_of_different_revisions_do_not_merge(self, tmp_path):
        sweep = make(tmp_path)
        paths = [tmp_path / "1.sqlite", tmp_path / "2.sqlite"]
        for number, path in enumerate(paths, 1):
            with Store(path) as store:
                run(sweep, store=store, shard=Shard(number, 2), revision=f"r{number}")
        with pytest.raises(UsageError, match="sweep 'tiny-sweep' was run by another version of hwsim"):
            merge_stores(tmp_path / "all.sqlite", paths)

    def test_an_empty_shard(self, tmp_path):
        result = run(make(tmp_path), shard=Shard(100, 100))
        assert (len(result.rows), result.total, result.exit_code) == (0, 0, 0)

    @pytest.mark.parametrize("text", ["1/1", "2/8", "8/8", "008/10"])
    def test_parse(self, text):
        number, count = map(int, text.split("/"))
        assert parse_shard(text) == Shard(number, count)

    @pytest.mark.parametrize("text", ["", "2", "/", "0/4", "5/4", "-1/4", "1/0", "a/b", "1/2/3", "1.0/2", " 1/2"])
    def test_what_is_no_shard(self, text):
        with pytest.raises(UsageError, match="--shard .*: expected i/n with 1 <= i <= n, for example 2/8"):
            parse_shard(text)


class TestProgress:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_it_counts_up_to_the_total(self, tmp_path, jobs):
        seen: list[Progress] = []
        run(make(tmp_path), picky, jobs=jobs, progress=seen.append)
        assert seen[0] == Progress(12, 0, 0, 0, 0)
        assert seen[-1] == Progress(12, 12, 0, 1, 2)
        assert [p.finished for p in seen] == sorted({p.finished for p in seen})

    def test_points_of_the_store_count_as_finished(self, tmp_path):
        sweep = make(tmp_path)
        with Store() as store:
            with pytest.raises(KeyboardInterrupt):
                run(sweep, store=store, progress=Stop(5))
            seen: list[Progress] = []
            run(sweep, store=store, progress=seen.append)
        assert (seen[0].finished, seen[0].reused, seen[-1].finished) == (5, 5, 12)


class TestRefused:
    def test_a_space_that_is_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sweep_module, "MAX_POINTS", 11)
        with pytest.raises(UsageError, match=r"the sweep has 12 points, more than 11; sample it with latin_hypercube"):
            run(make(tmp_path))

    @pytest.mark.parametrize(("options", "error"), [({"jobs": 0}, UsageError), ({"jobs": 2}, TypeError)])
    def test_nothing_is_written_when_the_run_cannot_start(self, tmp_path, options, error):
        with Store() as store:
            with pytest.raises(error):
                run(make(tmp_path), lambda point: {}, store, **options)
            assert store.sweeps() == []

    def test_a_constraint_that_makes_no_sense_for_a_value(self, tmp_path):
        with pytest.raises(UsageError, match=r"'technology < 3' mixes numbers and words \(technology = 28nm\)"):
            run(make(tmp_path, SWEEP + "constraints: [technology < 3]\n"))

    def test_an_unknown_stored_sweep(self, tmp_path):
        with Store() as store:
            run(make(tmp_path), store=store)
            with pytest.raises(UsageError, match=r"no sweep 'tiny'; valid: tiny-sweep"):
                stored_result(store, "tiny")


class Halving(Search):
    """Asks for every second point first, then for the rest of the better half."""

    def __init__(self, points, objectives):
        super().__init__(points, objectives)
        self.told = []
        self.left = [points[::2], points[1::2]]

    def ask(self):
        return self.left.pop(0) if self.left else ()

    def tell(self, rows):
        self.told.append(rows)


class TestSearch:
    @pytest.fixture
    def halving(self, monkeypatch):
        made = []

        class Kept(Halving):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                made.append(self)

        SEARCHES.names()
        monkeypatch.setitem(SEARCHES._members, "halving", Kept)
        return made

    def test_a_search_is_told_what_became_of_the_points_it_asked_for(self, tmp_path, halving):
        result = run(make(tmp_path, SWEEP + "search: {method: halving}\n"), picky)
        (search,) = halving
        assert search.objectives == {"energy_mj": "min", "latency_ms": "min"}
        first, second = search.told
        assert list(first) == [0, 2, 4, 6, 8, 10]
        assert list(second) == [1, 3, 5, 7, 9, 11]
        assert first[2] is None
        assert second[1] is None
        assert first[4] == square(make(tmp_path).space[4])
        assert csv(result) == csv(run(make(tmp_path), picky))

    def test_it_may_not_be_sharded_unless_it_says_so(self, tmp_path, halving):
        with pytest.raises(UsageError, match="search method 'halving' cannot run in shards"):
            run(make(tmp_path, SWEEP + "search: {method: halving}\n"), shard=Shard(1, 2))

    def test_exhaustive_asks_for_everything_once(self):
        todo = points(5)
        search = Exhaustive(todo, {"area_mm2": "min"})
        assert search.shardable
        assert search.ask() == todo
        search.tell({0: None})
        assert list(search.ask()) == []

    def test_it_is_registered(self):
        assert SEARCHES.get("exhaustive") is Exhaustive


class TestResult:
    def result(self, statuses, total):
        columns = ("design_id", "status", "reason")
        return SweepResult("x", tuple(("d", s, "") for s in statuses), columns, {"area_mm2": "min"}, total)

    @pytest.mark.parametrize(
        ("statuses", "total", "code"),
        [
            ([], 0, 0),
            (["ok", "ok"], 2, 0),
            (["ok", "excluded"], 2, 0),
            (["ok"], 2, 3),
            (["ok", "infeasible"], 2, 3),
            (["ok", "failed"], 2, 3),
        ],
    )
    def test_exit_code(self, statuses, total, code):
        assert self.result(statuses, total).exit_code == code

    def test_the_frame_is_made_once(self):
        result = self.result(["ok"], 1)
        assert result.frame is result.frame
        assert isinstance(result.frame, pd.DataFrame)


def test_the_default_revision_is_that_of_the_model(tmp_path):
    sweep = make(tmp_path)
    with Store() as store:
        run_sweep(sweep, square, store)
        own = Identity(sweep)
        keys = [own.key(point) for point in sweep.space]
        assert store.finished(keys) == set(keys)


def test_infeasible_designs_are_no_mistake_of_the_sweep(tmp_path):
    def evaluate(point):
        raise InfeasibleError("no")

    write_sweep(tmp_path)
    result = run(make(tmp_path), evaluate)
    assert result.counts["infeasible"] == 12
    assert len(result.front()) == 0
