"""The design table of a sweep: what the store knows, judged by the constraints, one row per point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.explore.constraints import Expression
from hwsim.explore.identity import sweep_identity
from hwsim.explore.metrics import METRICS, Direction
from hwsim.explore.outcome import ROW_STATUSES
from hwsim.explore.pareto import pareto_front
from hwsim.explore.spec import Sweep
from hwsim.explore.store import Record, Store
from hwsim.explore.variables import Fields

if TYPE_CHECKING:
    import pandas as pd

#: Columns before the swept parameters and after the metrics.
NAME_COLUMNS = ("design_id", "workload")
END_COLUMNS = ("status", "reason")


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
        Points that the store knows of, all shards that ran with it together; fewer rows mean
        unfinished points.
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
        return {name: found[name] for name in ROW_STATUSES}

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


def _judged(sweep: Sweep, record: Record, conditions: Sequence[Expression]) -> Record:
    """Mark a result that does not meet a constraint as ``excluded``; its metrics stay."""
    if record.status != "ok" or not conditions:
        return record
    point = sweep.space[record.entry.index]
    fields = Fields(sweep.resolved(point).data)
    for condition in conditions:
        values = {name: record.row[name] if name in record.row else fields.get(name) for name in condition.names}
        if not condition.holds(values):
            return replace(record, status="excluded", reason=condition.why_not(values))
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
