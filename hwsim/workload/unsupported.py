"""Architectures that are not modelled: what of them is missing, and in which other ways a model can be given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hwsim.spec.errors import closest, shown

#: What hwsim would need, with the names of architectures that have it (``model_type`` of transformers or of the
#: model's own code, ``general.architecture`` of llama.cpp with ``_`` for ``-``).
PARTS = {
    "state-space layers (selective scan, short convolution, a state in the place of the KV cache)":
        "bamba codestral_mamba falcon_h1 falcon_mamba granite_hybrid granitehybrid granitemoehybrid hymba jamba mamba "
        "mamba2 nemotron_h nemotron_h_moe plamo2 zamba zamba2",
    "linear attention with a recurrent state (delta rule, decay)":
        "arwkv7 bailing_moe_v2_linear kimi_linear qwen3_5 qwen3_next qwen35 qwen3next retnet rwkv rwkv5 rwkv6 "
        "rwkv6qwen2 rwkv7",
    "recurrent layers (RG-LRU, xLSTM)": "griffin recurrent_gemma recurrentgemma xlstm",
    "short or long convolutions in the place of attention": "evo hyena lfm2 lfm2_moe lfm2moe stripedhyena",
    "sparse attention by an index": "deepseek32 deepseek_v32 glm_moe_dsa glm_dsa",
    "attention over local blocks and chosen tokens": "big_bird bigbird_pegasus led longformer longt5 reformer",
    "attention in windows of an image, merged from stage to stage": "donut_swin maxvit swin swinv2",
    "a convolutional front end on sound": "data2vec_audio hubert unispeech wav2vec2 wav2vec2_bert wavlm",
}  # fmt: skip

#: Keys that tell what an architecture would need whose name is not known (names as in transformers).
PARTS_BY_KEY = {
    "num_experts": "its mixture of experts",
    "num_local_experts": "its mixture of experts",
    "n_routed_experts": "its mixture of experts",
    "kv_lora_rank": "its latent attention",
    "index_topk": "sparse attention by an index",
    "state_size": "state-space layers",
    "ssm_cfg": "state-space layers",
    "ssm_state_size": "state-space layers",
    "mamba_d_state": "state-space layers",
    "conv_L_cache": "short convolutions",
    "linear_num_key_heads": "linear attention",
    "lru_width": "recurrent layers",
    "encoder_layers": "its encoder-decoder structure",
    "text_config": "several sub-models",
    "vision_config": "several sub-models",
}

#: What a dense decoder's file says; a model of another name with these may be one of Llama's blocks.
DECODER = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")

#: Names of architectures differ in few letters and mean other things; only typing errors are corrected.
LIKENESS = 0.8

OTHER_WAYS = (
    "give the model as an ONNX graph (model.onnx), a PyTorch module (python:FILE.py:FUNCTION){gguf} or its operations "
    "in CSV or YAML; hwsim list importer says how"
)


#: So many names fit into a message.
FEW = 12


def some_of(valid: Collection[str], command: str = "hwsim list architecture") -> str:
    """Return the first names that are valid, how many there are, and the command that lists them."""
    more = f", … ({len(valid)} in all: {command})" if len(valid) > FEW else ""
    return f"valid: {', '.join(sorted(valid)[:FEW])}{more}"


def unsupported(what: str, name: str, valid: Collection[str], config: Mapping[str, Any], gguf: bool = True) -> str:
    """Return the message about the architecture ``name``.

    Parameters
    ----------
    what
        The key that names it.
    valid
        Architectures that are known there.
    config
        Keys of the model, by the names of a ``config.json``.
    gguf
        Whether a GGUF file may be another way; if not, the model is given as one.
    """
    plain = name.lower().replace("-", "_")
    parts = [part for part, names in PARTS.items() if plain in names.split()]
    near = None if parts else closest(name, valid, LIKENESS)
    by_key = {part for key, part in PARTS_BY_KEY.items() if config.get(key)}
    parts = sorted([*parts, *(part for part in by_key if not any(one.startswith(part) for one in parts))])
    meant = f" (did you mean {near!r}?)" if near else ""
    lacking = f" ({_lacking(parts, config, gguf)})" if parts or not near else ""
    listed = some_of(valid) if gguf else f"valid: {', '.join(sorted(valid))}"
    ways = OTHER_WAYS.format(gguf=", a GGUF file of a known architecture" if gguf else "")
    return f"{what} {shown(name)} is not supported{lacking}; {listed}{meant}; {ways}"


def _lacking(parts: list[str], config: Mapping[str, Any], settings: bool) -> str:
    if parts:
        return f"not modelled: {', '.join(parts)}"
    absent = [key for key in DECODER if config.get(key) is None]
    unknown = "its layers are not known here"
    if absent:
        return f"{unknown}; of a dense decoder's keys, {', '.join(absent)} are missing"
    return f"{unknown}; if they are Llama's, whose keys it has: --set model_type=llama" if settings else unknown
