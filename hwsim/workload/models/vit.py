"""Vision transformer: patches by a convolution, an encoder, a class head on the first token."""

from __future__ import annotations

from hwsim.spec.errors import UsageError
from hwsim.workload.config import Config
from hwsim.workload.convolution import Conv, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import read_encoder, refuse_decode
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import block_ops, finish


def refuse_tokens(family: str, phase: Phase) -> None:
    """Raise UsageError when an image model is given a sequence length."""
    if phase.tokens is not None:
        raise UsageError(f"seq_len: {family} takes images; change 'image_size' in its config.json instead")


def vision_trace(config: Config, phase: Phase, extra_tokens: int) -> Trace:
    """Return the trace of patches, class token and others, blocks, and a class head."""
    family = config.model_type
    refuse_decode(family, phase)
    refuse_tokens(family, phase)
    channels, image, patch = read_image(config)
    classes = config.labels()
    tokens = (image // patch) ** 2 + extra_tokens
    model = read_encoder(config, classes, tokens, tokens)
    config.check()
    embed = Conv(channels, model.hidden, patch, stride=patch)
    ops: list[Op] = [
        embed.gemm("patch_embed", Feature(channels, image, image), phase.batch),
        VectorOp("embed.positions", "add", phase.batch * tokens, model.hidden),
        *block_ops(model, phase, tokens, causal=False),
        VectorOp("final_norm", "layernorm", phase.batch * tokens, model.hidden),
        Gemm("classifier", phase.batch, classes, model.hidden, role="other"),
    ]
    # patch bias, further tokens, positions, final norm, class biases
    other = model.hidden * (1 + extra_tokens + tokens + 2) + classes + model.block_extras
    parameters = model.block_weights + embed.weights + classes * model.hidden + other
    return finish(family, phase, None, ops, parameters, other)


def read_image(config: Config) -> tuple[int, int, int]:
    """Return channels, image size and patch size, which divides it."""
    image, patch = config.integer("image_size"), config.integer("patch_size")
    config.require(image % patch == 0, f"'image_size' {image} is no multiple of 'patch_size' {patch}")
    return config.integer("num_channels", default=3), image, patch


@FAMILIES.register("vit")
def vit(config: Config, phase: Phase) -> Trace:
    """``ViTForImageClassification``; DeiT without distillation token has the same type."""
    return vision_trace(config, phase, extra_tokens=1)


@FAMILIES.register("deit")
def deit(config: Config, phase: Phase) -> Trace:
    """``DeiTForImageClassification``: a distillation token beside the class token."""
    return vision_trace(config, phase, extra_tokens=2)
