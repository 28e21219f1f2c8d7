"""``hwsim trace``: the GEMMs and vector operations of a model."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hwsim.cli.common import find_workload, parse_settings, set_option, workload_options
from hwsim.spec.errors import UsageError


@click.command("trace", short_help="Write the GEMM trace of a model.")
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
@click.option("--summary", is_flag=True, help="Print MACs, bytes and parameters instead.")
@click.option(
    "--stats",
    metavar="FORMATS",
    help="Measure weights of a safetensors SOURCE in these formats, a,b,…; beside OUTPUT.",
)
@set_option
@workload_options
def command(
    source: str,
    output: Path | None,
    summary: bool,
    stats: str | None,
    settings: tuple[str, ...],
    phase: str | None,
    seq_len: int | None,
    context: int | None,
    batch: int | None,
) -> None:
    """Write the trace of SOURCE: a model name, a Hugging Face config.json, or what hwsim list importer names.

    --stats int8_g128 counts which codes the weights have, for PEs whose cycles depend on data.
    --set gives what an importer needs besides, such as the size of a dynamic axis: --set batch=1.
    """
    from hwsim.workload import summarize, write_trace

    trace = find_workload(source, phase, seq_len, context, batch, parse_settings(settings))
    if stats is not None:
        if output is None:
            raise UsageError("--stats: statistics are files beside the trace: name it, for example -o trace.csv")
        from hwsim.workload.statistics import measure

        beside = output.with_name(f"{output.stem}.stats.json")
        trace = measure(trace, Path(source), [name.strip() for name in stats.split(",")], beside)
        click.echo(f"wrote {beside}", err=True)
    if summary:
        for name, value in summarize(trace).items():
            click.echo(f"{name:32} {value:,}" if isinstance(value, int) else f"{name:32} {value}")
        return
    if output is None:
        write_trace(trace, sys.stdout)
    else:
        write_trace(trace, output)
        click.echo(f"wrote {output}: {len(trace.ops)} operations", err=True)
