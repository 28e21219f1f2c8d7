"""XGLM and BioGPT: OPT's blocks with sinusoidal or learned positions and tied embeddings."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.opt import POSITION_OFFSET
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, decoder_trace


def _trace(config: Config, phase: Phase, keys: tuple[str, str, str, str, str], positions: int) -> Trace:
    width, depth, heads_key, ffn, activation = keys
    hidden, heads, layers = config.integer(width), config.integer(heads_key), config.integer(depth)
    config.divides(heads_key, heads, width, hidden)
    model = Transformer(
        family=config.model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer(ffn),
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings"),
        activation=config.choice(activation, ACTIVATIONS, "gelu"),
        norm="layernorm",
        windows=((layers, None),),
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=config.flag("tie_word_embeddings", True),
        positions=positions,
    )
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("xglm")
def xglm(config: Config, phase: Phase) -> Trace:
    """XGLM: sinusoidal positions, which are no parameters."""
    return _trace(config, phase, ("d_model", "num_layers", "attention_heads", "ffn_dim", "activation_function"), 0)


@FAMILIES.register("biogpt")
def biogpt(config: Config, phase: Phase) -> Trace:
    """BioGPT: learned positions with two rows before position 0, as OPT has."""
    positions = config.integer("max_position_embeddings") + POSITION_OFFSET
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
    return _trace(config, phase, keys, positions)
