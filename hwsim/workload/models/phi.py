"""Phi-1, Phi-1.5, Phi-2: attention and MLP in parallel behind one LayerNorm, biases everywhere."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import rotary_width
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


@FAMILIES.register("phi")
def phi(config: Config, phase: Phase) -> Trace:
    """Phi; rotary positions turn the first ``partial_rotary_factor`` of each head only."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    layers, kv_heads = config.integer("num_hidden_layers"), config.integer("num_key_value_heads", default=heads)
    config.divides("num_attention_heads", heads, "hidden_size", hidden)
    config.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    head_dim = hidden // heads
    model = Transformer(
        family="phi",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=config.integer("intermediate_size"),
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings"),
        activation=config.choice("hidden_act", ACTIVATIONS, "gelu_new"),
        norm="layernorm",
        windows=((layers, None),),
        parallel=True,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        head_bias=True,
        tied=config.flag("tie_word_embeddings", False),
        qk_norm="head" if config.flag("qk_layernorm", False) else "",
        # transformers PhiConfig: partial_rotary_factor defaults to 0.5; phi-2's file says 0.4
        rotary_dim=rotary_width(config, head_dim, 0.5),
    )
    config.check()
    return decoder_trace(model, phase)
