"""Stores: nothing finished is lost, nothing foreign is touched, every trouble in plain words."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.explore import database
from hwsim.explore.database import APPLICATION_ID, Database
from hwsim.explore.outcome import Outcome
from hwsim.explore.store import SCHEMA_VERSION, Entry, Store, StoredSweep
from hwsim.spec.errors import UsageError

SWEEP = StoredSweep("id1", "first", ("array.rows",), "basis1")
OTHER = StoredSweep("id2", "second", (), "basis1")


def entry(number, key=None):
    return Entry(number, key or f"k{number}", f"rows={number}", "w", {"array.rows": number})


def ok(number, **row):
    return Outcome(number, "ok", "", row or {"x": number})


def add(store, *outcomes):
    store.add((f"k{o.index}", o) for o in outcomes)


def table(store, sweep=SWEEP):
    return [(r.entry.index, r.status, r.reason, dict(r.row)) for r in store.records(sweep)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "results.sqlite"


class TestResults:
    def test_what_is_added_is_found_again_after_closing(self, path):
        with Store(path) as store:
            store.register(SWEEP, map(entry, range(3)))
            add(store, ok(0), Outcome(2, "failed", "a bug"))
            add(store, Outcome(1, "infeasible", "no room", {"x": 1}))
        with Store(path) as store:
            assert len(store) == 3
            assert table(store) == [
                (0, "ok", "", {"x": 0}),
                (1, "infeasible", "no room", {"x": 1}),
                (2, "failed", "a bug", {}),
            ]
            first = next(store.records(SWEEP)).entry
            assert (first.design, first.workload, first.cells, first.key) == ("rows=0", "w", {"array.rows": 0}, "k0")

    def test_without_a_path_all_is_in_memory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with Store() as store:
            add(store, ok(0))
            assert len(store) == 1
        with Store() as store:
            assert len(store) == 0
        assert list(tmp_path.iterdir()) == []

    @given(
        st.dictionaries(
            st.text(max_size=5),
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            max_size=5,
        )
    )
    def test_rows_come_back_exactly_with_their_order_and_kinds(self, row):
        with Store() as store:
            store.register(SWEEP, [entry(0)])
            store.add([("k0", Outcome(0, "ok", "", row))])
            (record,) = store.records(SWEEP)
        assert list(record.row.items()) == list(row.items())
        assert [type(value) for value in record.row.values()] == [type(value) for value in row.values()]

    def test_infinity_and_nan_are_kept(self):
        with Store() as store:
            store.register(SWEEP, [entry(0)])
            store.add([("k0", Outcome(0, "failed", "x", {"a": math.inf, "b": -math.inf, "c": math.nan}))])
            (record,) = store.records(SWEEP)
        assert (record.row["a"], record.row["b"]) == (math.inf, -math.inf)
        assert math.isnan(record.row["c"])

    def test_only_points_with_a_result_have_a_record_in_the_order_of_their_number(self):
        with Store() as store:
            store.register(SWEEP, map(entry, (5, 3, 1)))
            add(store, ok(5), ok(1), ok(77))
            assert [r.entry.index for r in store.records(SWEEP)] == [1, 5]
            assert store.size_of(SWEEP) == 3
            assert len(store) == 3

    def test_points_with_one_key_share_a_result(self):
        with Store() as store:
            store.register(SWEEP, [entry(0, "same"), entry(1, "same")])
            store.add([("same", ok(0))])
            assert [(r.entry.index, r.row) for r in store.records(SWEEP)] == [(0, {"x": 0}), (1, {"x": 0})]

    def test_a_batch_is_stored_whole_or_not_at_all(self, path):
        def outcomes():
            yield "k0", ok(0)
            raise RuntimeError("stop")

        with Store(path) as store:
            with pytest.raises(RuntimeError):
                store.add(outcomes())
            with pytest.raises(TypeError):
                store.add([("k1", ok(1)), ("k2", ok(2, x=object()))])
            assert len(store) == 0
            add(store, ok(3))
            assert len(store) == 1


class TestResume:
    def test_all_but_transient_failures_are_finished(self):
        with Store() as store:
            add(
                store,
                ok(0),
                Outcome(1, "infeasible", "no room"),
                Outcome(2, "failed", "a bug"),
                Outcome(3, "failed", "no memory", transient=True),
            )
            assert store.finished(f"k{i}" for i in range(5)) == {"k0", "k1", "k2"}
            assert store.finished([]) == set()

    def test_a_transient_failure_is_a_record_until_another_try_replaces_it(self):
        with Store() as store:
            store.register(SWEEP, [entry(3)])
            add(store, Outcome(3, "failed", "no memory", transient=True))
            assert table(store) == [(3, "failed", "no memory", {})]
            add(store, ok(3))
            assert table(store) == [(3, "ok", "", {"x": 3})]
            assert store.finished(["k3"]) == {"k3"}

    def test_fresh_forgets_everything(self, path):
        with Store(path) as store:
            store.register(SWEEP, [entry(0)])
            add(store, ok(0))
        with Store(path, fresh=True) as store:
            assert (len(store), store.sweeps()) == (0, [])
        with Store(path) as store:
            assert len(store) == 0


class TestSweeps:
    def test_the_one_that_ran_last_comes_first(self, path):
        with Store(path) as store:
            store.register(SWEEP, [])
            store.register(OTHER, [])
            assert store.sweeps() == [OTHER, SWEEP]
            store.register(SWEEP, [])
        with Store(path) as store:
            assert store.sweeps() == [SWEEP, OTHER]
            assert store.find_sweep() == SWEEP
            assert store.find_sweep("second") == store.find_sweep("id2") == OTHER

    def test_an_unknown_name(self, path):
        with Store(path) as store:
            with pytest.raises(UsageError, match=r"results\.sqlite: it holds no sweep"):
                store.find_sweep()
            store.register(SWEEP, [])
            with pytest.raises(UsageError, match=r"no sweep 'furst'; valid: first \(did you mean 'first'\?\)"):
                store.find_sweep("furst")

    def test_a_whole_run_replaces_the_points_of_the_last_one(self):
        with Store() as store:
            store.register(SWEEP, map(entry, range(4)))
            store.register(OTHER, map(entry, range(2)))
            add(store, *map(ok, range(4)))
            store.register(SWEEP, map(entry, (0, 2)))
            assert [r.entry.index for r in store.records(SWEEP)] == [0, 2]
            assert store.size_of(OTHER) == 2
            assert len(store) == 4

    def test_a_part_keeps_the_points_of_the_others(self):
        with Store() as store:
            add(store, *map(ok, range(6)))
            store.register(SWEEP, map(entry, (0, 2, 4)), within=(0, 2, 4))
            store.register(SWEEP, map(entry, (1, 5)), within=(1, 3, 5))
            assert [r.entry.index for r in store.records(SWEEP)] == [0, 1, 2, 4, 5]
            store.register(SWEEP, map(entry, (4,)), within=(0, 2, 4))
            assert [r.entry.index for r in store.records(SWEEP)] == [1, 4, 5]

    def test_a_part_with_another_basis_keeps_nothing(self):
        with Store() as store:
            add(store, *map(ok, range(4)))
            store.register(SWEEP, map(entry, (0, 2)), within=(0, 2))
            newer = StoredSweep(SWEEP.id, SWEEP.name, SWEEP.parameters, "basis2")
            store.register(newer, map(entry, (1, 3)), within=(1, 3))
            assert store.sweeps() == [newer]
            assert [r.entry.index for r in store.records(newer)] == [1, 3]

    def test_a_failed_registration_changes_nothing(self):
        def entries():
            yield entry(9)
            raise RuntimeError("stop")

        with Store() as store:
            store.register(SWEEP, map(entry, range(3)))
            store.register(OTHER, [])
            with pytest.raises(RuntimeError):
                store.register(SWEEP, entries())
            assert store.size_of(SWEEP) == 3
            assert store.find_sweep() == OTHER


# --- kills -----------------------------------------------------------------------------------------

WRITER = """
import sys
from hwsim.explore.outcome import Outcome
from hwsim.explore.store import Entry, Store, StoredSweep
store = Store(sys.argv[1])
store.register(StoredSweep("id1", "first", ()), (Entry(i, f"k{i}", "d", "w", {}) for i in range(100_000)))
for batch in range(10_000):
    numbers = range(10 * batch, 10 * batch + 10)
    store.add((f"k{i}", Outcome(i, "ok", "", {"x": i})) for i in numbers)
    print(batch, flush=True)
"""

HALF = """
import sys
from hwsim.explore.outcome import Outcome
from hwsim.explore.store import Store
store = Store(sys.argv[1])
store.add((f"k{i}", Outcome(i, "ok", "", {"x": i})) for i in range(10))
with store.database.transaction():
    store.database.execute("DELETE FROM results WHERE key = 'k3'")
    store.database.execute_many(
        "INSERT INTO results VALUES (?, 'ok', '', '{}', 0)", ((f"late{i}",) for i in range(5000))
    )
    print("half", flush=True)
    sys.stdin.read()
"""


def child(script, path):
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


class TestKilled:
    def test_every_batch_that_was_stored_outlives_the_process(self, tmp_path):
        path = tmp_path / "results.sqlite"
        with child(WRITER, path) as process:
            for _ in range(20):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            said = [int(line) for line in process.stdout.read().split()]
        stored = max([19, *said]) + 1
        assert process.returncode == -signal.SIGKILL
        with Store(path) as store:
            records = list(store.records(store.find_sweep("first")))
            # The last batch may be stored but not yet announced.
            assert len(records) in (10 * stored, 10 * stored + 10)
            assert [r.entry.index for r in records] == list(range(len(records)))
            assert all(r.row == {"x": r.entry.index} for r in records)
            add(store, ok(99_999))
            assert len(store) == len(records) + 1

    def test_half_a_transaction_is_undone(self, tmp_path):
        path = tmp_path / "results.sqlite"
        with child(HALF, path) as process:
            assert process.stdout.readline() == "half\n"
            process.send_signal(signal.SIGKILL)
        with Store(path) as store:
            assert len(store) == 10
            assert store.finished(f"k{i}" for i in range(10)) == {f"k{i}" for i in range(10)}

    def test_others_may_read_while_it_is_written(self, tmp_path):
        path = tmp_path / "results.sqlite"
        with child(HALF, path) as process:
            process.stdout.readline()
            with Store(path) as store:
                assert len(store) == 10
            process.kill()


# --- files that cannot be used ---------------------------------------------------------------------


def filled(path, count=3000):
    with Store(path) as store:
        store.register(SWEEP, map(entry, range(count)))
        add(store, *map(ok, range(count)))
    return path


class TestForeignFiles:
    def refused(self, path, message):
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(UsageError, match=message) as caught:
            Store(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert (path.read_bytes() if path.is_file() else None) == before

    def test_an_sqlite_file_of_another_program(self, tmp_path):
        path = tmp_path / "photos.db"
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE photos (name TEXT)")
            db.execute("INSERT INTO photos VALUES ('a')")
        db.close()
        self.refused(path, "is an SQLite file of another program, not a store of hwsim results")

    def test_text(self, tmp_path):
        path = tmp_path / "results.csv"
        path.write_text("a,b\n1,2\n" * 100)
        self.refused(path, "is not a store of hwsim results, or is damaged: file is not a database")

    def test_a_folder(self, tmp_path):
        self.refused(tmp_path, "is a folder; give the name of a file")

    def test_a_parent_that_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        self.refused(tmp_path / "file" / "results.sqlite", "cannot be used: ")

    def test_another_layout(self, path):
        filled(path, 3)
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        db.execute("PRAGMA journal_mode = DELETE")
        db.close()
        self.refused(path, rf"was written by another version of hwsim \(layout {SCHEMA_VERSION + 1}\); use a new file")

    def test_a_page_overwritten(self, path):
        filled(path)
        with path.open("r+b") as file:
            file.seek(4096 * 3)
            file.write(b"\xff" * 4096 * 4)
        self.refused(path, "damaged")

    def test_cut_short(self, path):
        filled(path)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        self.refused(path, "damaged")

    def test_a_header_overwritten(self, path):
        filled(path)
        with path.open("r+b") as file:
            file.write(b"x" * 100)
        self.refused(path, "is not a store of hwsim results, or is damaged")

    def test_an_empty_file_becomes_a_store(self, tmp_path):
        path = tmp_path / "results.sqlite"
        path.touch()
        filled(path, 2)
        with Store(path) as store:
            assert len(store) == 2

    def test_it_is_marked_as_ours(self, path):
        filled(path, 1)
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert APPLICATION_ID.to_bytes(4, "big") == b"hwsi"
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        db.close()


class TestBusy:
    @pytest.fixture
    def writer(self, path, monkeypatch):
        """Hold the file's write lock from outside."""
        monkeypatch.setattr(database, "BUSY_S", 0.0)
        filled(path, 3)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.close()

    def test_writing_says_who_is_in_the_way(self, path, writer):
        with Store(path) as store:
            with pytest.raises(UsageError, match=r"results\.sqlite cannot be used: another process is writing to it"):
                add(store, ok(7))
            with pytest.raises(UsageError, match="another process is writing to it"):
                store.register(OTHER, [])
            assert len(store) == 3  # reading goes on
            writer.execute("ROLLBACK")
            add(store, ok(7))
            assert len(store) == 4

    def test_fresh_needs_the_lock(self, path, writer):
        with pytest.raises(UsageError, match="another process is writing to it"):
            Store(path, fresh=True)
        writer.execute("ROLLBACK")
        with Store(path) as store:
            assert len(store) == 3

    def test_several_may_make_the_same_file_at_once(self, path):
        path.parent.mkdir()
        start, failures = threading.Barrier(6), []

        def make(number):
            start.wait()
            try:
                with Store(path) as store:
                    add(store, ok(number))
            except UsageError as error:
                failures.append(error)

        threads = [threading.Thread(target=make, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with Store(path) as store:
            assert len(store) == 6

    def test_a_full_disk(self, path):
        with Store(path) as store:
            add(store, ok(0))
            pages = store.database.execute("PRAGMA page_count").fetchone()[0]
            store.database.execute(f"PRAGMA max_page_count = {pages + 2}")
            with pytest.raises(UsageError, match="cannot be used: database or disk is full"):
                add(store, *(ok(i, text="x" * 1000) for i in range(1, 100)))
            assert len(store) == 1
            store.database.execute("PRAGMA max_page_count = 100000")
            add(store, ok(1))
            assert len(store) == 2

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_file_that_may_not_be_written(self, path):
        filled(path, 1)
        path.chmod(0o400)
        path.parent.chmod(0o500)
        with pytest.raises(UsageError, match="cannot be used"), Store(path) as store:
            add(store, ok(1))
        path.parent.chmod(0o700)


class TestDatabase:
    TABLES = "CREATE TABLE one (x INTEGER); CREATE TABLE two (y TEXT);"

    def test_a_transaction_is_all_or_nothing(self):
        db = Database(None, self.TABLES, 1)

        def half():
            yield (1,)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), db.transaction():
            db.execute_many("INSERT INTO one VALUES (?)", half())
        assert db.execute("SELECT COUNT(*) FROM one").fetchone() == (0,)
        with db.transaction():
            db.execute("INSERT INTO one VALUES (2)")
        assert db.execute("SELECT x FROM one").fetchall() == [(2,)]
        db.close()

    def test_changed_rows_are_counted(self):
        db = Database(None, self.TABLES, 1)
        assert db.execute_many("INSERT INTO one VALUES (?)", ([i] for i in range(5))) == 5
        assert db.execute_many("DELETE FROM one WHERE x = ?", [(1,), (2,), (9,)]) == 2
        assert db.execute_many("INSERT INTO one VALUES (?)", []) == 0
        db.close()

    def test_a_file_of_ours_with_other_tables_has_another_version(self, path):
        Database(path, self.TABLES, 7).close()
        Database(path, self.TABLES, 7).close()
        with pytest.raises(UsageError, match="layout 7"):
            Database(path, self.TABLES, 8)

    def test_a_wrong_statement_names_the_file(self, path):
        db = Database(path, self.TABLES, 1)
        with (
            pytest.raises(UsageError, match=r"results\.sqlite cannot be used: no such table: three"),
            db.readable_errors(),
        ):
            db.execute("SELECT * FROM three")
        db.close()


def test_rows_are_json_that_other_programs_read(path):
    filled(path, 1)
    db = sqlite3.connect(path)
    assert json.loads(db.execute("SELECT row FROM results").fetchone()[0]) == {"x": 0}
    db.close()
