"""What pydantic found wrong, in our words and at its place in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hwsim.spec.document import Document, dotted, has_part
from hwsim.spec.errors import Problem, SpecError, closest, did_you_mean


@dataclass(frozen=True)
class Found:
    """One pydantic error, its location split into data and the names of union members.

    ``labels`` holds ``(depth in path, name)`` for every part of the location that names a member
    of a union, not a key of the data. ``loc`` is pydantic's location.
    """

    kind: str
    loc: tuple[Any, ...]
    path: tuple[Any, ...]
    labels: tuple[tuple[int, Any], ...]
    value: Any
    context: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class Rejected:
    """A value that no member of a union accepts."""

    path: tuple[Any, ...]
    members: tuple[Found, ...]


def problems_of(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """Return one :class:`Problem` per mistake.

    Parameters
    ----------
    error
        From validating ``document.data`` against ``model``.
    """
    found = [_found(details, document) for details in error.errors(include_url=False)]
    problems: list[Problem] = []
    for item in _collapse(found, 0):
        if isinstance(item, Rejected):
            problems.append(document.problem(item.path, _rejected_text(item)))
        else:
            problems += _problems(item, model, document)
    return problems


def _found(details: Any, document: Document) -> Found:
    loc, kind = details["loc"], details["type"]
    path: list[Any] = []
    labels: list[tuple[int, Any]] = []
    value: Any = document.data
    for index, part in enumerate(loc):
        if has_part(value, part):
            value = value[part]
            path.append(part)
        elif kind == "missing" and index == len(loc) - 1:
            path.append(part)
        elif part != "[key]":
            labels.append((len(path), part))
    return Found(kind, loc, tuple(path), tuple(labels), details["input"], details.get("ctx", {}), details["msg"])


# --- unions --------------------------------------------------------------------------------------


def _collapse(found: list[Found], level: int) -> Iterator[Found | Rejected]:
    """Yield the errors with those of a union's members made one statement."""
    unions: dict[tuple[Any, ...], list[Found]] = {}
    for item in found:
        if len(item.labels) <= level:
            yield item
        else:
            depth = item.labels[level][0]
            unions.setdefault((item.path[:depth], item.labels[:level]), []).append(item)
    for (path, _), items in unions.items():
        members: dict[Any, list[Found]] = {}
        for item in items:
            members.setdefault(item.labels[level][1], []).append(item)
        if len(members) == 1:
            yield from _collapse(items, level + 1)
            continue
        meant = [errors for errors in members.values() if any(len(e.path) > len(path) for e in errors)]
        if meant:  # the value has the right shape for these; the nearest is the one with the fewest mistakes
            yield from _collapse(min(meant, key=len), level + 1)
        else:
            yield Rejected(path, tuple(items))


def _rejected_text(union: Rejected) -> str:
    parts = list(dict.fromkeys(_expected(item) or item.text for item in union.members))
    value = union.members[0].value
    names = [name for item in union.members for name in _alternatives(item)]
    return f"must be {' or '.join(parts)}, not {shown(value)}{_hint(value, names)}"


# --- one error -----------------------------------------------------------------------------------


def _problems(item: Found, model: type[BaseModel], document: Document) -> list[Problem]:
    if item.kind in ("extra_forbidden", "invalid_key"):
        valid = field_names(model, item.loc[:-1])
        name = item.loc[-1]
        return [document.problem(item.path, f"unknown key {name!r}; {did_you_mean(name, valid)}", key=True)]
    if item.kind == "missing":
        text = f"missing field {item.path[-1]!r}{_field_help(model, item.loc)}"
        return [_at_parent(document, item.path, text)]
    if item.kind in ("union_tag_invalid", "union_tag_not_found"):
        return [_tag_problem(item, document)]
    cause = item.context.get("error")
    if isinstance(cause, SpecError):
        return list(cause.problems)
    if cause is not None:
        path, text = _narrowed(item.path, str(cause), document)
        return [document.problem(path, text)]
    return [document.problem(item.path, _text(item), key="[key]" in item.loc)]


def _at_parent(document: Document, path: tuple[Any, ...], text: str) -> Problem:
    return document.mark(path).problem(dotted(path[:-1]), text)


def _tag_problem(item: Found, document: Document) -> Problem:
    name = item.context["discriminator"].strip("'")
    if item.kind == "union_tag_not_found":
        return _at_parent(document, (*item.path, name), f"missing field {name!r}, which says what this is")
    tag, valid = item.context["tag"], _names_in(item.context["expected_tags"])
    return document.problem((*item.path, name), f"unknown {name} {tag!r}; {did_you_mean(tag, valid)}")


def _narrowed(path: tuple[Any, ...], text: str, document: Document) -> tuple[tuple[Any, ...], str]:
    """Move a message that begins with the name of a field (``array.rows: …``) to that field."""
    match = re.match(r"([\w.]+): (.+)", text, re.DOTALL)
    if match:
        value, inner = document.get(path), []
        for part in match[1].split("."):
            if not has_part(value, part):
                return path, text
            value = value[part]
            inner.append(part)
        return (*path, *inner), match[2]
    return path, text


def _text(item: Found) -> str:
    expected = _expected(item)
    if expected is None:
        return f"{item.text[:1].lower()}{item.text[1:]}, not {shown(item.value)}"
    return f"must be {expected}, not {shown(item.value)}{_advice(item)}{_hint(item.value, _alternatives(item))}"


def _advice(item: Found) -> str:
    if item.kind == "string_type" and isinstance(item.value, (int, float)):
        return "; quote it"
    if item.kind.startswith(("int_", "float_", "bool_")) and isinstance(item.value, str):
        from hwsim.spec.scalars import resolve_scalar

        if not isinstance(resolve_scalar(item.value), str):
            return "; remove the quotes"
    return ""


def _hint(value: Any, names: list[str]) -> str:
    near = closest(value, names) if isinstance(value, str) and names else None
    return f" (did you mean {near!r}?)" if near else ""


_EXPECTED: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "none_required": "null",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than": lambda c: f"> {c['gt']}",
    "greater_than_equal": lambda c: f"at least {c['ge']}",
    "less_than": lambda c: f"< {c['lt']}",
    "less_than_equal": lambda c: f"at most {c['le']}",
    "multiple_of": lambda c: f"a multiple of {c['multiple_of']}",
    "too_short": lambda c: f"at least {_items(c['min_length'])} long",
    "too_long": lambda c: f"at most {_items(c['max_length'])} long",
    "string_too_short": lambda c: f"text of at least {c['min_length']} character{'s' * (c['min_length'] != 1)}",
    "string_too_long": lambda c: f"text of at most {c['max_length']} character{'s' * (c['max_length'] != 1)}",
    "string_pattern_mismatch": lambda c: f"text like {c['pattern']}",
    "literal_error": lambda c: str(c["expected"]),
    "enum": lambda c: str(c["expected"]),
}


def _items(count: int) -> str:
    return f"{count} item{'s' * (count != 1)}"


def _expected(item: Found) -> str | None:
    words = _EXPECTED.get(item.kind)
    return words(item.context) if callable(words) else words


def _alternatives(item: Found) -> list[str]:
    return _names_in(str(item.context["expected"])) if item.kind in ("literal_error", "enum") else []


def _names_in(expected: str) -> list[str]:
    """Return the names in pydantic's ``"'a', 'b' or 'c'"``."""
    return [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]


def shown(value: Any) -> str:
    """Return a value as a message shows it: as YAML writes it, and short."""
    if isinstance(value, (Mapping, BaseModel)):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {_items(len(value))}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


# --- what a model holds --------------------------------------------------------------------------


def field_names(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Return the keys that are valid at ``loc``, a pydantic location within ``model``."""
    return sorted({name for found in _models_at(model, loc) for name in _fields(found)})


def _field_help(model: type[BaseModel], loc: tuple[Any, ...]) -> str:
    """Return what a missing field is, and what is required beside it."""
    fields: dict[str, FieldInfo] = {}
    for found in _models_at(model, loc[:-1]):
        fields |= _fields(found)
    info = fields.get(loc[-1])
    what = f" ({info.description})" if info is not None and info.description else ""
    required = sorted(name for name, field in fields.items() if field.is_required())
    return f"{what}; required: {', '.join(required)}" if len(required) > 1 else what


def _models_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[type[BaseModel]]:
    types: list[Any] = [model]
    for part in loc:
        types = [inner for tp in types for inner in _step(tp, part)] or types
    return [tp for tp in types if _is_model(tp)]


def _step(tp: Any, part: Any) -> list[Any]:
    """Return the types that ``part`` of a location leads to from ``tp``."""
    if _is_model(tp):
        fields = _fields(tp)
        if part in fields:
            return _members(fields[part].annotation)
        return [tp] if part == tp.__name__ or _is_tagged(tp, part) else []
    arguments = get_args(tp)
    if not arguments:
        return []
    return _members(
        arguments[-1] if isinstance(get_origin(tp), type) and issubclass(get_origin(tp), Mapping) else arguments[0]
    )


def _members(tp: Any) -> list[Any]:
    """Return the members of a union, or the type itself, without annotations."""
    if hasattr(tp, "__value__"):  # the ``type`` statement of Python 3.12
        return _members(tp.__value__)
    if get_origin(tp) is Annotated:
        return _members(get_args(tp)[0])
    if get_origin(tp) in (Union, UnionType):
        return [inner for member in get_args(tp) for inner in _members(member)]
    return [tp]


def _is_model(tp: Any) -> bool:
    return isinstance(tp, type) and issubclass(tp, BaseModel)


def _is_tagged(tp: type[BaseModel], tag: Any) -> bool:
    literals = (f.annotation for f in tp.model_fields.values() if get_origin(f.annotation) is Literal)
    return any(tag in get_args(literal) for literal in literals)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}
