"""``hwsim formats``: number formats beside one another, without any hardware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import format_option, show
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from hwsim.formats import Format


@click.group("formats", short_help="Compare number formats without hardware.")
def command() -> None:
    """What number formats cost in bits and lose in accuracy."""


@command.command("compare", short_help="SQNR against bits per element.")
@click.argument("names", nargs=-1, required=True, metavar="FORMAT...")
@click.option("--distribution", "distributions", multiple=True, help="May be given several times; default: gaussian.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Default: here.")
@format_option
def compare(names: tuple[str, ...], distributions: tuple[str, ...], output: Path, table_format: str) -> None:
    """Print SQNR and bits per element of every FORMAT and draw one against the other.

    Writes formats.csv, formats.png and formats.svg.
    """
    from hwsim.report.plot.pareto import pareto_figure
    from hwsim.report.plot.style import save_figure
    from hwsim.report.tables import write_frame

    frame = losses(names, distributions or ("gaussian",))
    figure = pareto_figure(
        frame,
        "bits_per_element",
        "sqnr_db",
        directions={"bits_per_element": "min", "sqnr_db": "max"},
        title="What formats cost in bits and lose in accuracy",
    )
    shown = frame.rename(columns={"design_id": "format", "workload": "distribution"})
    show(shown, table_format)
    output.mkdir(parents=True, exist_ok=True)
    write_frame(shown, "csv", output / "formats.csv")
    png, svg = save_figure(figure, output / "formats")
    click.echo(f"wrote {output / 'formats.csv'}, {png}, {svg}", err=True)


@command.command("accuracy", short_help="Published perplexities and scores.")
@click.argument("model", required=False)
@click.option("--w-format", metavar="FORMAT", help="Only weights of FORMAT, or of a source's label ('INT4 g128').")
@click.option("--a-format", metavar="FORMAT", help="Only activations of FORMAT.")
@click.option("--metric", help="Only this metric, e.g. ppl.")
@format_option
def accuracy(
    model: str | None, w_format: str | None, a_format: str | None, metric: str | None, table_format: str
) -> None:
    """Print published accuracy of MODEL (default: of all models), each figure with its source.

    Rows compare only within one group, model, dataset and metric. sqnr_db is ours: of a GEMM's
    result on Gaussian operands in the same formats, where the source's label fixes both.
    """
    show(published_frame(model, w_format, a_format, metric), table_format, columns=SHOWN)


#: Columns of the terminal table; CSV and JSON have all.
SHOWN = ["model", "dataset", "metric", "value", "label", "w_format", "a_format", "method", "sqnr_db", "group", "source"]


def published_frame(model: str | None, w_format: str | None, a_format: str | None, metric: str | None) -> pd.DataFrame:
    """Return the published rows that match, as a table, with our Gaussian SQNR beside them.

    Raises
    ------
    UsageError
        If a name is unknown.
    """
    from dataclasses import asdict, fields

    import pandas as pd

    from hwsim.formats import parse_format
    from hwsim.formats.published import PublishedAccuracy, published
    from hwsim.formats.quality import accuracy

    rows = []
    for row in published(model, w_format, a_format, metric):
        known = bool(row.w_format and row.a_format)
        ours = accuracy(parse_format(row.w_format), parse_format(row.a_format)).value if known else None
        rows.append({**asdict(row), "sqnr_db": ours})
    return pd.DataFrame(rows, columns=[*(field.name for field in fields(PublishedAccuracy)), "sqnr_db"])


def losses(names: tuple[str, ...], distributions: tuple[str, ...]) -> pd.DataFrame:
    """Return bits and losses of every format on every distribution, as a design table.

    Raises
    ------
    UsageError
        If a format or distribution is unknown, or a format is named twice.
    """
    import pandas as pd

    from hwsim.formats.accuracy import fitted_quantize, loss
    from hwsim.formats.distributions import sample
    from hwsim.formats.names import format_or_file

    formats = [format_or_file(name) for name in names]
    if len({fmt.name for fmt in formats}) != len(formats):
        raise UsageError(f"a format is named twice: {', '.join(fmt.name for fmt in formats)}")
    rows = []
    for distribution in dict.fromkeys(distributions):
        x = sample(distribution)
        for fmt in formats:
            found = loss(x, fitted_quantize(fmt, x))
            figures = {"sqnr_db": found.sqnr_db, "mse": found.mse, "cosine": found.cosine, "max_error": found.max_error}
            rows.append({"design_id": fmt.name, "workload": distribution, "bits_per_element": _bits(fmt, x), **figures})
    return pd.DataFrame(rows)


def _bits(fmt: Format, x: NDArray[Any]) -> float:
    """Return the bits that ``fmt`` takes per number of the sample ``x``."""
    from hwsim.formats.block.split import Split

    if isinstance(fmt, Split):  # how many outliers there are depends on the data
        return fmt.measured_bits(x)
    # Two real numbers are one complex element.
    return float(fmt.bits_per_element) / (2 if fmt.element.complex_valued else 1)
