"""A spec file as plain data that still knows where every value came from.

``base: other.yaml`` merges a file over another one: mappings are merged key by key, everything
else is replaced, and ``null`` removes an inherited key (as in RFC 7386). :meth:`Document.with_overrides`
does what ``--set`` and the points of a sweep need, without reading the file again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwsim.spec.compose import Mark
from hwsim.spec.errors import Problem, SpecError, UsageError, shown
from hwsim.spec.nodes import Node, join, mapping_node, read_nodes
from hwsim.spec.paths import Path_, dotted, has_part, plain, read_value, replaced, split_path
from hwsim.spec.text import read_text

#: A message that begins with the name of a field: ``array.rows: …``.
_NAMES_FIELD = re.compile(r"(\w+(?:\.\w+)*): (.+)", re.DOTALL)

#: Fields whose text is short for a mapping with that name: ``technology: 28nm`` for ``{name: 28nm}``.
SHORT_FORMS = ("technology",)


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
        """Return a problem of the field ``path``, at its place; of the file as a whole if it is empty.

        Where a part of the field was overridden, the message says so: the fault may lie there.
        """
        parts = self._split(path)
        if not parts:
            return Mark(self.file).problem("", message)
        mark = self.mark(parts, key=key)
        below = [f"{dotted(p)} from {origin}" for p, origin in self.overrides if p[: len(parts)] == parts != p]
        if below and mark.line:
            message += f" (with {', '.join(below)})"
        return mark.problem(dotted(parts), message)

    def narrowed(self, path: Path_, message: str) -> tuple[Path_, str]:
        """Move a message that begins with the name of a field within ``path`` to that field.

        A field that the file leaves out counts if the first part of its name is there. A name that
        only repeats ``path`` is dropped.
        """
        message = message.removeprefix(f"{dotted(path)}: ")
        match, value = _NAMES_FIELD.match(message), self.get(path)
        inner = split_path(match[1], value) if match else ()
        if match is None or not has_part(value, inner[0]):
            return path, message
        return (*path, *inner), match[2]

    @contextmanager
    def blame(self, path: str | Sequence[Any] = ()) -> Iterator[None]:
        """Report a :class:`UsageError` raised in the ``with`` block at the place of ``path``.

        A message that begins with the name of a field below ``path`` is reported there.

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
            parts, message = self.narrowed(self._split(path), str(error))
            raise SpecError([self.problem(parts, message)]) from error

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
                parts = split_path(path, data)
                data = replaced(_long_form(data, parts), parts, read_value(value))
                changed.append((parts, origin))
            except UsageError as error:
                problems.append(Problem(origin, 0, 0, path, _bare_message(error)))
        if problems:
            raise SpecError(problems)
        return replace(self, data=data, overrides=tuple(changed))

    def _split(self, path: str | Sequence[Any]) -> Path_:
        if not isinstance(path, str):
            return tuple(path)
        return split_path(path, self.data) if path else ()


def _long_form(data: Any, parts: Path_) -> Any:
    """Return ``data`` with a text in the place of a mapping written out, if ``parts`` lead into it."""
    short = len(parts) > 1 and parts[0] in SHORT_FORMS and isinstance(data, Mapping)
    if not short or not isinstance(data.get(parts[0]), str):
        return data
    return {**data, parts[0]: {"name": data[parts[0]]}}


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
    node = read_nodes(read_text(path), file)
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


# --- base: ---------------------------------------------------------------------------------------


def _inherited(node: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """Merge ``node`` over the file that its ``base:`` names; ``chain`` are the files so far."""
    if "base" not in node.children:
        return node
    base = node.children["base"]
    own = _without(node, "base")
    if not isinstance(base.value, str) or not base.value or "\0" in base.value:
        raise SpecError([base.mark.problem("base", f"must be the path of a YAML file, not {shown(base.value)}")])
    target = resolve_base(base.value, path)
    if target.resolve() in chain:
        names = " -> ".join(p.name for p in (*chain[chain.index(target.resolve()) :], target))
        raise SpecError([base.mark.problem("base", f"files form a circle: {names}")])
    text = read_text(target, lambda message: base.mark.problem("base", f"base file {str(target)!r}: {message}"))
    parent = read_nodes(text, str(target))
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


# --- places and messages -----------------------------------------------------------------------


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


def _bare_message(error: UsageError) -> str:
    problems = getattr(error, "problems", ())
    return "; ".join(problem.message for problem in problems) or str(error)


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
