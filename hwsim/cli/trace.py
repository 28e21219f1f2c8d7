"""``hwsim trace``: the GEMMs and vector operations of a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import find_workload, parse_settings, workload_options
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    from hwsim.workload import Trace

#: Suffixes of pictures.
PICTURES = (".svg", ".png")


@click.command("trace", short_help="Write the GEMM trace of a model.")
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV, or YAML by its suffix; default: CSV to standard output.",
)
@click.option("--summary", is_flag=True, help="Print parameters, MACs, bytes and memory instead.")
@click.option(
    "--stats",
    metavar="FORMATS",
    help="Measure weights of a safetensors or GGUF SOURCE in these formats, a,b,…; beside OUTPUT.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw MACs, bytes and intensity per layer: a .svg or .png file, both without a suffix.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of config.json, or a size, e.g. batch=1."
)
@workload_options
def command(
    source: str,
    output: Path | None,
    summary: bool,
    stats: str | None,
    plot: Path | None,
    settings: tuple[str, ...],
    shape: dict[str, Any],
) -> None:
    """Write the trace of SOURCE.

    SOURCE is a model's name (hwsim list model), or a file: a Hugging Face config.json, GGUF, safetensors, an ONNX
    graph, a SCALE-Sim topology, a trace CSV, a workload YAML; a folder with one model; or python:FILE.py:FUNCTION,
    which makes a PyTorch module. hwsim list importer has all kinds.

    --stats int8_g128 counts which codes the weights have, for PEs whose cycles depend on data.
    --set replaces a key of a model's config.json (--set num_hidden_layers=2, --set expert_distribution=zipf:1), or
    gives what an importer needs besides, such as the size of a dynamic axis: --set batch=1.
    --policy gives formats to what SOURCE leaves open; those that a file states stay, and a line says how many.
    """
    from hwsim.workload import summarize, write_trace
    from hwsim.workload.cutting import share_notes
    from hwsim.workload.importers.yaml_rows import write_yaml
    from hwsim.workload.naming import YAML_SUFFIXES

    if plot is not None:
        _check_picture(plot)
    trace = find_workload(source, shape, parse_settings(settings))
    for note in share_notes(trace):
        click.echo(note, err=True)
    if stats is not None:
        if output is None:
            raise UsageError("--stats: statistics are files beside the trace: name it, for example -o trace.csv")
        from hwsim.workload.statistics import measure

        beside = output.with_name(f"{output.stem}.stats.json")
        checkpoint = Path(str(trace.meta.get("checkpoint", source)))
        trace = measure(trace, checkpoint, [name.strip() for name in stats.split(",")], beside)
        click.echo(f"wrote {beside}", err=True)
    if plot is not None:
        _draw(trace, plot)
    if summary:
        for name, value in summarize(trace).items():
            click.echo(f"{name:32} {_shown(value)}")
        return
    if output is None:
        write_trace(trace, sys.stdout)
    else:
        (write_yaml if output.suffix.lower() in YAML_SUFFIXES else write_trace)(trace, output)
        click.echo(f"wrote {output}: {len(trace.ops)} operations{_assumed(trace)}", err=True)


def _assumed(trace: Trace) -> str:
    """Say which distribution stands for weights that nobody measured."""
    from hwsim.formats.operand import DEFAULT_DISTRIBUTION

    if not any(gemm.w_source == "dram" and not gemm.w_stats for gemm in trace.gemms):
        return ""
    return f"; weights are not measured (--stats): {DEFAULT_DISTRIBUTION} is assumed where cycles depend on data"


def _shown(value: Any) -> str:
    if value is None:
        return "not known: the trace does not say"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _check_picture(path: Path) -> None:
    """Refuse a suffix of another form, before anything is written; UsageError."""
    if path.suffix and path.suffix.lower() not in PICTURES:
        raise UsageError(f"--plot {path}: unknown kind of picture; valid: {', '.join(PICTURES)}, or no suffix for both")


def _draw(trace: Trace, path: Path) -> None:
    """Draw ``trace`` to ``path``, in one form by its suffix, or in both.

    Raises
    ------
    UsageError
        If the file cannot be written, or there is nothing to draw.
    """
    from hwsim.report.files import write_atomically
    from hwsim.report.plot.style import png_bytes, save_figure, svg_bytes
    from hwsim.report.plot.trace_bars import trace_bars_figure
    from hwsim.workload import layer_table, summarize

    forms = dict(zip(PICTURES, (svg_bytes, png_bytes), strict=True))
    figure = trace_bars_figure(layer_table(trace), trace.name, str(summarize(trace)["formats"]))
    if path.suffix:
        write_atomically(path, forms[path.suffix.lower()](figure))
        click.echo(f"wrote {path}", err=True)
    else:
        png, svg = save_figure(figure, path)
        click.echo(f"wrote {png}, {svg}", err=True)
