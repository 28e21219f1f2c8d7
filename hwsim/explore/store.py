"""Results on disk: one SQLite file, keyed by what each result depends on.

A result is written the moment it arrives, in one transaction per batch, so a killed run loses
only what its workers had not reported. A later run of the same or a wider sweep finds every
result by its key. Only the parent process opens the file.

``results`` holds one row per key. ``points`` says which sweep uses which key under which index,
so one file may hold several sweeps. ``sweeps`` holds their names and columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.explore.database import Database
from hwsim.explore.outcome import Outcome, RowStatus
from hwsim.spec.errors import UsageError, did_you_mean

#: Raised whenever the tables change.
SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE results (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, reason TEXT NOT NULL,
    row TEXT NOT NULL, transient INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sweeps (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, parameters TEXT NOT NULL, basis TEXT NOT NULL, opened INTEGER NOT NULL
) WITHOUT ROWID;
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
    """One finished point as stored; later perhaps marked as ``excluded``."""

    entry: Entry
    status: RowStatus
    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class StoredSweep:
    """A sweep that a store knows: its hash, its name and the names of its swept parameters.

    ``basis`` is the hash of what all its points share: the model's revision and the input files.
    """

    id: str
    name: str
    parameters: tuple[str, ...]
    basis: str = ""


class Store:
    """A file of results; a context manager.

    Parameters
    ----------
    path
        The file, made when missing; None keeps results in memory.
    fresh
        Forget everything that the file holds.

    Attributes
    ----------
    name
        What messages call it.
    database
        The file.

    Raises
    ------
    UsageError
        If the file is no store of hwsim, is damaged, in use, or cannot be written.
    """

    def __init__(self, path: str | Path | None = None, *, fresh: bool = False) -> None:
        self.database = Database(path, _TABLES, SCHEMA_VERSION)
        self.name = self.database.name
        if fresh:
            with self.database.transaction():
                for table in ("results", "sweeps", "points"):
                    self.database.execute(f"DELETE FROM {table}")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything written stays."""
        self.database.close()

    # --- writing -----------------------------------------------------------------------------

    def register(self, sweep: StoredSweep, entries: Iterable[Entry], within: Iterable[int] | None = None) -> None:
        """Note which points ``sweep`` has; results are added later, by key.

        Parameters
        ----------
        sweep
            The sweep.
        entries
            Its points.
        within
            Numbers of the points that a run of a part is about: what is known of the others stays,
            unless they had another basis. None stands for all.
        """
        rows = ((sweep.id, e.index, e.key, e.design, e.workload, json.dumps(dict(e.cells))) for e in entries)
        with self.database.transaction():
            if within is None or (sweep.id, sweep.basis) not in {(s.id, s.basis) for s in self.sweeps()}:
                self.database.execute("DELETE FROM points WHERE sweep = ?", (sweep.id,))
            else:
                mine = ((sweep.id, number) for number in within)
                self.database.execute_many("DELETE FROM points WHERE sweep = ? AND number = ?", mine)
            self._note(sweep)
            self.database.execute_many("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _note(self, sweep: StoredSweep) -> None:
        """Write ``sweep`` down as the one that ran last."""
        latest = self.database.execute("SELECT COALESCE(MAX(opened), 0) + 1 FROM sweeps").fetchone()[0]
        row = (sweep.id, sweep.name, json.dumps(sweep.parameters), sweep.basis, latest)
        self.database.execute("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?, ?, ?)", row)

    def add(self, results: Iterable[tuple[str, Outcome]]) -> None:
        """Store outcomes by key, all or none; once this returns, no kill undoes it."""
        rows = [(key, o.status, o.reason, json.dumps(o.row), o.transient) for key, o in results]
        with self.database.transaction():
            self.database.execute_many("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", rows)

    # --- reading -----------------------------------------------------------------------------

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return those of ``keys`` that need not run again: all but transient failures."""
        wanted = set(keys)
        with self.database.readable_errors():
            known = {row[0] for row in self.database.execute("SELECT key FROM results WHERE NOT transient")}
        return wanted & known

    def __len__(self) -> int:
        """Return the number of results."""
        with self.database.readable_errors():
            count: int = self.database.execute("SELECT COUNT(*) FROM results").fetchone()[0]
        return count

    def sweeps(self) -> list[StoredSweep]:
        """Return the sweeps of this store, the one that ran last first."""
        with self.database.readable_errors():
            query = "SELECT id, name, parameters, basis FROM sweeps ORDER BY opened DESC, id"
            rows = self.database.execute(query).fetchall()
        return [StoredSweep(id_, name, tuple(json.loads(shown)), basis) for id_, name, shown, basis in rows]

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
        with self.database.readable_errors():
            count: int = self.database.execute("SELECT COUNT(*) FROM points WHERE sweep = ?", (sweep.id,)).fetchone()[0]
        return count

    def records(self, sweep: StoredSweep) -> Iterator[Record]:
        """Yield the finished points of ``sweep`` in the order of their index."""
        query = (
            "SELECT number, points.key, design, workload, cells, status, reason, row FROM points "
            "JOIN results ON results.key = points.key WHERE sweep = ? ORDER BY number"
        )
        with self.database.readable_errors():
            for number, key, design, workload, cells, status, reason, row in self.database.execute(query, (sweep.id,)):
                entry = Entry(number, key, design, workload, json.loads(cells))
                yield Record(entry, status, reason, json.loads(row))
