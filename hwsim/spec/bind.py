"""From a document to a validated spec, with every mistake at its place.

pydantic validates; this module turns its findings into ``file:line:col: path: what was found;
what is valid``, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hwsim.spec.document import Document
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean

S = TypeVar("S", bound=BaseModel)
V = TypeVar("V")


class Spec(BaseModel):
    """Base of all specs: unknown keys are mistakes, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def as_value_error(check: Callable[[Any], V]) -> Callable[[Any], V]:
    """Wrap a check that raises UsageError so that pydantic reports it as a finding."""

    def checked(value: Any) -> V:
        try:
            return check(value)
        except UsageError as error:
            raise ValueError(str(error)) from error

    return checked


def bind(document: Document, model: type[S]) -> S:
    """Return ``document`` as an instance of ``model``.

    Raises
    ------
    SpecError
        With every problem of the document.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(_problem(document, model, finding) for finding in error.errors()) from None


def validate_mapping(data: Mapping[str, Any], model: type[S], origin: str = "python") -> S:
    """Return plain data as an instance of ``model``; problems name ``origin``."""
    return bind(Document(origin, dict(data)), model)


def _problem(document: Document, model: type[BaseModel], finding: Any) -> Problem:
    keys = _real_path(document.data, [str(part) for part in finding["loc"]])
    path, kind = tuple(keys), finding["type"]
    dotted = ".".join(path)
    if kind == "extra_forbidden":
        fields = sorted(_fields_at(model, path[:-1]))
        message = f"unknown key {path[-1]!r}; {did_you_mean(path[-1], fields)}"
    elif kind == "missing":
        message = f"missing field {finding['loc'][-1]!r}"
        path = path[:-1] if path and path[-1] == str(finding["loc"][-1]) else path
    elif kind == "literal_error":
        valid = finding["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        message = f"found {finding['input']!r}; {did_you_mean(finding['input'], valid)}"
    elif kind in ("value_error", "assertion_error"):
        message = finding["msg"].split(", ", 1)[1]
    else:
        message = f"found {finding['input']!r}; valid: {finding['msg'][0].lower()}{finding['msg'][1:]}"
    return document.mark(path).problem(dotted, message)


def _real_path(data: Any, parts: list[str]) -> list[str]:
    """Drop the parts of a finding's location that name union branches instead of fields."""
    path = []
    for i, part in enumerate(parts):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif not (isinstance(data, Mapping) and i == len(parts) - 1):
            continue
        path.append(part)
    return path


def _fields_at(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    current: Any = model
    for key in path:
        if key.isdigit():
            continue
        field = current.model_fields.get(key)
        current = _model_in(field.annotation) if field else None
        if current is None:
            return []
    return list(current.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [_model_in(arg) for arg in getattr(annotation, "__args__", ())]
    return next((m for m in inner if m is not None), None)


def json_schema(model: type[BaseModel], kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``model`` for editors."""
    schema = model.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"hwsim:{kind}"}
    return {**head, **schema, "title": f"hwsim {kind}"}
