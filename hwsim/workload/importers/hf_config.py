"""Hugging Face ``config.json``: enough to derive every GEMM of a dense model, without weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim.spec.document import parse_document, plain
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean, shown
from hwsim.spec.text import read_text
from hwsim.workload.config import Config, key_of
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.quantization import apply_scheme, plain_format, read_scheme
from hwsim.workload.trace import Trace


class HfConfig(Importer):
    """The shape of a model; formats are left open, but those of a ``quantization_config``."""

    summary = "a Hugging Face config.json"
    suffixes = (".json",)
    shaped = True
    settings = None

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace, named after the file, or after its folder when the file is called ``config.json``."""
        path = Path(source)
        own = path.resolve().parent.name if path.name == "config.json" else path.stem
        return read_model(path, request.phase, request.name or own, request.settings)


IMPORTERS.register("hf_config")(HfConfig())


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a ``config.json``.

    Raises
    ------
    SpecError
        If the file cannot be read or is no JSON object, at the line and column of the mistake.
    """
    text = read_text(path)
    if not text.strip():
        raise _problem(path, 'file is empty; expected a JSON object: { "model_type": … }', 1, 1)
    twins: list[str] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twins.extend(key for key in found if names.count(key) > 1)
        return found

    try:
        config = json.loads(text, object_pairs_hook=read_object)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise _problem(path, message, error.lineno, error.colno, line) from None
    except RecursionError:
        raise _problem(path, "is nested too deeply") from None
    except ValueError:
        raise _problem(path, "holds a number of too many digits") from None
    if twins:
        raise SpecError(_placed([Problem(str(path), 0, 0, "", f"key {twins[0]!r} is given twice")], path))
    if not isinstance(config, dict):
        raise _problem(path, f"a model config must be a JSON object, not {shown(config)}", 1, 1)
    return config


def _problem(path: str | Path, message: str, line: int = 0, column: int = 0, source_line: str = "") -> SpecError:
    return SpecError([Problem(str(path), line, column, "", message, source_line)])


def read_model(path: str | Path, phase: Phase, name: str = "", settings: Mapping[str, Any] | None = None) -> Trace:
    """Return the trace of the model that a ``config.json`` describes; the rest as in :func:`build_trace`.

    Raises
    ------
    SpecError
        With every mistake of the file, at its line and column.
    UsageError
        If the model has no such phase.
    """
    config = read_config(path)
    try:
        return build_trace(config, phase, name, str(path), settings)
    except SpecError as error:
        raise SpecError(_placed(error.problems, path)) from None


def _placed(problems: Iterable[Problem], path: str | Path) -> list[Problem]:
    """Give each problem the place of the key that it is about."""
    try:
        document = parse_document(read_text(path), str(path))
    except SpecError as error:
        # Either a key stands twice, which has a place, or JSON is no YAML: indented by tabs, say.
        twice = [problem for problem in error.problems if "given twice" in problem.message]
        return twice or list(problems)
    marks = {key: document.mark((key,)) for key in document.data}
    keys = [(problem, key_of(problem.message)) for problem in problems]
    return [marks[key].problem("", problem.message) if key in marks else problem for problem, key in keys]


def build_trace(
    config: Mapping[str, Any],
    phase: Phase,
    name: str = "",
    source: str = "config.json",
    settings: Mapping[str, Any] | None = None,
) -> Trace:
    """Return the trace of a model described by a ``config.json`` mapping.

    ``name`` replaces the family's name in the trace's own. ``settings`` replace keys of the file, or are
    keys that only hwsim knows (``expert_distribution``); text is read as YAML would.

    Raises
    ------
    SpecError
        If ``model_type`` is absent or unknown, or a key is missing or wrong.
    UsageError
        If the model has no such phase, or no such setting.
    """
    changed = {key: _plain(value) for key, value in (settings or {}).items()}
    config = {**config, **changed}
    model_type = config.get("model_type") or config.get("_class_name")  # the latter in files of diffusers
    if not isinstance(model_type, str) or not model_type:
        wrong = "is missing" if model_type is None else f"must be text, not {shown(model_type)}"
        names = FAMILIES.names()
        valid = f"{', '.join(names[:FEW])}, … ({len(names)} in all)"
        raise _problem(source, f"'model_type' {wrong}; it (or '_class_name') names the architecture, valid: {valid}")
    if model_type not in FAMILIES:
        raise _problem(source, _unsupported(model_type, config))
    checked = Config(config, source)
    trace = _quantized(FAMILIES.get(model_type)(checked, phase), config, source)
    _check_known(model_type, changed, checked.known)
    label = trace.name.replace(model_type, name, 1) if name else trace.name
    meta = {"model": name or model_type, "source": source, **({"settings": changed} if changed else {}), **trace.meta}
    return replace(trace, name=label, meta=meta)


def _plain(value: Any) -> Any:
    """Return what text means in YAML, and anything else as it is."""
    return plain(parse_document(f"value: {value}").data)["value"] if isinstance(value, str) else value


def _check_known(model_type: str, settings: Mapping[str, Any], known: Set[str]) -> None:
    for key in settings:
        if key not in known and key != "model_type":
            raise UsageError(f"settings: {model_type} has no key {key!r}; {did_you_mean(key, sorted(known))}")


def _quantized(trace: Trace, config: Mapping[str, Any], source: str) -> Trace:
    """Return ``trace`` with the formats that a ``quantization_config`` states."""
    scheme = read_scheme(config, lambda message: _problem(source, message))
    if scheme is None:
        return trace
    made = apply_scheme(trace, scheme, plain_format(config))
    return replace(made, meta={**made.meta, "formats_source": "quantization_config"})


#: So many architectures fit into a message.
FEW = 24

#: Keys that tell what an unsupported architecture would need (names as in transformers).
_MISSING_PARTS = {
    "num_experts": "its mixture of experts",
    "num_local_experts": "its mixture of experts",
    "n_routed_experts": "its mixture of experts",
    "kv_lora_rank": "its latent attention",
    "index_topk": "sparse attention by an index",
    "state_size": "state-space layers",
    "ssm_state_size": "state-space layers",
    "mamba_d_state": "state-space layers",
    "conv_L_cache": "short convolutions",
    "linear_num_key_heads": "linear attention",
    "encoder_layers": "its encoder-decoder structure",
    "text_config": "several sub-models",
    "vision_config": "several sub-models",
}


def _unsupported(model_type: str, config: Mapping[str, Any]) -> str:
    lacking = sorted({part for key, part in _MISSING_PARTS.items() if config.get(key)})
    why = f" (not modelled: {', '.join(lacking)})" if lacking else ""
    return (
        f"'model_type' {shown(model_type)} is not supported{why}; {did_you_mean(model_type, FAMILIES.names())}; "
        "any other model can be given as a trace CSV"
    )
