"""Chunked prefill: a prompt in chunks, each of which sees the cache of those before it."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.workload.ops import Op
from hwsim.workload.phase import Causal, LmHead, prefill
from hwsim.workload.phases.base import PHASES, assemble, need, prompt_tokens
from hwsim.workload.phases.passes import Build, Segment, Steps, check_decoder, forward
from hwsim.workload.trace import Trace


@PHASES.register("chunked_prefill")
@dataclass(frozen=True)
class ChunkedPrefill:
    """A prefill of ``seq_len`` tokens in chunks of ``chunk``, the last one smaller if need be.

    Linear layers run once per chunk and read their weights as often. With ``causal: full`` a chunk of q tokens
    on c cached ones computes q · (c + q) scores, with ``half`` those that the mask keeps, in all as many as a
    prefill at once; a window bounds the cached ones. Families with a latent cache attend in the form of
    their decode step. Rows are ``chunk/…`` and, for a smaller last chunk, ``last_chunk/…``.
    """

    seq_len: int | None = None
    chunk: int | None = None
    batch: int = 1
    causal: Causal = "full"
    lm_head: LmHead = "all"

    def __post_init__(self) -> None:
        need("chunked_prefill", chunk=self.chunk, batch=self.batch)

    def trace(self, build: Build) -> Trace:
        """Return the trace; UsageError if the model knows no decode step."""
        whole = build(prefill(self.seq_len, self.batch, self.causal, self.lm_head))
        tokens = prompt_tokens(whole, "chunked_prefill")
        chunk = min(int(self.chunk or 1), tokens)
        full, rest = divmod(tokens, chunk)
        check_decoder(build, "chunked_prefill")
        steps = Steps(build, tokens - 1)
        ops: list[Op] = []
        # only the chunk that ends the prompt has a position whose logits serving needs
        early = full - 1 if self.lm_head == "last" and not rest else full
        for first, count, logits in ((0, early, self.lm_head == "all"), (early, full - early, True)):
            if count:
                positions = 0 if not logits else chunk if self.lm_head == "all" else 1
                segment = Segment(self.batch, chunk, first * chunk, positions)
                stage = "chunk" if first == 0 and early else "last_chunk"
                ops.extend(forward(steps, [segment], count, chunk, self.causal, stage))
        if rest:
            segment = Segment(self.batch, rest, full * chunk, rest if self.lm_head == "all" else 1)
            ops.extend(forward(steps, [segment], causal=self.causal, stage="last_chunk"))
        label = f"chunked_prefill {tokens} by {chunk}"
        return assemble(whole, "chunked_prefill", label, ops, seq_len=tokens, chunk=chunk, passes=full + (rest > 0))
