"""``hwsim explain``: what a cost is made of, with the source of every figure."""

from __future__ import annotations

import json

import click

from hwsim.cli.common import parse_settings, set_option, show

KINDS = ("arch", "format", "function", "memory", "pe", "technology", "unit")


@click.command("explain", short_help="Cost breakdown with the source of every figure.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--technology", default="28nm", show_default=True, help="For function, pe, unit: one of hwsim list technology."
)
@click.option("--clock", default="1 GHz", show_default=True, help="For pe: sets the number of pipeline stages.")
@set_option
@click.option("--format", "table_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(kind: str, name: str, technology: str, clock: str, settings: tuple[str, ...], table_format: str) -> None:
    """Explain NAME, a thing of KIND.

    pe: a family or a format (explain pe lmul --set format=bf16; explain pe bitmod4_g128);
    memory: a DRAM preset, sram or register_file (--set size=64KiB --set width=128 …); arch: a file
    or an example (--set array.rows=64); format and technology: a name; function: one of hwsim list
    function (--set method=piecewise --set segments=16).
    """
    from hwsim.report.explain import EXPLAINERS, Question
    from hwsim.spec.scalars import resolve_scalar
    from hwsim.spec.units import FREQUENCY

    values = {path: resolve_scalar(text) for path, text in parse_settings(settings).items()}
    question = Question(values, technology, float(FREQUENCY.parse(clock)))
    sections = EXPLAINERS.get(kind)(name, question)
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
