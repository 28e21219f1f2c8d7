"""Small checkpoints, written by the official writers of their formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from safetensors.numpy import save_file

#: A Llama of four layers: hidden 512, FFN 768, 8 heads on 2 KV heads of 64, 1,000 tokens.
LLAMA = {
    "model_type": "llama", "hidden_size": 512, "intermediate_size": 768, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 256,
    "vocab_size": 1000, "tie_word_embeddings": False,
}  # fmt: skip
LAYER = {
    "attn_q": (512, 512), "attn_k": (128, 512), "attn_v": (128, 512), "attn_output": (512, 512),
    "ffn_gate": (768, 512), "ffn_up": (768, 512), "ffn_down": (512, 768),
}  # fmt: skip
HF_LAYER = {
    "self_attn.q_proj": (512, 512), "self_attn.k_proj": (128, 512), "self_attn.v_proj": (128, 512),
    "self_attn.o_proj": (512, 512), "mlp.gate_proj": (768, 512), "mlp.up_proj": (768, 512), "mlp.down_proj": (512, 768),
}  # fmt: skip


def add_quantized(writer: GGUFWriter, name: str, shape: tuple[int, ...], kind: str, seed: int = 0) -> int:
    """Add a tensor of random bytes in a type, whose last size is the row length; return its bits."""
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    row = shape[-1] // block * size
    data = np.random.default_rng(seed).integers(0, 256, (*shape[:-1], row), dtype=np.uint8)
    if kind in ("F32", "F16"):
        data = np.zeros(shape, dtype=np.float32 if kind == "F32" else np.float16)
        writer.add_tensor(name, data)
    else:
        writer.add_tensor(name, data, raw_dtype=GGMLQuantizationType[kind])
    return 8 * data.nbytes


def llama_keys(writer: GGUFWriter, layers: int = 4) -> None:
    """Write the keys of :data:`LLAMA` and a tokenizer."""
    writer.add_context_length(256)
    writer.add_embedding_length(512)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(768)
    writer.add_head_count(8)
    writer.add_head_count_kv(2)
    writer.add_token_list([f"token {number}" for number in range(1000)])
    writer.add_array("tokenizer.ggml.scores", [0.0] * 1000)


def write_gguf(
    path: Path, kind_of, arch: str = "llama", layers: int = 4, output: bool = True, data: bool = True
) -> int:
    """Write a GGUF Llama whose tensors have the types ``kind_of(kind, layer)``; return the bits of its weights."""
    writer = GGUFWriter(path, arch)
    llama_keys(writer, layers)
    bits = add_quantized(writer, "token_embd.weight", (1000, 512), kind_of("token_embd", -1))
    for layer in range(layers):
        for kind, shape in LAYER.items():
            bits += add_quantized(writer, f"blk.{layer}.{kind}.weight", shape, kind_of(kind, layer), layer)
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.ones(512, dtype=np.float32))
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", np.ones(512, dtype=np.float32))
    writer.add_tensor("output_norm.weight", np.ones(512, dtype=np.float32))
    if output:
        bits += add_quantized(writer, "output.weight", (1000, 512), kind_of("output", -1))
    finish(writer, data)
    return bits


def finish(writer: GGUFWriter, data: bool = True) -> None:
    """Write out what was added, with or without the tensors' data."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    if data:
        writer.write_tensors_to_file()
    else:
        writer.write_ti_data_to_file()
    writer.close()


def write_safetensors(
    folder: Path, tensors: dict[str, np.ndarray], config: dict | None, name="model.safetensors"
) -> Path:
    """Write tensors, and a config.json beside them; return the file of the tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / name)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder / name


def hf_tensors(linear, layers: int = 4, dtype=np.float16) -> dict[str, np.ndarray]:
    """Return the tensors of :data:`LLAMA`; ``linear(name, rows, columns)`` gives those of one linear layer."""
    found = {
        "model.embed_tokens.weight": np.zeros((1000, 512), dtype=dtype),
        "lm_head.weight": np.zeros((1000, 512), dtype=dtype),
        "model.norm.weight": np.ones(512, dtype=dtype),
    }
    for layer in range(layers):
        head = f"model.layers.{layer}"
        found[f"{head}.input_layernorm.weight"] = np.ones(512, dtype=dtype)
        found[f"{head}.post_attention_layernorm.weight"] = np.ones(512, dtype=dtype)
        for name, (rows, columns) in HF_LAYER.items():
            found |= linear(f"{head}.{name}", rows, columns)
    return found
