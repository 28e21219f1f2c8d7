"""StarCoder2: grouped-query attention, a plain MLP, LayerNorm, biases by ``use_bias``."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace


@FAMILIES.register("starcoder2")
def starcoder2(config: Config, phase: Phase) -> Trace:
    """StarCoder2 3B, 7B and 15B; a sliding window in every layer if the file gives one."""
    model = read_llama(config, tied_default=True)
    bias, window = config.flag("use_bias", True), config.optional_integer("sliding_window")
    config.check()
    plain = replace(model, norm="layernorm", gated=False, windows=((model.layers, window),))
    return decoder_trace(replace(plain, qkv_bias=bias, out_bias=bias, mlp_bias=bias), phase)
