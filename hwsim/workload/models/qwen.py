"""Qwen2 and Qwen3: Llama blocks with biased or normalised queries and keys."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def _windows(config: Config, model: Transformer) -> tuple[tuple[int, int | None], ...]:
    """Layers from ``max_window_layers`` on have the window, and only if ``use_sliding_window``."""
    window = config.optional_integer("sliding_window")
    if window is None or not config.flag("use_sliding_window", False):
        return ((model.layers, None),)
    full = min(config.integer("max_window_layers", minimum=0), model.layers)
    groups = ((full, None), (model.layers - full, window))
    return tuple((layers, size) for layers, size in groups if layers)


def even_windows(config: Config, model: Transformer) -> tuple[tuple[int, int | None], ...]:
    """Qwen2-MoE: every other of the first ``max_window_layers`` layers, and only if ``use_sliding_window``."""
    window = config.optional_integer("sliding_window") if config.flag("use_sliding_window", False) else None
    first = min(config.integer("max_window_layers", default=28, minimum=0), model.layers)
    pattern = ["sliding_attention" if not i % 2 and i < first else "full_attention" for i in range(model.layers)]
    return typed_windows(config, model.layers, window, pattern)


@FAMILIES.register("qwen2")
def qwen2(config: Config, phase: Phase) -> Trace:
    """Qwen2 and Qwen2.5: biases on query, key and value."""
    model = read_llama(config)
    windows = _windows(config, model)
    config.check()
    return decoder_trace(replace(model, qkv_bias=True, windows=windows), phase)


@FAMILIES.register("qwen3")
def qwen3(config: Config, phase: Phase) -> Trace:
    """Qwen3: an RMSNorm over each head of query and key, no biases."""
    model = read_llama(config)
    config.require("head_dim" in config.values, "'head_dim' is missing (it is not always hidden_size / heads here)")
    windows = _windows(config, model)
    config.check()
    return decoder_trace(replace(model, qk_norm="head", windows=windows), phase)
