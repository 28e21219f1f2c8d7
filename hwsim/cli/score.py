"""``hwsim score``: our model against a table of reference rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwsim.cli._progress import rows_progress
from hwsim.cli.common import format_option, show
from hwsim.spec.errors import ComparisonError

if TYPE_CHECKING:
    from hwsim.explore.score import Bar

#: Rows with the largest errors that are shown.
WORST = 10


@click.command("score", short_help="Compare the model with a table of reference rows.")
@click.argument("kind")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="All rows with their errors, CSV."
)
@click.option(
    "--leave-out", type=click.IntRange(2), metavar="N", help="Price every Nth row without it, N times over (sram)."
)
@click.option(
    "--layers", type=click.Path(path_type=Path, dir_okay=False), help="Rows per layer of the rows of FILE (bitmod)."
)
@format_option
def command(
    kind: str, file: Path, output: Path | None, leave_out: int | None, layers: Path | None, table_format: str
) -> None:
    """Compare the model of KIND with the rows of FILE; exit code 4 when a bar is missed.

    Kinds: synthesis (units of known size in a cell library), sram (rows of CACTI 7), dram (runs of Ramulator 2.1
    or DRAMsim3), bitmod (runs of BitMoD's simulator), bitmod-paper (published figures of BitMoD),
    mixpe (layers of the simulators of ANT and MixPE), scalesim (runs of SCALE-Sim 3.0.0, every figure equal),
    mapping (bits moved by given loop nests in AccelForge, ZigZag and Timeloop), optimum (the best energies that
    they found), models (parameters and products of recorded modules, every figure equal), gemms (their products
    shape by shape), gguf (bits per weight of models that llama.cpp quantized).
    """
    import pandas as pd

    from hwsim.explore.score import score
    from hwsim.report.tables import write_frame

    found = score(kind, file, leave_out, rows_progress(kind), layers)
    bars = pd.DataFrame(
        [
            {"bar": b.name, "value": b.value, "limit": _limit(b), "reached": _reached(b)} for b in found.bars
        ]
    )  # fmt: skip
    if table_format == "table":
        worst = found.frame.reindex(found.frame["error"].abs().sort_values(ascending=False).index).head(WORST)
        show(worst.reset_index(drop=True), "table", title=f"largest errors of {len(found.frame)} figures")
    show(bars, table_format, title=f"{kind}: {file}")
    for note in found.notes:
        click.echo(note, err=True)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_frame(found.frame, "csv", output)
        click.echo(f"wrote {output}", err=True)
    missed = [b.name for b in found.bars if not b.reached]
    if missed:
        raise ComparisonError(f"{kind}: bars missed: {', '.join(missed)}")


def _limit(bar: Bar) -> str:
    return "" if bar.limit is None else ("≥ " if bar.at_least else "≤ ") + f"{bar.limit:g}"


def _reached(bar: Bar) -> str:
    return "" if bar.limit is None else "yes" if bar.reached else "no"
