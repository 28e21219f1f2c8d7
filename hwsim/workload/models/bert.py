"""BERT: a bidirectional encoder with post-norm blocks and a pooler."""

from __future__ import annotations

from hwsim.spec.errors import UsageError
from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, block_ops, finish, resolve_tokens


def read_encoder(config: Config, vocab: int, max_tokens: int, positions: int) -> Transformer:
    """Read the keys that BERT and ViT share: biases everywhere, one head per KV head."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    layers = config.integer("num_hidden_layers")
    config.divides("num_attention_heads", heads, "hidden_size", hidden)
    return Transformer(
        family=config.model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer("intermediate_size"),
        vocab=vocab,
        max_tokens=max_tokens,
        activation=config.choice("hidden_act", ACTIVATIONS, "gelu"),
        norm="layernorm",
        windows=((layers, None),),
        qkv_bias=config.flag("qkv_bias", True),
        out_bias=True,
        mlp_bias=True,
        positions=positions,
    )


def refuse_decode(family: str, phase: Phase) -> None:
    """Raise UsageError for a decode step of a model that has none."""
    if phase.decode:
        raise UsageError(f"phase: {family} has no decode phase; use prefill")


def encoder_trace(model: Transformer, phase: Phase, types: int, pooler: bool) -> Trace:
    """Return the trace of embeddings, a projection if they are narrower, blocks and, if there is one, the pooler."""
    tokens = resolve_tokens(model, phase)
    rows, hidden, width = phase.batch * tokens, model.hidden, model.table_width
    ops: list[Op] = [
        VectorOp("embed", "embedding", rows, width),
        VectorOp("embed.positions", "add", rows, width),
    ]
    if types:
        ops.append(VectorOp("embed.types", "add", rows, width))
    ops.append(VectorOp("embed.norm", "layernorm", rows, width))
    other = (model.vocab + model.positions + types) * width + 2 * width + model.block_extras
    weights = model.block_weights
    if model.embed_width:
        ops.append(Gemm("embed.project", rows, hidden, width, role="embed"))
        other, weights = other + hidden, weights + hidden * width
    ops += block_ops(model, phase, tokens, causal=False)
    if pooler:
        ops += [
            Gemm("pooler", phase.batch, hidden, hidden, role="other"),
            VectorOp("pooler.act", "tanh", phase.batch, hidden),
        ]
        other, weights = other + hidden, weights + hidden * hidden
    table = {"embed": (model.vocab, width)}
    return finish(model.family, phase, tokens, ops, weights + other, other, tables=table)


@FAMILIES.register("bert")
def bert(config: Config, phase: Phase) -> Trace:
    """``BertModel``: embeddings, blocks and pooler; task heads are not part of it."""
    refuse_decode("bert", phase)
    positions = config.integer("max_position_embeddings")
    model = read_encoder(config, config.integer("vocab_size"), positions, positions)
    types = config.integer("type_vocab_size", default=2)  # transformers BertConfig
    config.check()
    return encoder_trace(model, phase, types, pooler=True)
