"""The design table of a sweep: what the store knows, judged by the constraints, one row per point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.explore.constraints import Expression
from hwsim.explore.grounds import ground_of, ground_of_row, usual_objectives
from hwsim.explore.identity import sweep_identity
from hwsim.explore.metrics import ALL_METRICS, METRICS, Direction
from hwsim.explore.outcome import ROW_STATUSES
from hwsim.explore.pareto import pareto_front, refuse_blank
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
    lacking
        Points that are excluded because they have no value of an objective or of a constraint's metric.
    notes
        What the workloads say of formats that no policy changes.
    """

    name: str
    rows: tuple[tuple[Any, ...], ...]
    columns: tuple[str, ...]
    objectives: Mapping[str, Direction]
    total: int
    pruned: int = 0
    evaluated: int = 0
    reused: int = 0
    lacking: int = 0
    notes: tuple[str, ...] = ()

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
        """3 when points failed, are infeasible or unfinished, or lack a metric that the sweep asks for, else 0."""
        lost = self.counts["failed"] + self.counts["infeasible"] + self.lacking
        return 3 if lost or len(self.rows) < self.total else 0

    def front(self, objectives: Mapping[str, Direction] | None = None, where: str | None = None) -> pd.DataFrame:
        """Return the Pareto front, per workload; by default in the sweep's objectives.

        Raises
        ------
        UsageError
            If a column is unknown, holds no numbers or is blank for every design, or the condition is wrong.
        """
        refuse_blank(self.frame, objectives or (), where)
        return pareto_front(self.frame, objectives or self.objectives, where)

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        return f"<b>{self.name}</b>: {counts or 'no points'}{self.frame.to_html(max_rows=10, index=False)}"


def sweep_result(sweep: Sweep, store: Store, pruned: int = 0, evaluated: int = 0, reused: int = 0) -> SweepResult:
    """Return what ``store`` knows of ``sweep``, with the sweep's constraints applied."""
    known = store.find_sweep(sweep_identity(sweep))
    _, after = sweep.conditions
    records = list(store.records(known))
    judged = [_judged(sweep, record, after) for record in records]
    columns, rows = table(known.parameters, [record for record, _ in judged])
    sizes = (store.size_of(known), pruned, evaluated, reused, sum(lacks for _, lacks in judged))
    return SweepResult(sweep.spec.name, rows, columns, sweep.objectives, *sizes, notes=sweep.trace_notes)


def stored_result(
    store: Store, name: str | None = None, objectives: Mapping[str, Direction] | None = None
) -> SweepResult:
    """Return a sweep of a store without its file, for example after a merge.

    ``name`` chooses among several sweeps; by default the one that ran last. Constraints are in
    the sweep file, so none are applied.
    """
    known = store.find_sweep(name)
    records = list(store.records(known))
    columns, rows = table(known.parameters, records)
    chosen = objectives or usual_objectives(ground_of_row(record.row) for record in records if record.status == "ok")
    return SweepResult(known.name, rows, columns, chosen, store.size_of(known))


def _judged(sweep: Sweep, record: Record, conditions: Sequence[Expression]) -> tuple[Record, bool]:
    """Mark a result that lacks a metric asked for, or does not meet a constraint, as ``excluded``; its metrics stay.

    The second value tells whether it lacks a metric: that is no choice of the sweep, and its exit code says so.
    """
    missing = [name for name in sweep.objectives if record.row.get(name) is None]
    if record.status != "ok" or not (conditions or missing):
        return record, False
    arch = sweep.resolved(sweep.space[record.entry.index]).data
    fields, broken = Fields(arch), ""
    for condition in conditions:
        values = _values(condition, record, fields)
        found = condition.value(values)
        if found is None:
            missing += [name for name in sorted(condition.names & ALL_METRICS.keys()) if values[name] is None]
        if not found:
            broken = broken or condition.why_not(values)
    ground = ground_of(arch)
    known = [f"no {name}: {why}" for name in dict.fromkeys(missing) if (why := ground.why_not(name))]
    if known or (missing and not broken):
        broken = "; ".join(known) or f"no value of {', '.join(missing)}"
    return (replace(record, status="excluded", reason=broken) if broken else record), bool(missing)


def _values(condition: Expression, record: Record, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record.row[name] if name in record.row else fields.get(name) for name in condition.names}


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
