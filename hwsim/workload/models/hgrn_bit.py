"""MatMul-free LM (arXiv 2406.02528, ``HGRNBitForCausalLM``): ternary projections around a recurrence.

No product of two activations: a token's state is ``f·state + (1 − f)·input`` per channel, so a step
costs the same at any length and caches one vector per layer. Each projection normalises its input.
"""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import DEFAULT_TOKENS, finish

#: The feed-forward width is rounded up to a multiple of this.
ROUND = 256


@FAMILIES.register("hgrn_bit")
def hgrn_bit(config: Config, phase: Phase) -> Trace:
    """MatMul-free LM; the LM head sees the positions that ``lm_head`` says."""
    hidden, layers = config.integer("hidden_size"), config.integer("num_hidden_layers")
    vocab, longest = config.integer("vocab_size"), config.integer("max_position_embeddings", default=2048)
    config.require(config.integer("expand_ratio", default=1) == 1, "'expand_ratio' other than 1 is not supported")
    config.require(not config.flag("use_short_conv", False), "'use_short_conv' true is not supported")
    ratio = config.integer("hidden_ratio", default=4)
    ffn = config.optional_integer("intermediate_size") or ROUND * -(-(hidden * ratio * 2 // 3) // ROUND)
    activation = config.choice("hidden_act", ACTIVATIONS, "swish")
    bounds, tied = config.flag("use_lower_bound", True), config.flag("tie_word_embeddings", False)
    config.check()
    tokens = phase.tokens or min(DEFAULT_TOKENS, longest)
    rows = phase.batch * (1 if phase.decode else tokens)
    head_rows = phase.batch if phase.lm_head == "last" else rows
    ops: list[Op] = [
        VectorOp("embed", "embedding", rows, hidden),
        *_mixing(rows, hidden, layers),
        *_mlp(rows, hidden, ffn, layers, activation),
        VectorOp("final_norm", "rmsnorm", rows, hidden),
        VectorOp("lm_head.norm", "rmsnorm", head_rows, hidden),
        Gemm("lm_head", head_rows, vocab, hidden, role="lm_head"),
    ]
    # Norms of a layer: two of the block, one of the gate, one of each of six projections.
    extras = layers * (8 * hidden + ffn) + 2 * hidden + bounds * layers * hidden + (0 if tied else vocab * hidden)
    weights = layers * (4 * hidden * hidden + 3 * hidden * ffn) + vocab * hidden
    table = {} if tied else {"embed": (vocab, hidden)}
    return finish("hgrn_bit", phase, tokens, ops, weights + extras, extras, tables=table)


def _mixing(rows: int, hidden: int, layers: int) -> list[Op]:
    """The gated recurrence that stands in for attention."""

    def vector(name: str, op: str, note: str = "") -> VectorOp:
        return VectorOp(f"mix.{name}", op, rows, hidden, repeat=layers, note=note)

    ops: list[Op] = [vector("norm", "rmsnorm")]
    for name in ("i_proj", "f_proj", "g_proj"):
        ops.append(vector(f"{name}.norm", "rmsnorm"))
        ops.append(Gemm(f"mix.{name}", rows, hidden, hidden, repeat=layers, role="qkv"))
    return [
        *ops,
        vector("forget", "silu", "a sigmoid"),
        vector("input.act", "silu"),
        vector("input.gate", "mul"),
        vector("state.keep", "mul"),
        vector("state.add", "add"),
        vector("out.norm", "rmsnorm"),
        vector("out.act", "silu"),
        vector("out.gate", "mul"),
        vector("o_proj.norm", "rmsnorm"),
        Gemm("mix.o_proj", rows, hidden, hidden, repeat=layers, role="attn_out"),
        vector("residual", "add"),
    ]


def _mlp(rows: int, hidden: int, ffn: int, layers: int, activation: str) -> list[Op]:
    return [
        VectorOp("mlp.norm", "rmsnorm", rows, hidden, repeat=layers),
        VectorOp("mlp.gate_up_proj.norm", "rmsnorm", rows, hidden, repeat=layers),
        Gemm("mlp.gate_up_proj", rows, 2 * ffn, hidden, repeat=layers, role="ffn"),
        VectorOp("mlp.act", activation, rows, ffn, repeat=layers),
        VectorOp("mlp.gate", "mul", rows, ffn, repeat=layers),
        Gemm("mlp.down_proj", rows, hidden, ffn, repeat=layers, role="ffn"),
        VectorOp("mlp.residual", "add", rows, hidden, repeat=layers),
    ]
