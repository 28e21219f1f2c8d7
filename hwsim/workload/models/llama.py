"""Llama and the many models that share its block: Mistral, Yi, Qwen2, Qwen3, Gemma 2, BitNet.

RMSNorm, rotary positions, grouped-query attention, gated feed-forward, no biases. Each relative
states only what differs from :func:`read_llama`.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def read_llama(config: Config, tied_default: bool = False, activation_key: str = "hidden_act") -> Transformer:
    """Read the keys of transformers' ``LlamaConfig``; ``head_dim`` is derived only when absent."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    kv_heads = config.integer("num_key_value_heads", default=heads)
    layers = config.integer("num_hidden_layers")
    given = config.optional_integer("head_dim")
    config.require(given is not None or hidden % heads == 0, f"'hidden_size' {hidden} is no multiple of {heads} heads")
    config.require(heads % kv_heads == 0, f"{heads} heads do not split into {kv_heads} 'num_key_value_heads'")
    head_dim = given or hidden // heads
    bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    return Transformer(
        family=config.model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=config.integer("intermediate_size"),
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings"),
        activation=config.choice(activation_key, ACTIVATIONS, "silu"),
        norm="rmsnorm",
        windows=((layers, None),),
        gated=True,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=mlp_bias,
        tied=config.flag("tie_word_embeddings", tied_default),
        rotary_dim=head_dim,
    )


@FAMILIES.register("llama")
def llama(config: Config, phase: Phase) -> Trace:
    """Llama 1, 2, 3, Yi, and every other model of type ``llama``."""
    model = read_llama(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("mistral")
def mistral(config: Config, phase: Phase) -> Trace:
    """Llama with a sliding window in every layer, if the file gives one."""
    model = read_llama(config)
    window = config.optional_integer("sliding_window")
    config.check()
    return decoder_trace(replace(model, windows=((model.layers, window),)), phase)


@FAMILIES.register("bitnet")
def bitnet(config: Config, phase: Phase) -> Trace:
    """BitNet b1.58: squared ReLU, norms before the output and down projections, tied embeddings.

    The 2B4T checkpoint ties its embeddings although transformers' ``BitNetConfig`` defaults to
    untied; its file must say so.
    """
    model = read_llama(config)
    config.check()
    return decoder_trace(replace(model, sub_norms=True), phase)


@FAMILIES.register("gemma2")
def gemma2(config: Config, phase: Phase) -> Trace:
    """Gemma 2: norms after both halves of a layer too, every other layer with a sliding window."""
    model = read_llama(config, tied_default=True, activation_key="hidden_activation")
    config.require("head_dim" in config.values, "'head_dim' is missing (it is not hidden_size / heads here)")
    window = config.optional_integer("sliding_window")
    config.check()
    local = (model.layers + 1) // 2
    windows = ((local, window), (model.layers - local, None)) if window else model.windows
    return decoder_trace(replace(model, post_norms=True, windows=windows), phase)
