"""GPT-J and CodeGen: attention and MLP in parallel behind one LayerNorm, no biases in attention."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def _read(config: Config) -> Transformer:
    hidden, heads, layers = config.integer("n_embd"), config.integer("n_head"), config.integer("n_layer")
    config.divides("n_head", heads, "n_embd", hidden)
    head_dim = hidden // heads
    return Transformer(
        family=config.model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        ffn=config.optional_integer("n_inner") or 4 * hidden,
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("n_positions"),
        activation=config.choice("activation_function", ACTIVATIONS, "gelu_new"),
        norm="layernorm",
        windows=((layers, None),),
        parallel=True,
        mlp_bias=True,
        head_bias=True,
        tied=config.flag("tie_word_embeddings", False),
        rotary_dim=min(config.optional_integer("rotary_dim") or head_dim, head_dim),
    )


@FAMILIES.register("gptj")
def gptj(config: Config, phase: Phase) -> Trace:
    """GPT-J."""
    model = _read(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("codegen")
def codegen(config: Config, phase: Phase) -> Trace:
    """CodeGen: query, key and value are one matrix."""
    model = _read(config)
    config.check()
    return decoder_trace(replace(model, qkv="fused"), phase)
