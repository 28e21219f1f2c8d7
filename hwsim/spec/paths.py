"""Dotted paths into plain data: ``memories.weights.size``, ``workloads.0.seq_len``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.spec.errors import UsageError, shown
from hwsim.spec.nodes import read_nodes
from hwsim.spec.scalars import resolve_scalar

Path_ = tuple[Any, ...]


def dotted(path: Sequence[Any]) -> str:
    """Return ``memories.weights.size`` for ``("memories", "weights", "size")``."""
    return ".".join(map(str, path))


def has_part(value: Any, part: Any) -> bool:
    """Return whether ``part`` is a key of a mapping or an index of a list."""
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and type(part) is int and 0 <= part < len(value)


def split_path(path: str, data: Any) -> Path_:
    """Split at dots, except within keys of ``data`` that hold dots; list indices become int.

    Raises
    ------
    UsageError
        If a part is empty.
    """
    parts: list[Any] = []
    rest = path.split(".")
    if not all(rest):
        raise UsageError("has an empty part; write names joined by single dots, for example array.rows")
    while rest:
        taken = next((n for n in range(len(rest), 1, -1) if has_part(data, ".".join(rest[:n]))), 1)
        part: Any = ".".join(rest[:taken])
        if isinstance(data, list) and part.isdecimal():
            part = int(part)
        elif isinstance(data, dict) and part not in data:
            part = next((key for key in data if str(key) == part), part)
        data = data[part] if has_part(data, part) else None
        parts.append(part)
        rest = rest[taken:]
    return tuple(parts)


def replaced(data: Any, parts: Path_, value: Any, depth: int = 0) -> Any:
    """Return a copy of ``data`` with ``value`` at ``parts[depth:]``; untouched parts are shared.

    Raises
    ------
    UsageError
        If the path leads through a value that has no parts, or past the end of a list.
    """
    if depth == len(parts):
        return value
    part, at = parts[depth], dotted(parts[:depth])
    if isinstance(data, list):
        if type(part) is not int:
            raise UsageError(f"{at} is a list; {part!r} must be an index")
        if part >= len(data):
            raise UsageError(f"{at} has {len(data)} items; the last index is {len(data) - 1}")
        return [*data[:part], replaced(data[part], parts, value, depth + 1), *data[part + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise UsageError(f"{at} is {shown(data)} and has no part {part!r}; set {at} to a mapping {{…}} instead")
    copied = dict(data or {})
    copied[part] = replaced(copied.get(part), parts, value, depth + 1)
    return copied


def read_value(value: Any) -> Any:
    """Return text read as one YAML value; other values as plain data.

    Raises
    ------
    UsageError
        If the text is a list, a mapping or in quotes, and no valid YAML.
    """
    if not isinstance(value, str):
        return plain(value)
    text = value.strip()
    if text[:1] not in ("{", "[", '"', "'"):
        try:
            return resolve_scalar(text)
        except ValueError as error:
            raise UsageError(str(error)) from None
    # A key makes any value a document; the break keeps columns of the value itself.
    return read_nodes(f"value:\n {text}", "").children["value"].value


def plain(value: Any) -> Any:
    """Return ``value`` with tuples as lists, paths as text, and numpy scalars as Python numbers."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value
