"""Generation: a prefill, then decode steps whose context grows by one each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.workload.ops import STAGE_END, Op
from hwsim.workload.phase import Causal, LmHead, decode, prefill
from hwsim.workload.phases.base import PHASES, assemble, need, prompt_tokens
from hwsim.workload.phases.passes import Build, Segment, Steps, forward
from hwsim.workload.trace import Trace


@PHASES.register("generation")
@dataclass(frozen=True)
class Generation:
    """A prefill of ``seq_len`` tokens and ``new_tokens`` decode steps on ``seq_len``, ``seq_len`` + 1, … cached ones.

    Multiply-accumulates, weight and cache bytes are the sums over the steps one by one, in closed form: rows
    of attention stand for many steps at their average context (:mod:`.growth`). Rows are ``prefill/…`` and
    ``decode/…``; those of decode without a context have one shape and ``passes = new_tokens``.
    """

    seq_len: int | None = None
    new_tokens: int | None = None
    batch: int = 1
    causal: Causal = "full"
    lm_head: LmHead = "all"

    def __post_init__(self) -> None:
        need("generation", new_tokens=self.new_tokens, batch=self.batch)

    def trace(self, build: Build) -> Trace:
        """Return the trace; UsageError if the model knows no decode step."""
        first = build(prefill(self.seq_len, self.batch, self.causal, self.lm_head))
        tokens, new = prompt_tokens(first, "generation"), int(self.new_tokens or 1)
        last = build(decode(tokens + new - 1, self.batch))
        ops: list[Op] = [replace(op, layer=f"prefill{STAGE_END}{op.layer}") for op in first.ops]
        steps = Steps(build, tokens + new - 1)
        ops.extend(forward(steps, [Segment(self.batch, 1, tokens, 1)], new, 1, stage="decode"))
        label = f"generation {tokens}+{new}"
        extra = {"seq_len": tokens, "new_tokens": new, "causal": self.causal, "lm_head": self.lm_head}
        return assemble(last, "generation", label, ops, **extra)
