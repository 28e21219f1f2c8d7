"""A spec file as plain data that still knows where every value came from.

``base: other.yaml`` merges a file over another one: mappings are merged key by key, everything
else is replaced, and ``null`` removes an inherited key (as in RFC 7386). :meth:`Document.with_overrides`
does what ``--set`` and the points of a sweep need, without reading the file again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwsim.spec.errors import Problem, SpecError, UsageError, closest
from hwsim.spec.nodes import Mark, Node, join, mapping_node, read_nodes
from hwsim.spec.scalars import resolve_scalar

Path_ = tuple[Any, ...]


@dataclass(frozen=True)
class Document:
    """Plain data and the place of every key and value.

    Parameters
    ----------
    file
        What messages call the file.
    data
        The plain values. Parts are shared between documents: read, never change.
    root
        Places of what was read from files; None when the data came from Python.
    overrides
        Paths that were overridden later, each with what messages call its origin (``--set``).
    """

    file: str
    data: dict[str, Any]
    root: Node | None = None
    overrides: tuple[tuple[Path_, str], ...] = ()

    def mark(self, path: str | Sequence[Any] = (), *, key: bool = False) -> Mark:
        """Return where the value at ``path`` stands, or with ``key`` its key.

        ``path`` is dotted (``memories.weights.size``, ``workloads.0.seq_len``) or a sequence of keys
        and indices. For a path that does not exist it is the nearest parent that does.
        """
        parts = self._split(path)
        for changed, origin in reversed(self.overrides):
            if parts[: len(changed)] == changed:
                return Mark(origin)
        mark, found = _locate(self.root, parts, key) if self.root else (Mark(self.file), 0)
        for changed, origin in self.overrides:
            # An override that made the parents of its own path.
            if found < len(parts) and changed[: found + 1] == parts[: found + 1]:
                return Mark(origin)
        return mark

    def problem(self, path: str | Sequence[Any], message: str, *, key: bool = False) -> Problem:
        """Return a problem of the field ``path``, at its place."""
        return self.mark(path, key=key).problem(dotted(self._split(path)), message)

    @contextmanager
    def blame(self, path: str | Sequence[Any] = ()) -> Iterator[None]:
        """Report a :class:`UsageError` raised in the ``with`` block at the place of ``path``.

        Raises
        ------
        SpecError
            In place of any other ``UsageError``.
        """
        try:
            yield
        except SpecError:
            raise
        except UsageError as error:
            raise SpecError([self.problem(path, str(error))]) from error

    def get(self, path: str | Sequence[Any], default: Any = None) -> Any:
        """Return the value at ``path``, or ``default`` if there is none."""
        value: Any = self.data
        for part in self._split(path):
            if not has_part(value, part):
                return default
            value = value[part]
        return value

    def with_overrides(self, overrides: Mapping[str, Any], origin: str = "--set") -> Document:
        """Return the document with values replaced.

        Parameters
        ----------
        overrides
            New values by dotted path, applied in order. Text is read as one YAML value
            (``"64"``, ``"{family: lmul, format: fp8_e4m3}"``); other values are taken as they are.
            A mapping replaces the whole former value. Missing parents are made.
        origin
            What messages call the place of these values.

        Raises
        ------
        SpecError
            If a path leads through a value that has no parts, or past the end of a list.
        """
        data: Any = self.data
        changed = list(self.overrides)
        problems = []
        for path, value in overrides.items():
            try:
                parts = _split_path(path, data)
                data = _replaced(data, parts, _read_value(value), 0)
                changed.append((parts, origin))
            except UsageError as error:
                problems.append(Problem(origin, 0, 0, path, _bare_message(error)))
        if problems:
            raise SpecError(problems)
        return replace(self, data=data, overrides=tuple(changed))

    def _split(self, path: str | Sequence[Any]) -> Path_:
        if not isinstance(path, str):
            return tuple(path)
        return _split_path(path, self.data) if path else ()


def load_document(path: str | Path, inherit: bool = True) -> Document:
    """Read a spec file.

    Parameters
    ----------
    path
        A YAML file (JSON is YAML too) in UTF-8 whose top level is a mapping.
    inherit
        Merge the file over the one that its ``base:`` names, and so on. ``base`` is then no part of
        the data; otherwise it is left as it stands.

    Raises
    ------
    SpecError
        With file, line and column, if the file or one of its bases cannot be read, is no YAML, or
        the bases form a circle.
    """
    file = str(path)
    node = read_nodes(_read_text(Path(path), Mark(file)), file)
    if inherit:
        node = _inherited(node, Path(path), (Path(path).resolve(),))
    return Document(file, node.value, node)


def parse_document(text: str, file: str = "<text>") -> Document:
    """Read a document from text; ``base:`` is left as it stands.

    Raises
    ------
    SpecError
        If it is no valid YAML mapping.
    """
    node = read_nodes(text, file)
    return Document(file, node.value, node)


def resolve_base(reference: str, file: str | Path) -> Path:
    """Return the path that ``base: reference`` means in ``file``: relative to it, ``..`` folded."""
    return Path(os.path.normpath(Path(file).parent / Path(reference).expanduser()))


def dotted(path: Sequence[Any]) -> str:
    """Return ``memories.weights.size`` for ``("memories", "weights", "size")``."""
    return ".".join(map(str, path))


def has_part(value: Any, part: Any) -> bool:
    """Return whether ``part`` is a key of a mapping or an index of a list."""
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and type(part) is int and 0 <= part < len(value)


# --- reading -----------------------------------------------------------------------------------


def _read_text(path: Path, blamed: Mark, field: str = "") -> str:
    """Return the text of a file; a failure is reported at ``blamed``, the place that named it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = _open_failure(path, error)
        if field:
            message = f"base file {str(path)!r}: {message}"
        raise SpecError([blamed.problem(field, message)]) from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SpecError([Problem(str(path), 1, 1, "", "file is UTF-16 text; save it as UTF-8")])
    if b"\0" in raw:
        raise SpecError([Problem(str(path), 1, 1, "", "is a binary file, not YAML")])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; is this a binary file or another encoding?"
        raise SpecError([Problem(str(path), line, column, "", message)]) from None


def _open_failure(path: Path, error: OSError) -> str:
    if path.is_dir():
        held = ", ".join(sorted(p.name for p in path.glob("*.yaml"))[:24])
        return "is a directory" + (f"; it holds {held}" if held else "")
    if not isinstance(error, FileNotFoundError):
        return f"cannot be read: {error.strerror or error}"
    if not path.parent.is_dir():
        return f"no such file; there is no directory {str(path.parent)!r}"
    near = closest(path.name, (p.name for p in path.parent.iterdir()))
    return "no such file" + (f" (did you mean {str(path.parent / near)!r}?)" if near else "")


# --- base: ---------------------------------------------------------------------------------------


def _inherited(node: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """Merge ``node`` over the file that its ``base:`` names; ``chain`` are the files so far."""
    if "base" not in node.children:
        return node
    base = node.children["base"]
    own = _without(node, "base")
    if not isinstance(base.value, str) or not base.value:
        raise SpecError([base.mark.problem("base", f"must be the path of a YAML file, not {base.value!r}")])
    target = resolve_base(base.value, path)
    if target.resolve() in chain:
        names = " -> ".join(p.name for p in (*chain[chain.index(target.resolve()) :], target))
        raise SpecError([base.mark.problem("base", f"files form a circle: {names}")])
    parent = read_nodes(_read_text(target, base.mark, "base"), str(target))
    return _merge(_inherited(parent, target, (*chain, target.resolve())), own)


def _without(node: Node, key: str) -> Node:
    keys = {k: mark for k, mark in node.keys.items() if k != key}
    return mapping_node(node.mark, keys, {k: child for k, child in node.children.items() if k != key})


def _merge(base: Node, own: Node) -> Node:
    if not (base.is_mapping and own.is_mapping):
        return own
    keys, children = dict(base.keys), dict(base.children)
    for key, child in own.children.items():
        keys[key] = own.keys[key]
        if key in base.children and child.value is None:
            del keys[key], children[key]
        else:
            children[key] = _merge(base.children[key], child) if key in base.children else child
    return mapping_node(own.mark, keys, children)


# --- paths and overrides -----------------------------------------------------------------------------


def _locate(root: Node, parts: Path_, key: bool) -> tuple[Mark, int]:
    """Return the mark of the longest prefix of ``parts`` that exists, and its length."""
    node, key_mark = root, root.mark
    for depth, part in enumerate(parts):
        child = node.children.get(part)
        if child is None:
            # A missing part is reported where its parent is named.
            return key_mark, depth
        key_mark, node = node.keys.get(part, child.mark), child
    return (key_mark if key else node.mark), len(parts)


def _split_path(path: str, data: Any) -> Path_:
    """Split at dots, except within keys of ``data`` that hold dots; list indices become int."""
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


def _replaced(data: Any, parts: Path_, value: Any, depth: int) -> Any:
    """Return a copy of ``data`` with ``value`` at ``parts[depth:]``; untouched parts are shared."""
    if depth == len(parts):
        return value
    part, at = parts[depth], dotted(parts[:depth])
    if isinstance(data, list):
        if type(part) is not int:
            raise UsageError(f"{at} is a list; {part!r} must be an index")
        if part >= len(data):
            raise UsageError(f"{at} has {len(data)} items; the last index is {len(data) - 1}")
        return [*data[:part], _replaced(data[part], parts, value, depth + 1), *data[part + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise UsageError(f"{at} is {data!r} and has no part {part!r}; set {at} to a mapping {{…}} instead")
    copied = dict(data or {})
    copied[part] = _replaced(copied.get(part), parts, value, depth + 1)
    return copied


def _read_value(value: Any) -> Any:
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


def _bare_message(error: UsageError) -> str:
    problems = getattr(error, "problems", ())
    return "; ".join(problem.message for problem in problems) or str(error)


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


__all__ = [
    "Document",
    "Mark",
    "dotted",
    "has_part",
    "join",
    "load_document",
    "parse_document",
    "plain",
    "resolve_base",
]
