"""Files that ship with hwsim: figures under ``hwsim/data`` and the users' examples.

Everything is read as UTF-8 with the standard library alone, so that looking up one name costs
no import of pandas.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean
from hwsim.spec.text import exists

#: Kinds of examples; each is a directory of YAML files.
EXAMPLE_KINDS = ("arch_configs", "sweeps")


def package_path() -> Path:
    """Return the directory of the installed package."""
    return Path(str(files("hwsim")))


def data_path(*parts: str) -> Path:
    """Return the path of a packaged data file or directory, for example ``data_path("vector", "ops.csv")``.

    Raises
    ------
    UsageError
        If it does not exist; the message lists what its directory holds.
    """
    path = package_path().joinpath("data", *parts)
    if path.exists():
        return path
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise UsageError(f"no data file {'/'.join(parts)!r}; {did_you_mean(path.name, siblings)}")


def read_csv_rows(*parts: str) -> list[dict[str, str]]:
    """Read a packaged CSV file: one ``{column: text}`` per row, in file order.

    Nothing is skipped, stripped or converted, but blank lines.

    Raises
    ------
    UsageError
        If the file does not exist.
    SpecError
        If a row has more or fewer fields than the header, or the header names a column twice.
    """
    path = data_path(*parts)
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        problems = [_problem(path, 1, f"column {c!r} is named twice") for c in _twice(header)]
        rows = []
        for fields in reader:
            if fields and len(fields) != len(header):
                text = f"row has {len(fields)} fields, the header {len(header)}"
                problems.append(_problem(path, reader.line_num, text))
            elif fields:
                rows.append(dict(zip(header, fields, strict=True)))
    if not header:
        problems.append(_problem(path, 1, "file is empty; the first line must name the columns"))
    if problems:
        raise SpecError(problems)
    return rows


def read_yaml(*parts: str) -> dict[str, Any]:
    """Read a packaged YAML file (YAML 1.2 scalars, no duplicate keys); parsed once per process.

    Returns
    -------
    dict
        A copy that the caller may change.

    Raises
    ------
    UsageError
        If the file does not exist.
    SpecError
        If it is not valid YAML or its top level is no mapping.
    """
    copied: dict[str, Any] = _copy(_parsed_yaml(data_path(*parts)))
    return copied


def example_names(kind: str) -> list[str]:
    """Return the names of the examples of one kind (``arch_configs`` or ``sweeps``), sorted.

    Raises
    ------
    UsageError
        If there is no such kind.
    """
    return sorted(_examples(kind))


def example_path(kind: str, name: str) -> Path:
    """Return the path of an example by its name, with or without ``.yaml``.

    Raises
    ------
    UsageError
        If there is no such kind or name; the message lists the valid ones.
    """
    examples = _examples(kind)
    bare = name.removesuffix(".yaml")
    if bare not in examples:
        raise UsageError(f"no example {name!r} in {kind}; {did_you_mean(bare, examples)}")
    return examples[bare]


def find_example(kind: str, name: str | Path) -> Path:
    """Return the path of a YAML file, given as a file or as the name of an example of ``kind``.

    Raises
    ------
    UsageError
        If it looks like a name and there is no such example.
    """
    path = Path(name)
    if exists(path):
        return path
    is_name = str(name) in _examples(kind) or not (path.suffix or len(path.parts) > 1)
    return example_path(kind, str(name)) if is_name else path


def _examples(kind: str) -> dict[str, Path]:
    if kind not in EXAMPLE_KINDS:
        raise UsageError(f"unknown kind of example {kind!r}; {did_you_mean(kind, EXAMPLE_KINDS)}")
    package = package_path()
    # A wheel carries the examples inside the package, a source checkout beside it. The wheel's
    # place comes first: beside it lies site-packages, where a name may be somebody else's.
    for folder in (package / "examples" / kind, package.parent / kind):
        if folder.is_dir():
            return {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.rglob("*.yaml")}
    return {}


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _problem(path: Path, line: int, message: str) -> Problem:
    return Problem(str(path), line, 0, "", message)


@cache
def _parsed_yaml(path: Path) -> dict[str, Any]:
    from hwsim.spec.document import load_document

    return load_document(path, inherit=False).data


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
