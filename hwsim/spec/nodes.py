"""YAML text to plain values, each with its place in the file.

Anchors, aliases and merge keys (``<<: *name``) work; the same key given twice, tags beyond the
core schema and more than one document per file do not. Every mistake of a file is reported, but
a syntax error ends the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from hwsim.spec.compose import MAX_DEPTH, PLAIN, TAG, Mark, Source, compose
from hwsim.spec.errors import Problem, SpecError, shown
from hwsim.spec.scalars import Scalar, resolve_scalar

#: Values that the aliases of one file may expand to; beyond it the file is a mistake or an attack.
MAX_VALUES = 1_000_000


@dataclass(slots=True)
class Node:
    """A plain value, where it stands, and the same of its parts.

    ``keys`` holds the places of a mapping's keys, ``children`` its values by key or a list's items
    by index; both are empty for scalars. ``size`` counts values, shared ones each time; ``depth``
    counts levels.
    """

    value: Any
    mark: Mark
    keys: dict[Any, Mark] = field(default_factory=dict)
    children: dict[Any, Node] = field(default_factory=dict)
    size: int = 1
    depth: int = 1

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, dict)


def mapping_node(mark: Mark, keys: dict[Any, Mark], children: dict[Any, Node]) -> Node:
    """Return the node of a mapping with these parts."""
    return _collection({key: child.value for key, child in children.items()}, mark, keys, children)


def _collection(value: Any, mark: Mark, keys: dict[Any, Mark], children: dict[Any, Node]) -> Node:
    parts = children.values()
    size, depth = sum(part.size for part in parts), max((part.depth for part in parts), default=0)
    return Node(value, mark, keys, children, 1 + size, 1 + depth)


def read_nodes(text: str, file: str) -> Node:
    """Read one YAML document whose top level is a mapping.

    Parameters
    ----------
    text
        The file's text.
    file
        What messages call the file.

    Raises
    ------
    SpecError
        If it is empty, no valid YAML, or its top level is no mapping.
    """
    return _Reader(Source(text.removeprefix("\ufeff"), file)).read()


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.done: dict[int, Node] = {}
        self.open: set[int] = set()

    def read(self) -> Node:
        top = compose(self.source)
        if top is None:
            self._fail(self.source.place(0, 0), "file is empty; expected 'key: value' lines")
        node = self._node(top, "")
        if not node.is_mapping:
            self._note(node.mark, "", f"the top level is {shown(node.value)}; expected 'key: value' lines")
        if self.problems:
            raise SpecError(self.problems)
        return node

    def _node(self, node: Any, path: str) -> Node:
        if id(node) in self.done:
            return self.done[id(node)]
        mark = self.source.mark(node.start_mark)
        if id(node) in self.open:
            self._fail(mark, "an anchor refers to itself", path)
        self.open.add(id(node))
        built = self._build(node, mark, path)
        self.open.discard(id(node))
        if built.size > MAX_VALUES:
            self._fail(mark, f"aliases expand to more than {MAX_VALUES:,} values", path)
        if built.depth > MAX_DEPTH:
            self._fail(mark, f"aliases expand to more than {MAX_DEPTH} levels", path)
        self.done[id(node)] = built
        return built

    def _build(self, node: Any, mark: Mark, path: str) -> Node:
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, mark, path), mark)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, mark, path, "seq")
            items = [self._node(item, join(path, i)) for i, item in enumerate(node.value)]
            return _collection([item.value for item in items], mark, {}, dict(enumerate(items)))
        self._check_tag(node, mark, path, "map")
        return self._mapping(node, mark, path)

    def _mapping(self, node: Any, mark: Mark, path: str) -> Node:
        keys: dict[Any, Mark] = {}
        children: dict[Any, Node] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            key, key_mark = self._key(key_node, path)
            if key in keys:
                self._note(key_mark, join(path, key), f"key {key!r} is given twice; first at {keys[key]}")
                continue
            keys[key] = key_mark
            child = self._node(value_node, join(path, key))
            if key == "<<" and key_node.tag == PLAIN:
                merged = self._merged(child, path)
            else:
                children[key] = child
        for source in merged:
            for key, child in source.children.items():
                keys.setdefault(key, source.keys[key])
                children.setdefault(key, child)
        return mapping_node(mark, keys, children)

    def _key(self, node: Any, path: str) -> tuple[Scalar, Mark]:
        mark = self.source.mark(node.start_mark)
        if not isinstance(node, yaml.ScalarNode):
            self._fail(mark, "a key must be a name, not a list or mapping", path)
        return self._scalar(node, mark, path), mark

    def _merged(self, node: Node, path: str) -> list[Node]:
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        if not all(source.is_mapping for source in sources):
            self._note(node.mark, join(path, "<<"), "'<<' merges mappings: write '<<: *anchor' of a mapping")
            return []
        return sources

    def _scalar(self, node: Any, mark: Mark, path: str) -> Scalar:
        try:
            text = _join_surrogates(node.value)
        except UnicodeError:
            self._note(mark, path, "escaped character is half of a surrogate pair")
            return ""
        tag = node.tag.removeprefix(TAG)
        if tag == "str":
            return text
        try:
            value = resolve_scalar(text)
        except ValueError:
            self._note(mark, path, f"integer of {len(text)} digits is too long")
            return 0
        if tag in (PLAIN, _NAMES[type(value)]):
            return value
        if tag == "float" and type(value) is int:
            return float(value)
        self._note(mark, path, f"tag {_short_tag(node.tag)} does not fit {text!r}; remove it")
        return value

    def _check_tag(self, node: Any, mark: Mark, path: str, expected: str) -> None:
        if node.tag != f"{TAG}{expected}":
            self._note(mark, path, f"tag {_short_tag(node.tag)} is not supported; remove it")

    def _note(self, mark: Mark, path: str, message: str) -> None:
        self.problems.append(mark.problem(path, message))

    def _fail(self, mark: Mark, message: str, path: str = "") -> Any:
        raise SpecError([*self.problems, mark.problem(path, message)])


_NAMES = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null"}


def join(path: str, key: object) -> str:
    """Return the dotted path of a part of ``path``."""
    return f"{path}.{key}" if path else str(key)


def _join_surrogates(text: str) -> str:
    """Return text with the pairs of escapes by which JSON writes rare characters made one character."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _short_tag(tag: str) -> str:
    return tag.replace(TAG, "!!")
