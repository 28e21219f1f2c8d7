"""Mixtral and Phi-3.5-MoE: experts in every layer, two of which see each token."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.experts import Experts, read_distribution
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def read_experts(
    config: Config,
    layers: int,
    width: int,
    count_keys: tuple[str, ...] = ("num_local_experts", "num_experts"),
    top_k_key: str = "num_experts_per_tok",
) -> Experts:
    """Read how many experts there are, and how many see each token; ``width`` is that of one."""
    key = next((key for key in count_keys if config.get(key) is not None), count_keys[0])
    count, top_k = config.integer(key), config.integer(top_k_key)
    config.require(top_k <= count, f"{top_k_key!r} {top_k} is more than {key!r} {count}")
    return Experts(layers, count, top_k, width, distribution=read_distribution(config, count))


def read_mixtral(config: Config) -> Transformer:
    """Read the keys of transformers' ``MixtralConfig``: each expert is as wide as ``intermediate_size``."""
    model = read_llama(config)
    window = config.optional_integer("sliding_window")
    experts = read_experts(config, model.layers, model.ffn)
    return replace(model, experts=experts, windows=((model.layers, window),))


@FAMILIES.register("mixtral")
def mixtral(config: Config, phase: Phase) -> Trace:
    """Mixtral; gate and up projection of an expert are one matrix, as transformers keeps them."""
    model = read_mixtral(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("phimoe")
def phimoe(config: Config, phase: Phase) -> Trace:
    """Phi-3.5-MoE: LayerNorm, biases by ``attention_bias`` and ``lm_head_bias``."""
    model = read_mixtral(config)
    head_bias = config.flag("lm_head_bias", False)
    config.check()
    return decoder_trace(replace(model, norm="layernorm", head_bias=head_bias), phase)
