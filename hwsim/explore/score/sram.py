"""SRAM: energies, leakage, area, access and cycle time against rows of CACTI 7 or of a table of their form.

Every row of the shipped grid is its own answer, so what the model is worth between rows shows only
where rows are left out: with ``leave_out`` N, every Nth row of the file is priced from the shipped
grid without these, N times over, so that each row is left out once.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.hardware.memory.grid import Grid, Key, key, shipped_grid
from hwsim.hardware.memory.nodes import leakage_corrections
from hwsim.hardware.memory.sram import Request, sram_of
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.text import read_text

if TYPE_CHECKING:
    import pandas as pd

#: Per column: our figure, and the largest mean error; None where it is stated and no more.
FIGURES: dict[str, tuple[str, float | None]] = {
    "read_pJ": ("read_pj", 0.12),
    "write_pJ": ("write_pj", 0.08),
    "leak_mW_total": ("leakage_mw", 0.06),
    "area_mm2": ("area_mm2", 0.08),
    "access_ns": ("access_ns", 0.06),
    "cycle_ns": ("cycle_ns", None),
}
#: Columns that say what a row is of; ``temp_K`` holds for leakage alone.
SHAPE = ("tech_nm", "device", "size_bytes", "word_bits", "banks", "temp_K")


class Row(NamedTuple):
    """One reference row: what it is of, at which temperature, its figures."""

    of: Key
    kelvin: float
    figures: Mapping[str, float]


@SCORERS.register("sram")
def score(path: Path, leave_out: int | None = None) -> Score:
    """Compare a table with the columns of ``SHAPE`` and any of ``FIGURES``; other columns are not read.

    What the model refuses, and leakage that CACTI is known to misprint, is counted in the notes.

    Parameters
    ----------
    leave_out
        Price every Nth row from a grid without them, N times over.

    Raises
    ------
    SpecError
        If a column or a figure is missing or not positive.
    UsageError
        If ``leave_out`` is less than 2, or no figure can be compared.
    """
    import pandas as pd

    if leave_out is not None and leave_out < 2:
        raise UsageError(f"leave_out must be at least 2, not {leave_out}")
    rows, refused = _read(path), Counter[str]()
    frame = pd.DataFrame([entry for row, grid in _folds(rows, leave_out) for entry in _compare(row, grid, refused)])
    notes = [f"refused: {count} {what}" for what, count in refused.items()]
    if frame.empty:
        raise UsageError(f"{path}: nothing to compare; {'; '.join(notes) or 'the table has no rows'}")
    inside = sum(row.of in shipped_grid().keys for row in rows)
    priced = "from a grid without them" if leave_out else "that answer for themselves: see --leave-out"
    return Score(frame, _bars(frame), [f"{inside} of {len(rows)} rows are in the shipped grid, {priced}", *notes])


def _folds(rows: Sequence[Row], leave_out: int | None) -> Iterator[tuple[Row, Grid]]:
    """Yield every row with the grid that prices it."""
    if leave_out is None:
        yield from ((row, shipped_grid()) for row in rows)
        return
    for first in range(leave_out):
        fold = rows[first::leave_out]
        left_out = {row.of for row in fold}
        grid = shipped_grid().without(left_out.__contains__)
        yield from ((row, grid) for row in fold)


def _compare(row: Row, grid: Grid, refused: Counter[str]) -> Iterator[dict[str, object]]:
    node, device, size, width, banks = row.of
    try:
        model = sram_of(grid, Request(size, width, banks, node, device, row.kelvin))  # type: ignore[arg-type]
    except UsageError as error:
        refused[f"row(s), such as {node} nm {device}, {size} B, {width} bits, {banks} bank(s): {error}"] += 1
        return
    for column, reference in row.figures.items():
        reason = _unusable(row) if column == "leak_mW_total" else ""
        if reason:
            refused[f"figure(s) of leakage: {reason}"] += 1
            continue
        ours = float(getattr(model, FIGURES[column][0]))
        shape = {"tech_nm": node, "device": device, "size_bytes": size, "word_bits": width, "banks": banks}
        found = {"figure": column, "reference": reference, "model": ours, "error": ours / reference - 1}
        yield {**shape, **found, "answered_by": model.answered_by}


def _unusable(row: Row) -> str:
    """Return why the leakage of a row is no reference, or nothing."""
    node, device, *_ = row.of
    if row.kelvin == ROWS_K and (node, device) in leakage_corrections():
        return f"CACTI misprints {node} nm {device} at {ROWS_K:g} K"
    return ""


def _bars(frame: pd.DataFrame) -> list[Bar]:
    bars = []
    for figure, (_, limit) in FIGURES.items():
        size = frame.loc[frame["figure"] == figure, "error"].abs()
        if size.empty:
            continue
        bars.append(Bar(f"{figure}: mean error", float(size.mean()), limit))
        spread = {"median": size.median(), "90th percentile": size.quantile(0.9), "largest": size.max()}
        bars += [Bar(f"{figure}: {name} error", float(value), None) for name, value in spread.items()]
    return bars


def _read(path: Path) -> list[Row]:
    reader = csv.DictReader(StringIO(read_text(path)))
    header = reader.fieldnames or []
    lacking = [column for column in SHAPE if column not in header]
    lacking += [] if set(FIGURES) & set(header) else [f"any of {', '.join(FIGURES)}"]
    if lacking:
        raise SpecError([Problem(str(path), 1, 1, "header", f"missing column {', '.join(lacking)}")])
    rows, problems = [], []
    for record in reader:
        try:
            rows.append(_row(record))
        except (TypeError, ValueError) as error:
            problems.append(Problem(str(path), reader.line_num, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    return rows


def _row(record: dict[str, str]) -> Row:
    """Return one row; an empty figure is left out."""
    figures = {column: float(record[column]) for column in FIGURES if record.get(column)}
    for column, value in figures.items():
        if not 0 < value < inf:
            raise UsageError(f"{column} must be positive, not {record[column]}")
    return Row(key(record), float(record["temp_K"]), figures)
