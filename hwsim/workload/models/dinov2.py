"""DINOv2: a vision transformer whose blocks scale what they add."""

from __future__ import annotations

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.convolution import Conv, Feature
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.models.vit import read_image, refuse_tokens
from hwsim.workload.ops import Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer, block_ops, finish


@FAMILIES.register("dinov2")
def dinov2(config: Config, phase: Phase) -> Trace:
    """``Dinov2Model``: features of all patches, no head. Positions are those of ``image_size``."""
    refuse_decode("dinov2", phase)
    refuse_tokens("dinov2", phase)
    channels, image, patch = read_image(config)
    hidden, heads, layers = (
        config.integer(f"{key}") for key in ("hidden_size", "num_attention_heads", "num_hidden_layers")
    )
    config.divides("num_attention_heads", heads, "hidden_size", hidden)
    config.require(not config.flag("use_swiglu_ffn", False), "'use_swiglu_ffn' true is not supported")
    tokens, masked = (image // patch) ** 2 + 1, config.flag("use_mask_token", True)
    model = Transformer(
        family="dinov2",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer("mlp_ratio", default=4) * hidden,
        vocab=1,
        max_tokens=tokens,
        activation=config.choice("hidden_act", ACTIVATIONS, "gelu"),
        norm="layernorm",
        windows=((layers, None),),
        qkv_bias=config.flag("qkv_bias", True),
        out_bias=True,
        mlp_bias=True,
        layer_parameters=2 * hidden,  # scales of both halves
    )
    config.check()
    rows, embed = phase.batch * tokens, Conv(channels, hidden, patch, stride=patch)
    scales = [VectorOp(f"{half}.scale", "mul", rows, hidden, repeat=layers) for half in ("attn", "mlp")]
    ops: list[Op] = [
        embed.gemm("patch_embed", Feature(channels, image, image), phase.batch),
        VectorOp("embed.positions", "add", rows, hidden),
        *block_ops(model, phase, tokens, causal=False),
        *scales,
        VectorOp("final_norm", "layernorm", rows, hidden),
    ]
    # patch bias, class token, mask token, positions, final norm
    other = hidden * (1 + 1 + masked + tokens + 2) + model.block_extras
    return finish("dinov2", phase, None, ops, model.block_weights + embed.weights + other, other)
