"""``hwsim schema``: JSON Schemas for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hwsim.spec.errors import UsageError

KINDS = ("arch", "workload", "sweep", "format", "hierarchy", "device")


def schema_text(kind: str) -> str:
    """Return the JSON Schema of a kind of file, as ``hwsim schema`` prints it."""
    from hwsim.cli.validate import models
    from hwsim.spec.bind import json_schema

    return json.dumps(json_schema(models()[kind], kind), indent=2, ensure_ascii=False) + "\n"


@click.command("schema", short_help="Print the JSON Schema of a YAML kind.")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
def command(kind: str, output: Path | None) -> None:
    """Print the JSON Schema (draft 2020-12) of arch, workload, sweep, format, hierarchy or device files.

    Editors with a YAML language server complete and check a file whose first line is
    "# yaml-language-server: $schema=PATH".
    """
    text = schema_text(kind)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{output}: cannot write the schema: {error.strerror}") from error
    click.echo(f"wrote {output}", err=True)
