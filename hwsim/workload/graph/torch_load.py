"""What ``python:`` names: a function or class that makes a module, found, called, and given inputs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.graph.python_source import blaming, check_source, from_here, split_source
from hwsim.workload.transformer import DEFAULT_TOKENS

#: Arguments of ``forward`` that are token numbers, and those that are images.
_TOKENS = ("input_ids", "tokens", "ids", "idx", "token_ids", "decoder_input_ids")
_IMAGES = ("pixel_values", "images", "image", "pixels")


@dataclass(frozen=True)
class Sizes:
    """Sizes of example inputs; None where none was given."""

    batch: int = 1
    seq_len: int | None = None
    image_size: int | None = None
    channels: int = 3


def import_torch() -> Any:
    """Return ``torch``.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UsageError(f"running a module needs PyTorch: pip install torch ({error})") from None
    return torch


def find_maker(source: str) -> Callable[[], Any]:
    """Return what ``python:package.name`` or ``python:path/to/file.py:name`` names.

    Raises
    ------
    UsageError
        If there is no such module or name, or importing it fails.
    """
    check_source(source)
    file, name = split_source(source)
    with blaming("cannot be imported"):
        module = _load_file(Path(file)) if file.endswith(".py") else _load_module(file)
    found = getattr(module, name, None)
    if not callable(found):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        what = "is no function" if found is not None else "does not exist"
        raise UsageError(f"{name!r} {what}; {did_you_mean(name, public)}")
    return found  # type: ignore[no-any-return]


def _load_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> Any:
    """Import a module, from the current directory too."""
    with from_here():
        return importlib.import_module(name)


def make_module(source: str, sizes: Sizes, dtype: str = "") -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return a module on the meta device, in evaluation mode, and the inputs to run it with.

    The function is called under ``torch.device("meta")``. It returns a module, a module with its inputs (a
    tuple, a mapping of arguments, or one tensor), or a configuration of transformers, whose model is then made.

    Raises
    ------
    UsageError
        If it fails, returns something else, or inputs of unknown size are needed.
    """
    torch = import_torch()
    maker = find_maker(source)
    kind = _dtype(torch, dtype)
    with blaming("fails on the meta device"), torch.device("meta"):
        made = maker()
        inputs: Any = None
        if isinstance(made, tuple) and len(made) == 2:
            made, inputs = made
        if _is_config(made):
            made = _from_config(made)
        if not isinstance(made, torch.nn.Module):
            raise UsageError(f"returned {type(made).__name__}; valid: torch.nn.Module, or (module, inputs)")
        module = made.to("meta").eval()
        if kind is None and inputs is None and hasattr(module, "main_input_name"):
            kind = torch.bfloat16  # grouped products of transformers' experts take no other type
        if kind is not None:
            module = module.to(kind)
        args, kwargs = _given(torch, inputs) if inputs is not None else ((), _examples(torch, module, sizes))
    return module, args, kwargs


def _dtype(torch: Any, name: str) -> Any:
    """Return the dtype that a name means, None for ``""``."""
    kinds = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name and name not in kinds:
        raise UsageError(f"settings: unknown dtype {name!r}; {did_you_mean(name, kinds)}")
    return kinds.get(name)


def _is_config(made: Any) -> bool:
    return any(base.__name__ in ("PretrainedConfig", "PreTrainedConfig") for base in type(made).__mro__)


def _from_config(config: Any) -> Any:
    """Return the model of a transformers configuration: the class it names, else a causal LM, else the bare model."""
    import transformers

    named = next((name for name in config.architectures or () if hasattr(transformers, name)), None)
    if named is not None:
        return getattr(transformers, named)(config)
    known = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    causal = config.model_type in known and not getattr(config, "is_encoder_decoder", False)
    maker = transformers.AutoModelForCausalLM if causal else transformers.AutoModel
    return maker.from_config(config)


def _given(torch: Any, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the user's inputs, moved to the meta device."""
    from torch.utils._pytree import tree_map

    moved = tree_map(lambda value: value.to("meta") if isinstance(value, torch.Tensor) else value, inputs)
    if isinstance(moved, Mapping):
        return (), dict(moved)
    return (tuple(moved), {}) if isinstance(moved, (tuple, list)) else ((moved,), {})


def _examples(torch: Any, module: Any, sizes: Sizes) -> dict[str, Any]:
    """Return inputs for a module that came without, by the names of its arguments."""
    names = [
        name
        for name, parameter in inspect.signature(module.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    config = getattr(module, "config", None)
    main = getattr(module, "main_input_name", names[0] if names else "")
    dtype = next((tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()), torch.float32)
    if main in _TOKENS and main in names:
        length = sizes.seq_len or min(DEFAULT_TOKENS, getattr(config, "max_position_embeddings", 0) or 0)
        if not length:
            raise UsageError(f"its argument {main!r} has no length; give --seq-len")
        ids = torch.zeros((sizes.batch, length), dtype=torch.long)
        both = main == "input_ids" and getattr(config, "is_encoder_decoder", False)
        return {main: ids, "decoder_input_ids": ids} if both else {main: ids}
    if (main in _IMAGES or sizes.image_size) and main in names:
        edge = sizes.image_size or getattr(config, "image_size", None)
        if not isinstance(edge, int):
            raise UsageError(f"its argument {main!r} has no size; give --set image_size=224")
        channels = getattr(config, "num_channels", sizes.channels)
        return {main: torch.zeros((sizes.batch, channels, edge, edge), dtype=dtype)}
    raise UsageError(
        f"inputs of forward({', '.join(names)}) are unknown; return (module, inputs), or give "
        "--set image_size=224 for images"
    )
