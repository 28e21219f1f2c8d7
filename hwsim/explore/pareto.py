"""Pareto fronts: which designs no other design beats, how much they cover, where the bend is.

Every function takes an array of values, one row per design and one column per objective, and
``directions``, one ``"min"`` or ``"max"`` per column (default: all ``"min"``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.explore.constraints import parse_condition
from hwsim.explore.grounds import ground_of_row, together
from hwsim.explore.metrics import ALL_METRICS, Direction
from hwsim.spec.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]


def non_dominated(values: ArrayLike, directions: Sequence[Direction] | None = None) -> NDArray[np.bool_]:
    """Return the mask of the rows that no other row dominates.

    A row dominates another when it is at least as good in every objective and better in one;
    equal rows therefore stay together. Rows with NaN are never on the front.

    Parameters
    ----------
    values
        Shape (designs, objectives).
    directions
        Per objective ``"min"`` or ``"max"``; all ``"min"`` when left out.

    Returns
    -------
    numpy.ndarray
        Boolean, shape (designs,). Two objectives take O(n log n); more take
        O(n × front) in vectorised steps.
    """
    costs = _as_costs(values, directions)
    mask = np.zeros(len(costs), dtype=np.bool_)
    known = np.flatnonzero(~np.isnan(costs).any(axis=1))
    if known.size == 0:
        return mask
    unique, inverse = np.unique(costs[known], axis=0, return_inverse=True)
    front = _front_2d(unique) if costs.shape[1] == 2 else _front_kd(unique)
    mask[known] = front[inverse.reshape(-1)]
    return mask


def _as_costs(values: ArrayLike, directions: Sequence[Direction] | None) -> Values:
    """Return a float copy in which less is better in every column."""
    costs = np.array(values, dtype=np.float64) + 0.0  # -0.0 and 0.0 are one value
    if costs.ndim != 2 or costs.shape[1] == 0:
        raise UsageError(f"values must have the shape (designs, objectives), not {costs.shape}")
    if directions is None:
        return costs
    if len(directions) != costs.shape[1] or not set(directions) <= {"min", "max"}:
        raise UsageError(f"directions must be {costs.shape[1]} times 'min' or 'max', not {list(directions)!r}")
    return np.where([d == "max" for d in directions], -costs, costs)


def _front_2d(unique: Values) -> NDArray[np.bool_]:
    """Front of distinct rows sorted by the first column, then the second."""
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(unique[:, 1])[:-1]])
    front: NDArray[np.bool_] = unique[:, 1] < best_before
    # The best first value is on the front even when its second one is infinite.
    front[0] = True
    return front


def _front_kd(unique: Values) -> NDArray[np.bool_]:
    """Front of distinct rows in lexicographic order: a dominator always comes first."""
    front = np.zeros(len(unique), dtype=np.bool_)
    left = np.arange(len(unique))
    while left.size:
        head = left[0]
        front[head] = True
        survives = (unique[left] < unique[head]).any(axis=1)
        left = left[survives]
    return front


def hypervolume(values: ArrayLike, reference: Sequence[float], directions: Sequence[Direction] | None = None) -> float:
    """Return the volume between ``reference`` and the rows that are better than it, exactly.

    Parameters
    ----------
    values
        Shape (designs, objectives); rows that are not better than ``reference`` everywhere add nothing.
    reference
        The worst acceptable value of each objective.
    directions
        As in :func:`non_dominated`.

    Raises
    ------
    UsageError
        If ``reference`` has another length than the rows.
    """
    costs = _as_costs(values, directions)
    if len(reference) != costs.shape[1]:
        raise UsageError(f"reference must have {costs.shape[1]} values, not {len(reference)}")
    corner = _as_costs([list(reference)], directions)[0]
    inside = costs[(costs < corner).all(axis=1)]
    if not len(inside):
        return 0.0
    if np.isinf(inside).any() or np.isinf(corner).any():
        return np.inf
    return _volume(inside[non_dominated(inside)], corner)


def _volume(costs: Values, corner: Values) -> float:
    """Slice along the last objective; each slab is a volume of one objective less."""
    if costs.shape[1] == 1:
        return float(corner[0] - costs[:, 0].min())
    if costs.shape[1] == 2:
        ordered = costs[np.lexsort((costs[:, 1], costs[:, 0]))]
        lowest = np.minimum.accumulate(ordered[:, 1])
        widths = np.diff(np.append(ordered[:, 0], corner[0]))
        return float(np.sum(widths * (corner[1] - lowest)))
    ordered = costs[np.argsort(costs[:, -1], kind="stable")]
    depths = np.diff(np.append(ordered[:, -1], corner[-1]))
    total = 0.0
    for i, depth in enumerate(depths):
        if depth > 0:
            slab = np.unique(ordered[: i + 1, :-1], axis=0)
            total += float(depth) * _volume(slab[non_dominated(slab)], corner[:-1])
    return total


def knee(values: ArrayLike, directions: Sequence[Direction] | None = None) -> int | None:
    """Return the row of the front's knee: the point furthest beyond the plane through its ends.

    The front is scaled to 0 (best) … 1 (worst) per objective. The distance to the plane through
    the unit points is then (1 - sum) / sqrt(k), as in I. Das, "On characterizing the knee of the
    Pareto curve", Structural Optimization 18, 1999; the knee has the least sum. An objective in
    which the whole front is equal says nothing and is left out. Ties go to the first row.

    Returns
    -------
    int or None
        None when there is no row without NaN.
    """
    costs = _as_costs(values, directions)
    front = np.flatnonzero(non_dominated(costs) & np.isfinite(costs).all(axis=1))
    if front.size == 0:
        return None
    low, high = costs[front].min(axis=0), costs[front].max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    return int(front[np.argmin(((costs[front] - low) / spread).sum(axis=1))])


def matching(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the rows of ``frame`` that meet the condition ``where`` (columns are its variables).

    Raises
    ------
    UsageError
        If it is no condition or names an unknown column.
    """
    condition = parse_condition(where)
    condition.check_names(str(column) for column in frame.columns)
    names = sorted(condition.names)
    rows = zip(*(frame[name].tolist() for name in names), strict=True) if names else iter([()] * len(frame))
    keep = [condition.holds(dict(zip(names, row, strict=True))) for row in rows]
    return frame[np.array(keep, dtype=np.bool_)]


def pareto_front(frame: pd.DataFrame, objectives: Mapping[str, Direction], where: str | None = None) -> pd.DataFrame:
    """Return the rows of a design table that no other row dominates.

    Only rows with status ``ok`` (where there is such a column) take part. A table of several
    workloads gives one front per workload: a decode run never beats a prefill run.

    Parameters
    ----------
    frame
        A design table.
    objectives
        Column to ``"min"`` or ``"max"``.
    where
        A condition that rows must meet to take part, for example ``"area_mm2 <= 12"``.

    Raises
    ------
    UsageError
        If a column is unknown or holds no numbers, or the condition is wrong.
    """
    if not objectives:
        raise UsageError("a Pareto front needs at least one objective")
    for name in objectives:
        if name not in frame.columns:
            raise UsageError(f"unknown column {name!r}; {did_you_mean(name, frame.columns)}")
    chosen = matching(frame, where) if where else frame
    if "status" in chosen.columns:
        chosen = chosen[chosen["status"] == "ok"]
    values = _numbers(chosen, objectives)
    mask = np.zeros(len(chosen), dtype=np.bool_)
    for rows in _groups(chosen):
        mask[rows] = non_dominated(values[rows], list(objectives.values()))
    return chosen[mask]


def refuse_blank(frame: pd.DataFrame, objectives: Iterable[str], where: str | None = None) -> None:
    """Refuse objectives, and names of a condition, that are blank for all designs with a result; not unknown ones.

    Raises
    ------
    UsageError
        Names it, why it is blank where that is known, and the metrics that there are.
    """
    done = frame[frame["status"] == "ok"] if "status" in frame.columns else frame
    for name in (*objectives, *(sorted(parse_condition(where).names) if where else ())):
        if len(done) and name in done.columns and done[name].isna().all():
            valid = [metric for metric in ALL_METRICS if metric in done.columns and done[metric].notna().any()]
            raise UsageError(f"{name}: no design has a value{_why_blank(done, name)}; valid: {', '.join(valid)}")


def _why_blank(frame: pd.DataFrame, name: str) -> str:
    if "device" not in frame.columns or frame["device"].isna().any():
        return ""
    why = together(ground_of_row(row) for row in frame.to_dict("records")).why_not(name)
    return f": {why}" if why else ""


def _numbers(frame: pd.DataFrame, names: Mapping[str, Any]) -> Values:
    try:
        columns = [frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in names]
    except (TypeError, ValueError):
        raise UsageError(f"the columns {', '.join(names)} must hold numbers") from None
    return np.column_stack(columns)


def _groups(frame: pd.DataFrame) -> list[NDArray[np.intp]]:
    if "workload" not in frame.columns:
        return [np.arange(len(frame))]
    labels = frame["workload"].to_numpy(dtype=object)
    return [np.flatnonzero(labels == label) for label in dict.fromkeys(labels)]
