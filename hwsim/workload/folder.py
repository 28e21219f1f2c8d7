"""A folder as a source: which of its files is the model."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from hwsim.spec.errors import UsageError

#: What is looked for, in this order; the first kind of which there is exactly one file is read. Checkpoints state the
#: formats that a model really has and come before its config, which they are read with.
WANTED = ("*.safetensors.index.json", "*.safetensors", "*.gguf", "config.json", "*.onnx")
#: What a kind's file is called where others are copies or parts: transformers and diffusers save these.
USUAL = ("model.safetensors.index.json", "model.safetensors", "diffusion_pytorch_model.safetensors", "model.onnx")
#: No model of their own: of the parts of a split file all but the first, and adapters.
_PASSED = re.compile(r".*-(?!00001-)\d{5}-of-\d{5}\.gguf|adapter_model\.safetensors", re.IGNORECASE)
#: Names of files that a message lists.
LISTED = 8


def model_in(folder: Path) -> Path:
    """Return the file of ``folder`` that is the model.

    Raises
    ------
    UsageError
        If there is none, or several of the kind that is looked for first.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror or error}") from None
    for pattern in WANTED:
        found = [name for name in names if fnmatchcase(name.lower(), pattern) and not _PASSED.fullmatch(name)]
        found = [name for name in USUAL if name in found] or found
        if len(found) > 1:
            raise UsageError(f"{folder}: holds {len(found)} files {pattern}; name one of {_few(found)}")
        if found:
            return folder / found[0]
    holds = f"it holds {_few(names)}" if names else "it holds no files"
    raise UsageError(f"{folder}: is a directory without a model; looked for {', '.join(WANTED)}; {holds}")


def _few(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (f", … ({len(names)} in all)" if len(names) > LISTED else "")
