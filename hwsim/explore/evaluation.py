"""From a point of a sweep to its metrics: what every executor calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.explore.identity import trace_digest
from hwsim.explore.space import Point
from hwsim.explore.spec import Sweep, load_sweep
from hwsim.simulate.architecture import ArchSpec, Simulated, simulate_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.bind import bind
from hwsim.spec.document import Document
from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.text import exists, unreadable
from hwsim.workload import Policy, Trace, apply_policy, load_workload
from hwsim.workload.loading import OPTIONS
from hwsim.workload.naming import is_path
from hwsim.workload.stated import kept_note
from hwsim.workload.zoo import is_model

#: What problems of a workload have as their file that no file of its own gives.
UNPLACED = ("workload", "python", OPTIONS)


def check_arch(document: Document) -> None:
    """Refuse an architecture that is not valid, whatever it would run.

    Raises
    ------
    SpecError
        With every mistake at its place.
    """
    bind(document, ArchSpec)


def open_sweep(path: str | Path) -> Sweep:
    """Read a sweep file and check it: architecture, every swept value and workloads.

    Raises
    ------
    SpecError
        With every problem found, each at its line and column.
    """
    sweep = load_sweep(path, check_arch)
    problems, digests, notes = [], [], dict[str, None]()
    for number, workload in enumerate(sweep.spec.workloads):
        try:
            trace = _trace(workload, sweep.folder)
            digests.append(trace_digest(trace))
            notes |= {f"{trace.name}: {note}": None for note in told_of(trace)}
        except SpecError as error:
            problems += [_at(sweep, p, number) if p.file in (*UNPLACED, workload) else p for p in error.problems]
        except ValueError as error:
            problems.append(sweep.document.problem(("workloads", number), str(error)))
    if problems:
        raise SpecError(problems)
    sweep.trace_digests, sweep.trace_notes = tuple(digests), tuple(notes)
    return sweep


def told_of(trace: Trace) -> list[str]:
    """Return what is to be said of the formats of a workload: what a policy cannot change, or what no policy did."""
    stated = kept_note(trace, "of an architecture")
    return [str(trace.meta["policy_note"])] if "policy_note" in trace.meta else [stated] if stated else []


def _at(sweep: Sweep, problem: Problem, number: int) -> Problem:
    """Return a problem of a workload mapping at its place in the sweep file."""
    inner = problem.path.split(".") if problem.path else []
    return sweep.document.problem(("workloads", number, *inner), problem.message)


def _trace(workload: str | Mapping[str, Any], folder: Path) -> Trace:
    """Return the trace of a workload as a sweep names it: as ``hwsim run`` does, but relative to ``folder``."""
    if not isinstance(workload, str):
        return load_workload(workload, folder=folder)
    path = folder / workload
    if exists(path) and (path.is_file() or not is_model(workload)):
        return load_workload(path)
    if is_path(workload):
        raise UsageError(f"{str(path)!r}: {unreadable(path)}")
    return load_workload(workload, folder=folder)


@dataclass
class PointEvaluator:
    """Evaluates points of one sweep; picklable, and depends on nothing but the sweep's files.

    Traces with their formats, and the priced machine of the design that ran last, are remembered
    per process: the workloads of a design follow one another.
    """

    sweep: Sweep
    _traces: dict[tuple[int, Policy | None], Trace] = field(default_factory=dict, repr=False)
    _last: tuple[Mapping[str, Any], Simulated] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"sweep": self.sweep, "_traces": {}, "_last": None}

    def __call__(self, point: Point) -> Mapping[str, Any]:
        """Return the design table's metrics of ``point``.

        Raises
        ------
        InfeasibleError
            If the design cannot run the workload.
        UsageError
            If the PE cannot compute the workload's formats.
        """
        simulated = self._simulated(point)
        trace = self._filled(point.workload, simulated.policy)
        return evaluate(simulated, trace, self.sweep.spec.engine).design_row

    def _filled(self, workload: int, policy: Policy) -> Trace:
        bare, filled = (workload, None), (workload, policy)
        if bare not in self._traces:
            self._traces[bare] = _trace(self.sweep.spec.workloads[workload], self.sweep.folder)
        if filled not in self._traces:
            self._traces[filled] = apply_policy(self._traces[bare], policy)
        return self._traces[filled]

    def _simulated(self, point: Point) -> Simulated:
        if self._last is None or self._last[0] != point.overrides:
            document = self.sweep.resolved(point)
            self._last = (point.overrides, simulate_arch(bind(document, ArchSpec)))
        return self._last[1]
