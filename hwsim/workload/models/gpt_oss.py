"""gpt-oss: experts with biases in every layer, sliding windows in every other, a learned sink per head."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.gemma import ALTERNATING
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("gpt_oss")
def gpt_oss(config: Config, phase: Phase) -> Trace:
    """gpt-oss-20b and 120b; the sink adds one term to each softmax."""
    model = read_llama(config)
    bias = config.flag("attention_bias", True)
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), ALTERNATING)
    experts = read_experts(config, model.layers, model.ffn)
    config.check()
    experts = replace(experts, mlp_bias=True, router_bias=True)
    changed = replace(model, qkv_bias=bias, out_bias=bias, windows=windows, experts=experts)
    return decoder_trace(replace(changed, layer_parameters=model.heads), phase)
