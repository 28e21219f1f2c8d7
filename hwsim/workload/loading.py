"""From what is written of a workload to its trace: which file it names, its phase, its formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim.formats.own import look_beside
from hwsim.spec.bind import bind
from hwsim.spec.document import Document, load_document, plain
from hwsim.spec.errors import UsageError
from hwsim.spec.text import exists, unreadable
from hwsim.workload.folder import model_in
from hwsim.workload.importers.base import IMPORTERS, Request, check_settings, find_importer
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.importers.yaml_rows import rows_trace
from hwsim.workload.naming import YAML_SUFFIXES, has_scheme, scheme_beside, source_fields
from hwsim.workload.phases import Build
from hwsim.workload.policy import apply_overrides, apply_policy, check_overrides, read_overrides
from hwsim.workload.spec import SOURCES, WorkloadSpec, no_model
from hwsim.workload.stated import kept_note
from hwsim.workload.trace import Trace
from hwsim.workload.zoo import find_model, is_model, model_config, open_settings

#: What messages call the place of the options that replace fields.
OPTIONS = "options"


def load_workload(
    workload: WorkloadSpec | Mapping[str, Any] | str | Path,
    *,
    folder: str | Path | None = None,
    requantized: bool = False,
    **options: Any,
) -> Trace:
    """Return the trace of a workload.

    Parameters
    ----------
    workload
        A :class:`WorkloadSpec` or its fields; or the name of a shipped model; or the path of a
        ``config.json`` (or a folder with a model), a trace ``.csv`` or a workload ``.yaml``. Fields may
        name a workload ``.yaml`` as their ``source`` or ``trace``; the others then replace its own.
    folder
        Where relative paths inside a spec start; a YAML file's own folder by default.
    requantized
        Whether a policy is to follow: weights that a checkpoint holds in plain floats, and those of a shipped model
        whatever formats were published, are left open to it, as under a policy among the fields.
    **options
        Fields of :class:`WorkloadSpec` that replace those of the workload, such as ``phase``,
        ``seq_len``, ``context``, ``batch``; ``None`` counts as not given.

    Raises
    ------
    UsageError
        If the name is unknown.
    SpecError
        With every mistake, at its place in the file; also if the model has no such phase.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if isinstance(workload, Mapping) and (named := _names_yaml(workload)) is not None:
        # As hwsim run takes it: the file's fields, replaced by those that stand beside its name.
        beside = {key: value for key, value in workload.items() if key != named}
        with Document("workload", plain(workload)).blame():
            path = _readable(named, Path(folder or ".") / str(workload[named]))
        return load_workload(path, requantized=requantized, **{**beside, **given})
    if not isinstance(workload, (WorkloadSpec, Mapping)) and Path(workload).suffix.lower() in YAML_SUFFIXES:
        folder = folder or Path(workload).parent
        look_beside(workload)
        document = load_document(workload)
    else:
        document = _without_file(workload)
    whole = document.with_overrides(given, OPTIONS) if given else document
    return document_to_trace(whole, Path(folder or "."), requantized)


def _names_yaml(workload: Mapping[str, Any]) -> str | None:
    """Return the field that names a workload file in YAML, None if none does."""
    fields = [key for key in SOURCES if isinstance(workload.get(key), str)]
    named = len(fields) == 1 and fields[0] != "model" and Path(workload[fields[0]]).suffix.lower() in YAML_SUFFIXES
    return fields[0] if named else None


def _without_file(workload: WorkloadSpec | Mapping[str, Any] | str | Path) -> Document:
    """Return the fields of a workload that no YAML file gives."""
    if isinstance(workload, WorkloadSpec):
        return Document("workload", workload.model_dump(exclude_unset=True))
    if isinstance(workload, Mapping):
        return Document("workload", plain(workload))
    return Document(str(workload), source_fields(workload))


def document_to_trace(document: Document, folder: Path, requantized: bool = False) -> Trace:
    """Return the trace that the fields of ``document`` describe; relative paths start at ``folder``.

    ``requantized`` as of :func:`load_workload`.

    Raises
    ------
    SpecError
        With every mistake, each at its place.
    """
    spec = bind(_with_file(document, folder), WorkloadSpec)
    with document.blame():
        return spec_to_trace(spec, folder, requantized)


def _with_file(document: Document, folder: Path) -> Document:
    """Return ``document`` with the file that is the model in the place of a folder that is its ``source``.

    Raises
    ------
    SpecError
        If the folder holds none, or several.
    """
    source = document.data.get("source")
    if not isinstance(source, str) or not exists(folder / source) or not (folder / source).is_dir():
        return document
    with document.blame(("source",)):
        found = model_in(folder / source)
    return replace(document, data={**document.data, "source": str(Path(source) / found.name)})


def spec_to_trace(spec: WorkloadSpec, folder: Path, requantized: bool = False) -> Trace:
    """Return the trace that ``spec`` describes; relative paths start at ``folder``.

    ``requantized`` as of :func:`load_workload`.

    Raises
    ------
    UsageError
        If a file is missing, the model has no such phase, or an override matches nothing.
    """
    trace = _source_trace(spec, folder, requantized or spec.policy is not None)
    if spec.name is not None:
        trace = Trace(spec.name, trace.ops, trace.meta)
    policy, note = spec.find_policy(), ""
    if policy is not None:
        note = kept_note(trace, policy if isinstance(policy, str) else policy.text)
    overrides = read_overrides(spec.overrides)
    with _in_field("overrides"):
        if policy is None:
            return apply_overrides(trace, overrides)
        check_overrides(trace, overrides)
    if note:
        trace = Trace(trace.name, trace.ops, {**trace.meta, "policy_note": note})
    with _in_field("policy"):
        return apply_policy(trace, policy, overrides)


@contextmanager
def _in_field(field: str) -> Iterator[None]:
    """Begin the message of a UsageError with the field that caused it."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{field}: {error}") from error


def _source_trace(spec: WorkloadSpec, folder: Path, requantized: bool) -> Trace:
    draft: Build = no_model
    if spec.draft is not None:
        with _in_field("draft"):
            small = WorkloadSpec(**source_fields(_beside(spec.draft, folder)))
            if small.importer is not None and not IMPORTERS.get(small.importer).shaped:
                raise UsageError(f"{spec.draft}: is fixed; name a model or a config.json")
            draft = _builder(small, Path(), requantized)
    return spec.to_run(draft).trace(_builder(spec, folder, requantized))


def _beside(name: str, folder: Path) -> str:
    """Return the path of a file or folder that stands beside a workload, and a model's name as it is."""
    path_like = bool(Path(name).suffix or set("/\\") & set(name))
    return str(folder / name) if path_like or (exists(folder / name) and not is_model(name)) else name


def _builder(spec: WorkloadSpec, folder: Path, requantized: bool) -> Build:
    """Return what makes a model's trace in any basic phase."""
    if spec.ops is not None:
        ops = spec.ops
        return lambda phase: rows_trace(ops)
    if spec.importer is None:
        model = find_model(str(spec.model))
        config = model_config(model.name)
        # Formats of the published checkpoint give way to a policy; nobody trains the quantized copy.
        if requantized or spec.phase == "training":
            config = {key: value for key, value in config.items() if key not in open_settings(model.name)}
        return lambda phase: build_trace(config, phase, model.name, f"{model.file}: {model.source}", spec.settings)
    field = next(key for key in SOURCES if getattr(spec, key) is not None)
    source, importer = str(getattr(spec, field)), spec.importer
    if has_scheme(source, importer):
        source = scheme_beside(source, folder)
    else:
        source = str(_readable(field, folder / source))
        importer = find_importer(source) or importer if field == "source" else importer
    check_settings(importer, spec.settings)
    return lambda phase: IMPORTERS.get(importer).read(source, Request(phase, "", spec.settings, requantized))


def _readable(field: str, path: Path) -> Path:
    if field == "config" and exists(path) and path.is_dir():
        path = path / "config.json"
    reason = unreadable(path)
    if reason is not None:
        raise UsageError(f"{field}: {str(path)!r}: {reason}")
    return path
