"""MPT: ALiBi, LayerNorm without bias, one matrix for query, key and value."""

from __future__ import annotations

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


@FAMILIES.register("mpt")
def mpt(config: Config, phase: Phase) -> Trace:
    """MPT with multi-head attention and ALiBi, as transformers' module computes it."""
    hidden, heads, layers = config.integer("d_model"), config.integer("n_heads"), config.integer("n_layers")
    config.divides("n_heads", heads, "d_model", hidden)
    config.require(config.flag("no_bias", True), "'no_bias' false is not supported")
    if config.get("attn_config") is not None:
        attention = config.section("attn_config")
        kind = attention.get("attn_type", "multihead_attention")
        config.require(kind == "multihead_attention", f"'attn_config' attn_type {kind!r} is not supported")
        config.require(not attention.flag("qk_ln", False), "'attn_config' qk_ln true is not supported")
    model = Transformer(
        family="mpt",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer("expansion_ratio", default=4) * hidden,
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_seq_len"),
        activation="gelu",
        norm="layernorm",
        norm_size=1,
        windows=((layers, None),),
        qkv="fused",
        tied=config.flag("tie_word_embeddings", True),
    )
    config.check()
    return decoder_trace(model, phase)
