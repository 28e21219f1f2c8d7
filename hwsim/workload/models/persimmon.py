"""Persimmon: LayerNorm, one biased matrix for query, key and value, squared ReLU, heads normalised."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, rotary_width
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("persimmon")
def persimmon(config: Config, phase: Phase) -> Trace:
    """Persimmon-8B."""
    model = read_llama(config)
    rotary, normalised = rotary_width(config, model.head_dim, 0.5), config.flag("qk_layernorm", True)
    config.check()
    plain = replace(model, norm="layernorm", gated=False, qkv="fused", rotary_dim=rotary)
    biased = replace(plain, qkv_bias=True, out_bias=True, mlp_bias=True)
    return decoder_trace(replace(biased, qk_norm="head" if normalised else ""), phase)
