"""CLIP: a vision transformer and a causal text transformer, each projected to a common space."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.convolution import Conv, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import read_encoder, refuse_decode
from hwsim.workload.models.vit import read_image, refuse_tokens
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, block_ops, finish, resolve_tokens


def _projected(config: Config) -> int:
    """Width of the common space; 0 for a class without projection (``CLIPTextModel`` of Stable Diffusion)."""
    classes, width = config.get("architectures") or ["WithProjection"], config.integer("projection_dim", default=512)
    good = isinstance(classes, list)
    config.require(good, "'architectures' must be a list of classes")
    return width if good and any(str(name).endswith("WithProjection") for name in classes) else 0


@FAMILIES.register("clip_vision_model")
def clip_vision(config: Config, phase: Phase) -> Trace:
    """``CLIPVisionModelWithProjection``: a norm before the blocks too, no bias on patches."""
    refuse_decode(config.model_type, phase)
    refuse_tokens(config.model_type, phase)
    channels, image, patch = read_image(config)
    tokens = (image // patch) ** 2 + 1
    projected = _projected(config)
    model = read_encoder(config, 1, tokens, tokens)
    config.check()
    hidden, rows = model.hidden, phase.batch * tokens
    embed = Conv(channels, hidden, patch, stride=patch)
    ops: list[Op] = [
        embed.gemm("patch_embed", Feature(channels, image, image), phase.batch),
        VectorOp("embed.positions", "add", rows, hidden),
        VectorOp("pre_norm", "layernorm", rows, hidden),
        *block_ops(model, phase, tokens, causal=False),
        VectorOp("final_norm", "layernorm", phase.batch, hidden),
    ]
    if projected:
        ops.append(Gemm("projection", phase.batch, projected, hidden, role="other"))
    other = hidden * (1 + tokens + 4) + model.block_extras  # class token, positions, two norms
    return finish(
        config.model_type, phase, None, ops, model.block_weights + embed.weights + projected * hidden + other, other
    )


@FAMILIES.register("clip_text_model")
def clip_text(config: Config, phase: Phase) -> Trace:
    """``CLIPTextModelWithProjection``: a causal mask, but nothing is cached between runs."""
    refuse_decode(config.model_type, phase)
    positions = config.integer("max_position_embeddings", default=77)
    projected = _projected(config)
    model = read_encoder(config, config.integer("vocab_size"), positions, positions)
    config.check()
    tokens = resolve_tokens(model, phase)
    hidden, rows = model.hidden, phase.batch * tokens
    ops: list[Op] = [
        VectorOp("embed", "embedding", rows, hidden),
        VectorOp("embed.positions", "add", rows, hidden),
        *_causal(model, phase, tokens),
        VectorOp("final_norm", "layernorm", rows, hidden),
    ]
    if projected:
        ops.append(Gemm("projection", phase.batch, projected, hidden, role="other"))
    other = hidden * (model.vocab + positions + 2) + model.block_extras
    weights, table = model.block_weights + projected * hidden, {"embed": (model.vocab, hidden)}
    return finish(config.model_type, phase, tokens, ops, weights + other, other, tables=table)


def _causal(model: Transformer, phase: Phase, tokens: int) -> list[Op]:
    """Blocks whose keys are activations: a causal mask counts as ``causal`` says."""
    ops = block_ops(model, phase, tokens)
    return [replace(op, w_source="activation") if isinstance(op, Gemm) and op.w_source == "kv" else op for op in ops]
