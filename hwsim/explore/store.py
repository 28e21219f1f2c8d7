"""Results on disk: one SQLite file, keyed by what each result depends on.

A result is written the moment it arrives, in one transaction per batch, so a killed run loses
only what its workers had not reported. A later run of the same or a wider sweep finds every
result by its key. Only the parent process opens the file.

``results`` holds one row per key. ``points`` says which sweep uses which key under which index,
so one file may hold several sweeps. ``sweeps`` holds their names and columns.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.explore.outcome import Outcome, Status
from hwsim.spec.errors import UsageError, did_you_mean

#: "hwsi" in ASCII; marks the file as ours.
APPLICATION_ID = 0x68777369
#: Raised whenever the tables change.
SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE results (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, reason TEXT NOT NULL,
    row TEXT NOT NULL, transient INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sweeps (id TEXT PRIMARY KEY, name TEXT NOT NULL, parameters TEXT NOT NULL, opened INTEGER NOT NULL);
CREATE TABLE points (
    sweep TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL,
    design TEXT NOT NULL, workload TEXT NOT NULL, cells TEXT NOT NULL,
    PRIMARY KEY (sweep, number)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One point of a sweep: its key, its names and the cells of its swept parameters."""

    index: int
    key: str
    design: str
    workload: str
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One finished point as stored."""

    entry: Entry
    status: Status
    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class StoredSweep:
    """A sweep that a store knows: its hash, its name and the names of its swept parameters."""

    id: str
    name: str
    parameters: tuple[str, ...]


@dataclass
class MergeReport:
    """What a merge did: results taken over, and the two kinds of contradiction."""

    added: int = 0
    conflicts: list[str] = field(default_factory=list)


class Store:
    """A file of results; a context manager.

    Parameters
    ----------
    path
        The file, made when missing; None keeps results in memory.
    fresh
        Forget everything that the file holds.

    Raises
    ------
    UsageError
        If the file is no store of hwsim, is damaged, in use, or cannot be written.
    """

    def __init__(self, path: str | Path | None = None, *, fresh: bool = False) -> None:
        self.path = None if path is None else Path(path)
        self.name = ":memory:" if path is None else str(path)
        with self._readable_errors():
            self._db = self._connect()
            try:
                self._prepare(fresh)
            except BaseException:
                self._db.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        if self.path is not None:
            if self.path.is_dir():
                raise UsageError(f"{self.name} is a folder; give the name of a file")
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self.name, timeout=10.0, isolation_level=None)

    def _prepare(self, fresh: bool) -> None:
        tables = [row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if tables and application != APPLICATION_ID:
            raise UsageError(f"{self.name} is an SQLite file of another program, not a store of hwsim results")
        if tables and version != SCHEMA_VERSION:
            raise UsageError(f"{self.name} was written by another version of hwsim (layout {version}); use a new file")
        verdict = self._pragma("quick_check") if tables else "ok"
        if verdict != "ok":
            raise UsageError(f"{self.name} is damaged ({verdict}); delete it or use another file")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            if not tables:
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif fresh:
                for table in ("results", "sweeps", "points"):
                    self._db.execute(f"DELETE FROM {table}")

    def _pragma(self, name: str) -> Any:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            reason = "another process is writing to it" if busy else str(error)
            raise UsageError(f"{self.name} cannot be used: {reason}") from error
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{self.name} is not a store of hwsim results, or is damaged: {error}") from error
        except OSError as error:
            raise UsageError(f"{self.name} cannot be used: {error.strerror or error}") from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything written stays."""
        self._db.close()

    # --- writing -----------------------------------------------------------------------------

    def register(self, sweep: StoredSweep, entries: Iterable[Entry]) -> None:
        """Note which points ``sweep`` has; results are added later, by key."""
        rows = ((sweep.id, e.index, e.key, e.design, e.workload, json.dumps(dict(e.cells))) for e in entries)
        with self._readable_errors(), self._transaction():
            latest = self._db.execute("SELECT COALESCE(MAX(opened), 0) + 1 FROM sweeps").fetchone()[0]
            shown = json.dumps(sweep.parameters)
            self._db.execute("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?, ?)", (sweep.id, sweep.name, shown, latest))
            self._db.execute("DELETE FROM points WHERE sweep = ?", (sweep.id,))
            self._db.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?)", rows)

    def add(self, results: Iterable[tuple[str, Outcome]]) -> None:
        """Store outcomes by key, all or none; safe on disk when this returns."""
        rows = [(key, o.status, o.reason, json.dumps(o.row), o.transient) for key, o in results]
        with self._readable_errors(), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", rows)

    # --- reading -----------------------------------------------------------------------------

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return those of ``keys`` that need not run again: all but transient failures."""
        wanted = set(keys)
        with self._readable_errors():
            known = {row[0] for row in self._db.execute("SELECT key FROM results WHERE NOT transient")}
        return wanted & known

    def __len__(self) -> int:
        """Return the number of results."""
        with self._readable_errors():
            count: int = self._db.execute("SELECT COUNT(*) FROM results").fetchone()[0]
        return count

    def sweeps(self) -> list[StoredSweep]:
        """Return the sweeps of this store, the one that ran last first."""
        with self._readable_errors():
            rows = self._db.execute("SELECT id, name, parameters FROM sweeps ORDER BY opened DESC, id").fetchall()
        return [StoredSweep(id_, name, tuple(json.loads(parameters))) for id_, name, parameters in rows]

    def find_sweep(self, name: str | None = None) -> StoredSweep:
        """Return the sweep called ``name``, or the one that ran last.

        Raises
        ------
        UsageError
            If there is none.
        """
        sweeps = self.sweeps()
        found = next((s for s in sweeps if name is None or name in (s.name, s.id)), None)
        if found is None:
            hint = did_you_mean(name, {s.name for s in sweeps}) if name else "it holds no sweep"
            raise UsageError(f"{self.name}: no sweep {name!r}; {hint}" if name else f"{self.name}: {hint}")
        return found

    def size_of(self, sweep: StoredSweep) -> int:
        """Return how many points ``sweep`` has, finished or not."""
        with self._readable_errors():
            count: int = self._db.execute("SELECT COUNT(*) FROM points WHERE sweep = ?", (sweep.id,)).fetchone()[0]
        return count

    def records(self, sweep: StoredSweep) -> Iterator[Record]:
        """Yield the finished points of ``sweep`` in the order of their index."""
        query = (
            "SELECT number, points.key, design, workload, cells, status, reason, row FROM points "
            "JOIN results ON results.key = points.key WHERE sweep = ? ORDER BY number"
        )
        with self._readable_errors():
            for number, key, design, workload, cells, status, reason, row in self._db.execute(query, (sweep.id,)):
                entry = Entry(number, key, design, workload, json.loads(cells))
                yield Record(entry, status, reason, json.loads(row))

    # --- merging -----------------------------------------------------------------------------

    def merge(self, sources: Sequence[str | Path]) -> MergeReport:
        """Take over the results of other stores, for example the shards of one sweep.

        Nothing is taken over when two stores contradict each other: the same key with different
        results, or the same point of one sweep under different keys (shards that were run by
        different versions of hwsim).

        Raises
        ------
        UsageError
            If a source is missing or no store, or on a contradiction; all of them are named.
        """
        report = MergeReport()
        with self._readable_errors(), self._transaction():
            for source in sources:
                self._take_over(Path(source), report)
            if report.conflicts:
                shown = report.conflicts[:10]
                more = len(report.conflicts) - len(shown)
                raise UsageError("\n".join([*shown, *([f"and {more} more"] if more else [])]))
        return report

    def _take_over(self, path: Path, report: MergeReport) -> None:
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        with Store(path) as other:
            report.conflicts += [f"{path}: {text}" for text in self._contradictions(other)]
            if report.conflicts:
                return
            before = self._db.total_changes
            # A final result replaces a transient failure, never the other way round.
            self._db.executemany(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET status = excluded.status,"
                " reason = excluded.reason, row = excluded.row, transient = excluded.transient"
                " WHERE results.transient AND NOT excluded.transient",
                other._db.execute("SELECT * FROM results"),
            )
            report.added += self._db.total_changes - before
            self._db.executemany(
                "INSERT OR IGNORE INTO sweeps VALUES (?, ?, ?, ?)", other._db.execute("SELECT * FROM sweeps")
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?, ?, ?)", other._db.execute("SELECT * FROM points")
            )

    def _contradictions(self, other: Store) -> Iterator[str]:
        ours = "SELECT status, reason, row, transient FROM results WHERE key = ?"
        for key, *theirs in other._db.execute("SELECT key, status, reason, row, transient FROM results ORDER BY key"):
            known = self._db.execute(ours, (key,)).fetchone()
            if known is not None and not known[3] and not theirs[3] and list(known) != theirs:
                yield f"result {key[:12]} differs from the one taken before"
        same_point = "SELECT key FROM points WHERE sweep = ? AND number = ?"
        for sweep, number, key, design in other._db.execute("SELECT sweep, number, key, design FROM points"):
            known = self._db.execute(same_point, (sweep, number)).fetchone()
            if known is not None and known[0] != key:
                yield f"point {number} ({design}) was run by another version of hwsim, or with changed input files"


def merge_stores(target: str | Path, sources: Sequence[str | Path]) -> MergeReport:
    """Merge ``sources`` into the store ``target``, which is made when missing; see :meth:`Store.merge`."""
    for source in sources:
        if not Path(source).is_file():
            raise UsageError(f"{source}: no such file")
    with Store(target) as store:
        return store.merge(sources)
