"""What a pydantic model holds at a location of a validation error."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def field_names(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Return the keys that are valid at ``loc``, a pydantic location within ``model``."""
    return sorted({name for found in models_at(model, loc) for name in fields_of(found)})


def models_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[type[BaseModel]]:
    """Return the models that may stand at ``loc``: several within a union."""
    types: list[Any] = [model]
    for part in loc:
        types = [inner for tp in types for inner in _step(tp, part)] or types
    return [tp for tp in types if _is_model(tp)]


def _step(tp: Any, part: Any) -> list[Any]:
    """Return the types that ``part`` of a location leads to from ``tp``."""
    if _is_model(tp):
        fields = fields_of(tp)
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


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the key that files use."""
    return {info.alias or name: info for name, info in model.model_fields.items()}
