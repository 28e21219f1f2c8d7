"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): the cache keeps one latent per token.

A token caches ``kv_rank`` latent elements and one rotary key of ``rope_dim`` elements, shared by
all heads. A prefill expands the latent to keys and values per head, as the published modules do.
A decode step is computed in the absorbed form of the paper: the expansion of keys is multiplied
into the query, that of values into the result, and all heads attend to the latent itself. (Modules
run eagerly expand the whole cache again at each step, which no serving system does.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hwsim.workload.config import Config
from hwsim.workload.ops import Gemm, Op, VectorOp, bare_name

#: Products of absorbed attention, and the layer of whose weights each reads a part.
_ABSORBED = {"attn.absorb_k": "attn.kv_b_proj", "attn.absorb_v": "attn.kv_b_proj"}


def weights_of(layer: str) -> str:
    """Return the name of the layer whose weights the product ``layer`` reads: its own but in absorbed attention."""
    for part, whole in _ABSORBED.items():
        layer = layer.replace(part, whole)
    return layer


def as_stored(gemm: Gemm) -> Gemm:
    """Return a product with W as it is stored: the expansion of keys is turned where it is multiplied into queries."""
    return replace(gemm, n=gemm.k, k=gemm.n) if bare_name(gemm.layer).startswith("attn.absorb_k") else gemm


@dataclass(frozen=True)
class Latent:
    """Widths of latent attention, in elements; ``q_rank`` 0 projects queries in one step."""

    q_rank: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int
    bias: bool = False

    @property
    def qk_dim(self) -> int:
        """Elements of one head's query and key."""
        return self.nope_dim + self.rope_dim

    @property
    def cached(self) -> int:
        """Elements that one token caches per layer."""
        return self.kv_rank + self.rope_dim

    def weights(self, hidden: int, heads: int) -> int:
        """Weights of one layer's attention."""
        query = self.q_rank * (hidden + heads * self.qk_dim) if self.q_rank else hidden * heads * self.qk_dim
        expand = self.kv_rank * heads * (self.nope_dim + self.v_dim)
        return query + hidden * self.cached + expand + heads * self.v_dim * hidden

    def extras(self, hidden: int) -> int:
        """Norms of the latents and, where there are any, biases of one layer."""
        biases = self.bias * (self.q_rank + self.cached + hidden)
        return self.q_rank + self.kv_rank + biases


def read_latent(config: Config) -> Latent:
    """Read the keys of transformers' ``DeepseekV2Config`` and ``DeepseekV3Config``."""
    return Latent(
        q_rank=config.optional_integer("q_lora_rank") or 0,
        kv_rank=config.integer("kv_lora_rank"),
        nope_dim=config.integer("qk_nope_head_dim"),
        rope_dim=config.integer("qk_rope_head_dim"),
        v_dim=config.integer("v_head_dim"),
        bias=config.flag("attention_bias", False),
    )


def latent_projections(latent: Latent, hidden: int, heads: int, rows: int, layers: int) -> Iterator[Op]:
    """Queries and what is cached, for ``rows`` tokens."""
    if latent.q_rank:
        yield Gemm("attn.q_a_proj", rows, latent.q_rank, hidden, repeat=layers, role="qkv")
        yield VectorOp("attn.q_a_norm", "rmsnorm", rows, latent.q_rank, repeat=layers)
    name, source = ("q_b_proj", latent.q_rank) if latent.q_rank else ("q_proj", hidden)
    yield Gemm(f"attn.{name}", rows, heads * latent.qk_dim, source, repeat=layers, role="qkv")
    yield Gemm("attn.kv_a_proj", rows, latent.cached, hidden, repeat=layers, role="qkv")
    yield VectorOp("attn.kv_a_norm", "rmsnorm", rows, latent.kv_rank, repeat=layers)
    yield VectorOp("attn.rope", "rope", rows, (heads + 1) * latent.rope_dim, repeat=layers)


def expanded_attention(
    latent: Latent, heads: int, batch: int, rows: int, layers: int, spans: tuple[tuple[int, int], ...]
) -> Iterator[Op]:
    """Attention over keys and values that are expanded from the latent of ``rows`` tokens."""
    width = heads * (latent.nope_dim + latent.v_dim)
    yield Gemm("attn.kv_b_proj", rows, width, latent.kv_rank, repeat=layers, role="qkv")
    for queries, keys in spans:
        yield Gemm(
            "attn.score", queries, keys, latent.qk_dim, batch * heads, layers, w_source="activation", role="score"
        )
        yield VectorOp("attn.softmax", "softmax", queries, keys, batch * heads, layers)
        yield Gemm(
            "attn.value", queries, latent.v_dim, keys, batch * heads, layers, w_source="activation", role="value"
        )


def absorbed_attention(
    latent: Latent, heads: int, batch: int, layers: int, spans: tuple[tuple[int, int], ...]
) -> Iterator[Op]:
    """Attention of one token per sequence over the latent cache."""
    rank = latent.kv_rank
    yield Gemm("attn.absorb_k", batch, rank, latent.nope_dim, heads, layers, role="qkv", note="W_UK, a part of kv_b")
    for queries, keys in spans:
        rows = heads * queries
        note = "the latent is keys and values: one read serves both where it stays on chip"
        yield Gemm("attn.score", rows, keys, latent.cached, batch, layers, w_source="kv", role="score")
        yield VectorOp("attn.softmax", "softmax", rows, keys, batch, layers)
        yield Gemm("attn.value", rows, rank, keys, batch, layers, w_source="kv", role="value", note=note)
    yield Gemm("attn.absorb_v", batch, latent.v_dim, rank, heads, layers, role="qkv", note="W_UV, a part of kv_b")
