"""Models that also see or hear: the trace is that of their language model, in ``text_config``.

The ``meta`` of the trace says that it is a part; towers and projectors are not modelled. The language model
is any family that hwsim knows, named by ``text_config.model_type``.
"""

from __future__ import annotations

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import language_part
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.unsupported import unsupported


@FAMILIES.register("aya_vision")
@FAMILIES.register("gemma3")
@FAMILIES.register("idefics3")
@FAMILIES.register("internvl")
@FAMILIES.register("llama4")
@FAMILIES.register("llava")
@FAMILIES.register("llava_next")
@FAMILIES.register("llava_onevision")
@FAMILIES.register("mistral3")
@FAMILIES.register("paligemma")
@FAMILIES.register("smolvlm")
def multimodal(config: Config, phase: Phase) -> Trace:
    """Aya Vision, Gemma 3, Idefics 3, InternVL, Llama 4, LLaVA, Mistral 3, PaliGemma, SmolVLM."""
    part = config.get("text_config")
    known = {"gemma3": "gemma3_text", "llama4": "llama4_text"}.get(config.model_type, "llama")
    kind = part.get("model_type", known) if isinstance(part, dict) else known
    if kind not in FAMILIES or FAMILIES.get(kind) is multimodal:
        keys = part if isinstance(part, dict) else {}
        config.problems.append(unsupported("'text_config' model_type", str(kind), FAMILIES.names(), keys))
        kind = known
    return language_part(config, phase, FAMILIES.get(kind))
