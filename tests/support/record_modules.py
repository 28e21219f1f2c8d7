"""Record the modules of ``tests/data/recorded_modules.jsonl`` again and compare; needs no part of hwsim.

    pip install transformers==5.23.0 diffusers==0.42.1 torch   (the CPU build, without torchvision)
    python tests/support/record_modules.py [NAME…]

Each module is built from its configuration on the meta device, without weights, and run once under a mode
that sees every mm, bmm, convolution and grouped_mm. Attention is eager: fused kernels hide their products.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

DATA = Path(__file__).parents[1] / "data" / "recorded_modules.jsonl"
#: Operands of each recorded call, by its name.
OPERANDS = {"mm": (0, 1), "addmm": (1, 2), "bmm": (0, 1), "baddbmm": (1, 2)}
IMAGES = {"vit": "ViTForImageClassification", "deit": "DeiTForImageClassification"}
CLIP = {"clip_text_model": "CLIPTextModelWithProjection", "clip_vision_model": "CLIPVisionModelWithProjection"}


class Recorder(TorchDispatchMode):
    """Counts products by ``(op, batch, M, K, N)``."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[tuple[Any, ...]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0]
        if name in OPERANDS:
            a, b = (args[index] for index in OPERANDS[name])
            op, batch = ("gemm", 1) if a.ndim == 2 else ("bmm", a.shape[0])
            self.calls[op, batch, a.shape[-2], a.shape[-1], b.shape[-1]] += 1
        elif name == "convolution":
            weight, pixels = args[1], out.shape[0] * math.prod(out.shape[2:])
            self.calls[f"conv_im2col(groups={args[8]})", 1, pixels, math.prod(weight.shape[1:]), weight.shape[0]] += 1
        elif "grouped_mm" in name:
            self.calls["grouped_mm", args[1].shape[0], *args[0].shape, args[1].shape[-1]] += 1
        return out


def ids(tokens: int) -> torch.Tensor:
    return torch.zeros(1, tokens, dtype=torch.long)


def record(module: Any, *args: Any, **kwargs: Any) -> tuple[list[list[Any]], Any]:
    with torch.no_grad(), Recorder() as recorder:
        out = module(*args, **kwargs)
    return [[*key, calls] for key, calls in recorder.calls.items()], out


def diffusion(entry: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    config = dict(entry["config"])
    module = getattr(diffusers, config.pop("_class_name"))(**config).eval()
    for part in module.modules():
        if hasattr(part, "set_processor"):
            part.set_processor(diffusers.models.attention_processor.AttnProcessor())
    size, given = module.config.sample_size, {}
    if "text" in entry and hasattr(module, "down_blocks"):
        width = module.config.cross_attention_dim
        given["encoder_hidden_states"] = torch.zeros(1, entry["text"], width)
        if module.config.addition_embed_type == "text_time":
            conditions = {"text_embeds": torch.zeros(1, 1280), "time_ids": torch.zeros(1, 6)}
            given["added_cond_kwargs"] = conditions
    elif module.config.norm_type == "ada_norm_single":
        given["encoder_hidden_states"] = torch.zeros(1, entry["text"], module.config.caption_channels)
        given["added_cond_kwargs"] = {"resolution": torch.zeros(1, 2), "aspect_ratio": torch.zeros(1, 1)}
    else:
        given["class_labels"] = torch.zeros(1, dtype=torch.long)
    latent = torch.zeros(1, module.config.in_channels, size, size)
    found, _ = record(module, latent, timestep=torch.zeros(1), **given)
    return module, {"prefill": found}


def language(entry: dict[str, Any], config: Any) -> tuple[Any, dict[str, Any]]:
    kind, tokens = config.model_type, entry["tokens"]
    if "target" in entry:
        auto = transformers.AutoModelForSpeechSeq2Seq if kind == "whisper" else transformers.AutoModelForSeq2SeqLM
        module = auto.from_config(config, attn_implementation="eager").eval()
        sound = kind == "whisper"
        given = (
            {"input_features": torch.zeros(1, config.num_mel_bins, 2 * tokens)} if sound else {"input_ids": ids(tokens)}
        )
        first, out = record(module, **given, decoder_input_ids=ids(entry["target"]), use_cache=True)
        left = {"encoder_outputs": (out.encoder_last_hidden_state,), "past_key_values": out.past_key_values}
        return module, {"prefill": first, "decode": record(module, **left, decoder_input_ids=ids(1), use_cache=True)[0]}
    if "decode" in entry:
        auto = transformers.AutoModelForCausalLM
        module = auto.from_config(config, attn_implementation="eager", dtype=torch.bfloat16).to(torch.bfloat16).eval()
        first, out = record(module, input_ids=ids(tokens), use_cache=True)
        step, _ = record(module, input_ids=ids(1), past_key_values=out.past_key_values, use_cache=True)
        return module, {"prefill": first, "decode": step}
    named = {**IMAGES, **CLIP}.get(kind)
    config._attn_implementation = "eager"
    module = (getattr(transformers, named)(config) if named else transformers.AutoModel.from_config(config)).eval()
    if tokens is None:
        edge = config.image_size
        return module, {"prefill": record(module, pixel_values=torch.zeros(1, config.num_channels, edge, edge))[0]}
    places = {"position_ids": ids(tokens)} if "roberta" in kind else {}
    return module, {"prefill": record(module, input_ids=ids(tokens), **places)[0]}


def again(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters and products of a module, recorded anew."""
    config = dict(entry["config"])
    with torch.device("meta"):
        if "_class_name" in config:
            module, found = diffusion(entry)
        else:
            made = transformers.CONFIG_MAPPING[config.pop("model_type")](**config)
            module, found = language(entry, made)
    return {"parameters": sum(p.numel() for p in module.parameters()), **found}


def _plain(value: Any) -> Any:
    """Order of calls does not matter."""
    return sorted(map(str, value)) if isinstance(value, list) else value


def main(names: list[str]) -> int:
    wrong = 0
    for line in DATA.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if names and entry["name"] not in names:
            continue
        found = again(entry)
        differ = [key for key, value in found.items() if _plain(value) != _plain(entry[key])]
        print(entry["name"], "differs: " + ", ".join(differ) if differ else "equal", flush=True)
        wrong += bool(differ)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
