"""T5, T5 v1.1 (Flan-T5) and mT5: RMSNorm, no biases, a table of relative positions per half."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.encoder_decoder import EncoderDecoder, lengths, pair_trace
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import DEFAULT_TOKENS, Transformer

GATED = "gated-"


def _half(config: Config, layers: int, projection: str, tied: bool) -> Transformer:
    heads = config.integer("num_heads")
    gated = projection.startswith(GATED)
    activation = projection.removeprefix(GATED)
    config.require(
        activation in ACTIVATIONS, f"'feed_forward_proj' {projection!r} is not relu, gated-gelu or gated-silu"
    )
    return Transformer(
        family=config.model_type,
        hidden=config.integer("d_model"),
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=config.integer("d_kv"),
        ffn=config.integer("d_ff"),
        vocab=config.integer("vocab_size"),
        max_tokens=1 << 24,  # positions are relative: there is no longest sequence
        activation=ACTIVATIONS.get(activation, "relu"),
        norm="rmsnorm",
        windows=((layers, None),),
        gated=gated,
        tied=tied,
    )


def _trace(config: Config, phase: Phase, projection: str, tied_default: bool) -> Trace:
    projection = str(config.get("feed_forward_proj") or projection)
    tied = config.flag("tie_word_embeddings", tied_default)
    layers = config.integer("num_layers")
    encoder = _half(config, layers, projection, tied)
    decoder = _half(config, config.integer("num_decoder_layers", default=layers), projection, tied)
    buckets = config.integer("relative_attention_num_buckets", default=32)
    words = 0 if tied else decoder.vocab * decoder.hidden
    model = EncoderDecoder(encoder, decoder, tables=words + 2 * buckets * decoder.heads)
    if phase.tokens is None:
        phase = Phase(phase.kind, DEFAULT_TOKENS, phase.batch, phase.causal, phase.lm_head)
    source, target = lengths(config, phase, decoder.max_tokens)
    return pair_trace(model, phase, source, target)


@FAMILIES.register("t5")
def t5(config: Config, phase: Phase) -> Trace:
    """T5; adding the table of relative positions, of the first layer of each half, to all scores is not counted."""
    return _trace(config, phase, "relu", tied_default=True)


@FAMILIES.register("mt5")
def mt5(config: Config, phase: Phase) -> Trace:
    """mT5: gated GELU by default."""
    return _trace(config, phase, "gated-gelu", tied_default=False)
