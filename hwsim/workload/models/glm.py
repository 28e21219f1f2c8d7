"""GLM-4 and GLM-4.5: Llama blocks with partly rotated heads, dense or with DeepSeek's experts."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.deepseek import add_routed
from hwsim.workload.models.llama import read_llama, rotary_width
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace

#: Share of a head that is turned (transformers ``GlmConfig``, ``Glm4Config``, ``Glm4MoeConfig``).
ROTARY = 0.5


def _read(config: Config) -> Transformer:
    model = read_llama(config)
    return replace(model, out_bias=False, rotary_dim=rotary_width(config, model.head_dim, ROTARY))


@FAMILIES.register("glm")
def glm(config: Config, phase: Phase) -> Trace:
    """GLM-4-9B: gate and up projections are one matrix."""
    model = _read(config)
    config.check()
    return decoder_trace(replace(model, mlp="fused"), phase)


@FAMILIES.register("glm4")
def glm4(config: Config, phase: Phase) -> Trace:
    """GLM-4-0414: norms after both halves of a layer too."""
    model = _read(config)
    config.check()
    return decoder_trace(replace(model, mlp="fused", post_norms=True), phase)


@FAMILIES.register("glm4_moe")
def glm4_moe(config: Config, phase: Phase) -> Trace:
    """GLM-4.5: DeepSeek's experts, grouped-query attention."""
    model = add_routed(config, _read(config))
    normalised = config.flag("use_qk_norm", False)
    config.check()
    return decoder_trace(replace(model, qk_norm="head" if normalised else ""), phase)
