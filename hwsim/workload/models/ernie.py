"""ERNIE 4.5: Llama blocks, dense or with experts and shared experts."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def _read(config: Config) -> Transformer:
    model, bias = read_llama(config, tied_default=True), config.flag("use_bias", False)
    return replace(model, qkv_bias=bias, out_bias=bias, mlp_bias=bias)


@FAMILIES.register("ernie4_5")
def ernie(config: Config, phase: Phase) -> Trace:
    """ERNIE 4.5 0.3B."""
    model = _read(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("ernie4_5_moe")
def ernie_moe(config: Config, phase: Phase) -> Trace:
    """ERNIE 4.5 with experts in every ``moe_layer_interval``-th layer from ``moe_layer_start_index`` on."""
    model = _read(config)
    config.require(not model.mlp_bias, "'use_bias' true with experts is not supported")
    start, every = config.integer("moe_layer_start_index", 1, minimum=0), config.integer("moe_layer_interval", 1)
    end = config.get("moe_layer_end_index", -1)
    last = model.layers - 1 if end == -1 or not isinstance(end, int) else end
    sparse = tuple(i for i in range(model.layers) if (i + 1) % every == 0 and start <= i <= last)
    width, shared = config.integer("moe_intermediate_size"), config.integer("moe_num_shared_experts", 2, minimum=0)
    experts = replace(read_experts(config, len(sparse), width, ("moe_num_experts",), "moe_k"), placed=sparse)
    config.check()
    # The correction of the router is a parameter here, unlike DeepSeek's.
    return decoder_trace(replace(model, experts=replace(experts, shared=width * shared, router_bias=True)), phase)
