"""Gemma 1, 2 and 3: Llama blocks with GELU, wide heads and, from 2 on, norms after both halves of a layer."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama, typed_windows
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace

#: Kinds of layers of Gemma 2, and of Gemma 3 unless ``sliding_window_pattern`` says otherwise.
ALTERNATING = ("sliding_attention", "full_attention")
GEMMA3_PATTERN = 6


#: What transformers' ``Gemma3TextConfig`` has where a published file is silent, as that of Gemma 3 4B is.
GEMMA3_DEFAULTS = {
    "vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 131072, "sliding_window": 4096,
}  # fmt: skip


def _read(config: Config, activation_key: str) -> Transformer:
    model = read_llama(config, tied_default=True, activation_key=activation_key)
    config.require("head_dim" in config.values, "'head_dim' is missing (it is not hidden_size / heads here)")
    return model


@FAMILIES.register("gemma")
def gemma(config: Config, phase: Phase) -> Trace:
    """Gemma 1; ``hidden_activation`` names the activation where it is given, else ``hidden_act``."""
    model = _read(config, "hidden_activation" if config.get("hidden_activation") else "hidden_act")
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("gemma2")
def gemma2(config: Config, phase: Phase) -> Trace:
    """Gemma 2: every other layer with a sliding window, the first one among them."""
    model = _read(config, "hidden_activation")
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), ALTERNATING)
    config.check()
    return decoder_trace(replace(model, post_norms=True, windows=windows), phase)


@FAMILIES.register("gemma3_text")
def gemma3_text(config: Config, phase: Phase) -> Trace:
    """Gemma 3: heads normalised, one layer in six with global attention."""
    config = replace(config, values={**GEMMA3_DEFAULTS, **config.values})
    model = _read(config, "hidden_activation")
    every = config.integer("sliding_window_pattern", default=GEMMA3_PATTERN)
    pattern = ["sliding_attention"] * (every - 1) + ["full_attention"]
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), pattern)
    config.check()
    return decoder_trace(replace(model, post_norms=True, qk_norm="head", windows=windows), phase)
