"""DeepSeek-V2 and V3: latent attention, dense MLPs in the first layers, then experts and shared experts."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.latent import read_latent
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def dense_layers(config: Config) -> int:
    """Return how many layers have no experts: by ``mlp_layer_types``, else ``first_k_dense_replace``."""
    types = config.get("mlp_layer_types")
    if types is None:
        return config.integer("first_k_dense_replace", 0, minimum=0)
    good = isinstance(types, list) and all(name in ("dense", "sparse") for name in types)
    config.require(good, "'mlp_layer_types' must be a list of dense and sparse")
    return types.count("dense") if good else 0


def add_routed(config: Config, model: Transformer) -> Transformer:
    """Return ``model`` with DeepSeek's experts: from layer ``first_k_dense_replace`` on, beside shared ones."""
    width, dense = config.integer("moe_intermediate_size"), dense_layers(config)
    frequency = config.integer("moe_layer_freq", default=1)
    config.require(frequency == 1, f"'moe_layer_freq' {frequency} other than 1 is not supported")
    layers = model.layers - min(dense, model.layers)
    if not layers:
        return model
    experts = read_experts(config, layers, width, ("n_routed_experts", "num_local_experts", "num_experts"))
    shared = width * (config.integer("n_shared_experts", 0, minimum=0))
    return replace(model, experts=replace(experts, shared=shared))


def read_deepseek(config: Config) -> Transformer:
    """Read attention and experts; the layers of multi-token prediction of a checkpoint are not part of it."""
    latent = read_latent(config)
    # ``head_dim``, where a file has it, is that of the rotary key; latent attention has its own widths.
    own = {key: value for key, value in config.values.items() if key not in ("head_dim", "num_key_value_heads")}
    own["head_dim"] = latent.qk_dim
    model = read_llama(replace(config, values=own))
    return add_routed(config, replace(model, latent=latent))


@FAMILIES.register("deepseek_v2")
def deepseek_v2(config: Config, phase: Phase) -> Trace:
    """DeepSeek-V2 and V2-Lite (``q_lora_rank`` null)."""
    model = read_deepseek(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("deepseek_v3")
@FAMILIES.register("glm4_moe_lite")
def deepseek_v3(config: Config, phase: Phase) -> Trace:
    """DeepSeek-V3, R1 and Kimi K2: the correction that the router has per expert is no parameter in transformers."""
    model = read_deepseek(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("minicpm3")
@FAMILIES.register("youtu")
def youtu(config: Config, phase: Phase) -> Trace:
    """Youtu-LLM and MiniCPM3: latent attention without experts, tied embeddings."""
    latent = read_latent(config)
    own = {key: value for key, value in config.values.items() if key != "num_key_value_heads"}
    model = read_llama(replace(config, values={**own, "head_dim": latent.qk_dim}), tied_default=True)
    config.check()
    return decoder_trace(replace(model, latent=latent), phase)


@FAMILIES.register("dots1")
def dots1(config: Config, phase: Phase) -> Trace:
    """dots.llm1: DeepSeek's experts behind ordinary attention with normalised heads."""
    model = add_routed(config, read_llama(config))
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"))
    config.check()
    return decoder_trace(replace(model, qk_norm="head", windows=windows), phase)
