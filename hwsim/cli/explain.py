"""``hwsim explain``: what a cost is made of, with the source of every figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import parse_settings, set_option, show, workload_options
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    from hwsim.report.explain import Section

KINDS = (
    "arch", "calibration", "device", "format", "function", "mapping", "memory", "network", "pe", "technology", "unit",
)  # fmt: skip
#: Where nothing else is asked for.
USUAL_TECHNOLOGY, USUAL_CLOCK = "28nm", "1 GHz"
#: Kinds that take several names.
SEVERAL = ("pe", "mapping")
#: Kinds of which there is one.
SINGLE = ("calibration",)


@click.command("explain", short_help="Cost breakdown with the source of every figure.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--technology",
    "--tech",
    default=None,
    show_default=USUAL_TECHNOLOGY,
    help="For function, network, pe, unit: one of hwsim list technology.",
)
@click.option(
    "--clock",
    default=None,
    show_default=USUAL_CLOCK,
    help="For pe: sets the number of pipeline stages; on an FPGA, where none is usual, held against data sheets.",
)
@click.option("--target", default="", help="For one PE: an FPGA device (hwsim list device) instead of a technology.")
@click.option("--stages", type=click.IntRange(1, 64), default=None, help="For one PE on an FPGA: stages of its path.")
@click.option("--iso-area", default=None, help="For several PEs: area that each fills, e.g. 2mm2.")
@click.option("--iso-throughput", default=None, help="For several PEs: throughput that each reaches, e.g. 4TOPS.")
@click.option("--w-stats", default="", help="For pe: of the weights, e.g. 'zeros=0.5 held=64'; toggle=0.2 of bits.")
@click.option("--a-stats", default="", help="For pe: of the activations; without, operands are random.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Also write pictures there.")
@click.option("--layer", default="", help="For mapping: a layer of the workload.")
@workload_options
@set_option
@click.option("--format", "table_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    kind: str,
    names: tuple[str, ...],
    technology: str | None,
    clock: str | None,
    target: str,
    stages: int | None,
    iso_area: str | None,
    iso_throughput: str | None,
    w_stats: str,
    a_stats: str,
    output: Path | None,
    layer: str,
    shape: dict[str, Any],
    settings: tuple[str, ...],
    table_format: str,
) -> None:
    """Explain NAME, a thing of KIND; calibration has no name, and several PEs are compared.

    pe: a family or a format (explain pe lmul --set format=bf16; explain pe bitmod4_g128), on an FPGA with
    --target zcu104; device: one of hwsim list device; memory: a DRAM preset, sram or register_file
    (--set size=64KiB --set width=128 …); arch: a file or an example (--set array.rows=64); format: a name;
    technology: a name (--set vdd=0.8V --set temperature=85degC); network: a topology (--set rows=8
    --set pitch=0.5mm --set router_energy=0.1pJ/bit); function: one of hwsim list function (--set
    method=piecewise --set segments=16); mapping: an architecture or a hierarchy (hwsim list hierarchy), and a
    workload, with --layer and the options that shape the workload.
    """
    from hwsim.report.explain import EXPLAINERS, Question
    from hwsim.spec.paths import read_value
    from hwsim.spec.units import AREA, FREQUENCY, THROUGHPUT

    name = _only(kind, names)
    values = {path: read_value(text) for path, text in parse_settings(settings).items()}
    area = None if iso_area is None else float(AREA.parse(iso_area))
    rate = None if iso_throughput is None else float(THROUGHPUT.parse(iso_throughput))
    if (area or rate) and len(names) < 2:
        raise UsageError("explain pe: --iso-area and --iso-throughput compare several PEs; found one, name another")
    given_hz = None if clock is None else float(FREQUENCY.parse(clock))
    _refuse_elsewhere(kind, names, target, technology, bool(layer or any(v is not None for v in shape.values())))
    question = Question(
        values,
        technology or USUAL_TECHNOLOGY,
        float(FREQUENCY.parse(USUAL_CLOCK)) if given_hz is None else given_hz,
        area,
        rate,
        w_stats,
        a_stats,
        names[1:],
        layer,
        target,
        shape,
        given_hz,
        stages,
    )
    if stages is not None and not (kind == "pe" and len(names) == 1 and question.on_device):
        raise UsageError("explain: --stages is for one PE on an FPGA; elsewhere --clock sets the stages")
    sections = EXPLAINERS.get(kind)(name, question)
    if output is not None:
        _draw(sections, output / f"{kind}_{Path(name).stem}")
    _print(sections, table_format)


def _only(kind: str, names: tuple[str, ...]) -> str:
    """Return the first name; several are for PEs, none for a kind that is one thing."""
    if len(names) > 1 and kind not in SEVERAL:
        raise UsageError(f"explain {kind}: one name at a time, found {len(names)}; several PEs can be compared")
    if not names and kind not in SINGLE:
        raise UsageError(f"explain {kind}: a name is missing; see hwsim list {kind}")
    return names[0] if names else ""


def _refuse_elsewhere(kind: str, names: tuple[str, ...], target: str, technology: str | None, shaped: bool) -> None:
    """Refuse options that mean nothing for what is asked."""
    if kind != "mapping" and shaped:
        raise UsageError(
            f"explain {kind}: --layer and what shapes a workload, such as --phase and --batch, are for explain mapping"
        )
    if target and (kind != "pe" or len(names) > 1):
        raise UsageError("explain: --target is for explain pe with one PE")
    if target and technology not in (None, target):
        raise UsageError(
            f"explain pe: --technology {technology} and --target {target} contradict each other: a PE is priced on one "
            "of them; leave one out"
        )


def _print(sections: list[Section], table_format: str) -> None:
    if table_format == "json":
        found = [
            {"title": s.title, "rows": json.loads(s.frame.to_json(orient="records")), "notes": list(s.notes)}
            for s in sections
        ]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for section in sections:
        show(section.frame, "table", title=section.title)
        for note in section.notes:
            click.echo(f"  {note}")
        if section.notes:
            click.echo()


def _draw(sections: list[Section], stem: Path) -> None:
    """Write the pictures of sections that have one; the second and later ones are numbered."""
    from hwsim.report.plot.style import save_figure

    drawn = [section.draw for section in sections if section.draw is not None]
    if not drawn:
        raise UsageError(f"explain {stem.name}: there is no picture of this")
    stem.parent.mkdir(parents=True, exist_ok=True)
    for number, draw in enumerate(drawn, 1):
        png, svg = save_figure(draw(), stem.with_name(stem.name + (f"_{number}" if number > 1 else "")))
        click.echo(f"wrote {png}, {svg}", err=True)
