"""Options and small helpers that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.workload import Trace

F = TypeVar("F", bound=Callable[..., Any])

#: What a workload can run; listed here so that ``--help`` need not load the phases (a test compares).
PHASE_NAMES = ("prefill", "decode", "chunked_prefill", "generation", "mixed", "speculative", "training")

TABLE_FORMATS = ("table", "csv", "json", "parquet")


#: Options that shape a workload given by its name: fields of WorkloadSpec, each with its type and help.
_SHAPE: tuple[tuple[str, Any, str], ...] = (
    ("phase", click.Choice(PHASE_NAMES), "Default: prefill."),
    ("seq_len", click.IntRange(1), "Tokens in prefill."),
    ("context", click.IntRange(1), "Cached tokens in decode."),
    ("batch", click.IntRange(1), "Sequences in parallel."),
    ("causal", click.Choice(("full", "half")), "Scores of a prefill: all, or what the mask keeps."),
    ("lm_head", click.Choice(("all", "last")), "Positions that the LM head sees in a prefill."),
    ("chunk", click.IntRange(1), "Tokens per chunk in chunked_prefill."),
    ("new_tokens", click.IntRange(1), "Decode steps of a generation."),
    ("draft", str, "Model that proposes in speculative."),
    ("draft_tokens", click.IntRange(1), "Tokens that it proposes per step."),
    ("acceptance", click.FloatRange(0, 1), "Share of them that is accepted."),
    ("recompute", click.Choice(("none", "attention", "all")), "What training computes again rather than keep."),
    ("optimizer", str, "In training: adam (default), adam_8bit, sgd_momentum, sgd, none."),
    ("policy", str, "Formats that the workload leaves open: a name such as w4a16_g128, or in training a recipe."),
)


def workload_options(function: F) -> F:
    """Add the options that shape a workload given by its name; the command gets them as ``shape``."""

    @wraps(function)
    def collected(*args: Any, **given: Any) -> Any:
        shape = {name: given.pop(name) for name, _, _ in _SHAPE}
        shape["requests"] = list(given.pop("requests")) or None
        return function(*args, **given, shape=shape)

    decorated: Any = collected
    decorated = click.option(
        "--request", "requests", multiple=True, metavar="KIND[:TOKENS][@CONTEXT][xCOUNT]",
        help="Sequences of a mixed batch, e.g. decode@2048x8.",
    )(decorated)  # fmt: skip
    for name, kind, text in reversed(_SHAPE):
        decorated = click.option(f"--{name.replace('_', '-')}", name, type=kind, default=None, help=text)(decorated)
    done: F = decorated
    return done


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


#: What begins the settings of a workload where others are those of an architecture.
OF_WORKLOAD = "workload."


def split_settings(settings: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what ``--set`` gives an architecture, and what ``--set workload.KEY`` gives a workload.

    Raises
    ------
    UsageError
        If one has no ``=``, or names no field of an architecture: a setting of the workload without its prefix.
    """
    from hwsim.simulate.arch_spec import ArchSpec
    from hwsim.spec.errors import did_you_mean

    given = parse_settings(settings)
    workload = {key.removeprefix(OF_WORKLOAD): v for key, v in given.items() if key.startswith(OF_WORKLOAD)}
    arch = {key: value for key, value in given.items() if not key.startswith(OF_WORKLOAD)}
    for key in arch:
        known = sorted(ArchSpec.model_fields)
        if key.partition(".")[0] not in known:
            raise UsageError(
                f"--set {key}: no field of an architecture; a setting of the workload is --set {OF_WORKLOAD}{key}=…, "
                f"or stands under settings in a workload YAML; {did_you_mean(key, known)}"
            )
    return arch, workload


def find_workload(
    workload: str, shape: Mapping[str, Any], settings: Mapping[str, Any] | None = None, requantized: bool = False
) -> Trace:
    """Return the trace of a model name, a workload file, or a file that an importer reads with ``settings``.

    ``shape`` is what the options of :func:`workload_options` gave; what a policy among them cannot change goes to
    standard error. ``requantized`` leaves plain weights to formats that follow.
    """
    from hwsim.workload import load_workload

    trace = load_workload(workload, **shape, settings=settings or None, requantized=requantized)
    if "policy_note" in trace.meta:
        click.echo(f"{trace.meta['policy_note']}.", err=True)
    if "assumed" in trace.meta:
        click.echo(f"{workload}: {trace.meta['assumed']}", err=True)
    return trace


def show(frame: pd.DataFrame, table_format: str, title: str = "", columns: list[str] | None = None) -> None:
    """Print ``frame`` to stdout: a readable table, or all columns as CSV or JSON."""
    from hwsim.report.tables import print_table, write_frame

    if table_format == "table":
        print_table(frame, columns=columns, title=title)
    else:
        write_frame(frame, table_format, sys.stdout.buffer)
