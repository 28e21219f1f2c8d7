"""Hugging Face ``config.json``: enough to derive every GEMM of a dense model, without weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean
from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a ``config.json``.

    Raises
    ------
    UsageError
        If the file cannot be read.
    SpecError
        If it is no JSON object, at the line and column of the mistake.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read the model config: {error}") from error
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if error.lineno <= len(text.splitlines()) else ""
        raise SpecError([Problem(str(path), error.lineno, error.colno, "", error.msg, line)]) from error
    if not isinstance(config, dict):
        raise SpecError([Problem(str(path), 1, 1, "", "a model config must be a JSON object")])
    return config


def build_trace(config: Mapping[str, Any], phase: Phase, name: str = "", source: str = "config.json") -> Trace:
    """Return the trace of a model described by a ``config.json`` mapping.

    ``name`` replaces the family's name in the trace's own.

    Raises
    ------
    UsageError
        If ``model_type`` is absent or unknown, a key is missing or wrong, or the model has no such phase.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise UsageError(
            f"{source}: 'model_type' is missing, which names the architecture; valid: {', '.join(FAMILIES.names())}"
        )
    if model_type not in FAMILIES:
        raise UsageError(f"{source}: {_unsupported(model_type, config)}")
    trace = FAMILIES.get(model_type)(Config(config, source), phase)
    label = trace.name.replace(model_type, name, 1) if name else trace.name
    return replace(trace, name=label, meta={"model": name or model_type, "source": source, **trace.meta})


#: Keys that tell what an unsupported architecture would need (names as in transformers).
_MISSING_PARTS = {
    "num_experts": "mixture of experts",
    "num_local_experts": "mixture of experts",
    "n_routed_experts": "mixture of experts",
    "kv_lora_rank": "multi-head latent attention",
    "state_size": "state-space layers",
    "encoder_layers": "encoder-decoder structure",
    "text_config": "several sub-models",
    "vision_config": "several sub-models",
}


def _unsupported(model_type: str, config: Mapping[str, Any]) -> str:
    lacking = sorted({part for key, part in _MISSING_PARTS.items() if config.get(key)})
    why = f" (not modelled: {', '.join(lacking)})" if lacking else ""
    return (
        f"model_type {model_type!r} is not supported{why}; {did_you_mean(model_type, FAMILIES.names())}; "
        "any other model can be given as a trace CSV"
    )
