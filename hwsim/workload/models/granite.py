"""Granite 3: Llama blocks whose scalars differ, dense or with experts."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("granite")
def granite(config: Config, phase: Phase) -> Trace:
    """Granite; its multipliers of embeddings, scores and residuals cost nothing here."""
    model = read_llama(config)
    config.check()
    return decoder_trace(model, phase)


def _with_experts(config: Config, phase: Phase, shared: int) -> Trace:
    model = read_llama(config)
    experts = read_experts(config, model.layers, model.ffn)
    config.check()
    return decoder_trace(replace(model, experts=replace(experts, shared=shared, shared_fused=True)), phase)


@FAMILIES.register("granitemoe")
def granitemoe(config: Config, phase: Phase) -> Trace:
    """Granite with experts in every layer."""
    return _with_experts(config, phase, shared=0)


@FAMILIES.register("granitemoeshared")
def granitemoeshared(config: Config, phase: Phase) -> Trace:
    """Granite with experts and an MLP that every token sees."""
    return _with_experts(config, phase, shared=config.integer("shared_intermediate_size", 0, minimum=0))
