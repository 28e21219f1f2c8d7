"""Options and small helpers that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.workload import Trace

F = TypeVar("F", bound=Callable[..., Any])

TABLE_FORMATS = ("table", "csv", "json", "parquet")


def workload_options(function: F) -> F:
    """Add the options that shape a workload given by its name."""
    for option in (
        click.option("--batch", type=click.IntRange(1), default=None, help="Sequences in parallel."),
        click.option("--context", type=click.IntRange(1), default=None, help="Cached tokens in decode."),
        click.option("--seq-len", type=click.IntRange(1), default=None, help="Tokens in prefill."),
        click.option("--phase", type=click.Choice(["prefill", "decode"]), default=None, help="Default: prefill."),
    ):
        function = option(function)
    return function


def set_option(function: F) -> F:
    """Add ``--set path=value``."""
    return click.option(
        "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a field, e.g. array.rows=64."
    )(function)


def format_option(function: F) -> F:
    """Add ``--format``."""
    return click.option(
        "--format", "table_format", type=click.Choice(TABLE_FORMATS), default="table", show_default=True
    )(function)


def parse_settings(settings: tuple[str, ...]) -> dict[str, str]:
    """Turn ``("a.b=1", …)`` into a mapping; UsageError when one has no ``=``."""
    parsed: dict[str, str] = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not path.strip():
            raise UsageError(f"--set {setting!r}: expected PATH=VALUE, for example array.rows=64")
        parsed[path.strip()] = value.strip()
    return parsed


def find_workload(
    workload: str,
    phase: str | None,
    seq_len: int | None,
    context: int | None,
    batch: int | None,
    settings: Mapping[str, str] | None = None,
) -> Trace:
    """Return the trace of a model name, a workload file, or a file that an importer reads with ``settings``."""
    from hwsim.workload import load_workload

    return load_workload(
        workload, phase=phase, seq_len=seq_len, context=context, batch=batch, settings=settings or None
    )


def show(frame: pd.DataFrame, table_format: str, title: str = "", columns: list[str] | None = None) -> None:
    """Print ``frame`` to stdout: a readable table, or all columns as CSV or JSON."""
    from hwsim.report.tables import print_table, write_frame

    if table_format == "table":
        print_table(frame, columns=columns, title=title)
    else:
        write_frame(frame, table_format, sys.stdout.buffer)
