"""BLOOM: ALiBi instead of positions, a norm on the embeddings, one matrix for query, key and value."""

from __future__ import annotations

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import DEFAULT_TOKENS, Transformer, decoder_trace


@FAMILIES.register("bloom")
def bloom(config: Config, phase: Phase) -> Trace:
    """BLOOM; published files name its width ``hidden_size`` or ``n_embed``. Its length has no bound."""
    hidden = config.integer("n_embed" if config.get("n_embed") else "hidden_size")
    heads_key = "num_attention_heads" if config.get("num_attention_heads") else "n_head"
    heads = config.integer(heads_key)
    layers = config.integer("num_hidden_layers" if config.get("num_hidden_layers") else "n_layer")
    config.divides(heads_key, heads, "hidden_size", hidden)
    model = Transformer(
        family="bloom",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=4 * hidden,
        vocab=config.integer("vocab_size"),
        max_tokens=DEFAULT_TOKENS,
        activation="gelu",
        norm="layernorm",
        windows=((layers, None),),
        qkv="fused",
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=config.flag("tie_word_embeddings", True),
        embed_norm=True,
    )
    config.check()
    return decoder_trace(model, phase)
