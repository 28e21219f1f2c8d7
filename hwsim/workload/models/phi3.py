"""Phi-3: a Llama block with fused QKV and fused gate and up projections."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, rotary_width
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("phi3")
def phi3(config: Config, phase: Phase) -> Trace:
    """Phi-3; rotary positions turn ``partial_rotary_factor`` of each head (1 by default)."""
    model = read_llama(config)
    rotary = rotary_width(config, model.head_dim)
    window = config.optional_integer("sliding_window")
    config.check()
    fused = replace(model, qkv="fused", mlp="fused", rotary_dim=rotary, windows=((model.layers, window),))
    return decoder_trace(fused, phase)
