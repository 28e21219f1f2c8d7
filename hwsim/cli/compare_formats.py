"""``hwsim compare-formats``: energy per layer per number format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hwsim.cli.common import find_workload, format_option, set_option, show, split_settings, workload_options
from hwsim.spec.data import find_example
from hwsim.spec.errors import UsageError


@click.command("compare-formats", short_help="Energy per layer kind for several number formats.")
@click.argument("arch")
@click.argument("workload")
@click.option("--formats", required=True, help="Comma-separated, e.g. fp16,int8,mxfp4,lmul_e4m3,bitmod3_g128.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder; default: here."
)
@set_option
@workload_options
@format_option
def command(
    arch: str,
    workload: str,
    formats: str,
    output: Path,
    settings: tuple[str, ...],
    shape: dict[str, Any],
    table_format: str,
) -> None:
    """Run WORKLOAD on ARCH once per format and compare energy layer by layer.

    Each format runs on the PE that is built for it, in the same array with the same buffers.
    Writes compare.csv, compare.png and compare.svg.
    """
    from hwsim.explore.compare import compare_formats
    from hwsim.report.plot.energy_bars import energy_bars_figure
    from hwsim.report.plot.style import save_figure
    from hwsim.report.tables import write_frame
    from hwsim.workload.zoo import open_settings

    names = [name.strip() for name in formats.split(",") if name.strip()]
    if shape["policy"] is not None:
        raise UsageError("compare-formats: --policy: what is compared are --formats; hwsim run takes a policy")
    of_arch, of_workload = split_settings(settings)
    trace = find_workload(workload, shape, {**open_settings(workload), **of_workload})
    comparison = compare_formats(find_example("arch_configs", arch), trace, names, of_arch)
    if table_format == "table":
        layers = (comparison.by_layer() * 1e-6).reset_index()
        show(layers, "table", title=f"energy per layer kind in µJ: {trace.name} on {comparison.arch}")
        figures = ["format", "pe", "kv_format", "energy_mj", "latency_ms", "area_mm2", "sqnr_db"]
        show(comparison.totals, "table", title="totals", columns=figures)
    else:
        show(comparison.frame, table_format)
    output.mkdir(parents=True, exist_ok=True)
    write_frame(comparison.frame, "csv", output / "compare.csv")
    figure = energy_bars_figure(comparison.frame, title=f"Energy per layer kind: {trace.name} on {comparison.arch}")
    png, svg = save_figure(figure, output / "compare")
    click.echo(f"wrote {output / 'compare.csv'}, {png}, {svg}", err=True)
