"""One worker process: how it starts, what it is told, what it answers, how it ends.

The parent sends lists of points; the worker answers ``(seconds, outcomes)``, first of all an empty
greeting that says that it has started. It shares no lock, file or connection with the parent.
"""

from __future__ import annotations

import functools
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

from hwsim.explore.outcome import Evaluate, Outcome, evaluate_safely
from hwsim.explore.space import Point

#: A worker reports at least this often (points permitting), so that a kill loses little.
REPORT_S = 0.25


@dataclass(eq=False)
class Worker:
    """A worker process, the parent's end of its pipe, and the points that it still owes.

    ``retrying`` marks a worker whose only point has killed another one before.
    """

    process: BaseProcess
    pipe: connection.Connection
    owed: dict[int, Point] = field(default_factory=dict)
    retrying: bool = False
    greeted: bool = False

    def send(self, points: Sequence[Point]) -> None:
        """Hand over ``points``. A worker that has died takes them, too: its pipe tells later."""
        self.owed = {point.index: point for point in points}
        try:
            self.pipe.send(points)
        except OSError:
            return

    def receive(self) -> tuple[float, list[Outcome]]:
        """Return the next report: seconds and outcomes, which are then no longer owed.

        Raises
        ------
        EOFError, OSError
            If the worker has died.
        """
        message: tuple[float, list[Outcome]] | None = self.pipe.recv()
        if message is None:
            self.greeted = True
            return 0.0, []
        for outcome in message[1]:
            del self.owed[outcome.index]
        return message

    def stop(self) -> None:
        """Kill the process, if it still runs, and close the pipe."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def start_worker(evaluate: Evaluate) -> Worker:
    """Return a new worker; ``forkserver`` starts it where there is one, else ``spawn``."""
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    origin = _module_of(evaluate)
    if "forkserver" in methods and origin.startswith("hwsim."):
        # Imported once, before the workers fork off.
        context.set_forkserver_preload([origin])
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, evaluate), daemon=True)
    with _interrupt_later():
        process.start()
    theirs.close()
    return Worker(process, ours)


def _module_of(evaluate: Any) -> str:
    while isinstance(evaluate, functools.partial):
        evaluate = evaluate.func
    return str(getattr(evaluate, "__module__", ""))


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Hold back Ctrl-C while a process starts: it inherits the block, and only the parent reacts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: connection.Connection, evaluate: Evaluate) -> None:
    """Evaluate chunks until the parent closes the pipe or is gone."""
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pipe.send(None)
        while True:
            _report(pipe, evaluate, pipe.recv())
    except (EOFError, OSError):
        return


def _report(pipe: connection.Connection, evaluate: Evaluate, chunk: Sequence[Point]) -> None:
    """Evaluate ``chunk`` and send ``(seconds, outcomes)`` at least every :data:`REPORT_S`."""
    outcomes: list[Outcome] = []
    since = time.perf_counter()
    for number, point in enumerate(chunk, 1):
        outcomes.append(evaluate_safely(evaluate, point))
        spent = time.perf_counter() - since
        if spent >= REPORT_S or number == len(chunk):
            pipe.send((spent, outcomes))
            outcomes, since = [], time.perf_counter()
