"""GPT-Neo: GPT-2 with separate, unbiased query, key and value, and a window in some layers."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import LAYER_TYPES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def _kinds(config: Config) -> Iterator[str]:
    """Kinds of all layers, from ``attention_types``: pairs of a pattern and how often it comes."""
    types = config.get("attention_types", [])
    try:
        found = [str(kind) for pattern, count in types for _ in range(int(count)) for kind in pattern]
    except (TypeError, ValueError):
        found = [""]
    wrong = [kind for kind in found if kind not in ("global", "local")]
    config.require(not wrong, '\'attention_types\' must be a list such as [[["global", "local"], 12]]')
    yield from found


@FAMILIES.register("gpt_neo")
def gpt_neo(config: Config, phase: Phase) -> Trace:
    """GPT-Neo 125M, 1.3B and 2.7B."""
    hidden, heads, layers = config.integer("hidden_size"), config.integer("num_heads"), config.integer("num_layers")
    positions, window = config.integer("max_position_embeddings"), config.integer("window_size", default=256)
    config.divides("num_heads", heads, "hidden_size", hidden)
    kinds = list(_kinds(config))
    config.require(len(kinds) == layers, f"'attention_types' describes {len(kinds)} layers, not {layers}")
    local = sum(LAYER_TYPES.get(kind) == "window" for kind in kinds)
    groups = ((layers - local, None), (local, window))
    model = Transformer(
        family="gpt_neo",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.optional_integer("intermediate_size") or 4 * hidden,
        vocab=config.integer("vocab_size"),
        max_tokens=positions,
        activation=config.choice("activation_function", ACTIVATIONS, "gelu_new"),
        norm="layernorm",
        windows=tuple((count, size) for count, size in groups if count),
        out_bias=True,
        mlp_bias=True,
        tied=config.flag("tie_word_embeddings", True),
        positions=positions,
    )
    config.check()
    return decoder_trace(model, phase)
