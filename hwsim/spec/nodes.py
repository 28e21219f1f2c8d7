"""YAML text to plain values, each with its place in the file.

Anchors, aliases and merge keys (``<<: *name``) work; the same key given twice, tags beyond the
core schema and more than one document per file do not. Every mistake of a file is reported, but
a syntax error ends the reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from hwsim.spec.errors import Problem, SpecError
from hwsim.spec.scalars import Scalar, resolve_scalar

#: Values that the aliases of one file may expand to; beyond it the file is a mistake or an attack.
MAX_VALUES = 1_000_000

_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Mark(NamedTuple):
    """A place in a file; ``line`` and ``column`` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    source_line: str = ""

    def problem(self, path: str, message: str) -> Problem:
        """Return a problem of the field ``path`` at this place."""
        return Problem(self.file, self.line, self.column, path, message, self.source_line)

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


@dataclass(slots=True)
class Node:
    """A plain value, where it stands, and the same of its parts.

    ``keys`` holds the places of a mapping's keys, ``children`` its values by key or a list's items
    by index; both are empty for scalars. ``size`` counts values, shared ones each time.
    """

    value: Any
    mark: Mark
    keys: dict[Any, Mark] = field(default_factory=dict)
    children: dict[Any, Node] = field(default_factory=dict)
    size: int = 1

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, dict)


def mapping_node(mark: Mark, keys: dict[Any, Mark], children: dict[Any, Node]) -> Node:
    """Return the node of a mapping with these parts."""
    value = {key: child.value for key, child in children.items()}
    return Node(value, mark, keys, children, 1 + sum(child.size for child in children.values()))


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
    reader = _Reader(text.removeprefix("\ufeff"), file)
    try:
        return reader.read()
    except RecursionError:
        raise SpecError([Problem(file, 0, 0, "", "is nested too deeply")]) from None


class _CoreTags:
    """Mixin: tells plain scalars from quoted ones and leaves their meaning to the core schema."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return f"{_TAG}map" if kind is yaml.MappingNode else f"{_TAG}seq"


class _PythonLoader(_CoreTags, yaml.SafeLoader):
    """The slow loader; the only one whose messages we show."""


class _FastLoader(_CoreTags, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The loader of libyaml, where PyYAML was built with it."""


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.lines = _LINE_BREAK.split(text)
        self.problems: list[Problem] = []
        self.done: dict[int, Node] = {}
        self.open: set[int] = set()

    def read(self) -> Node:
        top = self._compose()
        if top is None:
            self._fail(self._place(0, 0), "file is empty; expected 'key: value' lines")
        node = self._node(top, "")
        if not node.is_mapping:
            kind = "a list" if isinstance(node.value, list) else repr(node.value)
            self._note(node.mark, "", f"the top level is {kind}; expected 'key: value' lines")
        if self.problems:
            raise SpecError(self.problems)
        return node

    def _compose(self) -> Any:
        try:
            return yaml.compose(self.text, _FastLoader)
        except yaml.YAMLError:
            pass
        try:
            return yaml.compose(self.text, _PythonLoader)
        except yaml.MarkedYAMLError as error:
            self._fail(self._mark(error.problem_mark), _syntax_message(error, self.lines))
        except yaml.reader.ReaderError as error:
            line, column = _position(self.text, error.position)
            message = f"character U+{ord(self.text[error.position]):04X} is not allowed in YAML"
            self._fail(self._place(line, column), message)

    def _node(self, node: Any, path: str) -> Node:
        if id(node) in self.done:
            return self.done[id(node)]
        mark = self._mark(node.start_mark)
        if id(node) in self.open:
            self._fail(mark, "an anchor refers to itself", path)
        self.open.add(id(node))
        built = self._build(node, mark, path)
        self.open.discard(id(node))
        if built.size > MAX_VALUES:
            self._fail(mark, f"aliases expand to more than {MAX_VALUES:,} values", path)
        self.done[id(node)] = built
        return built

    def _build(self, node: Any, mark: Mark, path: str) -> Node:
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, mark, path), mark)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, mark, path, "seq")
            items = [self._node(item, join(path, i)) for i, item in enumerate(node.value)]
            size = 1 + sum(item.size for item in items)
            return Node([item.value for item in items], mark, {}, dict(enumerate(items)), size)
        self._check_tag(node, mark, path, "map")
        return self._mapping(node, mark, path)

    def _mapping(self, node: Any, mark: Mark, path: str) -> Node:
        keys: dict[Any, Mark] = {}
        children: dict[Any, Node] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            key, key_mark = self._key(key_node, path)
            if key in keys:
                self._note(key_mark, join(path, key), f"key {key!r} is given twice; first at {_at(keys[key])}")
                continue
            keys[key] = key_mark
            child = self._node(value_node, join(path, key))
            if key == "<<" and key_node.tag == _PLAIN:
                merged = self._merged(child, path)
            else:
                children[key] = child
        for source in merged:
            for key, child in source.children.items():
                keys.setdefault(key, source.keys[key])
                children.setdefault(key, child)
        return mapping_node(mark, keys, children)

    def _key(self, node: Any, path: str) -> tuple[Scalar, Mark]:
        mark = self._mark(node.start_mark)
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
        tag = node.tag.removeprefix(_TAG)
        if tag == "str":
            return text
        try:
            value = resolve_scalar(text)
        except ValueError:
            self._note(mark, path, f"integer of {len(text)} digits is too long")
            return 0
        if tag in (_PLAIN, _NAMES[type(value)]):
            return value
        if tag == "float" and type(value) is int:
            return float(value)
        self._note(mark, path, f"tag {_shown(node.tag)} does not fit {text!r}; remove it")
        return value

    def _check_tag(self, node: Any, mark: Mark, path: str, expected: str) -> None:
        if node.tag != f"{_TAG}{expected}":
            self._note(mark, path, f"tag {_shown(node.tag)} is not supported; remove it")

    def _mark(self, mark: Any) -> Mark:
        return self._place(mark.line, mark.column)

    def _place(self, line: int, column: int) -> Mark:
        source = self.lines[line] if line < len(self.lines) else ""
        return Mark(self.file, line + 1, column + 1, source)

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


def _at(mark: Mark) -> str:
    return f"{mark.file}:{mark.line}:{mark.column}"


def _shown(tag: str) -> str:
    return tag.replace(_TAG, "!!")


def _position(text: str, offset: int) -> tuple[int, int]:
    lines = _LINE_BREAK.split(text[:offset])
    return len(lines) - 1, len(lines[-1])


def _syntax_message(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    """Say what a person did to get PyYAML's message."""
    problem, context, mark = error.problem or "", error.context or "", error.problem_mark
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "line is indented with a tab; YAML indents with spaces"
    for known, message in _SYNTAX.items():
        if known in problem or known in context:
            return message
    where = f" {context}" if context else ""
    if context and error.context_mark is not None and error.context_mark.line != (mark.line if mark else 0):
        where += f" that starts in line {error.context_mark.line + 1}"
    return f"not valid YAML: {problem}{where}"


#: Part of PyYAML's message: what to say instead.
_SYNTAX = {
    "expected a single document": "a second document starts here; give each a file of its own",
    "expected '<document start>'": "a second document starts here; give each a file of its own",
    "mapping values are not allowed": "unexpected ': '; check the indentation, the space after the colon "
    "above, and quote text that contains ': '",
    "expected <block end>": "indentation does not match the lines above, or a list and keys are mixed",
    "could not find expected ':'": "expected 'key: value' with a space after the colon",
    "that cannot start any token": "a value cannot start with this character; quote it",
}
