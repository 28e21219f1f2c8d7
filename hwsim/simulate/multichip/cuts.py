"""Along what each product of a trace is cut, where its result lies then, and where the next one needs it.

The cut is that of Shoeybi et al., "Megatron-LM" (arXiv 1909.08053), section 3: projections to queries, keys
and values and the first products of an MLP are cut along N, so that each chip has the heads and features
that it goes on with; scores and values are cut by heads; the products that lead back to the hidden size
(attention's output, an MLP's last one, which narrows: N < K) are cut along K. Any other product is cut along N.

A first product of an MLP is cut as the last one is along K, and instances of attention go by heads, where chips
then have even parts. Where they cannot (heads that do not divide among the chips), instances are cut on their
own, and what chips have must be sent to where it is needed; a single instance of attention is cut along its
queries, of which each chip has some and of keys and values all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Literal

from hwsim.formats import parse_format
from hwsim.simulate.multichip.layouts import WHOLE, Layout, Part
from hwsim.simulate.multicore.cut import cut
from hwsim.workload.ops import Gemm, Op

#: What a product may be cut along.
Loop = Literal["m", "n", "k", "batch"]

#: What a result is, whose product is cut along a loop.
GIVES: dict[Loop, Layout] = {"m": "rows", "n": "columns", "k": "sums", "batch": "instances"}


@dataclass(frozen=True)
class Needed:
    """``columns`` of a product's result that a later operation needs as ``part``."""

    columns: int
    part: Part


@dataclass(frozen=True)
class Cut:
    """A product cut along ``loop`` in ``sizes``: what chips have of its result, and what the next one needs."""

    loop: Loop
    sizes: tuple[int, ...]
    has: Part
    needed: tuple[Needed, ...]


class Cuts:
    """Cuts of all products of a trace for so many chips."""

    def __init__(self, ops: Sequence[Op], chips: int) -> None:
        self.gemms = [op for op in ops if isinstance(op, Gemm)]
        self.chips = chips

    def of(self, at: int) -> Cut:
        """Return the cut of the product number ``at``."""
        gemm = self.gemms[at]
        if gemm.role in ("score", "value"):
            return self._attention(at)
        if leads_back(gemm):
            sizes = self._along_k(gemm)
            return Cut("k", sizes, Part("sums", sizes), (Needed(gemm.n, WHOLE),))
        needed = self._needed(at)
        sizes = cut(gemm.n, 1, self.chips)
        wanted = needed[0].part
        if gemm.role == "ffn" and wanted.layout == "columns" and len(wanted.sizes) == len(sizes):
            followed = [gemm.n * size / sum(wanted.sizes) for size in wanted.sizes]
            if all(size.is_integer() for size in followed):
                sizes = tuple(int(size) for size in followed)
        return Cut("n", sizes, Part("columns", sizes), needed)

    def _along_k(self, gemm: Gemm) -> tuple[int, ...]:
        """Return parts of K; elements that share a scale stay together."""
        blocks = (parse_format(name).block_size for name in (gemm.w_format, gemm.a_format))
        return cut(gemm.k, lcm(*(block or 1 for block in blocks)), self.chips)

    def _attention(self, at: int) -> Cut:
        gemm = self.gemms[at]
        loop: Loop = "batch" if gemm.batch > 1 else "m"
        sizes = cut(getattr(gemm, loop), 1, self.chips)
        own = self._instances(at)
        if gemm.role == "score" and self._later(at, "value") is not None:
            return Cut(loop, sizes, own, (Needed(gemm.n, own),))
        out = self._later(at, "attn_out") if gemm.role == "value" else None
        wanted = WHOLE if out is None else Part("columns", self._along_k(self.gemms[out]))
        return Cut(loop, sizes, own, (Needed(gemm.n, wanted),))

    def _instances(self, at: int) -> Part:
        """Return how instances of attention lie: heads, which are columns, or instances of their own, or rows."""
        gemm = self.gemms[at]
        if gemm.batch == 1:
            return Part("rows", cut(gemm.m, 1, self.chips))
        heads = self._heads(at)
        if heads % self.chips == 0 or heads == gemm.batch:
            return Part("columns", cut(heads, 1, self.chips))
        return Part("instances", cut(gemm.batch, 1, self.chips))

    def _heads(self, at: int) -> int:
        """Return the heads of keys and values: their columns over those of a head; as instances where not found.

        Instances are the heads of so many sequences. Projections make queries, as wide as the output's K, and
        keys and values, equally wide.
        """
        score = next((g for g in reversed(self.gemms[: at + 1]) if g.role == "score"), self.gemms[at])
        out = self._later(at, "attn_out")
        made = sum(self.gemms[i].n for i in self._projections(at))
        if out is None or not made:
            return score.batch
        heads, rest = divmod(made - self.gemms[out].k, 2 * score.k)
        return heads if heads > 0 and not rest and score.batch % heads == 0 else score.batch

    def _projections(self, at: int) -> list[int]:
        """Return the projections to queries, keys and values before the attention at ``at``."""
        found: list[int] = []
        for i in range(at, -1, -1):
            role = self.gemms[i].role
            if role == "qkv":
                found.append(i)
            elif found or role not in ("score", "value"):
                break
        return found[::-1]

    def _later(self, at: int, role: str) -> int | None:
        """Return the next product of that role, before attention or a layer of another kind begins anew."""
        for i in range(at + 1, len(self.gemms)):
            if self.gemms[i].role == role:
                return i
            if self.gemms[i].role not in ("qkv", "score", "value", "ffn"):
                return None
        return None

    def _needed(self, at: int) -> tuple[Needed, ...]:
        """Return what is needed of the result of a product that is cut along N."""
        gemm = self.gemms[at]
        if gemm.role == "ffn":
            later = (g for g in self.gemms[at + 1 :] if g.role == "ffn")
            narrow = next((g for g in later if leads_back(g)), None)
            return (Needed(gemm.n, WHOLE if narrow is None else Part("columns", self._along_k(narrow))),)
        score = self._later(at, "score") if gemm.role == "qkv" else None
        if score is None:
            return (Needed(gemm.n, WHOLE),)
        wanted = self._instances(score)
        if wanted.layout != "rows":
            return (Needed(gemm.n, wanted),)
        queries = self._queries(at, score)
        split = (Needed(queries, wanted), Needed(gemm.n - queries, WHOLE))
        return tuple(need for need in split if need.columns)

    def _queries(self, at: int, score: int) -> int:
        """Return the columns of a projection that are queries, which come first."""
        out = self._later(score, "attn_out")
        width = self.gemms[out].k if out is not None else self.gemms[score].k
        before = sum(self.gemms[i].n for i in self._projections(score) if i < at)
        return min(max(width - before, 0), self.gemms[at].n)


def leads_back(gemm: Gemm) -> bool:
    """Whether a product leads back to the hidden size."""
    return gemm.role == "attn_out" or (gemm.role == "ffn" and gemm.n < gemm.k)
