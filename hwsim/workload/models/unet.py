"""The U-Net of Stable Diffusion 1, 2 and XL (diffusers ``UNet2DConditionModel``): one denoising step.

``sample_size`` is the edge of the latent image; ``text_tokens``, a key of hwsim's own, is the length
of the prompt (77, CLIP's). What diffusers calls ``attention_head_dim`` is the number of heads.
Group norms are listed as layer norms over a group's channels and pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim.workload.config import Config
from hwsim.workload.convolution import Conv, ConvNet, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.models.vit import refuse_tokens
from hwsim.workload.ops import Gemm, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import finish

CLASS = "UNet2DConditionModel"
#: Channels of the time embedding over those of the first block, and inner width of an MLP over its width.
TIME, MLP = 4, 4
ATTENDING = {
    "DownBlock2D": False, "CrossAttnDownBlock2D": True, "UpBlock2D": False, "CrossAttnUpBlock2D": True,
}  # fmt: skip
#: Keys that change the structure, with the only values that are modelled.
PLAIN: dict[str, tuple[Any, ...]] = {
    "class_embed_type": (None,),
    "addition_embed_type": (None, "text_time"),
    "encoder_hid_dim": (None,),
    "time_cond_proj_dim": (None,),
    "dual_cross_attention": (False,),
    "only_cross_attention": (False,),
    "resnet_time_scale_shift": ("default",),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "time_embedding_type": ("positional",),
    "attention_type": ("default",),
    "class_embeddings_concat": (False,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
}


@dataclass(frozen=True)
class _Level:
    """One resolution: its channels, residual blocks, heads, width of the text, depth of its transformers."""

    channels: int
    blocks: int
    heads: int
    text: int
    depth: int


@dataclass
class _Net(ConvNet):
    """A network of convolutions with a time embedding and attention to a text."""

    time: int = 0
    tokens: int = 0
    groups: int = 32
    linear_projection: bool = False

    def linear(self, layer: str, rows: int, out: int, source: int, role: str, bias: bool = True) -> None:
        self.ops.append(Gemm(layer, rows, out, source, role=role))
        self.weights += out * source
        self.other_parameters += out * bias

    def norm(self, layer: str, activation: str | None = None) -> None:
        """Add a group norm over the current map, and an activation."""
        shape = self.feature
        size = shape.channels // self.groups * shape.pixels
        self.ops.append(VectorOp(layer, "layernorm", self.images * self.groups, size, note="group norm"))
        self.other_parameters += 2 * shape.channels
        if activation:
            self.vector(f"{layer}.act", activation, shape)

    def time_embedding(self, name: str, source: int) -> None:
        """Add the two layers that embed a step or further conditions."""
        self.linear(f"{name}.linear_1", self.images, self.time, source, "embed")
        self.ops.append(VectorOp(f"{name}.act", "silu", self.images, self.time))
        self.linear(f"{name}.linear_2", self.images, self.time, self.time, "embed")

    def resnet(self, name: str, out: int) -> None:
        """Add a residual block whose shortcut is a convolution where channels change."""
        start = self.feature
        self.norm(f"{name}.norm1", "silu")
        self.conv(f"{name}.conv1", Conv(start.channels, out, 3, 1, 1), bias=True)
        self.ops.append(VectorOp(f"{name}.time.act", "silu", self.images, self.time))
        self.linear(f"{name}.time", self.images, out, self.time, "embed")
        self.vector(f"{name}.time.add", "add", self.feature)
        self.norm(f"{name}.norm2", "silu")
        self.conv(f"{name}.conv2", Conv(out, out, 3, 1, 1), bias=True)
        if start.channels != out:
            self.conv(f"{name}.shortcut", Conv(start.channels, out, 1), source=start, bias=True)
        self.vector(f"{name}.residual", "add", self.feature)

    def transformer(self, name: str, level: _Level) -> None:
        """Add blocks of self attention, attention to the text, and a gated MLP."""
        width, pixels = self.feature.channels, self.images * self.feature.pixels
        self.norm(f"{name}.norm")
        self._project(f"{name}.proj_in", pixels, width)
        for index in range(level.depth):
            block = f"{name}.{index}" if level.depth > 1 else name
            self._attention(f"{block}.attn", width, level.heads, self.feature.pixels, width)
            self._attention(f"{block}.cross", width, level.heads, self.tokens, level.text)
            self._layer_norm(f"{block}.mlp.norm", pixels, width)
            self.linear(f"{block}.mlp.gate_up_proj", pixels, 2 * MLP * width, width, "ffn")
            self.ops.append(VectorOp(f"{block}.mlp.act", "gelu", pixels, MLP * width))
            self.ops.append(VectorOp(f"{block}.mlp.gate", "mul", pixels, MLP * width))
            self.linear(f"{block}.mlp.down_proj", pixels, width, MLP * width, "ffn")
            self.ops.append(VectorOp(f"{block}.mlp.residual", "add", pixels, width))
        self._project(f"{name}.proj_out", pixels, width)
        self.vector(f"{name}.residual", "add", self.feature)

    def _project(self, name: str, pixels: int, width: int) -> None:
        if self.linear_projection:
            self.linear(name, pixels, width, width, "other")
        else:
            self.conv(name, Conv(width, width, 1), bias=True)

    def _layer_norm(self, name: str, rows: int, width: int) -> None:
        self.ops.append(VectorOp(name, "layernorm", rows, width))
        self.other_parameters += 2 * width

    def _attention(self, name: str, width: int, heads: int, keys: int, source: int) -> None:
        """Attention of all pixels to ``keys`` positions of width ``source``; projections have no biases."""
        queries, batch, images = self.feature.pixels, self.images * heads, self.images
        pixels, head = images * queries, width // heads
        self._layer_norm(f"{name}.norm", pixels, width)
        self.linear(f"{name}.q_proj", pixels, width, width, "qkv", bias=False)
        for part in ("k_proj", "v_proj"):
            self.linear(f"{name}.{part}", images * keys, width, source, "qkv", bias=False)
        self.ops += [
            Gemm(f"{name}.score", queries, keys, head, batch, w_source="activation", role="score"),
            VectorOp(f"{name}.softmax", "softmax", queries, keys, batch),
            Gemm(f"{name}.value", queries, head, keys, batch, w_source="activation", role="value"),
        ]
        self.linear(f"{name}.o_proj", pixels, width, width, "attn_out")
        self.ops.append(VectorOp(f"{name}.residual", "add", pixels, width))

    def upsample(self, name: str) -> None:
        """Double both edges by repeating pixels, then convolve."""
        small = self.feature
        self.feature = Feature(small.channels, 2 * small.height, 2 * small.width)
        self.ops.append(
            VectorOp(f"{name}.repeat", "transpose", self.images * self.feature.pixels, small.channels, note="nearest")
        )
        self.conv(name, Conv(small.channels, small.channels, 3, 1, 1), bias=True)


def _per_level(config: Config, key: str, default: int, levels: int) -> list[int]:
    """Read one number for all levels, or a list of one per level."""
    value = config.get(key)
    if not isinstance(value, list | tuple):
        return [config.integer(key, default=default)] * levels
    config.require(len(value) == levels, f"{key!r} has {len(value)} entries for {levels} levels")
    return (list(config.integers(key)) + [1] * levels)[:levels]


def _levels(config: Config) -> list[_Level]:
    channels = config.integers("block_out_channels")
    count = len(channels)
    columns = [
        _per_level(config, key, default, count)
        for key, default in (
            ("layers_per_block", 2), ("attention_head_dim", 8), ("cross_attention_dim", 1280),
            ("transformer_layers_per_block", 1),
        )
    ]  # fmt: skip
    levels = [_Level(*row) for row in zip(channels, *columns, strict=True)]
    for level in levels:
        fits = level.channels % level.heads == 0
        config.require(fits, f"'block_out_channels' {level.channels} is no multiple of {level.heads} heads")
    return levels


def _kinds(config: Config, key: str, levels: int) -> list[bool]:
    """Which levels attend, from the names of their blocks."""
    names = config.get(key)
    good = isinstance(names, list | tuple) and len(names) == levels and all(str(name) in ATTENDING for name in names)
    config.require(good, f"{key!r} must be {levels} of {', '.join(ATTENDING)}, not {names!r}")
    return [ATTENDING[str(name)] for name in names or ()] if good else [False] * levels


@FAMILIES.register(CLASS)
def unet(config: Config, phase: Phase) -> Trace:
    """One step of denoising ``batch`` latent images (with guidance, a batch of 2 makes one image)."""
    refuse_decode("the U-Net", phase)
    refuse_tokens("the U-Net", phase)
    levels = _levels(config)
    down, up = (_kinds(config, f"{way}_block_types", len(levels)) for way in ("down", "up"))
    for key, valid in PLAIN.items():
        value = config.get(key, valid[0])
        config.require(value in valid or value is None, f"{key!r} {value!r} is not supported")
    size, inputs = config.integer("sample_size"), config.integer("in_channels", default=4)
    outputs, groups = config.integer("out_channels", default=4), config.integer("norm_num_groups", default=32)
    tokens = config.integer("text_tokens", default=77)
    further = config.integer("projection_class_embeddings_input_dim") if config.get("addition_embed_type") else 0
    even = size % (1 << (len(levels) - 1)) == 0
    config.require(even, f"'sample_size' {size} cannot be halved {len(levels) - 1} times")
    linear = config.flag("use_linear_projection", False)
    config.check()
    net = _Net(Feature(inputs, size, size), phase.batch, [], time=TIME * levels[0].channels, tokens=tokens)
    net.groups, net.linear_projection = groups, linear
    net.time_embedding("time", levels[0].channels)
    if further:
        net.time_embedding("condition", further)
    _walk(net, levels, down, up)
    net.norm("out.norm", "silu")
    net.conv("out", Conv(levels[0].channels, outputs, 3, 1, 1), bias=True)
    return finish(CLASS, phase, None, net.ops, net.weights + net.other_parameters, net.other_parameters)


def _walk(net: _Net, levels: list[_Level], down: list[bool], up: list[bool]) -> None:
    """Go down, through the middle, and up again with what each step down left."""
    net.conv("in", Conv(net.feature.channels, levels[0].channels, 3, 1, 1), bias=True)
    left = [net.feature]
    for index, level in enumerate(levels):
        for block in range(level.blocks):
            _step(net, f"down{index}.{block}", level, down[index])
            left.append(net.feature)
        if index < len(levels) - 1:
            net.conv(f"down{index}.halve", Conv(level.channels, level.channels, 3, 2, 1), bias=True)
            left.append(net.feature)
    net.resnet("mid.0.resnet", levels[-1].channels)
    net.transformer("mid.0", levels[-1])
    net.resnet("mid.1.resnet", levels[-1].channels)
    for index, (level, attends) in enumerate(zip(reversed(levels), up, strict=True)):
        for block in range(level.blocks + 1):
            skip = left.pop()
            net.feature = Feature(net.feature.channels + skip.channels, skip.height, skip.width)
            _step(net, f"up{index}.{block}", level, attends)
        if index < len(levels) - 1:
            net.upsample(f"up{index}.double")


def _step(net: _Net, name: str, level: _Level, attends: bool) -> None:
    net.resnet(f"{name}.resnet", level.channels)
    if attends:
        net.transformer(name, level)
