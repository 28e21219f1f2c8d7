"""BART and its kin: encoder and decoder of one width, biases everywhere, tied embeddings.

What differs is where norms stand and what a position is (transformers' modules).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.encoder_decoder import EncoderDecoder, lengths, pair_trace
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer

#: Rows that a learned table keeps before position 0 (``BartLearnedPositionalEmbedding``).
OFFSET = 2


@dataclass(frozen=True)
class Style:
    """How a relative of BART differs: rows beside the positions of its table, or no table at all."""

    table: bool = True
    offset: int = 0
    embed_norm: bool = False
    final_norm: bool = True


STYLES = {
    "bart": Style(offset=OFFSET, embed_norm=True, final_norm=False),
    "mbart": Style(offset=OFFSET, embed_norm=True),
    "pegasus": Style(),
    "marian": Style(final_norm=False),
    "blenderbot": Style(),
    "m2m_100": Style(table=False),
}


def read_half(config: Config, half: str, activation: str) -> Transformer:
    """Read the keys of one half, ``encoder`` or ``decoder``."""
    hidden, heads = config.integer("d_model"), config.integer(f"{half}_attention_heads")
    layers = config.integer(f"{half}_layers")
    config.divides(f"{half}_attention_heads", heads, "d_model", hidden)
    return Transformer(
        family=config.model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer(f"{half}_ffn_dim"),
        vocab=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings", default=1024),
        activation=activation,
        norm="layernorm",
        windows=((layers, None),),
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=config.flag("tie_word_embeddings", True),
    )


def _read(config: Config) -> EncoderDecoder:
    style = STYLES[config.model_type]
    activation = config.choice("activation_function", ACTIVATIONS, "gelu")
    halves = [read_half(config, half, activation) for half in ("encoder", "decoder")]
    rows = halves[0].max_tokens + style.offset if style.table else 0
    encoder, decoder = (
        replace(half, positions=rows, embed_norm=style.embed_norm, final_norm=style.final_norm) for half in halves
    )
    words = 0 if decoder.tied else decoder.vocab * decoder.hidden
    return EncoderDecoder(encoder, decoder, tables=words + 2 * rows * decoder.hidden)


@FAMILIES.register("bart")
@FAMILIES.register("mbart")
@FAMILIES.register("pegasus")
@FAMILIES.register("marian")
@FAMILIES.register("blenderbot")
@FAMILIES.register("m2m_100")
def bart(config: Config, phase: Phase) -> Trace:
    """BART, mBART, Pegasus, Marian, Blenderbot, and M2M-100 with NLLB, whose positions are computed."""
    model = _read(config)
    source, target = lengths(config, phase, model.decoder.max_tokens)
    return pair_trace(model, phase, source, target)
