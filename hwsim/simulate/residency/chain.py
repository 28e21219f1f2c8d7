"""Which operations of a trace hand their results to the next one: attention, as transformer traces list it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.workload.ops import Gemm, Op, VectorOp


@dataclass(frozen=True)
class Fused:
    """Score, softmax and value of one attention, as one operation; sizes as in :class:`~hwsim.workload.Gemm`.

    ``m`` counts queries (of all heads that share keys), ``k`` keys, ``n`` the width of a value.
    """

    score: Gemm
    softmax: VectorOp
    value: Gemm

    op = "fused_attention"

    @property
    def parts(self) -> tuple[Op, Op, Op]:
        """The operations, in order."""
        return self.score, self.softmax, self.value

    @property
    def layer(self) -> str:
        """Names of all three."""
        return "+".join(part.layer for part in self.parts)

    @property
    def m(self) -> int:
        """Queries."""
        return self.score.m

    @property
    def n(self) -> int:
        """Elements of a value, and of a result."""
        return self.value.n

    @property
    def k(self) -> int:
        """Keys."""
        return self.score.n

    @property
    def batch(self) -> int:
        """Independent instances."""
        return self.score.batch

    @property
    def repeat(self) -> int:
        """Identical layers."""
        return self.score.repeat

    @property
    def w_format(self) -> str:
        """Format of the values; that of the keys is the score's."""
        return self.value.w_format

    @property
    def a_format(self) -> str:
        """Format of the queries."""
        return self.score.a_format

    @property
    def o_format(self) -> str:
        """Format of the results."""
        return self.value.o_format


def fuse_attention(ops: Sequence[Op]) -> tuple[list[Op | Fused], tuple[str, ...]]:
    """Return ``ops`` with every attention as one, and the layers of scores whose chain is not known.

    A chain is known where a score, a softmax and a value follow one another by role and their sizes fit: the
    order of a trace says what reads what only so far.
    """
    found: list[Op | Fused] = []
    left: list[str] = []
    at = 0
    while at < len(ops):
        fused = _attention(ops[at : at + 3])
        if fused is None:
            op = ops[at]
            if isinstance(op, Gemm) and op.role == "score":
                left.append(op.layer)
        found.append(fused or ops[at])
        at += 3 if fused else 1
    return found, tuple(dict.fromkeys(left))


def _attention(ops: Sequence[Op]) -> Fused | None:
    if len(ops) < 3:
        return None
    score, softmax, value = ops
    if not (isinstance(score, Gemm) and isinstance(softmax, VectorOp) and isinstance(value, Gemm)):
        return None
    shares = (score.batch, score.repeat)
    chained = (
        (score.role, softmax.op, value.role) == ("score", "softmax", "value")
        and (score.m, score.n) == (softmax.m, softmax.n) == (value.m, value.k)
        and shares == (softmax.batch, softmax.repeat) == (value.batch, value.repeat)
        and "dram" not in (score.w_source, value.w_source)
    )
    return Fused(score, softmax, value) if chained else None
