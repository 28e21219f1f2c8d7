"""safetensors files, one or many with an index: the model by ``config.json`` beside them, formats by the tensors.

Without one, names and shapes say what they can (:mod:`hwsim.workload.checkpoints.shapes_config`), settings the rest.

Formats of tensors that are quantized are those of the method that ``quantization_config`` names. What the tensors of
a module take in the file must be what its format takes: codes, scales and zero points, to the bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from hwsim.formats import parse_format
from hwsim.spec.errors import Problem, SpecError
from hwsim.spec.text import exists
from hwsim.workload.checkpoints.safetensors import INDEX_SUFFIX, SUFFIX, Checkpoint, Entry, Refuse, read_checkpoint
from hwsim.workload.checkpoints.shapes_config import FAMILIES, TWINS, WINDOWED, Found, family_of, to_config
from hwsim.workload.checkpoints.tensors import OUTSIDE, Tensor, Tensors, fill_formats, give_way
from hwsim.workload.config import key_of
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.importers.hf_config import build_trace, plain_value, read_config
from hwsim.workload.quantization import Scheme, Stored, read_scheme
from hwsim.workload.quantization.base import CONFIG_KEYS, PLAIN, Part
from hwsim.workload.trace import Trace

_BLOCK = re.compile(r"(?:.*\.)?(?:layers|layer|h|blocks|block)\.(\d{1,6})\.(.+)")
_EXPERT = re.compile(r"experts\.(\d{1,6})\.")
#: Last words of names that are parts of a module's weight; ``_blocks`` and ``_scales`` are MXFP4's.
PARTS = frozenset(
    ("weight", "weight_packed", "weight_scale", "weight_scale_inv", "weight_zero_point", "weight_shape", "weight_g_idx",
     "weight_global_scale", "input_global_scale", "input_scale", "qweight", "qzeros", "scales", "g_idx", "SCB")
)  # fmt: skip
#: Parts that are there of quantized modules alone.
PACKED = frozenset(("qweight", "weight_packed", "blocks", "SCB"))
#: Keys that follow from another one and the shapes, the length of a run, and families known by their tensors.
DERIVED, LENGTH = (
    {"num_key_value_heads": "num_attention_heads", "head_dim": "num_attention_heads"},
    ("max_position_embeddings"),
)
KNOWN = ", ".join(dict.fromkeys(family for family, _ in FAMILIES))
#: Families whose stored matrices have inputs as rows: Conv1D of GPT-2; experts of gpt-oss and Llama 4.
INPUTS_FIRST, INPUTS_FIRST_EXPERTS = ("gpt2", "gpt_bigcode"), ("gpt_oss", "llama4_text")


class Safetensors(Importer):
    """A model with the formats that its tensors really have; weights are not read."""

    summary = "a safetensors checkpoint, one file or an index, with config.json beside it or its keys as settings"
    suffixes = (SUFFIX, INDEX_SUFFIX)
    shaped = True
    settings = None

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace, named after the folder."""
        path = Path(source)
        settings = {key: plain_value(key, value) for key, value in request.settings.items()}
        weights = read_weights(path, settings)
        plain = {key: value for key, value in weights.config.items() if key not in CONFIG_KEYS}
        own = {key: value for key, value in settings.items() if key not in CONFIG_KEYS}
        if weights.by_shapes:
            trace = _by_shapes(path, weights, request, own)
        else:
            name = request.name or path.absolute().parent.name or path.stem
            trace = build_trace(plain, request.phase, name, str(path.parent / "config.json"), own)
        meta: dict[str, Any] = {
            "checkpoint": str(path),
            "checkpoint_bits": sum(entry.bits for entry in weights.checkpoint.tensors.values()),
            "checkpoint_complete": weights.checkpoint.complete,
            "checkpoint_other_bits": sum(stored.other_bits for stored in weights.stored.values()),
        }
        filled = fill_formats(trace, weights.tensors, "hf", meta["checkpoint_bits"])
        filled = give_way(trace, filled, weights.tensors, request.requantized)
        return replace(filled, meta={**filled.meta, **meta})


IMPORTERS.register("safetensors")(Safetensors())


@dataclass(frozen=True)
class Weights:
    """What a checkpoint holds: its ``config.json``, its weights by kind and block, what each module stores."""

    config: Mapping[str, Any]
    checkpoint: Checkpoint
    tensors: Tensors
    stored: Mapping[str, Stored]
    #: Whether there is no ``config.json``: the keys are settings, and the family that modules tell.
    by_shapes: bool = False


def read_weights(path: Path, settings: Mapping[str, Any] | None = None) -> Weights:
    """Return what the headers of a checkpoint and ``config.json`` say; without one, ``settings`` stand for it.

    Raises
    ------
    SpecError
        If a file is missing or wrong, or tensors do not have the bits of their format.
    """
    checkpoint, config = read_checkpoint(path), _config(path)
    by_shapes = config is None
    if config is None:
        config = dict(settings or {})
        config.setdefault("model_type", family_of(_kinds(checkpoint.tensors), checkpoint.tensors))
    named = {key: value for key, value in (settings or {}).items() if key in CONFIG_KEYS}
    scheme = read_scheme({**config, **named}, Tensors(str(path)).refuse)
    tensors, stored = _tensors(path, checkpoint.tensors, scheme, str(config.get("model_type")))
    return Weights(config, checkpoint, tensors, stored, by_shapes)


def _by_shapes(path: Path, weights: Weights, request: Request, settings: Mapping[str, Any]) -> Trace:
    """Return the trace of a model without ``config.json``.

    Raises
    ------
    SpecError
        With every key that neither shapes nor settings say, and how it is set.
    """
    tensors, entries, family = weights.tensors, weights.checkpoint.tensors, str(weights.config["model_type"])
    if not family:
        message = f"no config.json beside it, and no family is known by these tensors: --set model_type=… of {KNOWN}"
        raise SpecError([Problem(str(path), 0, 0, "", message)])
    found = Found(tensors, _kinds(entries), entries)
    tokens = request.phase.tokens
    config = to_config(family, found, settings, tokens and tokens + request.phase.decode)
    lacking = ["sliding_window"] if family in WINDOWED and "sliding_window" not in settings else []
    try:
        trace = build_trace(config, request.phase, request.name or path.stem, str(path), settings)
    except SpecError as error:
        keys = [key_of(problem.message) or "" for problem in error.problems if "is missing" in problem.message]
        if len(keys) < len(error.problems):
            raise
        lacking = [*keys, *lacking]
    if lacking:
        raise SpecError([Problem(str(path), 0, 0, "", _lacking(lacking))])
    twins = f", not {TWINS[family]}" if family in TWINS and "model_type" not in settings else ""
    assumed = f"no config.json: {family} by names and shapes of tensors{twins}; activation and the like by its defaults"
    return replace(trace, meta={**trace.meta, "assumed": assumed})


def _lacking(keys: Sequence[str]) -> str:
    """Return the message about keys that shapes do not say."""
    settings = " ".join(f"--set {key}=…" for key in keys if key not in DERIVED or DERIVED[key] not in keys)
    length = "; max_position_embeddings follows from --seq-len or --context" if LENGTH in keys else ""
    return f"no config.json beside it, and no tensor's shape says {', '.join(keys)}; give {settings}{length}"


def _kinds(entries: Mapping[str, Entry]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every kind of tensor, biases as ``kind.bias``; of the first block that has it."""
    found: dict[str, tuple[int, ...]] = {}
    for name, entry in entries.items():
        last = name.rpartition(".")[2]
        module = name.removesuffix(f".{last}") if last in PARTS else name
        kind, _ = _place(module.removesuffix("_blocks").removesuffix("_scales"))
        found.setdefault(kind, entry.shape)
    return found


def _config(path: Path) -> dict[str, Any] | None:
    """Return ``config.json`` beside the file, with AutoGPTQ's ``quantize_config.json`` where it names no method.

    None if there is none.

    Raises
    ------
    SpecError
        If it is wrong.
    """
    beside = path.parent / "config.json"
    if not exists(beside):
        return None
    config, old = read_config(beside), path.parent / "quantize_config.json"
    if "quantization_config" not in config and exists(old):
        config["quantization_config"] = {"quant_method": "gptq", **read_config(old)}
    return config


def _tensors(
    path: Path, entries: Mapping[str, Entry], scheme: Scheme | None, model_type: str
) -> tuple[Tensors, dict[str, Stored]]:
    """Return the weights of all modules by kind and block, and what each module stores."""
    tensors = Tensors(str(path))
    modules: dict[str, dict[str, Part]] = {}
    for name, entry in entries.items():
        module, part = _split_name(name, entry)
        if module:
            modules.setdefault(module, {})[part] = Part(entry.dtype, entry.shape, entry.bits)
    found: dict[tuple[str, int], Tensor] = {}
    kept: dict[str, Stored] = {}
    for module, parts in modules.items():
        made = _module(module, parts, scheme, model_type, tensors.refuse)
        if made is None:
            continue
        tensor, kept[module] = made
        key = (tensor.kind, tensor.block)
        found[key] = _joined(found[key], tensor, tensors.refuse) if key in found else tensor
    return Tensors.of(str(path), found.values()), kept


def _split_name(name: str, entry: Entry) -> tuple[str, str]:
    """Return the module of a tensor and which part of it this is; no module for biases and norms."""
    module, _, last = name.rpartition(".")
    if last in PARTS and module:
        return module, last
    before, nested, rest = name.partition(".weight.")
    if nested:  # of bitsandbytes: weight.absmax, weight.quant_state.bitsandbytes__nf4
        return before, f"weight.{rest}"
    for end in ("_blocks", "_scales"):
        if name.endswith(end):
            return name.removesuffix(end), end[1:]
    return (name, "weight") if len(entry.shape) == 3 else ("", "")


def _module(
    module: str, parts: Mapping[str, Part], scheme: Scheme | None, model_type: str, refuse: Refuse
) -> tuple[Tensor, Stored] | None:
    """Return the weight of a module, None for norms and the like."""
    kind, block = _place(module)
    stored = scheme.stored(module, parts, refuse) if scheme is not None and scheme.quantizes(module) else None
    if stored is None:
        stored = _plain(module, parts, model_type, refuse)
        if stored is None:
            return None
        a = ""
    else:
        assert scheme is not None
        a = scheme.formats(module, stored.columns)[1]
        if stored.rows:
            _check_bits(module, stored, refuse)
    shape = stored.rows, stored.columns
    return Tensor(module, kind, block, *shape, stored.format, stored.bits, stored.experts, a, (module,)), stored


def _plain(module: str, parts: Mapping[str, Part], model_type: str, refuse: Refuse) -> Stored | None:
    """Return a weight that is not quantized; None for what is no matrix.

    Raises
    ------
    SpecError
        If it is quantized by a method that nothing names.
    """
    packed = next(iter(PACKED & parts.keys()), None)
    weight = parts.get("weight")
    if packed is not None or (weight is not None and len(weight.shape) == 2 and weight.dtype not in PLAIN):
        what = packed or f"weight in {weight.dtype}" if weight else packed
        raise refuse(f"{module} has {what}, but quantization_config of config.json does not say how it is quantized")
    if weight is None or len(weight.shape) not in (2, 3, 4) or weight.dtype not in PLAIN:
        return None
    if len(weight.shape) == 4:  # a convolution: inputs are channels of a window
        outputs, *window = weight.shape
        return Stored(outputs, prod(window), PLAIN[weight.dtype], weight.bits)
    *experts, rows, columns = weight.shape
    turned = model_type in INPUTS_FIRST and not module.endswith(("wte", "wpe", "lm_head"))
    turned = turned or bool(experts and model_type in INPUTS_FIRST_EXPERTS)
    if turned:
        rows, columns = columns, rows
    count = experts[0] if experts else 1
    return Stored(rows, columns, PLAIN[weight.dtype], weight.bits, experts=count, turned=turned)


def _check_bits(module: str, stored: Stored, refuse: Refuse) -> None:
    """Refuse a module whose tensors take other than its format's bits."""
    expected = stored.experts * parse_format(stored.format).storage_bits(stored.rows, stored.columns)
    if stored.bits != expected:
        held = f"{stored.bits:,} bits of codes, scales and zero points"
        raise refuse(f"{module} has {held}, but {stored.rows} × {stored.columns} in {stored.format} take {expected:,}")


def _place(module: str) -> tuple[str, int]:
    """Return the name of a module within its block and the number of that; experts are ``*``."""
    match = _BLOCK.fullmatch(module)
    if match is None:
        return module, OUTSIDE
    return _EXPERT.sub("experts.*.", match[2]), int(match[1])


def _joined(one: Tensor, other: Tensor, refuse: Refuse) -> Tensor:
    if "*" not in one.kind:
        raise refuse(f"{one.name} and {other.name} are of one layer; models of several parts are not supported")
    if (one.rows, one.columns, one.format) != (other.rows, other.columns, other.format):
        raise refuse(f"{one.name} and {other.name} differ in shape or format; experts of a layer must not")
    return replace(
        one, experts=one.experts + other.experts, bits=one.bits + other.bits, modules=one.modules + other.modules
    )
