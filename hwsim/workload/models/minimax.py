"""MiniMax-M2: experts in every layer, queries and keys normalised as a whole."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, rotary_width
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("minimax_m2")
def minimax_m2(config: Config, phase: Phase) -> Trace:
    """MiniMax-M2; published files name the turned part of a head ``rotary_dim``."""
    model = read_llama(config)
    experts = read_experts(config, model.layers, model.ffn)
    rotary = config.optional_integer("rotary_dim") or rotary_width(config, model.head_dim)
    config.check()
    return decoder_trace(replace(model, qk_norm="width", rotary_dim=rotary, experts=experts), phase)
