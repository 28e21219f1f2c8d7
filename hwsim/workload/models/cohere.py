"""Cohere's Command R (``cohere``) and Command R7B (``cohere2``): attention and MLP in parallel, tied embeddings."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace

#: One layer in so many attends to all tokens (transformers ``Cohere2Config``).
COHERE2_PATTERN = 4


def _read(config: Config) -> Transformer:
    model = read_llama(config, tied_default=True)
    return replace(model, norm="layernorm", norm_size=1, parallel=True)


@FAMILIES.register("cohere")
def cohere(config: Config, phase: Phase) -> Trace:
    """Command R and R+; LayerNorm has a gain alone, with ``use_qk_norm`` one per head."""
    model = _read(config)
    normalised = config.flag("use_qk_norm", False)
    config.check()
    return decoder_trace(replace(model, qk_norm="heads" if normalised else ""), phase)


@FAMILIES.register("cohere2")
def cohere2(config: Config, phase: Phase) -> Trace:
    """Command R7B: three layers of four with a sliding window."""
    model = _read(config)
    every = config.integer("sliding_window_pattern", default=COHERE2_PATTERN)
    pattern = ["sliding_attention"] * (every - 1) + ["full_attention"]
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), pattern)
    config.check()
    return decoder_trace(replace(model, windows=windows), phase)
