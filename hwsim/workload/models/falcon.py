"""Falcon: attention and MLP in parallel, one matrix for query, key and value, one or a few KV heads."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


@FAMILIES.register("falcon")
def falcon(config: Config, phase: Phase) -> Trace:
    """Falcon-7B (multi-query), 40B and 180B (``new_decoder_architecture``), RW (neither).

    Defaults are those of transformers' ``FalconConfig``.
    """
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    layers, bias = config.integer("num_hidden_layers"), config.flag("bias", False)
    config.divides("num_attention_heads", heads, "hidden_size", hidden)
    new, alibi = config.flag("new_decoder_architecture", False), config.flag("alibi", False)
    many = new or not config.flag("multi_query", True)
    kv_heads = config.integer("num_kv_heads", default=heads) if many else 1
    config.divides("num_kv_heads", kv_heads, "num_attention_heads", heads)
    parallel = config.flag("parallel_attn", True)
    head_dim = hidden // heads
    model = Transformer(
        family="falcon",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads if new or not many else heads,
        head_dim=head_dim,
        ffn=config.integer("ffn_hidden_size", default=4 * hidden),
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings", default=2048),
        activation=config.choice("activation", ACTIVATIONS, "gelu"),
        norm="layernorm",
        windows=((layers, None),),
        parallel=parallel or new,
        parallel_norms=config.integer("num_ln_in_parallel_attn", default=2 if new else 1),
        qkv="fused",
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
        tied=config.flag("tie_word_embeddings", True),
        rotary_dim=0 if alibi else head_dim,
    )
    config.check()
    return decoder_trace(model, phase)
