"""Encoder–decoders: T5, BART, Marian, Whisper.

A *prefill* is what a module's forward does: the encoder over the source and the decoder over
``target`` tokens at once. A *decode* step is one target token on top of ``target`` cached ones; the
encoder has run, and keys and values of the source are cached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hwsim.spec.errors import UsageError
from hwsim.workload.config import Config
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import DEFAULT_TOKENS, Transformer, block_ops, finish


@dataclass(frozen=True)
class EncoderDecoder:
    """Both halves of a model.

    Parameters
    ----------
    encoder, decoder
        Their blocks; the decoder's ``vocab`` is the LM head's, ``tied`` says that it is the table.
    tables
        Parameters of embedding tables that no GEMM multiplies: those of words if the head is not
        tied to them, positions, relative biases.
    front
        Operations that turn the source into the encoder's input, with ``front_weights`` weights
        and ``front_extras`` biases.
    """

    encoder: Transformer
    decoder: Transformer
    tables: int
    front: Sequence[Op] = ()
    front_weights: int = 0
    front_extras: int = 0

    @property
    def cross_weights(self) -> int:
        """Weights of the cross attention of all decoder layers; keys and values read the encoder's width."""
        d = self.decoder
        return d.layers * (2 * d.hidden * d.q_width + 2 * self.encoder.hidden * d.kv_width)

    @property
    def extras(self) -> int:
        """Parameters that no GEMM multiplies."""
        e, d = self.encoder, self.decoder
        cross = d.layers * (d.attention_biases + d.norm_parameters(d.hidden))
        outer = sum(m.norm_parameters(m.hidden) * (m.final_norm + m.embed_norm) for m in (e, d))
        return self.tables + self.front_extras + e.block_extras + d.block_extras + cross + outer

    @property
    def parameters(self) -> int:
        """Unique parameters, the LM head included."""
        d = self.decoder
        weights = self.front_weights + self.encoder.block_weights + d.block_weights + self.cross_weights
        return weights + d.vocab * d.hidden + self.extras


def lengths(config: Config, phase: Phase, longest: int, fixed_source: int | None = None) -> tuple[int, int]:
    """Return tokens of source and target.

    ``seq_len`` (``context``) counts target tokens, and those of the source too unless the source has a
    length of its own (``fixed_source``: audio) or ``source_tokens`` gives one; ``decoder_tokens``
    gives another target. Both are keys of hwsim's own.

    Raises
    ------
    UsageError
        If the target is longer than the model's ``longest``.
    """
    target = config.optional_integer("decoder_tokens")
    asked = phase.tokens or min(DEFAULT_TOKENS, longest)
    source = config.optional_integer("source_tokens") or fixed_source or asked
    target = target or asked
    config.check()
    if target > longest:
        raise UsageError(f"{phase.length_name}: {target:,} tokens, but {config.model_type} takes {longest:,}")
    return source, target


def pair_trace(model: EncoderDecoder, phase: Phase, source: int, target: int) -> Trace:
    """Return the trace of one forward, or of one decode step."""
    decoder, ops = model.decoder, list[Op]()
    if not phase.decode:
        ops.extend(_named("encoder", _encoder_ops(model, phase, source)))
    rows = phase.batch * (1 if phase.decode else target)
    ops.append(VectorOp("decoder.embed", "embedding", rows, decoder.hidden))
    if decoder.positions:
        ops.append(VectorOp("decoder.embed.positions", "add", rows, decoder.hidden))
    if decoder.embed_norm:
        ops.append(VectorOp("decoder.embed.norm", decoder.norm, rows, decoder.hidden))
    ops.extend(_named("decoder", block_ops(decoder, phase, target)))
    ops.extend(_named("decoder", _cross_ops(model, phase, source, rows)))
    if decoder.final_norm:
        ops.append(VectorOp("decoder.final_norm", decoder.norm, rows, decoder.hidden))
    head_rows = phase.batch if phase.lm_head == "last" else rows
    ops.append(Gemm("lm_head", head_rows, decoder.vocab, decoder.hidden, role="lm_head"))
    tables = {} if decoder.tied else {"decoder.embed": (decoder.vocab, decoder.hidden)}
    trace = finish(
        decoder.family, phase, target, ops, model.parameters, model.extras, kv_model=decoder, tables=tables
    )  # fmt: skip
    own, cross = trace.meta["kv_vectors"], 2 * phase.batch * decoder.kv_heads * decoder.layers * source
    stores = [("decoder.attn.", own, decoder.head_dim), ("decoder.cross.", cross, decoder.head_dim)]
    meta = {**trace.meta, "source_tokens": source, "kv_vectors": own + cross, "kv_stores": stores}
    meta["idle_weights"] = _idle(model, phase, source)
    return Trace(trace.name, trace.ops, meta)


def _idle(model: EncoderDecoder, phase: Phase, source: int) -> list[Gemm]:
    """Weights that a decode step does not read: the encoder, and keys and values of the source."""
    if not phase.decode:
        return []
    whole = Phase("prefill", source, 1)
    ops = [*_named("encoder", _encoder_ops(model, whole, source)), *_named("decoder", _source_ops(model, 1, source))]
    return [replace(op, m=1) for op in ops if isinstance(op, Gemm) and op.w_source == "dram"]


def _named(half: str, ops: Iterator[Op]) -> Iterator[Op]:
    return (replace(op, layer=f"{half}.{op.layer}") for op in ops)


def _encoder_ops(model: EncoderDecoder, phase: Phase, source: int) -> Iterator[Op]:
    encoder, rows = model.encoder, phase.batch * source
    yield from model.front or (VectorOp("embed", "embedding", rows, encoder.hidden),)
    if encoder.positions:
        yield VectorOp("embed.positions", "add", rows, encoder.hidden)
    if encoder.embed_norm:
        yield VectorOp("embed.norm", encoder.norm, rows, encoder.hidden)
    yield from block_ops(encoder, phase, source, causal=False)
    if encoder.final_norm:
        yield VectorOp("final_norm", encoder.norm, rows, encoder.hidden)


def _cross_ops(model: EncoderDecoder, phase: Phase, source: int, rows: int) -> Iterator[Op]:
    """Attention of the target to the source; its keys and values are computed once, in the prefill."""
    d, heads = model.decoder, phase.batch * model.decoder.heads
    queries, layers = rows // phase.batch, model.decoder.layers
    yield VectorOp("cross.norm", d.norm, rows, d.hidden, repeat=layers)
    yield Gemm("cross.q_proj", rows, d.q_width, d.hidden, repeat=layers, role="qkv")
    if not phase.decode:
        yield from _source_ops(model, phase.batch, source)
    yield Gemm("cross.score", queries, source, d.head_dim, heads, layers, w_source="kv", role="score")
    yield VectorOp("cross.softmax", "softmax", queries, source, heads, layers)
    yield Gemm("cross.value", queries, d.head_dim, source, heads, layers, w_source="kv", role="value")
    yield Gemm("cross.o_proj", rows, d.hidden, d.q_width, repeat=layers, role="attn_out")
    yield VectorOp("cross.residual", "add", rows, d.hidden, repeat=layers)


def _source_ops(model: EncoderDecoder, batch: int, source: int) -> Iterator[Gemm]:
    """Keys and values of the source, for every decoder layer."""
    width, layers = model.decoder.kv_width, model.decoder.layers
    for name in ("k_proj", "v_proj"):
        yield Gemm(f"cross.{name}", batch * source, width, model.encoder.hidden, repeat=layers, role="qkv")
