"""``hwsim schema``: JSON Schemas for editors."""

from __future__ import annotations

import json

import click

KINDS = ("arch", "workload", "sweep")


@click.command("schema", short_help="Print the JSON Schema of a YAML kind.")
@click.argument("kind", type=click.Choice(KINDS))
def command(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of arch, workload or sweep files."""
    from hwsim.cli.validate import models
    from hwsim.spec.bind import json_schema

    click.echo(json.dumps(json_schema(models()[kind], kind), indent=2))
