"""``run_sweep``: every point of a sweep evaluated once, stored, and laid out as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.explore.executors import Executor, make_executor
from hwsim.explore.identity import Identity, sweep_identity
from hwsim.explore.metrics import METRICS, Direction
from hwsim.explore.outcome import Evaluate, Outcome
from hwsim.explore.pareto import pareto_front
from hwsim.explore.search import SEARCHES
from hwsim.explore.space import Point
from hwsim.explore.spec import Sweep
from hwsim.explore.store import Entry, Record, Store, StoredSweep
from hwsim.explore.variables import Fields
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

#: Columns before the swept parameters and after the metrics.
NAME_COLUMNS = ("design_id", "workload")
END_COLUMNS = ("status", "reason")

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


@dataclass(frozen=True)
class SweepResult:
    """The finished points of a sweep.

    Parameters
    ----------
    name
        The sweep's name.
    rows
        Table rows in the order of :attr:`columns`, sorted by point.
    columns
        ``design_id, workload``, the swept parameters, the metrics, ``status, reason``.
    objectives
        Metric to ``"min"`` or ``"max"``.
    total
        Points that belong to the run (of its shard); fewer rows mean unfinished points.
    pruned
        Points that constraints on fields took out beforehand.
    evaluated, reused
        Points that were computed now, and that the store had already.
    """

    name: str
    rows: tuple[tuple[Any, ...], ...]
    columns: tuple[str, ...]
    objectives: Mapping[str, Direction]
    total: int
    pruned: int = 0
    evaluated: int = 0
    reused: int = 0

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The design table; independent of jobs, shards already merged, and resumption."""
        import pandas as pd

        return pd.DataFrame.from_records(list(self.rows), columns=list(self.columns))

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Rows by status: ``ok``, ``excluded`` (a constraint is not met), ``infeasible``, ``failed``."""
        status = self.columns.index("status")
        found = Counter(row[status] for row in self.rows)
        return {name: found.get(name, 0) for name in ("ok", "excluded", "infeasible", "failed")}

    @property
    def exit_code(self) -> int:
        """3 when points failed, are infeasible or unfinished, else 0."""
        complete = len(self.rows) == self.total
        return 0 if complete and not self.counts["failed"] and not self.counts["infeasible"] else 3

    def front(self, objectives: Mapping[str, Direction] | None = None, where: str | None = None) -> pd.DataFrame:
        """Return the Pareto front, per workload; by default in the sweep's objectives."""
        return pareto_front(self.frame, objectives or self.objectives, where)

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        return f"<b>{self.name}</b>: {counts or 'no points'}{self.frame.to_html(max_rows=10, index=False)}"


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
    points, pruned = _admitted(sweep, shard)
    identity = Identity(sweep, revision)
    keys = {point.index: identity.key(point) for point in points}
    known = StoredSweep(sweep_identity(sweep), sweep.spec.name, sweep.space.paths)
    store.register(known, (_entry(sweep, point, keys[point.index]) for point in points))
    tracker = _Tracker(store, keys, progress)
    search = SEARCHES.get(sweep.spec.search.method)(points, sweep.spec.objectives)
    if shard is not None and not search.shardable:
        raise UsageError(f"search method {sweep.spec.search.method!r} cannot run in shards")
    with make_executor(evaluate_point, jobs) as executor:
        while asked := search.ask():
            tracker.run(executor, asked)
            search.tell(tracker.rows(known, asked))
    return sweep_result(sweep, store, pruned, tracker.evaluated, tracker.reused)


def _admitted(sweep: Sweep, shard: Shard | None) -> tuple[list[Point], int]:
    """Return the points that constraints on fields admit, and how many they refuse."""
    space = sweep.space
    if len(space) > MAX_POINTS:
        raise UsageError(
            f"the sweep has {len(space)} points, more than {MAX_POINTS}; sample it with latin_hypercube: {{samples: …}}"
        )
    mine = [p for p in space if shard is None or shard.holds(p.index // space.workloads)]
    before, _ = sweep.conditions
    if not before:
        return mine, 0
    kept = []
    for point in mine:
        fields = Fields(sweep.resolved(point).data)
        if all(condition.holds(fields) for condition in before):
            kept.append(point)
    return kept, len(mine) - len(kept)


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


def sweep_result(sweep: Sweep, store: Store, pruned: int = 0, evaluated: int = 0, reused: int = 0) -> SweepResult:
    """Return what ``store`` knows of ``sweep``, with the sweep's constraints applied."""
    known = store.find_sweep(sweep_identity(sweep))
    _, after = sweep.conditions
    records = list(store.records(known))
    columns, rows = table(known.parameters, [_judged(sweep, record, after) for record in records])
    return SweepResult(
        sweep.spec.name, rows, columns, sweep.spec.objectives, store.size_of(known), pruned, evaluated, reused
    )


def stored_result(
    store: Store, name: str | None = None, objectives: Mapping[str, Direction] | None = None
) -> SweepResult:
    """Return a sweep of a store without its file, for example after a merge.

    ``name`` chooses among several sweeps; by default the one that ran last. Constraints are in
    the sweep file, so none are applied.
    """
    known = store.find_sweep(name)
    columns, rows = table(known.parameters, list(store.records(known)))
    chosen = objectives or {"energy_mj": "min", "latency_ms": "min"}
    return SweepResult(known.name, rows, columns, chosen, store.size_of(known))


def _judged(sweep: Sweep, record: Record, conditions: Sequence[Any]) -> Record:
    """Mark a result that does not meet a constraint as ``excluded``; its metrics stay."""
    if record.status != "ok" or not conditions:
        return record
    point = sweep.space[record.entry.index]
    fields = Fields(sweep.resolved(point).data)
    for condition in conditions:
        values = {name: record.row[name] if name in record.row else fields.get(name) for name in condition.names}
        if not condition.holds(values):
            return Record(record.entry, "excluded", condition.why_not(values), record.row)  # type: ignore[arg-type]
    return record


def table(parameters: Sequence[str], records: Sequence[Record]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Lay out records as ``(columns, rows)``: names, parameters, metrics, any further figures, status."""
    extra = dict.fromkeys(name for record in records for name in record.row if name not in METRICS)
    metrics = [*METRICS, *extra]
    rows = tuple(
        (
            r.entry.design,
            r.entry.workload,
            *(r.entry.cells.get(name) for name in parameters),
            *(r.row.get(name) for name in metrics),
            r.status,
            r.reason,
        )
        for r in records
    )
    return (*NAME_COLUMNS, *parameters, *metrics, *END_COLUMNS), rows
