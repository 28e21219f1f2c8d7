"""``hwsim compare-formats``: energy per layer per number format; on FPGA devices resources and time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import find_workload, format_option, set_option, show, split_settings, workload_options
from hwsim.spec.data import find_example
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwsim.explore.compare import Comparison

#: Columns of the table of totals on an ASIC, and on an FPGA device.
TOTALS = ("format", "pe", "kv_format", "energy_mj", "latency_ms", "area_mm2", "sqnr_db")
SHARES = (
    "format", "pe", "pe_lut6", "pe_alm", "lut6", "lut_share", "alm", "alm_share", "ff_share", "dsp", "dsp_share",
    "bram36", "bram_share", "m20k", "m20k_share", "binding", "latency_ms", "gops", "energy_mj", "sqnr_db", "status",
)  # fmt: skip


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
) -> int:
    """Run WORKLOAD on ARCH once per format and compare energy layer by layer.

    Each format runs on the PE that is built for it, in the same array with the same buffers. On an FPGA device:
    LUTs, flip-flops, DSP blocks, block RAM and time; exit code 3 if it does not hold or price a format.
    Writes compare.csv, compare.png, compare.svg and compare.html.
    """
    from hwsim.explore.compare import compare_formats
    from hwsim.report.compare_page import compare_report, layer_table
    from hwsim.report.plot.style import save_figure
    from hwsim.report.tables import write_frame

    names = [name.strip() for name in formats.split(",") if name.strip()]
    if shape["policy"] is not None:
        raise UsageError("compare-formats: --policy: what is compared are --formats; hwsim run takes a policy")
    of_arch, of_workload = split_settings(settings)
    trace = find_workload(workload, shape, of_workload, requantized=True)
    comparison = compare_formats(find_example("arch_configs", arch), trace, names, of_arch)
    if table_format == "table":
        layers, title = layer_table(comparison)
        show(layers, "table", title=f"{title}: {trace.name} on {comparison.arch}")
        columns = [name for name in (TOTALS if comparison.device is None else SHARES) if name in comparison.totals]
        show(comparison.totals, "table", title="totals", columns=columns)
    else:
        show(comparison.frame, table_format)
    for note in comparison.notes:
        click.echo(f"{note}.", err=table_format != "table")
    for name, (status, reason) in comparison.left_out.items():
        click.echo(f"{name}: {status}: {reason}", err=True)
    output.mkdir(parents=True, exist_ok=True)
    write_frame(comparison.frame, "csv", output / "compare.csv")
    written = [output / "compare.csv"]
    if comparison.device is not None:
        write_frame(comparison.totals, "csv", output / "totals.csv")
        written.append(output / "totals.csv")
    figure = _figure(comparison)
    written += save_figure(figure, output / "compare")
    written.append(compare_report(comparison, figure, output / "compare.html"))
    click.echo(f"wrote {', '.join(str(path) for path in written)}", err=True)
    return 3 if comparison.left_out else 0


def _figure(comparison: Comparison) -> Figure:
    from hwsim.report.plot.device_bars import device_bars_figure
    from hwsim.report.plot.energy_bars import energy_bars_figure

    if comparison.device is None:
        title = f"Energy per layer kind: {comparison.workload} on {comparison.arch}"
        return energy_bars_figure(comparison.frame, title=title)
    title = f"Number formats on {comparison.device}: {comparison.workload} on {comparison.arch}"
    notes = [f"{name}: {status}: {reason}" for name, (status, reason) in comparison.left_out.items()]
    return device_bars_figure(comparison.totals, title, [*comparison.notes, *notes])
