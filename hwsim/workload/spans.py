"""Which keys queries see where attention is cut in chunks (Llama 4), beside sliding windows and full attention."""

from __future__ import annotations

from hwsim.workload.phase import Phase, attention_spans


class Chunk(int):
    """A limit of keys that is no sliding window: a query sees the keys of its own chunk, up to itself."""


def key_spans(phase: Phase, tokens: int, limit: int | None) -> tuple[tuple[int, int], ...]:
    """Return ``(queries, keys)`` pairs of one sequence, as :func:`~hwsim.workload.phase.attention_spans` does.

    In chunks of C tokens a decode step on top of ``tokens`` cached ones sees ``tokens mod C + 1`` keys; a
    prefill with ``causal: half`` is one triangle per chunk. With ``causal: full`` an eager kernel masks.
    """
    if not isinstance(limit, Chunk):
        return attention_spans(phase, tokens, limit)
    if phase.decode:
        return ((1, tokens % limit + 1),)
    if phase.causal == "full" or tokens <= limit:
        return attention_spans(phase, tokens)
    whole, rest = divmod(tokens, limit)
    last = attention_spans(phase, rest) if rest else ()
    return attention_spans(phase, int(limit)) * whole + last
