"""What names and shapes of tensors say of a model without its ``config.json``.

The family follows from modules that its relatives lack, sizes from rows and columns of matrices. Shapes do not say
into how many heads a projection is cut, unless heads have norms or sinks of their own; how many experts see a token;
how wide a window is; how long sequences may be. Activations and the like are those that the family has by default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.spec.errors import SpecError
from hwsim.workload.checkpoints.tensors import OUTSIDE, Tensor, Tensors
from hwsim.workload.models.opt import POSITION_OFFSET

Refuse = Callable[[str], SpecError]

#: Families by modules of a block, all of which a checkpoint must have; the first that fits counts. ``.bias`` is that.
FAMILIES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (family, frozenset(kinds.split()))
    for family, kinds in (
        ("gpt2", "attn.c_attn mlp.c_fc"),
        ("opt", "self_attn.out_proj fc1 fc2"),
        ("bert", "attention.self.query intermediate.dense"),
        ("gpt_oss", "self_attn.sinks mlp.router"),
        ("mixtral", "block_sparse_moe.gate block_sparse_moe.experts.*.w1"),
        ("qwen2_moe", "mlp.shared_expert_gate mlp.gate"),
        ("qwen3_moe", "mlp.gate self_attn.q_norm"),
        ("bitnet", "self_attn.attn_sub_norm mlp.gate_proj"),
        ("gemma3_text", "pre_feedforward_layernorm self_attn.q_norm"),
        ("gemma2", "pre_feedforward_layernorm mlp.gate_proj"),
        ("olmo2", "post_feedforward_layernorm self_attn.q_norm"),
        ("qwen3", "self_attn.q_norm mlp.gate_proj"),
        ("phi3", "self_attn.qkv_proj mlp.gate_up_proj"),
        ("llama", "self_attn.q_proj.bias self_attn.o_proj.bias mlp.gate_proj"),
        ("qwen2", "self_attn.q_proj.bias mlp.gate_proj"),
        ("llama", "self_attn.q_proj self_attn.o_proj mlp.gate_proj"),
    )
)
#: Families that have a window in some layers, which no shape shows.
WINDOWED = ("gemma2", "gemma3_text", "gpt_oss")
#: Families with the same tensors and a difference that no shape shows.
TWINS = {
    "llama": "mistral (a sliding window)",
    "qwen2_moe": "others of its kind",
    "bert": "roberta and others of the same blocks",
}
#: Modules that stand before the blocks of families whose own names tell them from :data:`TWINS`.
PREFIXES = {"roberta.": "roberta", "bert.": "bert"}
EXPERTS_BY_TOKEN = ("mixtral", "qwen2_moe", "qwen3_moe", "gpt_oss")


@dataclass(frozen=True)
class Found:
    """The tensors of a checkpoint: matrices by kind and block, and the shape of anything else by kind.

    ``names`` are all of them as the file has them.
    """

    matrices: Tensors
    others: Mapping[str, tuple[int, ...]]
    names: Collection[str]

    def has(self, kind: str) -> bool:
        """Whether a block or the model has a module of this kind."""
        return kind in self.matrices.by_kind or kind in self.others

    def matrix(self, *kinds: str) -> Tensor | None:
        """Return the matrix of the first of ``kinds`` that is there, of its first block."""
        for kind in kinds:
            for known, blocks in self.matrices.by_kind.items():
                if known == kind or (kind[:1] == "." and f".{known}".endswith(kind)):
                    return next(iter(blocks.values()))
        return None

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return 1 + max((block for blocks in self.matrices.by_kind.values() for block in blocks), default=OUTSIDE)


def family_of(kinds: Collection[str], names: Collection[str]) -> str:
    """Return the ``model_type`` that has modules of ``kinds``, ``""`` if none is known."""
    family = next((family for family, needed in FAMILIES if needed <= set(kinds)), "")
    if family == "bert":
        known = (PREFIXES[prefix] for prefix in PREFIXES if any(name.startswith(prefix) for name in names))
        return next(known, family)
    return family


def to_config(model_type: str, found: Found, given: Mapping[str, Any], tokens: int | None) -> dict[str, Any]:
    """Return what shapes say as a ``config.json``; ``given`` are settings that help, ``tokens`` those of the run.

    Keys that neither says are left out.
    """
    if model_type in ("gpt2", "gpt_bigcode"):
        config = _gpt2(found)
    elif model_type == "opt":
        config = _opt(found)
    elif model_type in ("bert", "roberta"):
        config = _bert(found)
    else:
        config = _llama(model_type, found, given, tokens)
    return {"model_type": model_type, **{key: value for key, value in config.items() if value is not None}}


def _rows(tensor: Tensor | None) -> int | None:
    return tensor.rows if tensor else None


def _columns(tensor: Tensor | None) -> int | None:
    return tensor.columns if tensor else None


def _gpt2(found: Found) -> dict[str, Any]:
    table, up = found.matrix("transformer.wte", "wte"), found.matrix("mlp.c_fc")
    return {
        "n_embd": _columns(table),
        "n_layer": found.layers,
        "n_inner": _rows(up),
        "n_positions": _rows(found.matrix("transformer.wpe", "wpe")),
        "vocab_size": _rows(table),
        "tie_word_embeddings": found.matrix("lm_head") is None,
    }


def _opt(found: Found) -> dict[str, Any]:
    table, positions = found.matrix(".embed_tokens"), found.matrix(".embed_positions")
    return {
        "hidden_size": _columns(found.matrix("self_attn.q_proj")),
        "num_hidden_layers": found.layers,
        "ffn_dim": _rows(found.matrix("fc1")),
        "word_embed_proj_dim": _columns(table),
        "max_position_embeddings": positions.rows - POSITION_OFFSET if positions else None,
        "vocab_size": _rows(table),
        "enable_bias": found.has("self_attn.q_proj.bias"),
        "do_layer_norm_before": any(kind.endswith("decoder.final_layer_norm") for kind in found.others),
        "tie_word_embeddings": found.matrix("lm_head") is None,
    }


def _bert(found: Found) -> dict[str, Any]:
    table = found.matrix(".embeddings.word_embeddings")
    return {
        "hidden_size": _columns(found.matrix("attention.self.query")),
        "num_hidden_layers": found.layers,
        "intermediate_size": _rows(found.matrix("intermediate.dense")),
        "max_position_embeddings": _rows(found.matrix(".embeddings.position_embeddings")),
        "type_vocab_size": _rows(found.matrix(".embeddings.token_type_embeddings")),
        "vocab_size": _rows(table),
    }


def _llama(model_type: str, found: Found, given: Mapping[str, Any], tokens: int | None) -> dict[str, Any]:
    table = found.matrix(".embed_tokens")
    config: dict[str, Any] = {
        "hidden_size": _columns(table),
        "num_hidden_layers": found.layers,
        "vocab_size": _rows(table),
        "tie_word_embeddings": found.matrix("lm_head") is None,
        # of meaning to the length of a run alone, which has one of its own
        "max_position_embeddings": tokens,
        **_heads(found, given),
        **_feed_forward(model_type, found),
    }
    if model_type == "llama":
        config["attention_bias"] = found.has("self_attn.q_proj.bias")
        config["mlp_bias"] = found.has("mlp.gate_proj.bias")
    return config


def _heads(found: Found, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers and width of heads, as far as one of them is known: of a norm, a sink, or given."""
    q, k, fused = (found.matrix(f"self_attn.{name}_proj") for name in ("q", "k", "qkv"))
    o = found.matrix("self_attn.o_proj")
    q_rows = q.rows if q else _columns(o)
    k_rows = k.rows if k else (fused.rows - q_rows) // 2 if fused and q_rows else None
    if q_rows is None or k_rows is None:
        return {}
    norm, sinks = found.others.get("self_attn.q_norm"), found.others.get("self_attn.sinks")
    widths = [
        norm[0] if norm and norm[0] != q_rows else None,  # one norm for all heads tells nothing
        _share(q_rows, sinks[0]) if sinks else None,
        given.get("head_dim"),
        _share(q_rows, given.get("num_attention_heads")),
        _share(k_rows, given.get("num_key_value_heads")),
    ]
    width = next((one for one in widths if isinstance(one, int) and one > 0), None)
    if width is None or q_rows % width or k_rows % width:
        return {}
    return {"num_attention_heads": q_rows // width, "num_key_value_heads": k_rows // width, "head_dim": width}


def _share(rows: int, heads: Any) -> int | None:
    if isinstance(heads, bool) or not isinstance(heads, int) or heads <= 0 or rows % heads:
        return None
    return rows // heads


def _feed_forward(model_type: str, found: Found) -> dict[str, Any]:
    """Return the width of the feed-forward part, dense or of experts, and the number of these."""
    fused = found.matrix("mlp.gate_up_proj")
    dense = found.matrix("mlp.gate_proj")
    config: dict[str, Any] = {"intermediate_size": dense.rows if dense else fused.rows // 2 if fused else None}
    one = found.matrix("block_sparse_moe.experts.*.w2", "mlp.experts.*.down_proj", "mlp.experts.down_proj")
    if one is None or model_type not in EXPERTS_BY_TOKEN:
        return config
    if model_type in ("mixtral", "gpt_oss"):
        return {"intermediate_size": one.columns, "num_local_experts": one.experts}
    config |= {"num_experts": one.experts, "moe_intermediate_size": one.columns}
    config["intermediate_size"] = config["intermediate_size"] or one.columns
    shared = found.matrix("mlp.shared_expert.up_proj")
    return {**config, "shared_expert_intermediate_size": _rows(shared)}
