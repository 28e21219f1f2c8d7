"""GPT-BigCode (StarCoder, SantaCoder): GPT-2 with one KV head."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.gpt2 import read_gpt2
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("gpt_bigcode")
def gpt_bigcode(config: Config, phase: Phase) -> Trace:
    """GPT-BigCode; ``multi_query`` false is GPT-2."""
    model = read_gpt2(config)
    multi_query = config.flag("multi_query", True)
    config.check()
    return decoder_trace(replace(model, kv_heads=1) if multi_query else model, phase)
