"""OPT: LayerNorm, learned positions, biases everywhere but in the tied LM head."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace

#: ``OPTLearnedPositionalEmbedding`` keeps two rows before position 0 (transformers modeling_opt.py).
POSITION_OFFSET = 2


@FAMILIES.register("opt")
def opt(config: Config, phase: Phase) -> Trace:
    """OPT; the 350M model has its norms after each half, no last norm, and projected embeddings."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    layers, positions = config.integer("num_hidden_layers"), config.integer("max_position_embeddings")
    embed = config.integer("word_embed_proj_dim", default=hidden)
    before = config.flag("do_layer_norm_before", True)
    config.divides("num_attention_heads", heads, "hidden_size", hidden)
    bias = config.flag("enable_bias", True)
    model = Transformer(
        family="opt",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer("ffn_dim"),
        vocab=config.integer("vocab_size"),
        max_tokens=positions,
        activation=config.choice("activation_function", ACTIVATIONS, "relu"),
        norm="layernorm",
        windows=((layers, None),),
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
        tied=config.flag("tie_word_embeddings", True),
        positions=positions + POSITION_OFFSET,
        final_norm=before and not config.flag("_remove_final_layer_norm", False),
        embed_width=embed if embed != hidden else 0,
    )
    config.check()
    return decoder_trace(model, phase)
