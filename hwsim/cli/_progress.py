"""A progress bar on stderr: live on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hwsim.explore.sweep import Progress

#: Seconds between two lines where stderr is no terminal.
LINE_S = 10.0


@contextmanager
def sweep_progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """Yield a callback that shows how far a sweep is."""
    if sys.stderr.isatty():
        with _bar(name) as update:
            yield update
    else:
        yield _lines(name)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, note="")

        def update(progress: Progress) -> None:
            bar.update(task, completed=progress.finished, total=progress.total, note=notes(progress))

        yield update


def _lines(name: str) -> Callable[[Progress], None]:
    last = time.monotonic()

    def update(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_S:
            last = time.monotonic()
            click.echo(f"{name}: {progress.finished} of {progress.total} points {notes(progress)}".rstrip(), err=True)

    return update


def notes(progress: Progress) -> str:
    """Return what is out of the ordinary: points found in the store, infeasible and failed ones."""
    counts = {"stored": progress.reused, "infeasible": progress.infeasible, "failed": progress.failed}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def rows_progress(name: str) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """Return what shows on a terminal how many of some rows are done; elsewhere it does nothing."""
    if not sys.stderr.isatty():
        return lambda rows: rows
    from rich.console import Console
    from rich.progress import track

    return lambda rows: track(rows, name, console=Console(stderr=True), transient=True)
