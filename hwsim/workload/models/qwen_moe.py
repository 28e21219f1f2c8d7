"""Qwen2-MoE and Qwen3-MoE: experts in all layers but those that the file names."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.experts import Experts
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.models.qwen import even_windows
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


def _sparse_layers(config: Config, layers: int) -> tuple[int, ...]:
    """Numbers of layers with experts: every ``decoder_sparse_step``-th that ``mlp_only_layers`` does not name."""
    step, dense = config.integer("decoder_sparse_step", default=1), config.get("mlp_only_layers") or []
    good = isinstance(dense, list) and all(isinstance(index, int) for index in dense)
    config.require(good, "'mlp_only_layers' must be a list of layers' numbers")
    return tuple(n for n in range(layers) if (n + 1) % step == 0 and n not in (dense if good else ()))


def _read_experts(config: Config, layers: int) -> Experts:
    """Read the experts that both kinds share: narrower than the MLP of layers without."""
    sparse = _sparse_layers(config, layers)
    return replace(read_experts(config, len(sparse), config.integer("moe_intermediate_size")), placed=sparse)


@FAMILIES.register("qwen2_moe")
def qwen2_moe(config: Config, phase: Phase) -> Trace:
    """Qwen1.5-MoE and Qwen2-MoE: biased queries, keys and values; a shared expert behind a gate."""
    model = read_llama(config)
    experts = _read_experts(config, model.layers)
    shared = config.integer("shared_expert_intermediate_size")
    windows, bias = even_windows(config, model), config.flag("qkv_bias", True)
    config.check()
    experts = replace(experts, shared=shared, shared_gate=True)
    return decoder_trace(replace(model, qkv_bias=bias, experts=experts, windows=windows), phase)


@FAMILIES.register("qwen3_moe")
def qwen3_moe(config: Config, phase: Phase) -> Trace:
    """Qwen3-MoE: heads normalised, no shared expert."""
    model = read_llama(config)
    experts = _read_experts(config, model.layers)
    sliding = config.flag("use_sliding_window", False)
    window = config.optional_integer("sliding_window") if sliding else None
    config.check()
    return decoder_trace(replace(model, qk_norm="head", experts=experts, windows=((model.layers, window),)), phase)
