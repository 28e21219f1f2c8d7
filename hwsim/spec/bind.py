"""A document against a pydantic model: a typed spec, or every mistake at once, at its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from hwsim.spec.document import Document, plain
from hwsim.spec.errors import SpecError
from hwsim.spec.schema import json_schema
from hwsim.spec.wording import problems_of

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
R = TypeVar("R")


class Spec(BaseModel):
    """Base of every model that a file is bound to.

    Unknown keys are refused, instances are frozen, numbers are finite. Scalars keep their kind:
    ``"64"`` is no integer, ``true`` no number and ``yes`` no boolean; a float without fraction
    (``1e6``) is an integer. Validators may raise ``UsageError``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return cast(CoreSchema, _keep_kinds(handler(source)))


def bind(document: Document, model: type[M]) -> M:
    """Validate a document.

    Parameters
    ----------
    document
        From :func:`~hwsim.spec.document.load_document`, with or without overrides.
    model
        What the document must be, usually a :class:`Spec`.

    Raises
    ------
    SpecError
        With every mistake, each at the file, line and column of the value that caused it.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(problems_of(error, model, document)) from None


def validate_mapping(data: Mapping[str, Any], model: type[M], origin: str = "python") -> M:
    """Validate a mapping made in Python; ``origin`` stands in messages where a file name would.

    Raises
    ------
    SpecError
        With every mistake.
    """
    return bind(Document(origin, plain(data)), model)


def as_value_error(function: Callable[P, R]) -> Callable[P, R]:
    """Return ``function``: a ``UsageError`` is a ``ValueError``, so any function can validate."""
    return function


def _keep_kinds(schema: Any) -> Any:
    """Return a core schema whose scalars accept their own kind only.

    Containers stay lax, because YAML has lists where a spec has tuples.
    """
    if isinstance(schema, list):
        return [_keep_kinds(item) for item in schema]
    if isinstance(schema, tuple):
        return tuple(_keep_kinds(item) for item in schema)
    if not isinstance(schema, dict):
        return schema
    walked = {key: value if key in _OPAQUE else _keep_kinds(value) for key, value in schema.items()}
    if walked.get("type") not in ("int", "float", "bool") or walked.get("strict"):
        return walked
    walked["strict"] = True
    if walked["type"] == "int":
        return core_schema.no_info_before_validator_function(_whole, cast(CoreSchema, walked))
    return walked


#: Parts of a core schema that hold no schemas.
_OPAQUE = frozenset({"metadata", "config", "cls", "default", "expected", "serialization", "ref"})


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


__all__ = ["Spec", "as_value_error", "bind", "json_schema", "validate_mapping"]
