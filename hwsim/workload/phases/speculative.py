"""Speculative decoding: a small draft model proposes tokens, the target verifies them in one pass.

Leviathan, Kalman, Matias: Fast Inference from Transformers via Speculative Decoding, ICML 2023
(arXiv 2211.17192).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from hwsim.spec.errors import UsageError
from hwsim.workload.ops import DRAFT, Gemm, Op
from hwsim.workload.phase import decode
from hwsim.workload.phases.base import PHASES, assemble, need, still_idle
from hwsim.workload.phases.passes import Build, Segment, Steps, forward
from hwsim.workload.stored import kv_stores, open_parameters
from hwsim.workload.tables import open_tables
from hwsim.workload.trace import Trace

#: Tokens by which tables of one vocabulary may differ, padded to other multiples: Qwen2.5 has 151,936 in its small
#: models and 152,064 in its large ones (vLLM issues 5203 and 10913). llama.cpp takes a draft up to that
#: (SPEC_VOCAB_MAX_SIZE_DIFFERENCE, common/speculative.cpp).
PADDING = 128

T = TypeVar("T", Gemm, Op)


def expected_tokens(acceptance: float | Fraction, draft_tokens: int) -> float | Fraction:
    """Return the tokens that a step yields on average: ``(1 - α^(γ+1)) / (1 - α)`` (Leviathan et al., eq. 1).

    Every proposed token is accepted with probability α, independently; the target adds one of its own. Written
    as the sum 1 + α + … + α^γ, which holds at α = 1 as well.
    """
    return sum((acceptance**i for i in range(draft_tokens + 1)), start=0 * acceptance)


@PHASES.register("speculative")
@dataclass(frozen=True)
class Speculative:
    """One step: γ = ``draft_tokens`` decode steps of ``draft``, then one pass of the target over γ + 1 tokens.

    Both see ``context`` cached tokens, the draft one more with each step. ``acceptance`` is α. ``meta`` has the
    expected tokens of a step and what a token costs: ``expected_tokens``, ``macs_per_token``. Both must have one
    vocabulary: as many tokens, or in one family up to :data:`PADDING` apart. Rows are
    ``draft.…`` and ``verify/…``. A draft that catches up on the last token after γ acceptances is not counted,
    nor is the sampling.
    """

    draft: Build | None = None
    draft_tokens: int | None = None
    acceptance: float | None = None
    context: int | None = None
    batch: int = 1

    def __post_init__(self) -> None:
        if self.draft is None:
            raise UsageError("draft: missing; speculative needs a small model, such as llama-3.2-1b")
        need("speculative", draft_tokens=self.draft_tokens, batch=self.batch)
        if self.acceptance is None:
            raise UsageError("acceptance: missing; speculative needs the share of proposed tokens that are accepted")
        if not 0 <= self.acceptance <= 1:
            raise UsageError(f"acceptance: must be from 0 to 1, not {self.acceptance!r}")

    def trace(self, build: Build) -> Trace:
        """Return the trace; UsageError if a model knows no decode step, or the two have other vocabularies."""
        assert self.draft is not None
        assert self.acceptance is not None
        start = build(decode(self.context, self.batch))
        _check_vocabularies(start, self.draft(decode(1, self.batch)))
        context, proposed = int(start.meta["context"]), int(self.draft_tokens or 1)
        small = Steps(self.draft, context + proposed - 1)
        large = Steps(build, context + proposed)
        proposing = list(forward(small, [Segment(self.batch, 1, context, 1)], proposed, 1))
        verifying = list(forward(large, [Segment(self.batch, proposed + 1, context, proposed + 1)], stage="verify"))
        ops = [*_drafted(proposing), *verifying]
        tokens = float(expected_tokens(self.acceptance, proposed)) * self.batch
        end, other = build(decode(context + proposed, self.batch)), small.step(small.last, self.batch)
        draft_name = str(other.meta.get("model", other.name))
        made = assemble(
            end, "speculative", f"speculative {context}, {proposed} by {draft_name}", ops, context=context,
            draft=draft_name, draft_tokens=proposed, acceptance=self.acceptance, expected_tokens=tokens,
            **_both(end, other), idle_weights=[*still_idle(end, verifying), *_drafted(still_idle(other, proposing))],
        )  # fmt: skip
        return Trace(made.name, made.ops, {**made.meta, "macs_per_token": made.macs / tokens})


def _drafted(ops: Sequence[T]) -> list[T]:
    return [replace(op, layer=f"{DRAFT}{op.layer}") for op in ops]


def _check_vocabularies(target: Trace, draft: Trace) -> None:
    """Refuse a draft whose tokens are not the target's.

    The acceptance rule compares both models' probabilities of one token (Leviathan et al., section 2.3). No file
    read here has the tokens' texts; that models of one family share them, and of two do not, stands for comparing.

    Raises
    ------
    UsageError
        With both sizes.
    """
    sizes = _vocabulary(target), _vocabulary(draft)
    kin = target.meta.get("family") == draft.meta.get("family")
    if abs(sizes[0] - sizes[1]) <= (PADDING if kin else 0):
        return
    names = [f"{trace.meta.get('model', trace.name)} has {size:,} tokens" for trace, size in
             ((target, sizes[0]), (draft, sizes[1]))]  # fmt: skip
    rule = f"valid: as many tokens, or at most {PADDING} more or fewer in a model of one model_type, for padded tables"
    raise UsageError(f"draft: another vocabulary: {names[1]}, {names[0]}; {rule}")


def _vocabulary(trace: Trace) -> int:
    """Return how many tokens a model chooses from."""
    return max((gemm.n for gemm in trace.gemms if gemm.role == "lm_head"), default=0)


def _named(target: Mapping[str, Any], draft: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known by layer of both models."""
    return {**target, **{f"{DRAFT}{name}": value for name, value in draft.items()}}


def _both(target: Trace, draft: Trace) -> dict[str, object]:
    """Return what both models store together; of the draft alone, what a mix of formats asks of each model."""
    added = ("parameters", "other_parameters", "kv_bytes_per_token_fp16", "other_bits")
    together: dict[str, object] = {key: int(target.meta.get(key, 0)) + int(draft.meta.get(key, 0)) for key in added}
    drafted = [store._replace(layers=f"{DRAFT}{store.layers}") for store in kv_stores(draft.meta)]
    stores = [*kv_stores(target.meta), *drafted]
    left = open_parameters(draft.meta)
    own = {"other_parameters": int(draft.meta.get("other_parameters", 0)), "other_open": left}
    together["tables"] = _named(open_tables(target.meta), open_tables(draft.meta))
    together["expert_layers"] = _named(*(t.meta.get("expert_layers", {}) for t in (target, draft)))
    for key in ("requantized", "plain_floats"):
        told = dict.fromkeys(str(t.meta[key]) for t in (target, draft) if key in t.meta)
        together |= {key: " and ".join(told)} if told else {}
    sources = dict.fromkeys(str(t.meta["formats_source"]) for t in (target, draft) if "formats_source" in t.meta)
    together |= {"formats_source": " and ".join(sources)} if sources else {}
    return {**together, "other_open": open_parameters(target.meta) + left, "kv_stores": stores, "draft_meta": own}
