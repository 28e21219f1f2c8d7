"""SRAM: energies, leakage, area, access and cycle time against rows of CACTI 7 or of a table of their form.

Every row of the shipped grid is its own answer, so what the model is worth between rows shows only
where rows are left out: with ``leave_out`` N, every Nth row of the file is priced from the shipped
grid without these, N times over, so that each row is left out once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.explore.score._tables import RefusedError, compared, positive, read_rows, refusals
from hwsim.hardware.memory.grid import Grid, Key, key, shipped_grid
from hwsim.hardware.memory.nodes import leakage_corrections
from hwsim.hardware.memory.ports import PORTS, Ports
from hwsim.hardware.memory.sram import Request, sram_of
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.spec.errors import UsageError

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


#: Columns that say how many ports read or write, read, and write; a table without them has one shared port.
PORT_COLUMNS = ("ports_rw", "ports_rd", "ports_wr")


class Row(NamedTuple):
    """One reference row: what it is of, at which temperature, its ports, its figures."""

    of: Key
    kelvin: float
    ports: Ports
    figures: Mapping[str, float]


@SCORERS.register("sram")
def score(path: Path, leave_out: int | None = None) -> Score:
    """Compare a table with the columns of ``SHAPE``, any of ``FIGURES`` and perhaps ``PORT_COLUMNS``.

    Other columns are not read.

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
    refused = Counter[str]()
    numbered = read_rows(path, SHAPE, any_of=list(FIGURES))
    rows = compared(path, numbered, _row, refused)
    frame = pd.DataFrame([entry for row, grid in _folds(rows, leave_out) for entry in _compare(row, grid, refused)])
    notes = refusals(refused)
    if frame.empty:
        raise UsageError(f"{path}: nothing to compare; {'; '.join(notes)}")
    if not any(column in numbered[0][1] for column in PORT_COLUMNS):
        notes.insert(0, f"no column says the ports ({', '.join(PORT_COLUMNS)}): taken as one that reads or writes")
    inside = sum(row.ports == "1rw" and row.of in shipped_grid().keys for row in rows)
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
        model = sram_of(grid, Request(size, width, banks, node, device, row.kelvin, row.ports))  # type: ignore[arg-type]
    except UsageError as error:
        refused[f"such as {node} nm {device}, {size} B, {width} bits, {banks} bank(s): {error}"] += 1
        return
    for column, reference in row.figures.items():
        reason = _unusable(row) if column == "leak_mW_total" else ""
        if reason:
            refused[f"leakage alone: {reason}"] += 1
            continue
        ours = float(getattr(model, FIGURES[column][0]))
        array = {"size_bytes": size, "word_bits": width, "banks": banks, "ports": row.ports}
        found = {"figure": column, "reference": reference, "model": ours, "error": ours / reference - 1}
        yield {"tech_nm": node, "device": device, **array, **found, "answered_by": model.answered_by}


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


def _row(record: dict[str, str]) -> Iterator[Row]:
    """Yield one row; an empty figure is left out.

    Raises
    ------
    RefusedError
        If an array of its ports has no figures.
    """
    figures = {column: positive(record, column) for column in FIGURES if record.get(column)}
    yield Row(key(record), float(record["temp_K"]), _ports(record), figures)


def _ports(record: dict[str, str]) -> Ports:
    """Return the ports that a row states, one shared port where it states none."""
    if not any(column in record for column in PORT_COLUMNS):
        return "1rw"
    given = tuple(int(record.get(column) or 0) for column in PORT_COLUMNS)
    for name, counts in PORTS.items():
        if counts == given:
            return cast("Ports", name)
    said = ", ".join(
        f"{count} {column.removeprefix('ports_')}" for column, count in zip(PORT_COLUMNS, given, strict=True)
    )
    raise RefusedError(f"no figures for SRAM of ports {said}; valid: {', '.join(PORTS)}")
