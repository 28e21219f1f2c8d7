"""What a bare word names: a model of the zoo, or a file, folder or program that an importer reads."""

from __future__ import annotations

from pathlib import Path

from hwsim.spec.errors import Problem, SpecError, UsageError, closest
from hwsim.spec.text import exists, unreadable
from hwsim.workload.folder import model_in
from hwsim.workload.importers.base import IMPORTERS, find_importer, source_endings
from hwsim.workload.zoo import find_model, is_model, model_names

YAML_SUFFIXES = (".yaml", ".yml")

#: Fields of a workload that name their importer.
IMPORTER_OF = {"config": "hf_config", "trace": "csv", "ops": "csv"}


def is_path(workload: str) -> bool:
    """Whether a bare word can only be a path: of a known ending, or with folders; no model's name is one."""
    importer = find_importer(workload)
    if importer is not None and has_scheme(workload, importer):
        return False
    return importer is not None or len(Path(workload).parts) > 1 or Path(workload).suffix.lower() in YAML_SUFFIXES


def source_fields(workload: str | Path) -> dict[str, str]:
    """Return what a bare word or path means, as the one field of a workload: a model, or a config or trace file.

    Raises
    ------
    UsageError
        If it is no model's name and no file that is read, with what is.
    SpecError
        If a file of a known kind cannot be read.
    """
    path = Path(workload)
    if not str(workload).strip():
        raise UsageError("no source is given; valid: a file, a folder or a model's name (hwsim list importer)")
    path_like = isinstance(workload, Path) or bool(set("/\\") & set(workload))
    if exists(path) and path.is_dir() and (path_like or not is_model(str(workload))):
        return source_fields(model_in(path))
    importer = find_importer(str(workload))
    if importer is not None:
        reason = None if has_scheme(str(workload), importer) else unreadable(path)
        if reason is not None:
            raise SpecError([Problem(str(workload), 0, 0, "", reason)])
        field = next((field for field, name in IMPORTER_OF.items() if name == importer), "source")
        return {field: str(workload)}
    kinds = ", ".join((*source_endings(), *YAML_SUFFIXES))
    if exists(path) and path.is_file():
        raise UsageError(f"{workload}: unknown kind of workload file; valid: {kinds}, or a model name")
    if path_like:
        reason = unreadable(path) or "is no file"
        near = closest(path.name, model_names(), 0.75)
        hint = f"; models are not fetched: {near!r} is one that hwsim ships" if near else ""
        raise UsageError(f"{workload}: {reason}{hint}; valid: a file ({kinds}), a folder or a model's name")
    return {"model": find_model(str(workload)).name}


def has_scheme(source: str, importer: str) -> bool:
    """Whether ``source`` is no file but something that ``importer`` knows by its beginning."""
    schemes = IMPORTERS.get(importer).schemes
    return bool(schemes) and source.startswith(schemes)


def scheme_beside(source: str, folder: Path) -> str:
    """Return ``python:FILE:NAME`` with its file as seen from ``folder``; a module of Python's path stays."""
    scheme, _, rest = source.partition(":")
    file, _, name = rest.rpartition(":")
    return f"{scheme}:{folder / file}:{name}" if file and exists(folder / file) else source
