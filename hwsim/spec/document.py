"""YAML documents that remember where every field stands.

Scalars follow the YAML 1.2 core schema (``1e9`` is a number, ``1:30`` and ``on`` are strings),
duplicate keys are refused, and ``base:`` merges a file over another one, mapping by mapping.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hwsim.spec.errors import Problem, SpecError, did_you_mean

KeyPath = tuple[str, ...]

_INT = re.compile(r"[-+]?[0-9]+$|0x[0-9a-fA-F]+$|0o[0-7]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    source_line: str = ""

    def problem(self, path: str, message: str) -> Problem:
        """Return a problem at this place."""
        return Problem(self.file, self.line, self.column, path, message, self.source_line)


@dataclass
class Document:
    """Plain data with the place of each key path.

    ``marks`` holds the place of each key, and of each list item, by its path.
    """

    file: str
    data: dict[str, Any]
    marks: dict[KeyPath, Mark] = field(default_factory=dict)

    def mark(self, path: KeyPath) -> Mark:
        """Return the place of ``path`` or of its nearest known parent."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return Mark(self.file)

    def with_overrides(self, overrides: Mapping[str, Any]) -> Document:
        """Return a copy with dotted paths set; string values are read as YAML.

        Raises
        ------
        SpecError
            If a path leads through a value that is no mapping.
        """
        data, marks = copy.deepcopy(self.data), dict(self.marks)
        for dotted, value in overrides.items():
            path = tuple(dotted.split("."))
            _set(data, path, parse_value(value) if isinstance(value, str) else copy.deepcopy(value), dotted)
            marks = {known: mark for known, mark in marks.items() if known[: len(path)] != path}
            marks[path] = Mark("--set")
        return Document(self.file, data, marks)


def _set(data: Any, path: KeyPath, value: Any, dotted: str) -> None:
    for key in path[:-1]:
        if isinstance(data, list) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
            continue
        if not isinstance(data, dict):
            raise SpecError([Problem("--set", 0, 0, dotted, f"{key!r} is inside a value that has no fields")])
        data = data.setdefault(key, {})
    if isinstance(data, list) and path[-1].isdigit() and int(path[-1]) < len(data):
        data[int(path[-1])] = value
    elif isinstance(data, dict):
        data[path[-1]] = value
    else:
        raise SpecError([Problem("--set", 0, 0, dotted, "leads into a value that has no fields")])


def parse_value(text: str) -> Any:
    """Return one YAML value, for example from the command line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    if node is None:
        return text
    return _Reader("--set", text).value(node, ())


def load_document(path: str | Path, inherit: bool = True) -> Document:
    """Read a YAML file whose top level is a mapping.

    With ``inherit`` a top-level ``base:`` names a file, relative to this one, that this file is
    merged over.

    Raises
    ------
    SpecError
        If the file is missing, empty, binary, no YAML, or inherits from itself.
    """
    return _load(Path(path), inherit, ())


def _load(path: Path, inherit: bool, chain: tuple[Path, ...]) -> Document:
    document = _read(path)
    if not inherit or "base" not in document.data:
        return document
    here = (*chain, path.resolve())
    name = document.data.pop("base")
    mark = document.mark(("base",))
    if not isinstance(name, str):
        raise SpecError([mark.problem("base", f"found {name!r}; valid: the path of another file")])
    base_path = path.parent / name
    if base_path.resolve() in here:
        names = " -> ".join(p.name for p in (*here, base_path.resolve()))
        raise SpecError([mark.problem("base", f"circular: {names}; valid: a file that does not lead back here")])
    if not base_path.is_file():
        near = did_you_mean(base_path.name, [p.name for p in base_path.parent.glob("*.y*ml")])
        raise SpecError([mark.problem("base", f"no such file {name!r}; {near}")])
    base = _load(base_path, True, here)
    marks = {**base.marks, **{p: m for p, m in document.marks.items() if p}}
    return Document(document.file, _merge(base.data, document.data), marks)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _read(path: Path) -> Document:
    file = str(path)

    def refuse(message: str, line: int = 0, column: int = 0, source: str = "") -> SpecError:
        return SpecError([Problem(file, line, column, "", message, source)])

    if path.is_dir():
        raise refuse("is a folder; valid: a YAML file")
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        folder = path.parent if path.parent.is_dir() else Path()
        raise refuse(f"no such file; {did_you_mean(path.name, [p.name for p in folder.glob('*.y*ml')])}") from None
    except UnicodeDecodeError:
        raise refuse("is not text; valid: a YAML file in UTF-8") from None
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise refuse("is a binary file; valid: a YAML file in UTF-8")
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            raise refuse("found a tab in the indentation; valid: spaces", number, indent.index("\t") + 1, line)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line_no, column = (at.line + 1, at.column + 1) if at else (0, 0)
        source = lines[line_no - 1] if 0 < line_no <= len(lines) else ""
        raise refuse(f"is not valid YAML: {error.problem or error.context}", line_no, column, source) from None
    except yaml.YAMLError as error:
        raise refuse(f"is not valid YAML: {str(error).splitlines()[0]}") from None
    if node is None:
        raise refuse("is empty; valid: a mapping of fields")
    if not isinstance(node, yaml.MappingNode):
        raise refuse("found no mapping at the top; valid: lines of 'field: value'", 1, 1, lines[0] if lines else "")
    reader = _Reader(file, text)
    data = reader.value(node, ())
    if reader.problems:
        raise SpecError(reader.problems)
    return Document(file, data, reader.marks)


class _Reader:
    """Turns composed nodes into plain data, keeping places and problems."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.marks: dict[KeyPath, Mark] = {}
        self.problems: list[Problem] = []

    def place(self, node: yaml.Node) -> Mark:
        at = node.start_mark
        source = self.lines[at.line] if at.line < len(self.lines) else ""
        return Mark(self.file, at.line + 1, at.column + 1, source)

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.marks.setdefault(path, self.place(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self.value(item, (*path, str(i))) for i, item in items]
        return scalar(node)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first: dict[str, Mark] = {}
        for key_node, value_node in node.value:
            here = self.place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(here.problem(".".join(path), "found a key that is no plain word"))
                continue
            key = str(key_node.value)
            if key in data:
                where = f"first at line {first[key].line}"
                self.problems.append(here.problem(".".join((*path, key)), f"duplicate key {key!r}, {where}"))
                continue
            first[key] = here
            self.marks[(*path, key)] = here
            data[key] = self.value(value_node, (*path, key))
        return data


def scalar(node: Any) -> Any:
    """Return the value of a scalar node by the YAML 1.2 core schema."""
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.match(text):
        return float(text)
    if text in (".inf", "+.inf", "-.inf", ".nan"):
        return float(text.replace(".", ""))
    return text
