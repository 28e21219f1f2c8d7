"""What every phase offers, and what their traces say about themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry
from hwsim.workload.ops import Op
from hwsim.workload.phase import Phase
from hwsim.workload.phases.passes import Build
from hwsim.workload.trace import Trace


class Run(Protocol):
    """What is run of a model."""

    def trace(self, build: Build) -> Trace:
        """Return the trace of this run of the model that ``build`` makes.

        Raises
        ------
        UsageError
            If the model has no such phase.
        """


@dataclass(frozen=True)
class Basic:
    """A prefill or a decode step, which every family knows itself."""

    phase: Phase

    def trace(self, build: Build) -> Trace:
        """Return the trace; UsageError if the model has no such phase."""
        return build(self.phase)


PHASES: Registry[Callable[..., Run]] = Registry("phase", "hwsim.workload.phases")


def need(phase: str, **given: Any) -> None:
    """Refuse values that are missing, or no whole numbers of at least 1.

    Raises
    ------
    UsageError
        With the first field that is wrong.
    """
    for name, value in given.items():
        if value is None:
            raise UsageError(f"{name}: missing; {phase} needs it")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name}: must be a whole number of at least 1, not {value!r}")


def assemble(model: Trace, phase: str, label: str, ops: Iterable[Op], **meta: Any) -> Trace:
    """Return the trace of a phase, with what is known of the model from ``model``, a prefill or decode step of it.

    ``label`` replaces ``prefill 2048`` in the name. What told the length of that step is dropped.
    """
    own = {key: value for key, value in model.meta.items() if key not in ("seq_len", "context") and key[:4] != "macs"}
    word = str(model.meta.get("phase", ""))
    name = model.name.partition(f" {word}")[0] if word else model.name
    trace = Trace(f"{name} {label}", tuple(ops), {**own, "phase": phase, **meta})
    totals = {f"macs_{kind}": macs for kind, macs in trace.macs_by_kind.items()}
    return Trace(trace.name, trace.ops, {**trace.meta, **totals, "macs": trace.macs})
