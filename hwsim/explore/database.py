"""A SQLite file that is ours: opened with care, written all or none, its errors in plain words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwsim.spec.errors import UsageError

#: "hwsi" in ASCII; marks the file as ours.
APPLICATION_ID = 0x68777369
#: Seconds to wait for another process that writes.
BUSY_S = 10.0


class Database:
    """A file of tables.

    Parameters
    ----------
    path
        The file, made when missing; None keeps everything in memory.
    tables
        The statements that make the tables, separated by semicolons.
    version
        Number of this layout; a file of another number is refused.

    Raises
    ------
    UsageError
        If the file is no store of hwsim, is damaged, in use, or cannot be written.
    """

    def __init__(self, path: str | Path | None, tables: str, version: int) -> None:
        self.path = None if path is None else Path(path)
        self.name = ":memory:" if path is None else str(path)
        self.version = version
        with self.readable_errors():
            self._db = self._connect()
            try:
                self._prepare(tables)
            except BaseException:
                self._db.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        if self.path is not None:
            if self.path.is_dir():
                raise UsageError(f"{self.name} is a folder; give the name of a file")
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self.name, timeout=BUSY_S, isolation_level=None)

    def _prepare(self, tables: str) -> None:
        empty = self._is_empty()
        if not empty:
            self._check()
        self._write_ahead()
        if empty:
            with self.transaction():
                if self._is_empty():  # or another process has just made them
                    self._create(tables)

    def _write_ahead(self) -> None:
        """Let others read while one writes."""
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                self.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait here when two processes open a new file at once.
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(0.005)
        self.execute("PRAGMA synchronous = NORMAL")

    def _is_empty(self) -> bool:
        return self.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] == 0  # type: ignore[no-any-return]

    def _check(self) -> None:
        if self._pragma("application_id") != APPLICATION_ID:
            raise UsageError(f"{self.name} is an SQLite file of another program, not a store of hwsim results")
        if (found := self._pragma("user_version")) != self.version:
            raise UsageError(f"{self.name} was written by another version of hwsim (layout {found}); use a new file")
        if (verdict := self._pragma("quick_check")) != "ok":
            raise UsageError(f"{self.name} is damaged ({verdict}); delete it or use another file")

    def _create(self, tables: str) -> None:
        for statement in filter(str.strip, tables.split(";")):
            self.execute(statement)
        self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.execute(f"PRAGMA user_version = {self.version}")

    def _pragma(self, name: str) -> Any:
        return self.execute(f"PRAGMA {name}").fetchone()[0]

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run one statement and return its rows."""
        return self._db.execute(statement, tuple(values))

    def execute_many(self, statement: str, rows: Iterable[Iterable[Any]]) -> int:
        """Run one statement per row and return how many rows of the file it changed."""
        before = self._db.total_changes
        self._db.executemany(statement, (tuple(row) for row in rows))
        return self._db.total_changes - before

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of the ``with`` block or none of it; what it wrote survives a killed process.

        Raises
        ------
        UsageError
            If another process writes for longer than :data:`BUSY_S`, or the disk is full.
        """
        with self.readable_errors():
            if self._db.in_transaction:  # an interrupt struck before the last one was in this block's hands
                self.execute("ROLLBACK")
            try:
                self.execute("BEGIN IMMEDIATE")
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite itself rolls back after some errors, such as a full disk
                    self.execute("ROLLBACK")
                raise

    @contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Turn errors of SQLite and of the file system into a message that names the file.

        Raises
        ------
        UsageError
            In place of either.
        """
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

    def close(self) -> None:
        """Close the file; everything written stays."""
        self._db.close()
