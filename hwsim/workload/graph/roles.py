"""What a product is for, told from the name of its layer; names as models of transformers and timm have them."""

from __future__ import annotations

import re

from hwsim.workload.ops import ROLES

#: Role by the first pattern that the end of a dotted name matches.
_PATTERNS = (
    ("lm_head", r"(lm_head|embed_out|output_projection)"),
    (
        "qkv",
        r"(q|k|v|qkv|query|key|value|in|c_attn|query_key_value|q_a|q_b|kv_a|kv_b|to_q|to_k|to_v|to_qkv|wqkv|wq|wk|wv)"
        r"(_proj|_proj_with_mqa|_lin)?",
    ),
    ("ffn", r"DenseReluDense\.wo"),
    ("attn_out", r"o_proj|out_proj|out_lin|wo|to_out(\.\d+)?|attention\.output\.dense"),
    ("attn_out", r"\w*(attn|attention)\.(proj|c_proj|dense|out|o)"),
    ("router", r"router|block_sparse_moe\.gate|mlp\.gate|moe\.gate"),
    ("ffn", r"(.*\.)?(mlp|ffn|feed_forward|ff|experts?)(\..*)?|fc\d?|w[123]|lin[12]|(gate|up|down|gate_up)_proj"),
    ("ffn", r"(intermediate|output)\.dense|wi(_\d)?|linear[12]"),
)
_ROLES = [
    (role if role in ROLES else "other", re.compile(rf"(?:^|.*\.)(?:{pattern})$", re.IGNORECASE))
    for role, pattern in _PATTERNS
]


def role_of(name: str) -> str:
    """Return the role of a product with stored weights, ``other`` where its name tells nothing."""
    return next((role for role, pattern in _ROLES if pattern.match(name)), "other")
