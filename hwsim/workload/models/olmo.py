"""OLMo 1, 2, 3 and OLMoE: Llama blocks whose norms differ."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace

#: Kinds of layers of OLMo 3 (transformers ``Olmo3Config``).
OLMO3_PATTERN = ("sliding_attention", "sliding_attention", "sliding_attention", "full_attention")


@FAMILIES.register("olmo")
def olmo(config: Config, phase: Phase) -> Trace:
    """OLMo: LayerNorm without any parameters."""
    model = read_llama(config)
    config.check()
    return decoder_trace(replace(model, norm="layernorm", norm_size=0), phase)


@FAMILIES.register("olmo2")
def olmo2(config: Config, phase: Phase) -> Trace:
    """OLMo 2: norms after both halves of a layer instead of before, queries and keys normalised as a whole."""
    model = read_llama(config)
    config.check()
    return decoder_trace(replace(model, pre_norms=False, post_norms=True, qk_norm="width"), phase)


@FAMILIES.register("olmo3")
def olmo3(config: Config, phase: Phase) -> Trace:
    """OLMo 3: as OLMo 2, three layers of four with a sliding window."""
    model = read_llama(config)
    window = config.integer("sliding_window", default=4096)  # transformers Olmo3Config
    windows = typed_windows(config, model.layers, window, OLMO3_PATTERN)
    config.check()
    return decoder_trace(replace(model, pre_norms=False, post_norms=True, qk_norm="width", windows=windows), phase)


@FAMILIES.register("olmoe")
def olmoe(config: Config, phase: Phase) -> Trace:
    """OLMoE: experts in every layer, queries and keys normalised as a whole."""
    model = read_llama(config)
    experts = read_experts(config, model.layers, model.ffn)
    config.check()
    return decoder_trace(replace(model, qk_norm="width", experts=experts), phase)
