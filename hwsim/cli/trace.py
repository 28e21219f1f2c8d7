"""``hwsim trace``: the GEMMs and vector operations of a model."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hwsim.cli.common import find_workload, parse_settings, set_option, workload_options


@click.command("trace", short_help="Write the GEMM trace of a model.")
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV, or YAML by its suffix; default: CSV to standard output.",
)
@click.option("--summary", is_flag=True, help="Print MACs, bytes and parameters instead.")
@set_option
@workload_options
def command(
    source: str,
    output: Path | None,
    summary: bool,
    settings: tuple[str, ...],
    phase: str | None,
    seq_len: int | None,
    context: int | None,
    batch: int | None,
) -> None:
    """Write the trace of SOURCE: a model name, a Hugging Face config.json, or what hwsim list importer names.

    --set gives what an importer needs besides, such as the size of a dynamic axis: --set batch=1.
    """
    from hwsim.workload import summarize, write_trace
    from hwsim.workload.importers.yaml_rows import write_yaml
    from hwsim.workload.spec import YAML_SUFFIXES

    trace = find_workload(source, phase, seq_len, context, batch, parse_settings(settings))
    if summary:
        for name, value in summarize(trace).items():
            click.echo(f"{name:32} {value:,}" if isinstance(value, int) else f"{name:32} {value}")
        return
    if output is None:
        write_trace(trace, sys.stdout)
    else:
        (write_yaml if output.suffix.lower() in YAML_SUFFIXES else write_trace)(trace, output)
        click.echo(f"wrote {output}: {len(trace.ops)} operations", err=True)
