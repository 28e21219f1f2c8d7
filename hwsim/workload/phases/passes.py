"""Forward passes of a decoder over sequences at different places: what the phases are made of.

A family of models knows a prefill and a decode step. A pass over any mix of sequences follows from its
decode steps: operations without a context have one row per new token, hence those of a decode step of so
many sequences; attention has per sequence ``new`` queries in place of one, over the keys that the step at
that context has. Nothing here knows an architecture: which sizes follow the context is read off two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from hwsim.spec.errors import UsageError
from hwsim.workload.ops import STAGE_END, Gemm, Op, VectorOp
from hwsim.workload.phase import Causal, decode, prefill, triangle
from hwsim.workload.phases.growth import representatives
from hwsim.workload.trace import Trace

#: Makes the trace of one model in a prefill or a decode step.
Build = Callable[[Any], Trace]

#: Ends of names of vector operations that run on scores.
_ON_SCORES = ("softmax", "shiftmax")

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Segment:
    """``count`` sequences of one place in one pass.

    Each brings ``new`` tokens on top of ``context`` cached ones; the LM head sees ``logits`` positions of it.
    """

    count: int
    new: int
    context: int
    logits: int


@dataclass
class Steps:
    """The decode steps of a model, each built once; ``last`` is the longest context that is asked for."""

    build: Build
    last: int
    _made: dict[tuple[int, int], Trace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last = max(self.last, 2)

    def step(self, context: int, sequences: int) -> Trace:
        """Return the decode step of ``sequences`` sequences on ``context`` cached tokens."""
        key = (context, sequences)
        if key not in self._made:
            self._made[key] = self.build(decode(context, sequences))
        return self._made[key]

    @cached_property
    def end(self) -> Trace:
        """The step of one sequence on the longest context."""
        return self.step(self.last, 1)


def check_decoder(build: Build, phase: str) -> None:
    """Refuse a model whose prefill does more than its decode steps, such as one with an encoder.

    Raises
    ------
    UsageError
        If two new tokens take other linear products in a prefill than as two decode steps.
    """
    prompt, steps = (build(p).macs_by_kind for p in (prefill(2), decode(2, 2)))
    if any(prompt[kind] != steps[kind] for kind in ("linear", "conv")):
        raise UsageError(f"phase: {phase} cuts prompts into passes of a decoder; this model's prefill has other parts")


def forward(
    steps: Steps,
    segments: Sequence[Segment],
    times: int = 1,
    stride: int = 0,
    causal: Causal = "full",
    stage: str = "",
) -> Iterator[Op]:
    """Yield the operations of ``times`` passes over ``segments``, whose contexts grow by ``stride`` from pass to pass.

    Rows of attention stand for passes at nearly the same context (:mod:`.growth`). ``stage`` begins the names.

    Raises
    ------
    UsageError
        If keys of attention neither grow with the context, up to a window, nor stay.
    """
    rows = sum(segment.count * segment.new for segment in segments)
    seen = sum(segment.count * segment.logits for segment in segments)
    trace = steps.step(steps.last, rows)
    flags = _follows_context(steps, rows)
    attention = 0
    for of_context, group in groupby(zip(trace.ops, flags, strict=True), key=lambda pair: pair[1]):
        ops = [op for op, _ in group]
        if of_context:
            for segment in segments:
                for op in _attention(steps, segment, slice(attention, attention + len(ops)), times, stride, causal):
                    yield _staged(op, stage)
            attention += len(ops)
            continue
        for op in ops:
            if isinstance(op, Gemm) and op.role == "lm_head":
                if not seen:
                    continue
                op = replace(op, m=op.m // rows * seen)
            yield _staged(_repeated(op, times), stage)


def _staged(op: Op, stage: str) -> Op:
    return replace(op, layer=f"{stage}{STAGE_END}{op.layer}") if stage else op


def _repeated(op: Op, times: int) -> Op:
    return replace(op, repeat=op.repeat * times, passes=op.passes * times)


def _follows_context(steps: Steps, sequences: int) -> list[bool]:
    """Return which operations of a step belong to attention: the others do not depend on who is where."""
    short, long = steps.step(1, sequences).ops, steps.step(steps.last, sequences).ops
    if len(short) != len(long):
        raise UsageError("phase: the model has other operations on a longer context; it cannot be cut into passes")
    return [_on_scores(a) or a != b for a, b in zip(short, long, strict=True)]


def _on_scores(op: Op) -> bool:
    if isinstance(op, Gemm):
        return op.role in ("score", "value")
    return op.op.startswith(_ON_SCORES)


def _attention(steps: Steps, segment: Segment, which: slice, times: int, stride: int, causal: Causal) -> Iterator[Op]:
    """Yield attention of one segment; ``which`` of the step's operations of attention are one run of a layer."""
    probes = [
        [op for op, flag in zip(steps.step(c, segment.count).ops, _follows_context(steps, segment.count), strict=True)
         if flag][which]
        for c in (1, max(2, steps.last // 2), steps.last)
    ]  # fmt: skip
    for first, last in _layers(probes[-1]):
        ops = probes[-1][first:last]
        fields = [_key_field(a, b) for a, b in zip(probes[0][first:last], ops, strict=True)]
        lengths = [
            [getattr(op, name) for op, name in zip(probe[first:last], fields, strict=True) if name] for probe in probes
        ]
        window = _window(lengths, steps.last, ops[0].layer)
        if window == 0:  # keys of another sequence, such as an encoder's
            yield from (replace(_repeated(op, times), m=op.m * segment.new) for op in ops)
            continue
        for counted, note, spans in _schedule(segment, times, stride, window, causal):
            for queries, keys in spans:
                for op, name in zip(ops, fields, strict=True):
                    sizes: dict[str, Any] = {"m": op.m * queries, **({name: keys} if name else {})}
                    yield replace(_repeated(op, counted), **sizes, note=note or op.note)


def _layers(ops: Sequence[Op]) -> list[tuple[int, int]]:
    """Split a run of operations where another layer's attention begins: at its scores."""
    starts = [i for i, op in enumerate(ops) if isinstance(op, Gemm) and op.role == "score"]
    starts = starts if starts and starts[0] == 0 else [0, *starts]
    return list(zip(starts, [*starts[1:], len(ops)], strict=True))


def _key_field(short: Op, long: Op) -> str | None:
    names = ("n",) if isinstance(short, VectorOp) else ("n", "k")
    return next((name for name in names if getattr(short, name) != getattr(long, name)), None)


def _window(lengths: Sequence[Sequence[int]], last: int, layer: str) -> int | None:
    """Return how many keys a query sees at most, None without a bound, 0 if they do not follow the context."""
    if not lengths[-1]:
        return 0
    short, middle, long = (set(found) for found in lengths)
    keys = max(long)
    contexts = (1, max(2, last // 2), last)
    expected = [{min(context + 1, keys)} for context in contexts]
    if [short, middle, long] != expected:
        raise UsageError(
            f"phase: {layer} sees {sorted(short)}, {sorted(middle)}, {sorted(long)} keys on contexts of "
            f"{contexts[0]:,}, {contexts[1]:,}, {contexts[2]:,}; passes need one more per token, up to a window, or "
            "always the same: give the source of an encoder a length of its own (source_tokens)"
        )
    return keys if keys < last + 1 else None


def _schedule(
    segment: Segment, times: int, stride: int, window: int | None, causal: Causal
) -> Iterator[tuple[int, str, Spans]]:
    """Yield ``(passes, note, spans)``: so many passes each have these queries over these keys."""
    new, start = segment.new, segment.context
    growing = times
    if window is not None:
        fits = window - new - start
        growing = 0 if fits < 0 else times if stride == 0 else min(times, fits // stride + 1)
    for length, counted in representatives(start + 1, stride, growing):
        note = f"{counted} passes, on average this long" if counted > 1 and stride else ""
        yield counted, note, spans(length, length + new - 1, new, causal)
    done = growing
    while window is not None and done < times and start + stride * done < window - 1:
        length = start + stride * done + 1
        rest = times - done if stride == 0 else 1
        yield rest, "", spans(length, window, new, causal)
        done += rest
    if window is not None and done < times:
        yield times - done, "", spans(window, window, new, causal)


def spans(first: int, last: int, queries: int, causal: Causal) -> Spans:
    """Return ``(queries, keys)`` of new tokens of which the first sees ``first`` keys and the last ``last``.

    Keys grow by one per token and then stay (``last`` is a window). ``full`` lets all queries see all keys in
    reach of any, ``first - 1`` cached and the new ones; ``half`` what the mask keeps: the cache, a triangle as
    in :func:`~hwsim.workload.phase.attention_spans`, and the window.
    """
    if causal == "full" or queries == 1:
        return [(queries, first - 1 + queries)]
    if first == last:
        return [(queries, last)]
    growing = last - first + 1
    cached = [(growing, first - 1)] if first > 1 else []
    rest = [(queries - growing, last)] if queries > growing else []
    return [*cached, *triangle(growing), *rest]
