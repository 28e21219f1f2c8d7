"""``hwsim pareto``: the front of a finished sweep in any objectives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwsim.cli.common import format_option, show
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.explore.metrics import Direction

#: Designs that one line names.
MOST_NAMES = 12


@click.command("pareto", short_help="Pareto front of a sweep's results.")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-x", "x", required=True, metavar="COLUMN", help="First objective, e.g. energy_mj or tops_per_watt:max.")
@click.option("-y", "y", required=True, metavar="COLUMN", help="Second objective.")
@click.option("-z", "z", metavar="COLUMN", help="Third objective, drawn as marker size.")
@click.option("--where", metavar="EXPR", help="Only designs that meet a condition, e.g. 'area_mm2 <= 12'.")
@click.option("--sweep", "name", metavar="NAME", help="Which sweep of the store; default: the one that ran last.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder; default: here."
)
@format_option
def command(
    results: Path, x: str, y: str, z: str | None, where: str | None, name: str | None, output: Path, table_format: str
) -> int:
    """Print and draw the Pareto front of RESULTS: a sweep's folder, its results.sqlite or designs.csv.

    Each workload has a front of its own. Writes pareto.csv, pareto.png and pareto.svg. Exit code 3 if designs lack a
    value of an objective.
    """
    from hwsim.explore.pareto import pareto_front, refuse_blank
    from hwsim.report.plot.pareto import pareto_figure
    from hwsim.report.plot.style import save_figure
    from hwsim.report.tables import write_frame

    frame, title = read_results(results, name)
    directions = dict(objective(text) for text in (x, y, z) if text)
    columns = list(directions)
    if len(columns) != sum(text is not None for text in (x, y, z)):
        raise UsageError(f"the objectives must differ: {', '.join(t for t in (x, y, z) if t)}")
    refuse_blank(frame, columns, where)
    front = pareto_front(frame, directions, where)
    third = columns[2] if z else None
    figure = pareto_figure(frame, columns[0], columns[1], third, directions=directions, title=title, where=where)
    named = ["design_id", "workload", *columns]
    if table_format == "table":
        show(front.sort_values(["workload", columns[0]], kind="stable"), "table", title=title, columns=named)
    else:
        show(front, table_format)
    output.mkdir(parents=True, exist_ok=True)
    write_frame(front, "csv", output / "pareto.csv")
    png, svg = save_figure(figure, output / "pareto")
    click.echo(f"wrote {output / 'pareto.csv'}, {png}, {svg}", err=True)
    return _tell_blank(frame, columns)


def _tell_blank(frame: pd.DataFrame, columns: list[str]) -> int:
    """Say which designs with a result have no value of an objective; return the exit code, 3 if there are any."""
    done = frame[frame["status"] == "ok"] if "status" in frame.columns else frame
    code = 0
    for column in columns:
        blank = done[done[column].isna()]
        if len(blank):
            names = list(dict.fromkeys(blank["design_id"].astype(str))) if "design_id" in blank.columns else []
            shown = ", ".join(names[:MOST_NAMES]) + (f", … ({len(names)} in all)" if len(names) > MOST_NAMES else "")
            click.echo(f"excluded, without a value of {column}: {shown or len(blank)}", err=True)
            code = 3
    return code


def objective(text: str) -> tuple[str, Direction]:
    """Return column and direction of ``energy_mj`` or ``energy_mj:min``.

    Raises
    ------
    UsageError
        If the direction is neither min nor max, or is missing for a column that is no metric.
    """
    from hwsim.explore.metrics import ALL_METRICS

    column, _, direction = text.partition(":")
    if direction == "min":
        return column, "min"
    if direction == "max":
        return column, "max"
    if direction:
        raise UsageError(f"objective {text!r}: direction {direction!r}; valid: min, max")
    return column, ALL_METRICS.get(column, "min")


def read_results(path: Path, name: str | None = None) -> tuple[pd.DataFrame, str]:
    """Return the design table and the title of a folder, a store or a table file.

    Raises
    ------
    UsageError
        If there is none.
    """
    from hwsim.explore.store import Store
    from hwsim.explore.sweep import stored_result
    from hwsim.report.tables import FILE_FORMATS, read_frame

    if path.is_dir():
        # The table knows which designs the sweep's constraints exclude; the store does not.
        found = [path / file for file in ("designs.csv", "results.sqlite") if (path / file).is_file()]
        if not found or (name is not None and not (path / "results.sqlite").is_file()):
            raise UsageError(f"{path}: no results here; valid: a folder with designs.csv or results.sqlite")
        path = path / "results.sqlite" if name is not None else found[0]
    if not path.is_file():
        raise UsageError(f"{path}: no such file; valid: a sweep's folder, results.sqlite, designs.csv")
    if path.suffix.lstrip(".") in FILE_FORMATS:
        return read_frame(path), path.parent.resolve().name
    with Store(path) as store:
        result = stored_result(store, name)
        return result.frame, result.name
