"""From the keys of a GGUF file to a ``config.json`` of the same architecture.

Names of keys are those of gguf-py (``gguf.constants.Keys``); ``general.architecture`` stands before most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.spec.errors import SpecError, shown
from hwsim.workload.checkpoints.gguf import Count
from hwsim.workload.unsupported import unsupported

#: Key of a config.json by key of GGUF.
LLAMA_KEYS = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "context_length": "max_position_embeddings",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    "vocab_size": "vocab_size",
}
#: Latent attention; files made since 2025 have the widths of heads under names of their own.
LATENT_KEYS = {
    **{key: name for key, name in LLAMA_KEYS.items() if name not in ("head_dim", "num_experts")},
    "attention.q_lora_rank": "q_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "rope.dimension_count": "qk_rope_head_dim",
    "leading_dense_block_count": "first_k_dense_replace",
    "expert_count": "n_routed_experts",
    "expert_shared_count": "n_shared_experts",
}
GPT2_KEYS = {
    "embedding_length": "n_embd",
    "block_count": "n_layer",
    "feed_forward_length": "n_inner",
    "attention.head_count": "n_head",
    "context_length": "n_positions",
    "vocab_size": "vocab_size",
}


@dataclass(frozen=True)
class Architecture:
    """How one ``general.architecture`` is read: the ``model_type``, its keys, and keys that GGUF leaves out."""

    model_type: str
    keys: Mapping[str, str]
    fixed: Mapping[str, Any]


def _llama(model_type: str, **fixed: Any) -> Architecture:
    return Architecture(model_type, LLAMA_KEYS, fixed)


#: Activations and the like that llama.cpp writes into its graphs, not into files (src/models/*.cpp).
ARCHITECTURES: dict[str, Architecture] = {
    "llama": _llama("llama"),
    "bitnet": _llama("bitnet", hidden_act="relu2"),
    "deepseek2": Architecture("deepseek_v3", LATENT_KEYS, {}),
    "gemma": _llama("gemma", hidden_act="gelu_pytorch_tanh", hidden_activation="gelu_pytorch_tanh"),
    "gemma2": _llama("gemma2", hidden_activation="gelu_pytorch_tanh"),
    "gpt-oss": _llama("gpt_oss"),
    "gpt2": Architecture("gpt2", GPT2_KEYS, {}),
    "olmo2": _llama("olmo2"),
    "phi2": _llama("phi", hidden_act="gelu_new"),
    "phi3": _llama("phi3"),
    "qwen2": _llama("qwen2"),
    "qwen2moe": _llama("qwen2_moe"),
    "qwen3": _llama("qwen3"),
    "qwen3moe": _llama("qwen3_moe"),
    "starcoder2": _llama("starcoder2", hidden_act="gelu_pytorch_tanh"),
}


def to_config(
    pairs: Mapping[str, Any], names: Collection[str], vocab: int | None, refuse: Callable[[str], SpecError]
) -> dict[str, Any]:
    """Return the ``config.json`` of a file.

    Parameters
    ----------
    pairs
        Its key-value pairs.
    names
        Of its tensors.
    vocab
        Rows of the embedding table, where the file has one.
    refuse
        Makes the error of this file.

    Raises
    ------
    SpecError
        If the architecture is missing or unknown, or layers differ in what the model's family has one value for.
    """
    arch = pairs.get("general.architecture")
    if not isinstance(arch, str):
        raise refuse("no general.architecture; it names the model's family")
    if arch not in ARCHITECTURES:
        keys = {name: pairs[f"{arch}.{key}"] for key, name in LLAMA_KEYS.items() if f"{arch}.{key}" in pairs}
        raise refuse(unsupported("general.architecture", arch, ARCHITECTURES, keys, gguf=False))
    chosen = ARCHITECTURES[arch]
    given = {key.removeprefix(f"{arch}."): value for key, value in pairs.items()}
    config: dict[str, Any] = {"model_type": chosen.model_type, **chosen.fixed}
    for key, name in chosen.keys.items():
        if key in given:
            config[name] = _single(f"{arch}.{key}", given[key], refuse)
    if "kv_lora_rank" in config:
        _latent(arch, config, given, refuse)
    config.setdefault("vocab_size", vocab or _tokens(pairs))
    config["vocab_size"] = vocab or config["vocab_size"]
    config["tie_word_embeddings"] = "output.weight" not in names
    rotary, width = given.get("rope.dimension_count"), _head_dim(config)
    if chosen.model_type in ("phi", "phi3") and isinstance(rotary, int) and width:
        config["partial_rotary_factor"] = rotary / width
    bias = any(name.endswith("attn_q.bias") for name in names)
    if arch in ("llama", "gpt-oss"):
        config["attention_bias"] = bias
    if config.get("num_experts"):
        _experts(arch, config, names)
    else:
        config.pop("num_experts", None)
        config.pop("num_experts_per_tok", None)
    return {key: value for key, value in config.items() if value is not None}


def _latent(arch: str, config: dict[str, Any], given: Mapping[str, Any], refuse: Callable[[str], SpecError]) -> None:
    """Add the widths of heads of latent attention: with and without rotary part, and of values."""
    key = given.get("attention.key_length_mla", given.get("attention.key_length"))
    value = given.get("attention.value_length_mla", given.get("attention.value_length"))
    rotary = config.get("qk_rope_head_dim")
    if not isinstance(key, int) or not isinstance(rotary, int) or key <= rotary:
        raise refuse(f"{arch}.attention.key_length {shown(key)} must be more than its rotary part {shown(rotary)}")
    config |= {"qk_nope_head_dim": key - rotary, "v_head_dim": value}
    config["num_key_value_heads"] = config.get("num_attention_heads")


def _experts(arch: str, config: dict[str, Any], names: Collection[str]) -> None:
    """Name the keys of experts as the family does; Mixtral files are of architecture ``llama``."""
    if arch == "llama":
        config["model_type"] = "mixtral"
    if arch in ("llama", "gpt-oss"):
        config["num_local_experts"] = config.pop("num_experts")
    config.setdefault("moe_intermediate_size", config.get("intermediate_size"))


def _head_dim(config: Mapping[str, Any]) -> int:
    """Return the width of a head, 0 where the keys do not tell."""
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if isinstance(config.get("head_dim"), int):
        return int(config["head_dim"])
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else 0


def gguf_key(arch: str, name: str) -> str:
    """Return the key of a GGUF file behind the key ``name`` of a config.json; ``name`` if there is none."""
    keys = ARCHITECTURES[arch].keys if arch in ARCHITECTURES else {}
    return next((f"{arch}.{key}" for key, own in keys.items() if own == name), name)


def _tokens(pairs: Mapping[str, Any]) -> int | None:
    tokens = pairs.get("tokenizer.ggml.tokens")
    return tokens.length if isinstance(tokens, Count) else None


def _single(key: str, value: Any, refuse: Callable[[str], SpecError]) -> Any:
    """Return the one value of a key that may be given per layer."""
    if isinstance(value, Count):
        raise refuse(f"{key} is a list of {value.length:,} values; one number is expected")
    if not isinstance(value, list):
        return value
    if not value or any(one != value[0] for one in value):
        raise refuse(f"{key} differs from layer to layer; models with such layers are not supported")
    return value[0]
