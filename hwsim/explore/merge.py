"""One store from several: the shards of a sweep, or the results of different machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwsim.explore.store import Store
from hwsim.spec.errors import UsageError

#: Contradictions that a message lists; more are counted.
MAX_LISTED = 10

_ELSEWHERE = "was run by another version of hwsim, or with changed input files"


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did: how many results it took over."""

    added: int


def merge_stores(target: str | Path, sources: Sequence[str | Path]) -> MergeReport:
    """Merge the stores ``sources`` into the store ``target``, which is made when missing.

    Raises
    ------
    UsageError
        As :func:`merge_into`.
    """
    for source in sources:
        if not Path(source).is_file():
            raise UsageError(f"{source}: no such file")
    with Store(target) as store:
        return merge_into(store, sources)


def merge_into(store: Store, sources: Sequence[str | Path]) -> MergeReport:
    """Take over the results of other stores.

    Nothing is taken over when two stores contradict each other: the same key with different
    results, or one sweep that was run by different versions of hwsim or with different files.
    A store merged into itself stays as it is.

    Raises
    ------
    UsageError
        If a source is missing or no store, or on contradictions; the first ones are named.
    """
    added = 0
    conflicts: list[str] = []
    with store.database.transaction():
        for source in map(Path, sources):
            if not source.is_file():
                raise UsageError(f"{source}: no such file")
            with Store(source) as other:
                conflicts += [f"{source}: {text}" for text in _contradictions(store, other)]
                added += 0 if conflicts else _take_over(store, other)
        if conflicts:
            more = len(conflicts) - MAX_LISTED
            raise UsageError("\n".join([*conflicts[:MAX_LISTED], *([f"and {more} more"] if more > 0 else [])]))
    return MergeReport(added)


def _take_over(store: Store, other: Store) -> int:
    """Copy what ``other`` knows and return how many results are new."""
    ours, theirs = store.database, other.database
    # A final result replaces a transient failure, never the other way round.
    added = ours.execute_many(
        "INSERT INTO results VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET status = excluded.status,"
        " reason = excluded.reason, row = excluded.row, transient = excluded.transient"
        " WHERE results.transient AND NOT excluded.transient",
        theirs.execute("SELECT * FROM results"),
    )
    for table, marks in (("sweeps", "?, ?, ?, ?, ?"), ("points", "?, ?, ?, ?, ?, ?")):
        rows = theirs.execute(f"SELECT * FROM {table}")
        ours.execute_many(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
    return added


def _contradictions(store: Store, other: Store) -> Iterator[str]:
    yield from _different_results(store, other)
    bases = {sweep.id: sweep.basis for sweep in store.sweeps()}
    for sweep in other.sweeps():
        if bases.get(sweep.id, sweep.basis) != sweep.basis:
            yield f"sweep {sweep.name!r} {_ELSEWHERE}"
    same_point = "SELECT key FROM points WHERE sweep = ? AND number = ?"
    for id_, number, key, design in other.database.execute("SELECT sweep, number, key, design FROM points"):
        known = store.database.execute(same_point, (id_, number)).fetchone()
        if known is not None and known[0] != key:
            yield f"point {number} ({design}) {_ELSEWHERE}"


def _different_results(store: Store, other: Store) -> Iterator[str]:
    query = "SELECT status, reason, row FROM results WHERE key = ? AND NOT transient"
    final = "SELECT key, status, reason, row FROM results WHERE NOT transient ORDER BY key"
    for key, *theirs in other.database.execute(final):
        known = store.database.execute(query, (key,)).fetchone()
        if known is not None and list(known) != theirs:
            yield f"result {key[:12]} differs from the one taken before"
