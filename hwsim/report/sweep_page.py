"""The page of a sweep: what came out, the pictures, the fronts in numbers, and what could not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwsim.explore.error_band import error_text, logic_of, lut_error
from hwsim.explore.metrics import ALL_METRICS, Direction
from hwsim.explore.pareto import knee
from hwsim.explore.result import SweepResult
from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.report.html import Fact, Section, write_report
from hwsim.report.plot.kit.fronts import beaten_within_error
from hwsim.report.wording import column_title, counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Longer tables are cut; the whole is in designs.csv.
MOST_ROWS = 200


def sweep_report(result: SweepResult, figures: Mapping[str, Figure], path: Path) -> Path:
    """Write the page of a sweep to ``path`` and return it.

    Parameters
    ----------
    result
        The sweep.
    figures
        Heading to picture, in their order on the page.
    path
        Where to; usually ends in ``.html``.

    Raises
    ------
    UsageError
        If the file cannot be written, or an objective is no column of numbers.
    """
    front = result.front()
    pictures = [Section(heading, figure=figure) for heading, figure in figures.items()]
    told = [Section("Formats of workloads", [f"{note}." for note in result.notes])] if result.notes else []
    sections = [*_best(result, front), *told, *pictures, *_fronts(result, front), *_near(result), *_left_out(result)]
    return write_report(path, f"Design space: {result.name}", _facts(result, front), sections)


def _facts(result: SweepResult, front: pd.DataFrame) -> list[Fact]:
    counts = result.counts
    unfinished = result.total - len(result.rows)
    remark = f"{counted(unfinished, 'point')} unfinished" if unfinished else ""
    lost = {name: count for name, count in counts.items() if name != "ok" and count}
    sizes = [f"{workload}: {len(rows):,}" for workload, rows in _by_workload(result, front)]
    way = {"min": "least", "max": "most"}
    aims = [f"{way[direction]} {_spoken(name)}" for name, direction in result.objectives.items()]
    return [
        Fact("Points with a result", f"{counts['ok']:,} of {len(result.rows):,}", remark),
        Fact("On the Pareto fronts", f"{len(front):,}", "; ".join(sizes)),
        Fact("Left out", f"{sum(lost.values()):,}", listed(f"{count:,} {name}" for name, count in lost.items())),
        Fact("Objectives", f"{len(aims)}", listed(aims)),
    ]


def _spoken(name: str) -> str:
    """Return the title of a column within a sentence, without its unit."""
    title = column_title(name).partition(" (")[0]
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _by_workload(result: SweepResult, front: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each workload in the order of the sweep with its part of the front, which is not empty."""
    for workload in dict.fromkeys(result.frame["workload"]):
        rows = front.loc[(front["workload"] == workload).to_numpy()]
        if len(rows):
            yield str(workload), rows


def _best(result: SweepResult, front: pd.DataFrame) -> list[Section]:
    import pandas as pd

    rows = []
    for workload, designs in _by_workload(result, front):
        for name, direction in result.objectives.items():
            values = designs[name].to_numpy(dtype=np.float64)
            best = int(np.argmin(values) if direction == "min" else np.argmax(values))
            rows.append((workload, column_title(name), values[best], designs["design_id"].iloc[best]))
    if not rows:
        return [Section("Best designs", ["No design of this sweep has a result."])]
    return [Section("Best designs", table=pd.DataFrame(rows, columns=["workload", "objective", "best", "design_id"]))]


def _fronts(result: SweepResult, front: pd.DataFrame) -> Iterator[Section]:
    for workload, designs in _by_workload(result, front):
        table = _front_table(designs, result.objectives)
        yield Section(f"Pareto front: {workload}", _cut_note(len(table)), table=table.head(MOST_ROWS))


def _near(result: SweepResult) -> Iterator[Section]:
    """Designs that the front beats by less than the error of the LUTs, by which they cannot be told apart."""
    import pandas as pd

    logic = logic_of(result.objectives)
    if logic is None:
        return
    done = result.frame[result.frame["status"] == "ok"]
    parts = []
    for _, designs in done.groupby("workload", sort=False):
        values = designs[list(result.objectives)].to_numpy(dtype=np.float64, na_value=np.nan)
        parts.append(designs[beaten_within_error(values, result.objectives)])
    near = pd.concat(parts) if parts else done
    median, worst = lut_error(logic)
    what = LOGIC_WORDS[logic]
    text = [
        f"{what} are estimated: {error_text(median, worst)}. A design stands here if no other beat it were "
        f"its own {what} {worst:.1%} fewer: between it and the front the estimate does not decide.",
        *([] if len(near) else ["There is none: every other design is beaten by more than that."]),
        *_cut_note(len(near)),
    ]
    names = ["design_id", "workload", *result.objectives]
    yield Section(
        f"Beaten by less than the error of the {what}", text, table=near[names].head(MOST_ROWS) if len(near) else None
    )


def _front_table(designs: pd.DataFrame, objectives: Mapping[str, Direction]) -> pd.DataFrame:
    """Return the front of one workload from the best first objective on, with remarks."""
    costs = [designs[n].astype(float) * (1.0 if d == "min" else -1.0) for n, d in objectives.items()]
    ordered = designs.iloc[np.lexsort([cost.to_numpy() for cost in reversed(costs)])]
    metrics = dict.fromkeys([*objectives, *(name for name in ALL_METRICS if name in designs.columns)])
    shown = [name for name in metrics if ordered[name].notna().any()]
    table = ordered[["design_id", *shown]].reset_index(drop=True)
    table.insert(1, "remark", _remarks(table, objectives))
    return table


def _remarks(table: pd.DataFrame, objectives: Mapping[str, Direction]) -> list[str]:
    remarks: list[list[str]] = [[] for _ in range(len(table))]
    values = table[list(objectives)].to_numpy(dtype=np.float64)
    for column, (name, direction) in zip(values.T, objectives.items(), strict=True):
        place = int(np.argmin(column) if direction == "min" else np.argmax(column))
        remarks[place].append(f"best {_spoken(name)}")
    bend = knee(values, list(objectives.values()))
    if bend is not None and len(table) > 2:
        remarks[bend].append("knee")
    return [", ".join(words) for words in remarks]


def _left_out(result: SweepResult) -> Iterator[Section]:
    frame = result.frame
    order = {"failed": 0, "infeasible": 1, "excluded": 2}
    lost = frame[frame["status"] != "ok"]
    if lost.empty:
        return
    lost = lost.iloc[np.argsort([order.get(s, 3) for s in lost["status"]], kind="stable")]
    text = [
        "Failed points met an error; infeasible designs cannot run the workload; excluded ones do not meet a "
        "constraint of the sweep, or lack a metric that it asks for.",
        *_cut_note(len(lost)),
    ]
    table = lost[["design_id", "workload", "status", "reason"]].head(MOST_ROWS)
    yield Section("Left out, and why", text, table=table)


def _cut_note(rows: int) -> list[str]:
    return [f"The first {MOST_ROWS:,} of {rows:,} rows; designs.csv has all."] if rows > MOST_ROWS else []
