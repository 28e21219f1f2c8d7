"""What pydantic found wrong, in our words and at its place in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hwsim.spec.compose import Mark
from hwsim.spec.document import Document, dotted, has_part
from hwsim.spec.errors import Problem, SpecError, closest, did_you_mean, shown
from hwsim.spec.fields import field_names, fields_of, models_at


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
    items = list(_collapse([_found(details, document) for details in error.errors(include_url=False)], 0))
    missing = [item for item in items if isinstance(item, Found) and item.kind == "missing"]
    problems = list(_missing(missing, _misspelt(items, model), model, document))
    for item in items:
        if isinstance(item, Rejected):
            problems.append(document.problem(item.path, _rejected_text(item)))
        elif item.kind != "missing":
            problems += _problems(item, model, document)
    return problems


def _found(details: Any, document: Document) -> Found:
    loc, kind = details["loc"], details["type"]
    path: list[Any] = []
    labels: list[tuple[int, Any]] = []
    value: Any = document.data
    for index, part in enumerate(loc):
        if not has_part(value, part) and kind in _UNKNOWN_KEY and index == len(loc) - 1:
            part = next((key for key in value if str(key) == part), part)
        if has_part(value, part):
            value = value[part]
            path.append(part)
        elif kind == "missing" and index == len(loc) - 1:
            path.append(part)
        elif part != "[key]":
            labels.append((len(path), part))
    return Found(kind, loc, tuple(path), tuple(labels), details["input"], details.get("ctx", {}), details["msg"])


_UNKNOWN_KEY = ("extra_forbidden", "invalid_key")


# --- keys ----------------------------------------------------------------------------------------


def _misspelt(items: Iterable[Found | Rejected], model: type[BaseModel]) -> set[tuple[Any, ...]]:
    """Return the paths of the fields that unknown keys seem to mean."""
    unknown = [item for item in items if isinstance(item, Found) and item.kind in _UNKNOWN_KEY]
    return {(*item.path[:-1], closest(item.loc[-1], field_names(model, item.loc[:-1]))) for item in unknown}


def _missing(
    missing: Iterable[Found], misspelt: set[tuple[Any, ...]], model: type[BaseModel], document: Document
) -> Iterator[Problem]:
    """Yield one problem per mapping that lacks fields; a misspelt field is not missing."""
    parents: dict[tuple[Any, ...], list[Found]] = {}
    for item in missing:
        if item.path not in misspelt:
            parents.setdefault(item.path[:-1], []).append(item)
    for items in parents.values():
        names = [str(item.path[-1]) for item in items]
        text = f"missing field{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"
        yield _at_parent(document, items[0].path, f"{text}{_field_help(model, items[0].loc, names)}")


def _field_help(model: type[BaseModel], loc: tuple[Any, ...], names: list[str]) -> str:
    """Return what a single missing field is, and what is required beside those missing."""
    fields: dict[str, FieldInfo] = {}
    for found in models_at(model, loc[:-1]):
        fields |= fields_of(found)
    info = fields.get(names[0]) if len(names) == 1 else None
    what = f" ({info.description})" if info is not None and info.description else ""
    required = sorted(name for name, field in fields.items() if field.is_required())
    return f"{what}; required: {', '.join(required)}" if set(required) - set(names) else what


def _at_parent(document: Document, path: tuple[Any, ...], text: str) -> Problem:
    mark = document.mark(path) if len(path) > 1 else Mark(document.file)
    return mark.problem(dotted(path[:-1]), text)


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
    if item.kind in _UNKNOWN_KEY:
        valid = field_names(model, item.loc[:-1])
        name = item.path[-1] if len(item.path) == len(item.loc) else item.loc[-1]
        return [document.problem(item.path, f"unknown key {shown(name)}; {did_you_mean(name, valid)}", key=True)]
    if item.kind in ("union_tag_invalid", "union_tag_not_found"):
        return [_tag_problem(item, document)]
    cause = item.context.get("error")
    if isinstance(cause, SpecError):
        return list(cause.problems)
    if cause is not None:
        return [document.problem(*document.narrowed(item.path, str(cause)))]
    return [document.problem(item.path, _text(item, model), key="[key]" in item.loc)]


def _tag_problem(item: Found, document: Document) -> Problem:
    name = item.context["discriminator"].strip("'")
    if item.kind == "union_tag_not_found":
        return _at_parent(document, (*item.path, name), f"missing field {name!r}, which says what this is")
    tag, valid = item.context["tag"], _names_in(item.context["expected_tags"])
    return document.problem((*item.path, name), f"unknown {name} {tag!r}; {did_you_mean(tag, valid)}")


def _text(item: Found, model: type[BaseModel]) -> str:
    expected = _expected(item)
    if expected is None:
        return f"{item.text[:1].lower()}{item.text[1:]}, not {shown(item.value)}"
    advice = _advice(item, model) or _hint(item.value, _alternatives(item))
    return f"must be {expected}, not {shown(item.value)}{advice}"


def _advice(item: Found, model: type[BaseModel]) -> str:
    if item.kind in ("model_type", "model_attributes_type"):
        return f"; valid keys: {', '.join(field_names(model, item.loc))}"
    if item.kind == "string_type" and isinstance(item.value, (int, float)):
        return "; quote it"
    if item.kind.startswith(("int_", "float_", "bool_")) and isinstance(item.value, str):
        from hwsim.spec.scalars import resolve_scalar

        if not isinstance(resolve_scalar(item.value), str):
            return "; remove the quotes"
        if item.kind.startswith("bool_") and item.value.lower() in _YES_NO:
            return f"; write {_YES_NO[item.value.lower()]}"
    return ""


#: Words that YAML 1.1 read as booleans and YAML 1.2 reads as text.
_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


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
