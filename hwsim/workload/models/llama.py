"""Llama and the many models that share its block: Mistral, Yi, Qwen, Gemma, BitNet and others.

RMSNorm, rotary positions, grouped-query attention, gated feed-forward, no biases. Each relative
states only what differs from :func:`read_llama`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hwsim.spec.errors import shown
from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.spans import Chunk
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace

#: The kind of layer that is limited by chunks rather than by a window.
CHUNKED = "chunked_attention"

#: Names of kinds of layers in ``layer_types``; the first three attend to all tokens, the others to a window.
LAYER_TYPES = {
    "full_attention": "full",
    "attention": "full",
    "global": "full",
    "sliding_attention": "window",
    CHUNKED: "window",
    "local": "window",
}

Windows = tuple[tuple[int, int | None], ...]


def typed_windows(config: Config, layers: int, window: int | None, pattern: Sequence[str] = ()) -> Windows:
    """Return windows per group of layers, by ``layer_types``, else by ``pattern``, repeated over the layers."""
    types = config.get("layer_types")
    if types is None:
        types = [pattern[index % len(pattern)] for index in range(layers)] if pattern else []
    known = [name for name in LAYER_TYPES if (name == CHUNKED) <= isinstance(window, Chunk | None)]
    if not isinstance(types, list) or any(str(name) not in known for name in types):
        valid = ", ".join(known)
        config.require(False, f"'layer_types' must be a list of {valid}, not {shown(types)}")
        return ((layers, None),)
    config.require(not types or len(types) == layers, f"'layer_types' has {len(types)} entries for {layers} layers")
    local = sum(LAYER_TYPES[name] == "window" for name in types) if window else 0
    groups = ((local, window), (layers - local, None))
    return tuple((count, size) for count, size in groups if count)


def rotary_width(config: Config, head_dim: int, default: float = 1.0, key: str = "partial_rotary_factor") -> int:
    """Return how many elements of a head are turned: a share that stands by itself or in ``rope_parameters``."""
    nested = config.get("rope_parameters")
    given = nested.get("partial_rotary_factor") if isinstance(nested, Mapping) else None
    share = config.number(key, default)
    if config.values.get(key) is None and isinstance(given, int | float):
        share = float(given)
    return int(share * head_dim)


def read_llama(config: Config, tied_default: bool = False, activation_key: str = "hidden_act") -> Transformer:
    """Read the keys of transformers' ``LlamaConfig``; ``head_dim`` is derived only when absent."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    kv_heads = config.integer("num_key_value_heads", default=heads)
    layers = config.integer("num_hidden_layers")
    given = config.optional_integer("head_dim")
    if given is None:
        config.divides("num_attention_heads", heads, "hidden_size", hidden)
    config.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
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


def language_part(config: Config, phase: Phase, family: Callable[[Config, Phase], Trace]) -> Trace:
    """Return the trace of the language model in ``text_config``; its ``meta`` says that it is a part."""
    part = config.section("text_config")
    config.check()
    tied = config.get("tie_word_embeddings")
    if tied is not None and "tie_word_embeddings" not in part.values:
        part = replace(part, values={**part.values, "tie_word_embeddings": tied})
    kind = part.values.get("model_type", f"{config.model_type}_text")
    trace = family(replace(part, values={**part.values, "model_type": kind}), phase)
    name = trace.name.replace(kind, config.model_type, 1)
    return replace(trace, name=name, meta={**trace.meta, "part": "language model only"})


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
