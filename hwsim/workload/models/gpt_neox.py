"""GPT-NeoX and Pythia: one matrix for query, key and value, biases, attention and MLP in parallel."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import rotary_width
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


@FAMILIES.register("gpt_neox")
def gpt_neox(config: Config, phase: Phase) -> Trace:
    """GPT-NeoX; both branches of a layer have a norm of their own."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    layers, bias = config.integer("num_hidden_layers"), config.flag("attention_bias", True)
    config.divides("num_attention_heads", heads, "hidden_size", hidden)
    model = Transformer(
        family="gpt_neox",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer("intermediate_size"),
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings"),
        activation=config.choice("hidden_act", ACTIVATIONS, "gelu"),
        norm="layernorm",
        windows=((layers, None),),
        parallel=config.flag("use_parallel_residual", True),
        parallel_norms=2,
        qkv="fused",
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=True,
        tied=config.flag("tie_word_embeddings", False),
        rotary_dim=rotary_width(config, hidden // heads, 0.25, "rotary_pct"),
    )
    config.check()
    return decoder_trace(model, phase)
