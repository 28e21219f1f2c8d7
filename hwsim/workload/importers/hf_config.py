"""Hugging Face ``config.json``: enough to derive every GEMM of a dense model, without weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim.spec.document import parse_document, plain
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean, shown
from hwsim.spec.text import read_text
from hwsim.workload.config import Config, key_of, quoted
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.models import FAMILIES
from hwsim.workload.phase import Phase
from hwsim.workload.quantization import apply_scheme, plain_format, read_scheme
from hwsim.workload.quantization.base import CONFIG_KEYS
from hwsim.workload.trace import Trace
from hwsim.workload.unsupported import some_of, unsupported


class HfConfig(Importer):
    """The shape of a model; formats are left open, but those of a ``quantization_config``."""

    summary = "a Hugging Face config.json"
    suffixes = (".json",)
    shaped = True
    settings = None

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace, named after the file, or after its folder when the file is called ``config.json``."""
        path = Path(source)
        own = path.absolute().parent.name if path.name == "config.json" else path.stem
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
    changed = {key: plain_value(key, value) for key, value in (settings or {}).items()}
    config = {**config, **changed}
    model_type = config.get("model_type") or config.get("_class_name")  # the latter in files of diffusers
    if not isinstance(model_type, str) or not model_type:
        raise _problem(source, _unnamed(model_type, config))
    if model_type not in FAMILIES:
        message = unsupported("'model_type'", model_type, FAMILIES.names(), config)
        raise _of_settings([Problem(source, 0, 0, "", message)], changed)
    checked = Config(config, source)
    try:
        trace = _quantized(FAMILIES.get(model_type)(checked, phase), config, source)
    except SpecError as error:
        raise _of_settings(error.problems, changed) from None
    _check_known(model_type, changed, checked.known)
    label = trace.name.replace(model_type, name, 1) if name else trace.name
    meta = {"model": name or model_type, "source": source, **({"settings": changed} if changed else {}), **trace.meta}
    return replace(trace, name=label, meta=meta)


def plain_value(key: str, value: Any) -> Any:
    """Return what text means in YAML, and anything else as it is.

    Raises
    ------
    UsageError
        If it is none.
    """
    if not isinstance(value, str):
        return value
    try:
        return plain(parse_document(f"value: {value}").data)["value"]
    except SpecError as error:
        raise UsageError(f"settings: {key}: {error.problems[0].message}, in {shown(value)}") from None


def _of_settings(problems: Sequence[Problem], changed: Mapping[str, Any]) -> UsageError:
    """Return the error of ``problems``: those about a key that a setting gives are no mistakes of the file."""
    own = [problem for problem in problems if quoted(problem.message) & changed.keys()]
    return UsageError(f"settings: {own[0].message}") if own else SpecError(problems)


def _check_known(model_type: str, settings: Mapping[str, Any], known: Set[str]) -> None:
    for key in settings:
        if key not in known and key not in ("model_type", *CONFIG_KEYS):
            raise UsageError(f"settings: {model_type} has no key {key!r}; {did_you_mean(key, sorted(known))}")


def _quantized(trace: Trace, config: Mapping[str, Any], source: str) -> Trace:
    """Return ``trace`` with the formats that a ``quantization_config`` states."""
    scheme = read_scheme(config, lambda message: _problem(source, message))
    if scheme is None:
        return trace
    made = apply_scheme(trace, scheme, plain_format(config))
    return replace(made, meta={**made.meta, "formats_source": "quantization_config"})


def _unnamed(value: Any, config: Mapping[str, Any]) -> str:
    """Return the message about a ``model_type`` that is no text; what ``architectures`` names may tell it."""
    wrong = "is missing" if value is None else f"must be text, not {shown(value)}"
    names, classes = FAMILIES.names(), config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else ""
    meant = _of_class(first, names)
    hint = f"; 'architectures' names {first}: is it {meant!r}?" if meant else ""
    return f"'model_type' {wrong}; it (or '_class_name') names the architecture{hint}; {some_of(names)}"


def _of_class(name: str, names: Iterable[str]) -> str | None:
    """Return the architecture of a class of transformers: ``Qwen2MoeForCausalLM`` is of ``qwen2_moe``."""
    stem = re.sub(r"(For[A-Z]\w*|Model|LMHeadModel)$", "", name).lower()
    return next((one for one in names if stem and one.replace("_", "").lower() == stem), None)
