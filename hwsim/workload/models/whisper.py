"""Whisper: two convolutions over a window of sound, an encoder of fixed length, a decoder of text."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.encoder_decoder import EncoderDecoder, lengths, pair_trace
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bart import read_half
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace

#: Width of both convolutions; the second one halves the frames (transformers ``WhisperEncoder``).
KERNEL = 3


@FAMILIES.register("whisper")
def whisper(config: Config, phase: Phase) -> Trace:
    """Whisper; ``seq_len`` counts text, and is the longest text by default. Keys have no bias."""
    activation = config.choice("activation_function", ACTIVATIONS, "gelu")
    frames, text = config.integer("max_source_positions"), config.integer("max_target_positions")
    bins = config.integer("num_mel_bins")
    encoder, decoder = (
        replace(read_half(config, half, activation), key_bias=False, positions=rows, max_tokens=text)
        for half, rows in (("encoder", frames), ("decoder", text))
    )
    hidden = encoder.hidden
    words = 0 if decoder.tied else decoder.vocab * hidden
    model = EncoderDecoder(
        encoder,
        decoder,
        tables=words + (frames + text) * hidden,
        front=_stem(bins, hidden, frames, phase.batch, activation),
        front_weights=KERNEL * hidden * (bins + hidden),
        front_extras=2 * hidden,
    )
    source, target = lengths(config, phase, text, fixed_source=frames)
    return pair_trace(model, phase, source, target)


def _stem(bins: int, hidden: int, frames: int, batch: int, activation: str) -> list[Op]:
    note = f"im2col: 1-D, kernel {KERNEL}, padding 1"
    first, second = 2 * frames * batch, frames * batch
    return [
        Gemm("conv1", first, hidden, KERNEL * bins, role="conv", note=note),
        VectorOp("conv1.act", activation, first, hidden),
        Gemm("conv2", second, hidden, KERNEL * hidden, role="conv", note=f"{note}, stride 2"),
        VectorOp("conv2.act", activation, second, hidden),
    ]
