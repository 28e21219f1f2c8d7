"""YAML text to PyYAML's nodes, or the mistake that ends the reading, in words of a person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import yaml

from hwsim.spec.errors import Problem, SpecError

#: Levels of lists and mappings. No spec comes near it, and libyaml's composer crashes the process
#: some ten thousand levels further down.
MAX_DEPTH = 100

#: Prefix of the tags of the core schema.
TAG = "tag:yaml.org,2002:"
#: Tag of unquoted scalars, whose meaning the core schema decides.
PLAIN = "plain"

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


@dataclass(frozen=True)
class Source:
    """A file's text, and what messages call the file."""

    text: str
    file: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return _LINE_BREAK.split(self.text)

    def place(self, line: int, column: int) -> Mark:
        """Return the mark of a place that counts from 0."""
        shown = self.lines[line] if line < len(self.lines) else ""
        return Mark(self.file, line + 1, column + 1, shown)

    def mark(self, mark: Any) -> Mark:
        """Return the mark of one of PyYAML's, which count from 0."""
        return self.place(mark.line, mark.column)


class _CoreTags:
    """Mixin: tells plain scalars from quoted ones and leaves their meaning to the core schema."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return PLAIN if implicit[0] else f"{TAG}str"
        return f"{TAG}map" if kind is yaml.MappingNode else f"{TAG}seq"


class PythonLoader(_CoreTags, yaml.SafeLoader):
    """The slow loader; the only one whose messages we show."""


class FastLoader(_CoreTags, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The loader of libyaml, where PyYAML was built with it."""


def compose(source: Source) -> Any:
    """Return the root of PyYAML's node graph, or None for a file without a value.

    Raises
    ------
    SpecError
        If the text is no YAML, holds a second document or is nested deeper than :data:`MAX_DEPTH`.
    """
    _refuse_depth(source)
    try:
        return yaml.compose(source.text, FastLoader)
    except yaml.YAMLError:
        pass
    try:
        return yaml.compose(source.text, PythonLoader)
    except yaml.MarkedYAMLError as error:
        _fail(*_syntax_problem(error, source))
    except yaml.reader.ReaderError as error:
        lines = _LINE_BREAK.split(source.text[: error.position])
        message = f"character U+{ord(source.text[error.position]):04X} is not allowed in YAML"
        _fail(source.place(len(lines) - 1, len(lines[-1])), message)


def _refuse_depth(source: Source) -> None:
    """Count levels by the parser's events, which take no recursion.

    Newer releases of libyaml give up before they report the first event of a very deep flow.
    """
    for loader in (FastLoader, PythonLoader):
        try:
            _count_levels(loader(source.text), source)
            return
        except yaml.YAMLError:
            continue  # composing meets it again and says what it is


def _count_levels(loader: Any, source: Source) -> None:
    depth = 0
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                _fail(source.mark(event.start_mark), f"is nested too deeply; at most {MAX_DEPTH} levels are read")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _fail(mark: Mark, message: str) -> NoReturn:
    raise SpecError([mark.problem("", message)])


def _syntax_problem(error: yaml.MarkedYAMLError, source: Source) -> tuple[Mark, str]:
    """Return where a person went wrong to get PyYAML's message, and what it was."""
    problem, context = error.problem or "", error.context or ""
    stop, start = error.problem_mark, error.context_mark or error.problem_mark
    if stop is None or start is None:
        return Mark(source.file), f"not valid YAML: {problem}"
    line = source.lines[stop.line] if stop.line < len(source.lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return source.mark(stop), "line is indented with a tab; YAML indents with spaces"
    for known, message in _AT_START.items():
        if known in context and (start.line != stop.line or "stream" in problem):
            return source.mark(start), message
    for known, message in _AT_STOP.items():
        if known in problem or known in context:
            return source.mark(stop), message
    where = f" {context}" if context else ""
    return source.mark(stop), f"not valid YAML: {problem}{where}"


#: Part of PyYAML's context: what to say where that began, if the parser stopped on a later line.
_AT_START = {
    "scanning a simple key": "expected 'key: value' with a space after the colon",
    "parsing a flow mapping": "this '{' is not closed, or a comma is missing after it",
    "parsing a flow sequence": "this '[' is not closed, or a comma is missing after it",
    "scanning a quoted scalar": "this quote is never closed",
}

#: Part of PyYAML's message: what to say where the parser stopped. The first that fits is taken.
_AT_STOP = {
    "expected a single document": "a second document starts here; give each a file of its own",
    "expected '<document start>'": "a second document starts here; give each a file of its own",
    "mapping values are not allowed": "unexpected ': '; check the indentation and the space after the colon above; "
    "quote text that contains ': '",
    "<block end>, but found '}'": "this '}' closes nothing",
    "<block end>, but found ']'": "this ']' closes nothing",
    "<block end>, but found '<scalar>'": "text after the end of a value; put quotes around the whole value",
    "expected <block end>": "indentation does not match the lines above, or a list and keys are mixed",
    "scanning a simple key": "expected 'key: value' with a space after the colon",
    "that cannot start any token": "a value cannot start with this character; quote it",
    "expected ',' or '}'": "expected ',' or '}' before this",
    "expected ',' or ']'": "expected ',' or ']' before this",
    "the node content, but found '<stream end>'": "the file ends before a '[' or '{' is closed",
    "expected the node content": "expected a value here; quote it if it is text",
}
