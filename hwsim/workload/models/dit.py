"""Diffusion transformers of diffusers: DiT (``DiTTransformer2DModel``) and PixArt-α (``PixArtTransformer2DModel``).

One denoising step. ``sample_size`` is the edge of the latent image. Both are ``Transformer2DModel`` in
older files, told apart by ``norm_type``. ``text_tokens``, a key of hwsim's own, is the length of
PixArt's prompt (120, T5's).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hwsim.spec.errors import UsageError
from hwsim.workload.config import Config
from hwsim.workload.convolution import Conv, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.models.vit import refuse_tokens
from hwsim.workload.ops import STAGE_END, Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, block_ops, finish

#: Channels of the sinusoidal embedding of a step, and inner width of the MLP over the width.
STEP, MLP = 256, 4
#: Shifts, scales and gates of both halves of a block; shift and scale of the output.
MODULATION, FINAL = 6, 2
#: Images with a latent edge of 128 tell PixArt their size and shape too, by embeddings a third as wide.
CONDITIONED, THIRD = 128, 3

#: Stage after the blocks, which reads weights of the first of them again.
LAST = "last"

#: Keys that a ``Transformer2DModel`` must state.
SAID = ("num_attention_heads", "attention_head_dim", "num_layers", "patch_size", "sample_size", "attention_bias",
        "activation_fn", "norm_elementwise_affine")  # fmt: skip


def _read(config: Config) -> tuple[Transformer, Conv, Feature, int]:
    """Return blocks, the embedding of patches, the latent image and the output's channels."""
    heads, head_dim = config.integer("num_attention_heads", 16), config.integer("attention_head_dim", 72)
    layers, patch = config.integer("num_layers", 28), config.integer("patch_size", 2)
    channels = config.integer("in_channels", 4)
    size, outputs = config.integer("sample_size", 32), config.optional_integer("out_channels") or channels
    config.require(size % patch == 0, f"'sample_size' {size} is no multiple of 'patch_size' {patch}")
    config.require(not config.flag("norm_elementwise_affine", False), "'norm_elementwise_affine' true is not supported")
    kind = config.get("activation_fn", "gelu-approximate")
    config.require(kind == "gelu-approximate", f"'activation_fn' {kind!r} is not supported")
    hidden = heads * head_dim
    model = Transformer(
        family=str(config.values.get("_class_name")),
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        ffn=MLP * hidden,
        vocab=1,
        max_tokens=(size // patch) ** 2,
        activation="gelu",
        norm="layernorm",
        norm_size=0,
        windows=((layers, None),),
        qkv_bias=config.flag("attention_bias", True),
        out_bias=True,
        mlp_bias=True,
    )
    return model, Conv(channels, hidden, patch, stride=patch), Feature(channels, size, size), outputs


def _modulate(model: Transformer, rows: int, repeat: int) -> Iterator[Op]:
    """Scale and shift of both norms, and the gates of both halves."""
    for half in ("attn", "mlp"):
        yield VectorOp(f"{half}.scale", "mul", rows, model.hidden, repeat=repeat)
        yield VectorOp(f"{half}.shift", "add", rows, model.hidden, repeat=repeat)
        yield VectorOp(f"{half}.gate", "mul", rows, model.hidden, repeat=repeat)


def _step_ops(name: str, batch: int, hidden: int, repeat: int) -> Iterator[Op]:
    """Embed the step of denoising."""
    yield Gemm(f"{name}.linear_1", batch, hidden, STEP, repeat=repeat, role="embed")
    yield VectorOp(f"{name}.act", "silu", batch, hidden, repeat=repeat)
    yield Gemm(f"{name}.linear_2", batch, hidden, hidden, repeat=repeat, role="embed")


def _block_conditions(batch: int, hidden: int, layers: int) -> list[Op]:
    """What a block makes of step and class."""
    return [
        *_step_ops("step", batch, hidden, layers),
        VectorOp("class", "embedding", batch, hidden, repeat=layers),
        VectorOp("class.add", "add", batch, hidden, repeat=layers),
        VectorOp("modulation.act", "silu", batch, hidden, repeat=layers),
    ]


@FAMILIES.register("DiTTransformer2DModel")
def dit(config: Config, phase: Phase) -> Trace:
    """DiT: each block embeds step and class for itself; the last embedding is that of the first block again."""
    refuse_decode("DiT", phase)
    refuse_tokens("DiT", phase)
    model, embed, image, outputs = _read(config)
    classes = config.integer("num_embeds_ada_norm", default=1000)
    config.check()
    hidden, layers, batch, tokens = model.hidden, model.layers, phase.batch, model.max_tokens
    rows, pixels = batch * tokens, outputs * embed.kernel**2
    ops: list[Op] = [
        embed.gemm("patch_embed", image, batch),
        VectorOp("embed.positions", "add", rows, hidden),
        *_block_conditions(batch, hidden, layers),
        Gemm("modulation", batch, MODULATION * hidden, hidden, repeat=layers, role="embed"),
        *block_ops(model, phase, tokens, causal=False),
        *_modulate(model, rows, layers),
        VectorOp("final_norm", "layernorm", rows, hidden),
        # The embedder of the first block runs again: a stage, whose weights are those that are stored already.
        *(replace(op, layer=f"{LAST}{STAGE_END}{op.layer}") for op in _block_conditions(batch, hidden, 1)),
        Gemm("out.modulation", batch, FINAL * hidden, hidden, role="embed"),
        VectorOp("out.scale", "mul", rows, hidden),
        VectorOp("out.shift", "add", rows, hidden),
        Gemm("out", rows, pixels, hidden, role="other"),
    ]
    steps = hidden * (STEP + hidden)
    weights = embed.weights + layers * (steps + MODULATION * hidden * hidden) + model.block_weights
    weights += hidden * (FINAL * hidden + pixels)
    biases = layers * (2 + MODULATION + classes + 1) * hidden + hidden + FINAL * hidden + pixels
    other = biases + model.block_extras
    return finish(model.family, phase, None, ops, weights + other, other)


@FAMILIES.register("PixArtTransformer2DModel")
def pixart(config: Config, phase: Phase) -> Trace:
    """PixArt-α: one embedding of the step for all blocks, attention to a text in each."""
    refuse_decode("PixArt", phase)
    refuse_tokens("PixArt", phase)
    model, embed, image, outputs = _read(config)
    text, words = config.integer("caption_channels"), config.integer("text_tokens", default=120)
    hidden, layers, batch, tokens = model.hidden, model.layers, phase.batch, model.max_tokens
    width = config.integer("cross_attention_dim", default=hidden)
    config.require(width == hidden, f"'cross_attention_dim' {width} differs from the width {hidden}")
    more = config.get("use_additional_conditions")
    conditioned = image.height == CONDITIONED if more is None else bool(more)
    config.check()
    rows, pixels = batch * tokens, outputs * embed.kernel**2
    ops: list[Op] = [
        embed.gemm("patch_embed", image, batch),
        VectorOp("embed.positions", "add", rows, hidden),
        *_step_ops("step", batch, hidden, 1),
        *(_conditions(batch, hidden) if conditioned else ()),
        VectorOp("modulation.act", "silu", batch, hidden),
        Gemm("modulation", batch, MODULATION * hidden, hidden, role="embed"),
        Gemm("caption.linear_1", batch * words, hidden, text, role="embed"),
        VectorOp("caption.act", "gelu", batch * words, hidden),
        Gemm("caption.linear_2", batch * words, hidden, hidden, role="embed"),
        VectorOp("modulation.add", "add", batch * MODULATION, hidden, repeat=layers),
        *block_ops(model, phase, tokens, causal=False),
        *_cross_ops(model, batch, tokens, words),
        *_modulate(model, rows, layers),
        VectorOp("final_norm", "layernorm", rows, hidden),
        VectorOp("out.scale", "mul", rows, hidden),
        VectorOp("out.shift", "add", rows, hidden),
        Gemm("out", rows, pixels, hidden, role="other"),
    ]
    extra = 2 * (hidden // THIRD) * (STEP + hidden // THIRD) if conditioned else 0
    weights = embed.weights + hidden * (STEP + hidden) + extra + MODULATION * hidden * hidden
    weights += hidden * (text + hidden) + model.block_weights + layers * 4 * hidden * hidden + hidden * pixels
    cross_biases = layers * (3 * model.qkv_bias + 1) * hidden
    tables = (layers * MODULATION + FINAL) * hidden
    biases = hidden * (1 + 2 + MODULATION + 2) + pixels + (4 * (hidden // THIRD) if conditioned else 0)
    other = model.block_extras + cross_biases + tables + biases
    return finish(model.family, phase, None, ops, weights + other, other)


def _conditions(batch: int, hidden: int) -> Iterator[Op]:
    """Embeddings of height and width together, and of their ratio, joined to the step's."""
    for name, values in (("size", 2), ("ratio", 1)):
        yield from _step_ops(name, batch * values, hidden // THIRD, 1)
    yield VectorOp("condition.add", "add", batch, hidden)


def _cross_ops(model: Transformer, batch: int, tokens: int, words: int) -> Iterator[Op]:
    """Attention of all patches to the text, in every block; no norm stands before it."""
    hidden, heads, layers = model.hidden, batch * model.heads, model.layers
    yield Gemm("cross.q_proj", batch * tokens, hidden, hidden, repeat=layers, role="qkv")
    for name in ("k_proj", "v_proj"):
        yield Gemm(f"cross.{name}", batch * words, hidden, hidden, repeat=layers, role="qkv")
    yield Gemm("cross.score", tokens, words, model.head_dim, heads, layers, w_source="activation", role="score")
    yield VectorOp("cross.softmax", "softmax", tokens, words, heads, layers)
    yield Gemm("cross.value", tokens, model.head_dim, words, heads, layers, w_source="activation", role="value")
    yield Gemm("cross.o_proj", batch * tokens, hidden, hidden, repeat=layers, role="attn_out")
    yield VectorOp("cross.residual", "add", batch * tokens, hidden, repeat=layers)


@FAMILIES.register("Transformer2DModel")
def transformer_2d(config: Config, phase: Phase) -> Trace:
    """The older name of both, whose class has other defaults: a file must say all."""
    for key in SAID:
        config.require(config.get(key) is not None, f"{key!r} is missing; Transformer2DModel needs it here")
    config.check()
    kind = str(config.get("norm_type"))
    families = {"ada_norm_zero": dit, "ada_norm_single": pixart}
    if kind not in families:
        valid = ", ".join(families)
        raise UsageError(f"{config.source}: 'norm_type' {kind!r} is not supported; valid: {valid}")
    return families[kind](config, phase)
