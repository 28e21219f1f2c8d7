"""``run_sweep``: every point of a sweep evaluated once, stored, and laid out as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.explore.executors import Executor, make_executor
from hwsim.explore.identity import Identity, sweep_identity
from hwsim.explore.outcome import Evaluate, Outcome
from hwsim.explore.result import SweepResult, stored_result, sweep_result
from hwsim.explore.search import SEARCHES
from hwsim.explore.space import Point
from hwsim.explore.spec import Sweep
from hwsim.explore.store import Entry, Store, StoredSweep
from hwsim.explore.variables import Fields
from hwsim.spec.errors import UsageError

#: More points than this are a slip of the pen, or a case for ``latin_hypercube``.
MAX_POINTS = 5_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is. ``reused`` points were found in the store; all counts are of points."""

    total: int
    finished: int
    reused: int
    infeasible: int
    failed: int


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count`` of a sweep (``number`` from 1); designs are dealt like cards."""

    number: int
    count: int

    def holds(self, design: int) -> bool:
        """Return whether the design of this number belongs to this part."""
        return design % self.count == self.number - 1


def parse_shard(text: str) -> Shard:
    """Return the shard that ``"2/8"`` names.

    Raises
    ------
    UsageError
        If it is not ``i/n`` with 1 ≤ i ≤ n.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text!r}: expected i/n with 1 <= i <= n, for example 2/8")
    return Shard(int(number), int(count))


def run_sweep(
    sweep: Sweep,
    evaluate_point: Evaluate,
    store: Store | None = None,
    jobs: int = 1,
    shard: Shard | None = None,
    progress: Callable[[Progress], None] | None = None,
    revision: str | None = None,
) -> SweepResult:
    """Evaluate the points that the store does not have yet and return all as one table.

    Parameters
    ----------
    sweep
        From :func:`hwsim.explore.spec.load_sweep`.
    evaluate_point
        Takes a :class:`Point`, returns its metrics by column name, or raises: InfeasibleError
        for a design that cannot run the workload, anything else for a failed point. Must be
        picklable and depend on nothing but the point, the sweep's files and hwsim itself.
    store
        Where results are kept; by default in memory.
    jobs
        Worker processes; 1 evaluates in this process. Results do not depend on it.
    shard
        Evaluate only this part.
    progress
        Called after each batch.
    revision
        Fingerprint of what ``evaluate_point`` computes; default: of hwsim's own code and data.

    Raises
    ------
    UsageError
        If the space is too large or the search cannot be sharded, or the store cannot be used.
    KeyboardInterrupt
        On Ctrl-C, after all finished points were stored and the workers ended.
    """
    if store is None:
        with Store() as memory:
            return run_sweep(sweep, evaluate_point, memory, jobs, shard, progress, revision)
    method = SEARCHES.get(sweep.spec.search.method)
    if shard is not None and not method.shardable:
        raise UsageError(f"search method {sweep.spec.search.method!r} cannot run in shards")
    with make_executor(evaluate_point, jobs) as executor:
        mine = _points_of(sweep, shard)
        points = _admitted(sweep, mine)
        identity = Identity(sweep, revision)
        keys = {point.index: identity.key(point) for point in points}
        known = StoredSweep(sweep_identity(sweep), sweep.spec.name, sweep.space.paths, identity.basis)
        within = None if shard is None else [point.index for point in mine]
        store.register(known, (_entry(sweep, point, keys[point.index]) for point in points), within)
        tracker = _Tracker(store, keys, progress)
        search = method(points, sweep.objectives)
        while asked := search.ask():
            tracker.run(executor, asked)
            search.tell(tracker.rows(known, asked))
    return sweep_result(sweep, store, len(mine) - len(points), tracker.evaluated, tracker.reused)


def _points_of(sweep: Sweep, shard: Shard | None) -> list[Point]:
    space = sweep.space
    if len(space) > MAX_POINTS:
        raise UsageError(
            f"the sweep has {len(space)} points, more than {MAX_POINTS}; sample it with latin_hypercube: {{samples: …}}"
        )
    return [point for point in space if shard is None or shard.holds(point.index // space.workloads)]


def _admitted(sweep: Sweep, points: list[Point]) -> list[Point]:
    """Return those of ``points`` that the constraints on fields admit."""
    before, _ = sweep.conditions
    if not before:
        return points
    resolved = ((point, Fields(sweep.resolved(point).data)) for point in points)
    return [point for point, fields in resolved if all(condition.holds(fields) for condition in before)]


def _entry(sweep: Sweep, point: Point, key: str) -> Entry:
    cells = sweep.space.parameters(point.index)
    return Entry(point.index, key, point.label, sweep.workload_labels[point.workload], cells)


class _Tracker:
    """Runs batches of points through an executor into the store, counting as it goes."""

    def __init__(self, store: Store, keys: Mapping[int, str], progress: Callable[[Progress], None] | None) -> None:
        self.store = store
        self.keys = keys
        self.progress = progress
        self.evaluated = 0
        self.reused = 0
        self._statuses: Counter[str] = Counter()

    def run(self, executor: Executor, points: Sequence[Point]) -> None:
        """Evaluate those of ``points`` whose key is not in the store; equal keys run once."""
        done = self.store.finished(self.keys[p.index] for p in points)
        first = {self.keys[p.index]: p for p in reversed(points) if self.keys[p.index] not in done}
        todo = sorted(first.values(), key=lambda point: point.index)
        self.reused += len(points) - len(todo)
        self._tell(0)
        try:
            for outcomes in executor.run(todo):
                self._keep(outcomes)
        except KeyboardInterrupt:
            self._keep(executor.drain())
            raise

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        self.store.add((self.keys[o.index], o) for o in outcomes)
        self._statuses.update(o.status for o in outcomes)
        self._tell(len(outcomes))

    def _tell(self, new: int) -> None:
        self.evaluated += new
        if self.progress is not None:
            finished = self.evaluated + self.reused
            counts = self._statuses["infeasible"], self._statuses["failed"]
            self.progress(Progress(len(self.keys), finished, self.reused, *counts))

    def rows(self, sweep: StoredSweep, points: Iterable[Point]) -> dict[int, Mapping[str, Any] | None]:
        """Return the metrics of ``points`` by index, None for a point without."""
        found = {r.entry.index: r.row if r.status == "ok" else None for r in self.store.records(sweep)}
        return {point.index: found.get(point.index) for point in points}


__all__ = [
    "Progress",
    "Shard",
    "SweepResult",
    "parse_shard",
    "run_sweep",
    "stored_result",
    "sweep_result",
]
