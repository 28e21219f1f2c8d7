"""Llama blocks under other names, each with one or two differences."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.deepseek import dense_layers
from hwsim.workload.models.llama import read_llama, rotary_width, typed_windows
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace

#: Kinds of layers (transformers ``Exaone4Config``, ``CwmConfig``).
THREE_LOCAL = ("sliding_attention", "sliding_attention", "sliding_attention", "full_attention")
FIRST_GLOBAL = ("full_attention", "sliding_attention", "sliding_attention", "sliding_attention")


@FAMILIES.register("helium")
@FAMILIES.register("internlm3")
@FAMILIES.register("iquestcoder")
@FAMILIES.register("ministral3")
def same(config: Config, phase: Phase) -> Trace:
    """Helium, InternLM3, IQuest-Coder and Ministral 3: the block of Llama as it is."""
    model = read_llama(config)
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("ministral")
def ministral(config: Config, phase: Phase) -> Trace:
    """Ministral: a sliding window in the layers that ``layer_types`` names, else in all."""
    model = read_llama(config)
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), ("sliding_attention",))
    config.check()
    return decoder_trace(replace(model, windows=windows), phase)


@FAMILIES.register("cwm")
def cwm(config: Config, phase: Phase) -> Trace:
    """Code World Model: one layer in four, the first, attends to all tokens."""
    model = read_llama(config)
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), FIRST_GLOBAL)
    config.check()
    return decoder_trace(replace(model, windows=windows), phase)


@FAMILIES.register("smollm3")
def smollm3(config: Config, phase: Phase) -> Trace:
    """SmolLM3: tied embeddings; the layers that turn no heads still pay for it here (one in four)."""
    model = read_llama(config, tied_default=True)
    config.require(not config.flag("use_sliding_window", False), "'use_sliding_window' true is not supported")
    config.check()
    return decoder_trace(model, phase)


@FAMILIES.register("seed_oss")
def seed_oss(config: Config, phase: Phase) -> Trace:
    """Seed-OSS: biases on query, key and value; one on the output by ``attention_out_bias``."""
    model = read_llama(config)
    bias, out_bias = config.flag("attention_bias", True), config.flag("attention_out_bias", False)
    config.check()
    return decoder_trace(replace(model, qkv_bias=bias, out_bias=out_bias), phase)


@FAMILIES.register("arcee")
def arcee(config: Config, phase: Phase) -> Trace:
    """AFM: a plain MLP with squared ReLU."""
    model = read_llama(config)
    config.check()
    return decoder_trace(replace(model, gated=False), phase)


@FAMILIES.register("nemotron")
def nemotron(config: Config, phase: Phase) -> Trace:
    """Nemotron and Minitron: LayerNorm, a plain MLP with squared ReLU, half of each head turned."""
    model = read_llama(config)
    rotary = rotary_width(config, model.head_dim, 0.5)
    config.check()
    return decoder_trace(replace(model, norm="layernorm", gated=False, rotary_dim=rotary), phase)


@FAMILIES.register("exaone4")
def exaone4(config: Config, phase: Phase) -> Trace:
    """EXAONE 4: norms after both halves of a layer instead of before, heads normalised, some windows."""
    model = read_llama(config)
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), THREE_LOCAL)
    config.check()
    return decoder_trace(replace(model, pre_norms=False, post_norms=True, qk_norm="head", windows=windows), phase)


@FAMILIES.register("exaone_moe")
def exaone_moe(config: Config, phase: Phase) -> Trace:
    """K-EXAONE: norms before both halves, heads normalised, DeepSeek's experts under keys of its own."""
    model = read_llama(config)
    windows = typed_windows(config, model.layers, config.optional_integer("sliding_window"), THREE_LOCAL)
    width, shared = config.integer("moe_intermediate_size"), config.integer("num_shared_experts", 1, minimum=0)
    layers = model.layers - min(dense_layers(config), model.layers)
    experts = replace(read_experts(config, layers, width), shared=shared * width)
    config.check()
    return decoder_trace(replace(model, qk_norm="head", windows=windows, experts=experts), phase)


@FAMILIES.register("hunyuan_v1_dense")
def hunyuan_v1_dense(config: Config, phase: Phase) -> Trace:
    """Hunyuan dense: heads normalised."""
    model = read_llama(config)
    config.check()
    return decoder_trace(replace(model, qk_norm="head"), phase)


@FAMILIES.register("hunyuan_v1_moe")
def hunyuan_v1_moe(config: Config, phase: Phase) -> Trace:
    """Hunyuan with experts in every layer, beside one shared MLP as wide as an expert."""
    model = read_llama(config)
    for key in ("num_experts", "moe_topk"):
        config.require(isinstance(config.get(key), int), f"{key!r} must be one number for all layers")
    experts = read_experts(config, model.layers, model.ffn, ("num_experts",), "moe_topk")
    config.check()
    return decoder_trace(replace(model, qk_norm="head", experts=replace(experts, shared=model.ffn)), phase)
