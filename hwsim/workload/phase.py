"""What a model is asked to do: a prefill over a prompt, one decode step, or one pass over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hwsim.spec.errors import UsageError, did_you_mean

PhaseKind = Literal["prefill", "decode"]
Causal = Literal["full", "half"]
LmHead = Literal["all", "last"]


@dataclass(frozen=True)
class Phase:
    """One run of a model.

    Parameters
    ----------
    kind
        ``prefill`` processes ``tokens`` new tokens; ``decode`` one token per sequence on top of
        ``tokens`` cached ones. Encoders and image models know ``prefill`` only.
    tokens
        Prompt length (prefill) or cached tokens (decode); ``None`` takes the model's own default.
    batch
        Sequences or images in parallel.
    causal
        ``full`` counts all S² scores of a prefill, as an eager attention kernel computes them;
        ``half`` only those at or below the diagonal, S(S+1)/2, as a kernel that skips masked
        tiles does. Decode is the same in both.
    lm_head
        Positions of a prefill that the LM head sees: ``all`` (Hugging Face's forward) or ``last``
        (what serving computes).

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    kind: PhaseKind = "prefill"
    tokens: int | None = None
    batch: int = 1
    causal: Causal = "full"
    lm_head: LmHead = "all"

    def __post_init__(self) -> None:
        choices = {"kind": PhaseKind, "causal": Causal, "lm_head": LmHead}
        for name, choice in choices.items():
            value, valid = getattr(self, name), get_args(choice)
            if value not in valid:
                shown = "phase" if name == "kind" else name
                raise UsageError(f"unknown {shown} {value!r}; {did_you_mean(value, valid)}")
        for name in ("tokens", "batch"):
            value = getattr(self, name)
            if (value is not None or name == "batch") and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} must be a whole number of at least 1, not {value!r}")

    @property
    def decode(self) -> bool:
        """Whether this is a decode step."""
        return self.kind == "decode"

    @property
    def length_name(self) -> str:
        """What :attr:`tokens` is called in files and tables: ``seq_len`` or ``context``."""
        return "context" if self.decode else "seq_len"


def prefill(seq_len: int | None = None, batch: int = 1, causal: Causal = "full", lm_head: LmHead = "all") -> Phase:
    """Return a prefill of ``seq_len`` tokens for each of ``batch`` sequences."""
    return Phase("prefill", seq_len, batch, causal, lm_head)


def decode(context: int | None = None, batch: int = 1) -> Phase:
    """Return one decode step on top of ``context`` cached tokens for each of ``batch`` sequences."""
    return Phase("decode", context, batch)


def attention_spans(phase: Phase, tokens: int, window: int | None = None) -> tuple[tuple[int, int], ...]:
    """Return ``(queries, keys)`` pairs of one sequence: so many queries see so many keys each.

    * decode: one query sees the cache and itself, at most ``window`` keys;
    * prefill, ``causal: full``: S queries see S keys (an eager kernel masks a window's far side too);
    * prefill, ``causal: half``: query i sees min(i + 1, window) keys. Queries that see a growing
      triangle of T keys are split in two halves of average context, whose sum is exactly T(T+1)/2
      and which read every key once; the rest see ``window`` keys.
    """
    if phase.decode:
        return ((1, min(tokens + 1, window or tokens + 1)),)
    if phase.causal == "full":
        return ((tokens, tokens),)
    growing = min(tokens, window or tokens)
    rest = ((tokens - growing, growing),) if tokens > growing else ()
    return (*triangle(growing), *rest)


def triangle(size: int) -> tuple[tuple[int, int], ...]:
    """Split a triangle of ``size(size+1)/2`` scores into two rectangles of whole numbers."""
    first = size // 2
    if size % 2:
        mean = (size + 1) // 2
        return ((first, mean), (size - first, mean)) if first else ((1, 1),)
    return ((first, first), (first, first + 1))
