"""``hwsim sweep``: every design of a sweep file on every workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwsim.cli.common import format_option, show
from hwsim.spec.data import find_example

if TYPE_CHECKING:
    from hwsim.explore.sweep import SweepResult

#: Columns of the terminal table before the swept parameters' own.
SHOWN = ("design_id", "area_mm2", "latency_ms", "energy_mj", "tops_per_watt", "utilization", "sqnr_db")
#: What stands beside a single objective in the picture; every design has both.
SECOND = ("latency_ms", "sqnr_db")
#: Rows of a front that the terminal shows.
MOST_ROWS = 12


@click.command("sweep", short_help="Evaluate every point of a sweep file.")
@click.argument("sweep")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Worker processes.")
@click.option("--resume/--fresh", default=True, show_default=True, help="Keep or forget what the folder has already.")
@click.option("--shard", metavar="I/N", help="Only part I of N; merge the folders' results afterwards.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: out/NAME.")
@format_option
def command(sweep: str, jobs: int, resume: bool, shard: str | None, output: Path | None, table_format: str) -> int:
    """Evaluate SWEEP, a YAML file or the name of an example (hwsim list sweep).

    Each finished point is stored at once in results.sqlite; after Ctrl-C or a crash the same
    command goes on where it was. Writes designs.csv, pareto.png, pareto.svg and report.html.
    """
    from hwsim.cli._progress import sweep_progress
    from hwsim.explore.evaluation import PointEvaluator, open_sweep
    from hwsim.explore.store import Store
    from hwsim.explore.sweep import parse_shard, run_sweep

    opened = open_sweep(find_example("sweeps", sweep))
    part = None if shard is None else parse_shard(shard)
    folder = output or Path("out") / opened.spec.name
    with Store(folder / "results.sqlite", fresh=not resume) as store:
        try:
            with sweep_progress(opened.spec.name) as progress:
                result = run_sweep(opened, PointEvaluator(opened), store, jobs, part, progress)
        except KeyboardInterrupt:
            click.echo(f"interrupted: {len(store)} finished points are kept in {folder}; run again to go on", err=True)
            raise
    written = write_results(result, folder)
    report(result, table_format)
    click.echo(f"wrote {', '.join(str(path) for path in written)}", err=True)
    return result.exit_code


def write_results(result: SweepResult, folder: Path) -> list[Path]:
    """Write the design table, the Pareto plot and the report of ``result``; return their paths."""
    from hwsim.report.plot.pareto import pareto_figure
    from hwsim.report.plot.style import save_figure
    from hwsim.report.sweep_page import sweep_report
    from hwsim.report.tables import write_frame

    write_frame(result.frame, "csv", folder / "designs.csv")
    x, y, *rest = [*result.objectives, *(name for name in SECOND if name not in result.objectives)]
    z = rest[0] if len(result.objectives) > 2 else None
    figure = pareto_figure(result.frame, x, y, z, directions=result.objectives, title=result.name)
    png, svg = save_figure(figure, folder / "pareto")
    page = sweep_report(result, {"Pareto front": figure}, folder / "report.html")
    return [folder / "designs.csv", png, svg, page]


def report(result: SweepResult, table_format: str) -> None:
    """Print the fronts, or the whole design table in a machine's format."""
    if table_format != "table":
        show(result.frame, table_format)
        return
    front = result.front()
    order = next(iter(result.objectives))
    for workload, rows in front.groupby("workload", sort=False):
        best = rows.sort_values(order, ascending=result.objectives[order] == "min", kind="stable")
        more = f", the first {MOST_ROWS}" if len(best) > MOST_ROWS else ""
        title = f"{workload}: {len(best)} designs on the Pareto front of {', '.join(result.objectives)}{more}"
        shown = [name for name in dict.fromkeys([*SHOWN, *result.objectives]) if best[name].notna().any()]
        show(best.head(MOST_ROWS), "table", title=title, columns=shown)
    if front.empty and result.lacking:
        click.echo(f"no design on a front: {result.frame.loc[result.frame['status'] == 'excluded', 'reason'].iloc[0]}")
    for note in result.notes:
        click.echo(f"{note}.", err=True)
    click.echo(summary(result))


def summary(result: SweepResult) -> str:
    """Return one line: how many points, and what became of them."""
    counts = [f"{count} {status}" for status, count in result.counts.items() if count]
    pruned = [f"{result.pruned} left out by constraints on fields"] if result.pruned else []
    if result.lacking:
        pruned.append(f"{result.lacking} of the excluded lack a metric (designs.csv has the reasons)")
    origin = f"{result.evaluated} evaluated now, {result.reused} found in the store"
    return f"{result.name}: {len(result.rows)} of {result.total} points: {', '.join([*counts, *pruned])} ({origin})"
