"""StableLM: Llama blocks with LayerNorm, a quarter of each head turned."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, rotary_width
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("stablelm")
def stablelm(config: Config, phase: Phase) -> Trace:
    """StableLM 1.6B, 3B and 12B; with ``qk_layernorm`` each head has a norm of its own, without bias."""
    model = read_llama(config)
    rotary = rotary_width(config, model.head_dim, 0.25)
    parallel, bias = config.flag("use_parallel_residual", False), config.flag("use_qkv_bias", False)
    normalised = config.flag("qk_layernorm", False)
    config.check()
    # Of the heads' norms, which have no bias, half the elements count, as a LayerNorm has two parameters each.
    extra = model.q_width + model.kv_width if normalised else 0
    changed = replace(model, norm="layernorm", qkv_bias=bias, out_bias=False, rotary_dim=rotary, parallel=parallel)
    return decoder_trace(replace(changed, qk_norm="heads" if normalised else "", layer_parameters=-extra), phase)
