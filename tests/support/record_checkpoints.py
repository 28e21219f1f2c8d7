"""Headers of small checkpoints of further families, as transformers saves them.

``python -m tests.support.record_checkpoints`` writes ``tests/data/checkpoint_tensors.json`` anew; it needs torch and
transformers, which the tests do not: they read what is stored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "data" / "checkpoint_tensors.json"

_LLAMA: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 160, "max_position_embeddings": 64,
}  # fmt: skip
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_LLAMA, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "mistral": {**_LLAMA, "head_dim": 32, "sliding_window": None},
    "qwen2": {**_LLAMA, "tie_word_embeddings": True},
    "qwen3": {**_LLAMA, "head_dim": 32},
    "qwen2_moe": {**_LLAMA, **_EXPERTS, "shared_expert_intermediate_size": 80},
    "qwen3_moe": {**_LLAMA, **_EXPERTS, "head_dim": 32},
    "gemma2": {**_LLAMA, "head_dim": 32, "sliding_window": 32},
    "gemma3_text": {**_LLAMA, "head_dim": 32, "sliding_window": 32},
    "olmo2": _LLAMA,
    "bitnet": _LLAMA,
    "phi3": {**_LLAMA, "sliding_window": None, "pad_token_id": 0},
    "gpt_oss": {**_LLAMA, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 32},
    "gpt2": {"n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 64, "vocab_size": 160, "n_inner": 96},
    "opt": {
        "hidden_size": 64, "ffn_dim": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 160,
        "max_position_embeddings": 64, "word_embed_proj_dim": 64,
    },
    "bert": {
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "vocab_size": 160, "max_position_embeddings": 64,
    },
    "roberta": {
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "vocab_size": 160, "max_position_embeddings": 66, "type_vocab_size": 1,
    },
}  # fmt: skip


def saved(model_type: str, config: dict[str, Any]) -> dict[str, tuple[str, list[int]]]:
    """Return dtype and shape of each tensor that ``save_pretrained`` writes."""
    import tempfile

    import transformers
    from safetensors import safe_open

    made = transformers.AutoConfig.for_model(model_type, **config)
    kind = transformers.AutoModel if model_type in ("bert", "roberta") else transformers.AutoModelForCausalLM
    model = kind.from_config(made)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(str(Path(folder) / "model.safetensors"), "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (one.get_dtype(), one.get_shape()) for name, one in slices.items()}


def recorded() -> dict[str, dict[str, tuple[str, list[int]]]]:
    """Return the tensors of every checkpoint, as stored."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return {name: tensors for name, tensors in found.items() if name != "source"}


def main() -> None:
    """Write the file."""
    import transformers

    found: dict[str, Any] = {"source": f"transformers {transformers.__version__} save_pretrained"}
    found |= {name: saved(name, config) for name, config in CONFIGS.items()}
    FILE.write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
