"""``hwsim fit``: the largest array of a PE within the budgets of an FPGA device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hwsim.cli.common import format_option, parse_settings, set_option, show
from hwsim.spec.errors import UsageError


@click.command("fit", short_help="Largest array of a PE on an FPGA device.")
@click.argument("device")
@click.argument("pe")
@click.option("--clock", default=None, help="Clock that the design reaches, e.g. 250MHz; without, no throughput.")
@click.option("--reserve", default="0%", show_default=True, help="Share of every budget that is kept back.")
@click.option("--dsp", default="auto", show_default=True, help="Products in DSP blocks: auto, never or always.")
@click.option("--dataflow", default="weight_stationary", show_default=True, help="Decides what neighbours share.")
@click.option("--shell", multiple=True, metavar="ITEM=N", help="Interfaces beside the array, e.g. ddr4_controller=1.")
@click.option("--rows", type=click.IntRange(1), default=None, help="Rows of the array; default: as many as fit.")
@click.option("--cols", type=click.IntRange(1), default=None, help="Columns of the array.")
@click.option("--power", default=None, help="Power of the design, e.g. 8.08W, for operations per watt.")
@click.option("--static-power", default=None, help="Power at rest, for the most operations per watt there can be.")
@click.option("--stages", type=click.IntRange(1, 64), default=None, help="Stages of every PE, with their registers.")
@click.option("--grade", default="-2", show_default=True, help="Speed grade.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Also write fit.csv and pictures."
)
@set_option
@format_option
def command(
    device: str,
    pe: str,
    clock: str | None,
    reserve: str,
    dsp: str,
    dataflow: str,
    shell: tuple[str, ...],
    rows: int | None,
    cols: int | None,
    power: str | None,
    static_power: str | None,
    stages: int | None,
    grade: str,
    output: Path | None,
    settings: tuple[str, ...],
    table_format: str,
) -> None:
    """Fit as many PEs on DEVICE as its LUTs, flip-flops and DSP blocks hold.

    DEVICE is one of hwsim list device, or the path of a YAML file of your own (hwsim schema device).
    PE is a family with --set format=…, or a format whose usual PE is taken: hwsim fit zcu104 int8.
    """
    from hwsim.explore.fit import FitRequest, fit
    from hwsim.hardware.pe import pe_options
    from hwsim.spec.paths import read_value
    from hwsim.spec.units import FREQUENCY, POWER

    values = {path: read_value(text) for path, text in parse_settings(settings).items()}
    found = fit(
        FitRequest(
            device=device,
            pe=pe_options(pe, values),
            dataflow=dataflow,
            dsp=dsp,  # type: ignore[arg-type]
            clock_hz=None if clock is None else float(FREQUENCY.parse(clock)),
            reserve=_share(reserve),
            shell=_counts(shell),
            rows=rows,
            cols=cols,
            power_w=None if power is None else float(POWER.parse(power)),
            static_power_w=None if static_power is None else float(POWER.parse(static_power)),
            grade=grade,
            stages=stages,
        )
    )
    if table_format == "table":
        array = found.array
        title = f"{array.rows} × {array.cols} PEs on {found.device.name} ({found.device.board}): {array.binding} binds"
        show(found.frame, "table", title=title)
        show(found.pe_frame, "table", title=f"one PE: {found.pe.family} {found.pe.w_format.name}")
        for line in _lines(found):
            click.echo(f"  {line}")
    else:
        show(found.frame, table_format)
    if output is not None:
        _write(found, output)


def _lines(found: Any) -> list[str]:
    from hwsim.hardware.fpga.board import LOGIC_WORDS

    figures = found.figures
    logic = LOGIC_WORDS[found.device.logic]
    split = f"{figures['pes_in_dsp']} PEs have their products in DSP blocks, {figures['pes_in_lut']} in {logic}"
    rate = [] if found.gops is None else [f"{found.gops:,.4g} GOPS at {found.request.clock_hz / 1e6:g} MHz (as given)"]
    watt = [] if found.gops_per_watt is None else [f"{found.gops_per_watt:,.4g} GOPS/W at the power that is given"]
    most = found.most_gops_per_watt
    bound = [] if most is None else [f"at most {most:,.4g} GOPS/W: the static power that is given, nothing switching"]
    return [split, *rate, *watt, *bound, *found.notes]


def _share(text: str) -> float:
    from hwsim.hardware.fpga.spec import read_share

    try:
        return float(read_share(text))
    except UsageError as error:
        raise UsageError(f"--reserve: {error}") from None


def _counts(items: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for item in items:
        name, equals, count = item.partition("=")
        if not equals or not count.strip().isdecimal():
            raise UsageError(f"--shell {item!r}: expected ITEM=N, for example ddr4_controller=1")
        found[name.strip()] = int(count)
    return found


def _write(found: Any, output: Path) -> None:
    from hwsim.report.plot.budget_bars import budget_bars_figure
    from hwsim.report.plot.style import save_figure
    from hwsim.report.tables import write_frame

    array = found.array
    output.mkdir(parents=True, exist_ok=True)
    write_frame(found.frame, "csv", output / "fit.csv")
    title = f"{array.rows} × {array.cols} {found.pe.family} PEs of {found.pe.w_format.name} on {found.device.name}"
    png, svg = save_figure(budget_bars_figure(title, found.frame), output / "fit")
    click.echo(f"wrote {output / 'fit.csv'}, {png}, {svg}", err=True)
