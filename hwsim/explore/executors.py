"""Where points are evaluated: in this process, or in several.

Results depend on the point alone, never on the executor; they arrive in any order. Worker
processes start fresh (``forkserver``, else ``spawn``) and share no lock, file or connection with
the parent. Each has its own pipe, so a worker that dies names the point that killed it.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import connection

from hwsim.explore.outcome import Evaluate, Outcome, evaluate_safely
from hwsim.explore.space import Point
from hwsim.explore.worker import REPORT_S, Worker, start_worker
from hwsim.spec.errors import HwsimError, UsageError

#: Points handed out at once, at most.
MAX_CHUNK = 64


class Executor(ABC):
    """Evaluates points; a context manager that leaves no process behind.

    Parameters
    ----------
    evaluate
        Takes a point and returns its metrics.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate

    @abstractmethod
    def run(self, points: Sequence[Point]) -> Iterator[list[Outcome]]:
        """Yield outcomes in batches as they arrive, one outcome per point, in any order."""

    def drain(self) -> list[Outcome]:
        """Return outcomes that are finished but not yet yielded; for a run that was interrupted."""
        return []

    @abstractmethod
    def close(self) -> None:
        """End all work at once."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_executor(evaluate: Evaluate, jobs: int = 1) -> Executor:
    """Return the executor for ``jobs`` parallel evaluations.

    Raises
    ------
    UsageError
        If ``jobs`` is below 1.
    """
    if jobs < 1:
        raise UsageError(f"--jobs must be 1 or more, not {jobs}")
    return SerialExecutor(evaluate) if jobs == 1 else ProcessExecutor(evaluate, jobs)


class SerialExecutor(Executor):
    """Evaluates one point after the other in this process."""

    def run(self, points: Sequence[Point]) -> Iterator[list[Outcome]]:
        """Yield one outcome at a time, in the order of ``points``."""
        for point in points:
            yield [evaluate_safely(self.evaluate, point)]

    def close(self) -> None:
        """Nothing is left running."""


class ProcessExecutor(Executor):
    """Evaluates in worker processes.

    A worker that dies (killed, out of memory, a crash in native code) is replaced, and the points
    that it still owed are tried again one at a time. A point whose worker dies then, too, fails;
    the others go on.

    Parameters
    ----------
    evaluate
        As for :class:`Executor`; it is sent to each worker once.
    jobs
        Worker processes, at most.

    Raises
    ------
    TypeError
        If ``evaluate`` cannot be sent to another process.
    """

    def __init__(self, evaluate: Evaluate, jobs: int) -> None:
        super().__init__(evaluate)
        try:
            pickle.dumps(evaluate)
        except Exception as error:
            raise TypeError(f"the evaluation cannot be sent to worker processes: {error}") from error
        self.jobs = jobs
        self._workers: list[Worker] = []
        self._todo: deque[Point] = deque()
        self._suspects: deque[Point] = deque()
        self._point_s = REPORT_S

    def run(self, points: Sequence[Point]) -> Iterator[list[Outcome]]:
        """Yield outcomes as workers report them.

        Raises
        ------
        HwsimError
            If workers cannot start.
        """
        self._todo.extend(points)
        while self._todo or self._suspects or self._busy():
            self._hand_out()
            owing = {worker.pipe.fileno(): worker for worker in self._workers if worker.owed}
            for pipe in connection.wait([worker.pipe for worker in owing.values()]):
                outcomes = self._hear(owing[pipe.fileno()])  # type: ignore[union-attr]
                if outcomes:
                    yield outcomes

    def _busy(self) -> int:
        return sum(1 for worker in self._workers if worker.owed)

    def _hand_out(self) -> None:
        """Give every idle worker points, starting workers as needed."""
        wanted = min(self.jobs, self._busy() + len(self._todo) + len(self._suspects))
        while len(self._workers) < wanted:
            self._workers.append(start_worker(self.evaluate))
        for worker in self._workers:
            if worker.owed or not (self._todo or self._suspects):
                continue
            worker.retrying = bool(self._suspects)
            chunk = [self._suspects.popleft()] if worker.retrying else self._chunk()
            worker.send(chunk)

    def _chunk(self) -> list[Point]:
        """Take points for about one report, but leave the other workers their share."""
        share = len(self._todo) // (2 * self.jobs)
        size = max(1, min(MAX_CHUNK, share, int(REPORT_S / self._point_s)))
        return [self._todo.popleft() for _ in range(size)]

    def _hear(self, worker: Worker) -> list[Outcome]:
        """Return what ``worker`` reports; one that has died reports its lone suspect as failed."""
        try:
            return self._receive(worker)
        except (EOFError, OSError):
            return self._bury(worker)

    def _receive(self, worker: Worker) -> list[Outcome]:
        seconds, outcomes = worker.receive()
        if outcomes:
            self._point_s = max(0.5 * (self._point_s + seconds / len(outcomes)), 1e-6)
        return outcomes

    def _bury(self, worker: Worker) -> list[Outcome]:
        self._workers.remove(worker)
        worker.stop()
        if not worker.greeted:
            raise HwsimError(
                "a worker process could not start (see its message above); a script that runs a sweep with "
                "several jobs must do so under `if __name__ == '__main__':`"
            )
        if not worker.retrying:
            self._suspects.extend(worker.owed.values())
            return []
        reason = f"its worker process died twice (exit code {worker.process.exitcode}): killed or out of memory"
        return [Outcome(index, "failed", reason, transient=True) for index in worker.owed]

    def drain(self) -> list[Outcome]:
        """Return what workers have reported already, without waiting."""
        outcomes: list[Outcome] = []
        for worker in self._workers:
            try:
                while worker.owed and worker.pipe.poll():
                    outcomes += self._receive(worker)
            except (EOFError, OSError):
                continue
        return outcomes

    def close(self) -> None:
        """Kill the workers; what they have not reported is lost."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()
