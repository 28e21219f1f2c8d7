"""Continuous batching: one pass over prompts, parts of prompts and decode steps of mixed lengths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from hwsim.spec.bind import Spec
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.phase import Causal, LmHead, decode
from hwsim.workload.phases.base import PHASES, assemble, need
from hwsim.workload.phases.passes import Build, Segment, Steps, check_decoder, forward
from hwsim.workload.stored import KvStore, kv_stores
from hwsim.workload.trace import Trace

KINDS = ("prefill", "decode")
_SHORT = re.compile(r"(?P<phase>[a-z]+)(?::(?P<tokens>\d+))?(?:@(?P<context>\d+))?(?:x(?P<count>\d+))?")


class Request(Spec):
    """Sequences of one length in a batch: they bring ``tokens`` on top of ``context`` cached ones."""

    phase: Literal["prefill", "decode"] = Field(description="prefill: a prompt or a part of one; decode: one token")
    tokens: int | None = Field(None, ge=1, le=1 << 24, description="new tokens of each; 1 in decode")
    context: int | None = Field(None, ge=0, le=1 << 24, description="cached tokens of each; none in a prefill")
    count: int = Field(1, ge=1, le=1 << 20, description="sequences of this length")

    def segment(self, lm_head: LmHead) -> Segment:
        """Return what these sequences bring to a pass.

        Raises
        ------
        UsageError
            If a prefill names no tokens, or a decode no context or several tokens.
        """
        if self.phase == "decode":
            if not self.context:
                raise UsageError("requests: decode: context missing; name the cached tokens, at least 1")
            if self.tokens not in (None, 1):
                raise UsageError(f"requests: decode: tokens must be 1, not {self.tokens}; several are a prefill")
            return Segment(self.count, 1, self.context, 1)
        if self.tokens is None:
            raise UsageError("requests: prefill: tokens missing")
        return Segment(self.count, self.tokens, self.context or 0, self.tokens if lm_head == "all" else 1)


def read_request(entry: Any) -> Mapping[str, Any]:
    """Return the fields of a request from YAML, or from the short form ``prefill:512@1024x2``.

    That is KIND[:TOKENS][@CONTEXT][xCOUNT]: ``decode@2048x8`` are eight decode steps on 2048 cached tokens.

    Raises
    ------
    UsageError
        If the text has another form.
    """
    if not isinstance(entry, str):
        fields: Mapping[str, Any] = entry
        return fields
    match = _SHORT.fullmatch(entry.replace(" ", ""))
    if match is None:
        raise UsageError(f"request {entry!r}: valid: KIND[:TOKENS][@CONTEXT][xCOUNT], such as decode@2048x8")
    if match["phase"] not in KINDS:
        raise UsageError(f"request {entry!r}: unknown phase; {did_you_mean(match['phase'], KINDS)}")
    numbers = {key: int(text) for key, text in match.groupdict().items() if key != "phase" and text}
    return {"phase": match["phase"], **numbers}


@PHASES.register("mixed")
@dataclass(frozen=True)
class Mixed:
    """One pass over ``requests``.

    Linear layers have one row per new token of the whole batch and read their weights once; attention runs per
    sequence. ``lm_head: all`` computes logits of every new token, ``last`` one per sequence.
    """

    requests: tuple[Request, ...] = ()
    causal: Causal = "full"
    lm_head: LmHead = "all"

    def __post_init__(self) -> None:
        found = tuple(r if isinstance(r, Request) else Request.model_validate(read_request(r)) for r in self.requests)
        object.__setattr__(self, "requests", found)
        if not found:
            raise UsageError("requests: missing; mixed needs at least one, such as decode@2048x8")

    def trace(self, build: Build) -> Trace:
        """Return the trace; UsageError if the model knows no decode step."""
        segments = [request.segment(self.lm_head) for request in self.requests]
        ends = [s.context + s.new - 1 for s in segments]
        if any(request.phase == "prefill" for request in self.requests):
            check_decoder(build, "mixed")
        steps = Steps(build, max(ends))
        ops = tuple(forward(steps, segments, causal=self.causal))
        sequences = sum(segment.count for segment in segments)
        held = [_stores(build, end, segment.count) for end, segment in zip(ends, segments, strict=True)]
        stores = _together(store for stores in held for store in stores)
        tokens = sum(segment.count * segment.new for segment in segments)
        need("mixed", tokens=tokens)
        label = f"mixed {sequences} sequences, {tokens} tokens"
        return assemble(
            steps.end, "mixed", label, ops, batch=sequences, new_tokens=tokens,
            kv_vectors=sum(store.vectors for store in stores), kv_stores=stores,
            causal=self.causal, lm_head=self.lm_head,
        )  # fmt: skip


def _together(stores: Iterable[KvStore]) -> list[KvStore]:
    """Return the caches of all sequences, one per kind of layer."""
    found: dict[tuple[str, int], int] = {}
    for layers, vectors, width in stores:
        found[layers, width] = found.get((layers, width), 0) + vectors
    return [KvStore(layers, vectors, width) for (layers, width), vectors in found.items()]


def _stores(build: Build, end: int, count: int) -> list[KvStore]:
    """Return the caches of ``count`` sequences after the token at ``end``."""
    found = kv_stores(build(decode(max(end, 1), count)).meta)
    if end == 0:  # half of two tokens; of a source all
        return [store if "cross" in store.layers else store._replace(vectors=store.vectors // 2) for store in found]
    return found
