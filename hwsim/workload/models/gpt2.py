"""GPT-2: LayerNorm, learned positions, one fused QKV projection, biases, tied LM head."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def read_gpt2(config: Config) -> Transformer:
    """Read the keys of transformers' ``GPT2Config``."""
    hidden, heads = config.integer("n_embd"), config.integer("n_head")
    layers, positions = config.integer("n_layer"), config.integer("n_positions")
    config.divides("n_head", heads, "n_embd", hidden)
    return Transformer(
        family=config.model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.optional_integer("n_inner") or 4 * hidden,
        vocab=config.integer("vocab_size"),
        max_tokens=positions,
        activation=config.choice("activation_function", ACTIVATIONS, "gelu_new"),
        norm="layernorm",
        windows=((layers, None),),
        qkv="fused",
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=config.flag("tie_word_embeddings", True),
        positions=positions,
    )


@FAMILIES.register("gpt2")
def gpt2(config: Config, phase: Phase) -> Trace:
    """GPT-2; the feed-forward is four times as wide unless ``n_inner`` says otherwise."""
    model = read_gpt2(config)
    config.check()
    return decoder_trace(model, phase)
