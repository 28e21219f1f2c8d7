"""Llama 4: experts in some layers beside a shared MLP, attention within chunks in three layers of four."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.spans import Chunk
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("llama4_text")
def llama4_text(config: Config, phase: Phase) -> Trace:
    """Scout and Maverick; layers without rotary positions attend to all tokens, the others within chunks.

    The norm of queries and keys has no parameters. Transformers' module computes every expert for
    every token; the trace counts the tokens that the router sends.
    """
    model = read_llama(config)
    every = config.integer("interleave_moe_layer_step", default=1)
    named = config.get("moe_layers")
    good = named is None or (isinstance(named, list) and all(type(n) is int and 0 <= n < model.layers for n in named))
    config.require(good, f"'moe_layers' must be a list of numbers of layers from 0 to {model.layers - 1}")
    # transformers Llama4TextConfig: the last of every so many layers
    sparse = tuple(sorted(set(named))) if named is not None and good else tuple(range(every - 1, model.layers, every))
    experts = replace(read_experts(config, len(sparse), model.ffn), placed=sparse)
    dense = config.integer("intermediate_size_mlp")
    chunk = config.optional_integer("attention_chunk_size")
    pattern = _kinds(config, model.layers)
    windows = typed_windows(config, model.layers, Chunk(chunk) if chunk else None, pattern)
    config.check()
    model = replace(model, ffn=dense, experts=replace(experts, shared=model.ffn), windows=windows)
    return decoder_trace(model, phase)


def _kinds(config: Config, layers: int) -> list[str]:
    """Kinds of layers by ``no_rope_layers`` (0: none), else one in ``no_rope_layer_interval`` without positions."""
    every, given = config.integer("no_rope_layer_interval", default=4), config.get("no_rope_layers")
    good = not given or (isinstance(given, list) and len(given) == layers)
    config.require(good, f"'no_rope_layers' must be a list of {layers} numbers, one per layer")
    turned = given if given and good else [(index + 1) % every != 0 for index in range(layers)]
    return ["chunked_attention" if flag else "full_attention" for flag in turned]
