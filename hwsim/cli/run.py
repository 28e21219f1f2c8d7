"""``hwsim run``: one architecture, one workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import find_workload, format_option, set_option, show, split_settings, workload_options
from hwsim.spec.data import find_example

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the terminal table; the CSV has all of them.
SHOWN = ["layer", "op", "m", "n", "k", "repeat", "w_format", "a_format", "time_us", "utilization", "bound", "energy_pj"]


@click.command("run", short_help="Simulate one workload on one architecture.")
@click.argument("arch")
@click.argument("workload")
@click.option(
    "--engine",
    default="fast",
    show_default=True,
    help="fast; event: busy intervals, event by event; pe: cycle-stepped, for small GEMMs; roofline: perfect overlap.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for layers.csv and designs.csv."
)
@set_option
@workload_options
@format_option
def command(
    arch: str,
    workload: str,
    engine: str,
    output: Path | None,
    settings: tuple[str, ...],
    shape: dict[str, Any],
    table_format: str,
) -> None:
    """Simulate WORKLOAD on ARCH and print cycles, traffic and energy per layer.

    ARCH is a YAML file or the name of an example (hwsim list arch). WORKLOAD is a model name
    (hwsim list model), a trace CSV, a Hugging Face config.json or a workload YAML.

    --set replaces a field of ARCH, --set workload.num_hidden_layers=2 a setting of WORKLOAD as hwsim trace has it.
    """
    import pandas as pd

    from hwsim.report.tables import write_frame
    from hwsim.simulate.architecture import open_arch
    from hwsim.simulate.evaluate import evaluate
    from hwsim.simulate.on_device import resource_frame

    of_arch, of_workload = split_settings(settings)
    simulated = open_arch(find_example("arch_configs", arch), of_arch)
    trace = find_workload(workload, shape, of_workload)
    with simulated.blame():
        result = evaluate(simulated, trace, engine)
    design = pd.DataFrame([{"design_id": result.design_id, "workload": result.trace_name, **result.design_row}])
    resources = resource_frame(simulated)
    title = f"{result.trace_name} on {result.design_id} (engine {engine})"
    show(result.frame, table_format, title=title, columns=SHOWN)
    if table_format == "table":
        figures = [c for c in design.columns if c not in ("design_id", "workload", "status", "reason")]
        show(design, table_format, title="totals", columns=figures)
        if resources is None:
            click.echo(NOTE)
        else:
            show(resources, table_format, title=f"resources of {result.design_row['device']}")
        dram = simulated.accelerator.dram
        how = f"{dram.effective_gb_s:g} of {dram.bandwidth_gb_s:g} GB/s: {dram.bandwidth_how}"
        if engine == "event" and simulated.accelerator.spec.dram.banks:
            how = f"banks with open rows, command by command, of {dram.bandwidth_gb_s:g} GB/s"
        click.echo(f"DRAM {dram.name}: {how}.")
    for note in result.notes:
        if note == trace.meta.get("policy_note"):  # said before the run, which formats may end
            continue
        click.echo(f"{note}.", err=table_format != "table")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_frame(result.frame, "csv", output / "layers.csv")
        write_frame(design, "csv", output / "designs.csv")
        click.echo(f"wrote {output / 'layers.csv'} and {output / 'designs.csv'}", err=True)
        if resources is not None:
            _write_resources(result.design_id, resources, output)


def _write_resources(design: str, resources: pd.DataFrame, output: Path) -> None:
    """Write what a design takes of its FPGA device, as a table and a picture."""
    from hwsim.report.plot.budget_bars import budget_bars_figure
    from hwsim.report.plot.style import save_figure
    from hwsim.report.tables import write_frame

    write_frame(resources, "csv", output / "resources.csv")
    png, svg = save_figure(budget_bars_figure(design, resources), output / "resources")
    click.echo(f"wrote {output / 'resources.csv'}, {png}, {svg}", err=True)


NOTE = (
    "PE and vector energies are modelled from gates: ratios are good to some per cent, absolute pJ to about 2×. "
    "Operands are taken as random unless the trace states w_stats or a_stats."
)
