"""What every phase offers, and what their traces say about themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry
from hwsim.workload.experts import is_routed
from hwsim.workload.ops import STAGE_END, Gemm, Op, bare_name
from hwsim.workload.phase import Phase
from hwsim.workload.phases.passes import Build
from hwsim.workload.stored import idle_weights
from hwsim.workload.trace import Trace

#: Layer and format of weights.
Key = tuple[str, str]


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


def prompt_tokens(whole: Trace, phase: str) -> int:
    """Return the tokens of a prefill; UsageError if the model takes none, so that ``phase`` means nothing."""
    tokens = whole.meta.get("seq_len")
    if tokens is None:
        raise UsageError(
            f"phase: {whole.meta.get('model', whole.name)} takes no tokens and has no {phase}; use prefill"
        )
    return int(tokens)


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
    made = tuple(ops)
    idle = {"idle_weights": still_idle(model, made)} if "idle_weights" in own else {}
    trace = Trace(f"{name} {label}", made, {**own, "phase": phase, **idle, **meta})
    totals = {f"macs_{kind}": macs for kind, macs in trace.macs_by_kind.items()}
    return Trace(trace.name, trace.ops, {**trace.meta, **totals, "macs": trace.macs})


def still_idle(model: Trace, ops: Sequence[Op]) -> list[Gemm]:
    """Return the stored weights that no stage of ``ops`` reads; ``model`` is one pass, which may read more or less."""
    idle = idle_weights(model)
    stated = {gemm.layer for gemm in (*model.gemms, *idle) if gemm.w_format}

    def key(gemm: Gemm) -> Key:
        # Where a source states formats, layers of one row may differ in them; a recipe's are those of its products.
        layer = bare_name(gemm.layer)
        return layer, gemm.w_format if layer in stated else ""

    one_pass, stages = _touched(model.ops, key), _touched(ops, key)
    known = {key(gemm): gemm for gemm in (*filter(is_routed, model.gemms), *idle)}
    left = []
    for one, gemm in known.items():
        read, read_once = (max(found.get(one, {"": 0}).values()) for found in (stages, one_pass))
        count = sum(other.instances for other in idle if key(other) == one) + read_once - read
        if count > 0:
            each, rest = divmod(count, gemm.repeat)
            batch, repeat = (count, 1) if rest else (each, gemm.repeat)
            left.append(replace(gemm, m=1, batch=batch, repeat=repeat, note=""))
    return left


def _touched(ops: Iterable[Op], key: Callable[[Gemm], Key]) -> dict[Key, dict[str, int]]:
    """Return how many matrices each stage reads of each layer that stores its weights."""
    found: dict[Key, dict[str, int]] = {}
    for op in ops:
        if isinstance(op, Gemm) and op.w_source == "dram":
            stage = op.layer.rpartition(STAGE_END)[0]
            of_layer = found.setdefault(key(op), {})
            of_layer[stage] = of_layer.get(stage, 0) + op.batch * op.layers
    return found
