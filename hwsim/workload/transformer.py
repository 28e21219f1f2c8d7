"""Transformers: one description, :class:`Transformer`, for decoders and encoders.

A family reads its ``config.json`` into a :class:`Transformer`; :func:`transformer_trace` turns that
and a :class:`~hwsim.workload.phase.Phase` into operations. Counts follow the modules of Hugging
Face's transformers. Biases are counted as parameters; adding them is part of a GEMM's drain.

Grouped-query attention is one GEMM per KV head: ``batch = sequences × kv_heads`` and
``m = heads / kv_heads × tokens``, so that a KV head's cache is read once for its whole group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwsim.spec.errors import UsageError
from hwsim.workload.experts import Experts, expert_ops
from hwsim.workload.latent import Latent, absorbed_attention, expanded_attention, latent_projections
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase, attention_spans
from hwsim.workload.spans import key_spans
from hwsim.workload.trace import Trace

#: Prompt and context length when the user names none, capped by the model's own maximum.
DEFAULT_TOKENS = 2048


@dataclass(frozen=True)
class Transformer:
    """The shape of a transformer. Sizes in elements, ``vocab`` and ``positions`` in rows.

    ``positions`` is 0 without a learned position table; ``max_tokens`` then only caps the default
    length. ``qkv`` and ``mlp`` are ``split`` (one projection each) or ``fused`` (one for query, key
    and value; one for gate and up). ``parallel`` blocks feed attention and MLP from one norm, or
    each from one of its own (``parallel_norms`` 2). ``qk_norm`` normalises query and key by head with
    one gain for all heads (``head``) or one per head (``heads``), or over their whole width
    (``width``). ``norm_size`` is how many parameters an element of a norm has, where it is not what
    its kind usually has. ``windows`` names the sliding window per group of layers as
    ``(layers, window or None)``, a :class:`~hwsim.workload.spans.Chunk` where chunks limit attention; the
    layers sum to ``layers``. ``experts`` replace the MLP in their
    layers, ``latent`` replaces the attention. ``key_bias`` false leaves the key out of ``qkv_bias``.
    ``embed_width`` is that of the embedding table where projections stand between it and the blocks.
    ``layer_parameters`` counts what no other field does.
    """

    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    max_tokens: int
    activation: str
    norm: Literal["rmsnorm", "layernorm"]
    windows: tuple[tuple[int, int | None], ...]
    gated: bool = False
    parallel: bool = False
    qkv: Literal["split", "fused"] = "split"
    mlp: Literal["split", "fused"] = "split"
    qkv_bias: bool = False
    key_bias: bool = True
    out_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    tied: bool = False
    positions: int = 0
    rotary_dim: int = 0
    qk_norm: Literal["", "head", "heads", "width"] = ""
    sub_norms: bool = False
    pre_norms: bool = True
    post_norms: bool = False
    parallel_norms: int = 1
    norm_size: int | None = None
    embed_norm: bool = False
    final_norm: bool = True
    embed_width: int = 0
    layer_parameters: int = 0
    experts: Experts | None = None
    latent: Latent | None = None

    @property
    def q_width(self) -> int:
        """Outputs of the query projection."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Outputs of the key projection, and of the value projection."""
        return self.kv_heads * self.head_dim

    @property
    def kv_elements_per_token(self) -> int:
        """Elements of K and V, or of the latent, that one token adds to the cache, over all layers."""
        return self.layers * (self.latent.cached if self.latent else 2 * self.kv_width)

    @property
    def dense_layers(self) -> int:
        """Layers with the dense MLP."""
        return self.layers - (self.experts.layers if self.experts else 0)

    @property
    def table_width(self) -> int:
        """Elements of one row of the embedding table and of the LM head."""
        return self.embed_width or self.hidden

    @property
    def block_weights(self) -> int:
        """Weights of the GEMMs of all layers."""
        attention = self.hidden * (2 * self.q_width + 2 * self.kv_width)
        if self.latent:
            attention = self.latent.weights(self.hidden, self.heads)
        mlps = self.dense_layers * (3 if self.gated else 2) * self.hidden * self.ffn
        return self.layers * attention + mlps + (self.experts.weights(self.hidden) if self.experts else 0)

    @property
    def block_extras(self) -> int:
        """Biases, norms and other parameters of all layers that no GEMM multiplies."""
        attention = self.latent.extras(self.hidden) if self.latent else self.attention_biases
        mlps = self.dense_layers * self.mlp_bias * (self.ffn * (2 if self.gated else 1) + self.hidden)
        each = attention + self.norm_parameters(self._norm_elements) + self.layer_parameters
        return self.layers * each + mlps + (self.experts.extras(self.hidden) if self.experts else 0)

    @property
    def attention_biases(self) -> int:
        """Biases of one layer's attention."""
        return self.qkv_bias * (self.q_width + (1 + self.key_bias) * self.kv_width) + self.out_bias * self.hidden

    @property
    def _norm_elements(self) -> int:
        """Elements of one layer's norms that have parameters."""
        before = self.pre_norms * (self.parallel_norms if self.parallel else 2)
        heads = {"": 0, "head": 2 * self.head_dim}
        across = heads.get(self.qk_norm, self.q_width + self.kv_width)
        return (before + 2 * self.post_norms) * self.hidden + self.sub_norms * (self.q_width + self.ffn) + across

    def norm_parameters(self, width: int) -> int:
        """Parameters of norms over ``width`` elements: a gain, and a bias in LayerNorm."""
        usual = 2 if self.norm == "layernorm" else 1
        return width * (usual if self.norm_size is None else self.norm_size)

    @property
    def head_weights(self) -> int:
        """Weights of the LM head and of projections between tables and blocks."""
        between = 2 * self.hidden * self.table_width if self.embed_width else 0
        return self.vocab * self.table_width + between

    @property
    def decoder_extras(self) -> int:
        """Parameters outside GEMMs of a decoder; a tied embedding is the LM head's weight."""
        table = 0 if self.tied else self.vocab * self.table_width
        norms = self.norm_parameters(self.hidden) * (self.final_norm + self.embed_norm)
        extras = self.positions * self.hidden + norms + self.head_bias * self.vocab
        return table + extras + self.block_extras

    @property
    def decoder_parameters(self) -> int:
        """Unique parameters of a decoder with its LM head."""
        return self.block_weights + self.head_weights + self.decoder_extras


def resolve_tokens(model: Transformer, phase: Phase) -> int:
    """Return the prompt or context length of ``phase``.

    Raises
    ------
    UsageError
        If it exceeds a learned position table.
    """
    tokens = phase.tokens or min(DEFAULT_TOKENS, model.max_tokens)
    if model.positions and tokens > model.max_tokens:
        raise UsageError(
            f"{phase.length_name}: {tokens:,} tokens, but {model.family} has {model.max_tokens:,} learned positions"
        )
    return tokens


def block_ops(model: Transformer, phase: Phase, tokens: int, causal: bool = True) -> Iterator[Op]:
    """Yield the operations of all layers, each kind once with its ``repeat``.

    ``causal=False`` is an encoder: every token sees every token and nothing is cached. Norms are
    listed before attention and MLP; a post-norm model (BERT) runs the same ones after them.
    """
    rows = phase.batch * (1 if phase.decode else tokens)
    norm, layers = model.norm, model.layers
    if model.pre_norms:
        yield VectorOp("attn.norm", norm, rows, model.hidden, repeat=layers)
    yield from _attention_ops(model, phase, tokens, causal)
    if model.post_norms:
        yield VectorOp("attn.post_norm", norm, rows, model.hidden, repeat=layers)
    yield VectorOp("attn.residual", "add", rows, model.hidden, repeat=layers)
    if model.pre_norms and not (model.parallel and model.parallel_norms == 1):
        yield VectorOp("mlp.norm", norm, rows, model.hidden, repeat=layers)
    if model.dense_layers:
        yield from _mlp(model, rows)
    if model.experts:
        yield from expert_ops(model.experts, rows, model.hidden, model.activation)
    if model.post_norms:
        yield VectorOp("mlp.post_norm", norm, rows, model.hidden, repeat=layers)
    yield VectorOp("mlp.residual", "add", rows, model.hidden, repeat=layers)


def _attention_ops(model: Transformer, phase: Phase, tokens: int, causal: bool) -> Iterator[Op]:
    """Projections, attention itself and the output projection."""
    rows, layers = phase.batch * (1 if phase.decode else tokens), model.layers
    width = model.q_width
    if model.latent:
        width = model.heads * model.latent.v_dim
        yield from _latent_ops(model, model.latent, phase, tokens)
    else:
        yield from _projections(model, rows)
        for count, window in model.windows:
            spans = key_spans(phase, tokens, window) if causal else ((tokens, tokens),)
            for queries, keys in spans:
                yield from _attention(model, phase.batch, queries, keys, count, "kv" if causal else "activation")
    if model.sub_norms:
        yield VectorOp("attn.sub_norm", model.norm, rows, width, repeat=layers)
    yield Gemm("attn.o_proj", rows, model.hidden, width, repeat=layers, role="attn_out")


def _latent_ops(model: Transformer, latent: Latent, phase: Phase, tokens: int) -> Iterator[Op]:
    rows = phase.batch * (1 if phase.decode else tokens)
    yield from latent_projections(latent, model.hidden, model.heads, rows, model.layers)
    spans = attention_spans(phase, tokens)
    if phase.decode:
        yield from absorbed_attention(latent, model.heads, phase.batch, model.layers, spans)
    else:
        yield from expanded_attention(latent, model.heads, phase.batch, rows, model.layers, spans)


def _projections(model: Transformer, rows: int) -> Iterator[Op]:
    """Query, key and value projections, the norms of heads, and the rotary embedding."""
    if model.qkv == "fused":
        widths = {"qkv_proj": model.q_width + 2 * model.kv_width}
    else:
        widths = {"q_proj": model.q_width, "k_proj": model.kv_width, "v_proj": model.kv_width}
    for name, width in widths.items():
        yield Gemm(f"attn.{name}", rows, width, model.hidden, repeat=model.layers, role="qkv")
    heads = model.heads + model.kv_heads
    if model.qk_norm == "width":
        yield VectorOp("attn.q_norm", model.norm, rows, model.q_width, repeat=model.layers)
        yield VectorOp("attn.k_norm", model.norm, rows, model.kv_width, repeat=model.layers)
    elif model.qk_norm:
        yield VectorOp("attn.qk_norm", model.norm, rows * heads, model.head_dim, repeat=model.layers)
    if model.rotary_dim:
        yield VectorOp("attn.rope", "rope", rows, heads * model.rotary_dim, repeat=model.layers)


def _attention(model: Transformer, batch: int, queries: int, keys: int, layers: int, source: str) -> Iterator[Op]:
    """Scores, softmax and weighted values for queries that see so many keys each."""
    batch, rows = batch * model.kv_heads, model.heads // model.kv_heads * queries
    shared: dict[str, Any] = {"batch": batch, "repeat": layers, "w_source": source}
    yield Gemm("attn.score", rows, keys, model.head_dim, role="score", **shared)
    yield VectorOp("attn.softmax", "softmax", rows, keys, batch, layers)
    yield Gemm("attn.value", rows, model.head_dim, keys, role="value", **shared)


def _mlp(model: Transformer, rows: int) -> Iterator[Op]:
    layers = model.dense_layers
    widths = {"up_proj": model.ffn}
    if model.gated:
        fused = {"gate_up_proj": 2 * model.ffn}
        widths = fused if model.mlp == "fused" else {"gate_proj": model.ffn, **widths}
    for name, width in widths.items():
        yield Gemm(f"mlp.{name}", rows, width, model.hidden, repeat=layers, role="ffn")
    yield VectorOp("mlp.act", model.activation, rows, model.ffn, repeat=layers)
    if model.gated:
        yield VectorOp("mlp.gate", "mul", rows, model.ffn, repeat=layers)
    if model.sub_norms:
        yield VectorOp("mlp.sub_norm", model.norm, rows, model.ffn, repeat=layers)
    yield Gemm("mlp.down_proj", rows, model.hidden, model.ffn, repeat=layers, role="ffn")


def decoder_trace(model: Transformer, phase: Phase) -> Trace:
    """Return the trace of a decoder-only language model with its LM head.

    Raises
    ------
    UsageError
        If the prompt or context exceeds a learned position table.
    """
    tokens = resolve_tokens(model, phase)
    rows = phase.batch * (1 if phase.decode else tokens)
    head_rows = phase.batch if phase.lm_head == "last" else rows
    width = model.table_width
    ops: list[Op] = [VectorOp("embed", "embedding", rows, width)]
    if model.embed_width:
        ops.append(Gemm("embed.project_in", rows, model.hidden, width, role="embed"))
    if model.positions:
        ops.append(VectorOp("embed.positions", "add", rows, model.hidden))
    if model.embed_norm:
        ops.append(VectorOp("embed.norm", model.norm, rows, model.hidden))
    ops.extend(block_ops(model, phase, tokens))
    if model.final_norm:
        ops.append(VectorOp("final_norm", model.norm, rows, model.hidden))
    if model.embed_width:
        ops.append(Gemm("embed.project_out", rows, width, model.hidden, role="embed"))
    ops.append(Gemm("lm_head", head_rows, model.vocab, width, role="lm_head"))
    trace = finish(
        model.family, phase, tokens, ops, model.decoder_parameters, model.decoder_extras, kv_model=model,
        tables={} if model.tied else {"embed": (model.vocab, width)},
    )  # fmt: skip
    return with_experts(trace, model, rows)


def with_experts(trace: Trace, model: Transformer, rows: int) -> Trace:
    """Return the trace with what its ``meta`` must say about experts, if the model has any."""
    if model.experts is None:
        return trace
    stated, idle = model.experts.distribution, model.experts.idle_weights(rows, model.hidden)
    meta = {**trace.meta, "expert_distribution": stated, "idle_weights": idle}
    if model.experts.placed is not None:
        meta["expert_layers"] = {"": list(model.experts.placed)}
    return Trace(trace.name, trace.ops, meta)


def finish(
    family: str,
    phase: Phase,
    tokens: int | None,
    ops: list[Op],
    parameters: int,
    other_parameters: int,
    kv_model: Transformer | None = None,
    tables: Mapping[str, tuple[int, int]] | None = None,
) -> Trace:
    """Return the trace with its ``meta``; ``kv_model`` names the cache's sizes if there is one.

    ``other_parameters`` are those that no GEMM multiplies (norms, biases, tables). Of these, ``tables`` are the rows
    and the width of embeddings that stand for themselves, by the operation that looks them up.
    """
    meta: dict[str, Any] = {"family": family, "phase": phase.kind, "batch": phase.batch}
    label = f"{family} {phase.kind}"
    if tokens is not None:
        meta[phase.length_name] = tokens
        label += f" {tokens}"
    meta |= {"parameters": parameters, "other_parameters": other_parameters, "kv_bytes_per_token_fp16": 0}
    meta |= {"tables": dict(tables)} if tables else {}
    if kv_model is not None:
        meta |= {"causal": phase.causal, "lm_head": phase.lm_head, **_cache(kv_model, phase, tokens or 0)}
    trace = Trace(label, tuple(ops), meta)
    totals = {f"macs_{kind}": macs for kind, macs in trace.macs_by_kind.items()}
    return Trace(label, trace.ops, {**meta, **totals, "macs": trace.macs})


def _cache(model: Transformer, phase: Phase, tokens: int) -> dict[str, int]:
    """Sizes of the KV cache after the run; a layer with a window keeps that many tokens."""
    held = tokens + 1 if phase.decode else tokens
    kept = sum(layers * min(held, window or held) for layers, window in model.windows)
    if model.latent:
        vectors, width = phase.batch * model.layers * held, model.latent.cached
        return {"kv_bytes_per_token_fp16": 2 * model.kv_elements_per_token, "kv_vectors": vectors, "head_dim": width}
    return {
        "kv_bytes_per_token_fp16": 2 * model.kv_elements_per_token,
        "kv_vectors": 2 * phase.batch * model.kv_heads * kept,
        "head_dim": model.head_dim,
        "queries_per_kv_head": model.heads // model.kv_heads,
    }
