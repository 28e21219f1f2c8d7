"""What a Pareto plot shows: per workload the designs with their values, the front, and who is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwsim.explore.error_band import logic_of, lut_error, within_error
from hwsim.explore.metrics import ALL_METRICS, Direction
from hwsim.explore.pareto import knee, matching, non_dominated, pareto_front
from hwsim.formats import Integer, Minifloat, parse_format
from hwsim.report.wording import clean, is_missing
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

#: Beyond so many designs nobody looks for the nearly best.
_MOST_TRIED = 2000


@dataclass(frozen=True)
class Objectives:
    """The columns on the axes (and as marker size) and which way each is better."""

    names: tuple[str, ...]
    directions: tuple[Direction, ...]

    @classmethod
    def of(cls, x: str, y: str, z: str | None, directions: Mapping[str, Direction] | None) -> Objectives:
        """Return the objectives; without a given direction a metric has its own, else less is better.

        Raises
        ------
        UsageError
            If a column is named twice.
        """
        names = (x, y) if z is None else (x, y, z)
        if len(set(names)) < len(names):
            raise UsageError(f"the axes must be different columns, not {', '.join(names)}")
        known = {**ALL_METRICS, **(directions or {})}
        return cls(names, tuple(known.get(name, "min") for name in names))

    @property
    def mapping(self) -> dict[str, Direction]:
        """Column to direction."""
        return dict(zip(self.names, self.directions, strict=True))


@dataclass(frozen=True)
class Panel:
    """The designs of one workload.

    Parameters
    ----------
    workload
        Its name; empty when the table has no such column.
    designs, families
        Name and PE family of each drawn design; the family is empty when the table has no PE.
    values
        Shape (designs, objectives), finite.
    directions
        One per objective.
    missing
        Why rows are not drawn (``"infeasible"``, ``"without a value"`` …) and how many.
    reason
        The reason of the first row that has one.
    looks
        What tells each drawn design's colour and marker: its family, with the kind of its numbers where one family
        has several.
    near
        Designs that are beaten by less than the error of an estimate.
    """

    workload: str
    designs: list[str]
    families: list[str]
    values: Floats
    directions: tuple[Direction, ...]
    missing: Counter[str]
    reason: str = ""
    looks: list[str] = field(default_factory=list)
    near: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    @cached_property
    def front(self) -> NDArray[np.intp]:
        """The designs that no other beats in all objectives, from the best x on; equal ones too."""
        return self._from_best_x(non_dominated(self.values, self.directions))

    @cached_property
    def outline(self) -> NDArray[np.intp]:
        """The front in x and y alone, from the best x on."""
        return self._from_best_x(non_dominated(self.values[:, :2], self.directions[:2]))

    def _from_best_x(self, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        rows = np.flatnonzero(mask)
        costs = self.values[rows] * [1.0 if d == "min" else -1.0 for d in self.directions]
        return rows[np.lexsort(costs.T[::-1])]

    def landmarks(self) -> list[int]:
        """Return the designs that are best in one objective, and the knee."""
        best = [
            np.argmin(v) if d == "min" else np.argmax(v)
            for v, d in zip(self.values[self.front].T, self.directions, strict=True)
        ]
        bend = knee(self.values, self.directions)
        return [*(int(self.front[i]) for i in best), *([] if bend is None else [bend])]


def panels_of(frame: pd.DataFrame, objectives: Objectives, where: str | None) -> list[Panel]:
    """Return one panel per workload of a design table, in the table's order.

    Raises
    ------
    UsageError
        If a column is unknown or holds no numbers, or the condition ``where`` is wrong.
    """
    frame = frame.reset_index(drop=True)
    pareto_front(frame, objectives.mapping, where)  # for its checks of columns and condition
    chosen = matching(frame, where).index if where else frame.index
    fate = np.where(frame.index.isin(chosen), "ok", "outside the condition").astype(object)
    if "status" in frame.columns:
        status = frame["status"].astype(object).to_numpy()
        fate = np.where(status == "ok", fate, status)
    values = np.column_stack([frame[n].to_numpy(dtype=np.float64, na_value=np.nan) for n in objectives.names])
    fate = np.where((fate == "ok") & ~np.isfinite(values).all(axis=1), "without a value", fate)
    workloads, looks = _words(frame, "workload"), looks_of(_words(frame, "pe"))
    return [
        _panel(frame, name, np.flatnonzero([w == name for w in workloads]), fate, values, objectives, looks)
        for name in dict.fromkeys(workloads)
    ]


def _panel(
    frame: pd.DataFrame, name: str, rows: NDArray[np.intp], fate: NDArray[np.object_], values: Floats,
    objectives: Objectives, looks: list[str],
) -> Panel:  # fmt: skip
    drawn = rows[fate[rows] == "ok"]
    shown = frame.iloc[drawn]
    designs = _words(shown, "design_id") if "design_id" in frame.columns else [f"#{i + 1}" for i in drawn]
    families = [(pe.split() or [""])[0] for pe in _words(shown, "pe")]
    missing = Counter(str(f) for f in fate[rows] if f != "ok")
    reason = next((text for text in _words(frame.iloc[rows], "reason") if text), "")
    near = np.flatnonzero(beaten_within_error(values[drawn], objectives.mapping))
    given = values[drawn], objectives.directions, missing, reason
    return Panel(name, designs, families, *given, [looks[i] for i in drawn], near)


def beaten_within_error(values: Floats, objectives: Mapping[str, Direction]) -> NDArray[np.bool_]:
    """Return the designs that are beaten by less than the error that one in ten LUTs or ALMs exceeds, if any."""
    logic, estimated = logic_of(objectives), [logic_of([name]) is not None for name in objectives]
    if logic is None or len(values) > _MOST_TRIED:
        return np.zeros(len(values), dtype=np.bool_)
    return within_error(values, list(objectives.values()), estimated, lut_error(logic)[1])


def looks_of(pes: list[str]) -> list[str]:
    """Return the family of each PE, followed by the kind of its numbers where the family has several kinds.

    ``pes`` are short texts such as ``exact_mac fp8_e4m3 lmul``; words after the format are part of the kind.
    """
    split = [(text.split() or [""])[0] for text in pes], [_kind_of_numbers(text.split()[1:]) for text in pes]
    kinds: dict[str, set[str]] = {}
    for family, kind in zip(*split, strict=True):
        kinds.setdefault(family, set()).add(kind)
    return [f"{family} {kind}" if len(kinds[family]) > 1 else family for family, kind in zip(*split, strict=True)]


def _kind_of_numbers(words: list[str]) -> str:
    if not words:
        return ""
    try:
        element = parse_format(words[0].partition("/")[0]).element
    except UsageError:
        return ""
    kind = {Integer: "integers", Minifloat: "minifloats"}.get(type(element), "other numbers")
    return " ".join([kind, *(word for word in words[1:] if "=" not in word)])


def _words(frame: pd.DataFrame, column: str) -> list[str]:
    if column not in frame.columns:
        return [""] * len(frame)
    return ["" if is_missing(value) else clean(value) for value in frame[column].tolist()]
