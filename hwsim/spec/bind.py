"""A document against a pydantic model: a typed spec, or every mistake at once, at its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError

from hwsim.spec.document import Document, plain
from hwsim.spec.errors import SpecError
from hwsim.spec.model import Spec
from hwsim.spec.schema import json_schema
from hwsim.spec.wording import problems_of

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
R = TypeVar("R")


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


__all__ = ["Spec", "as_value_error", "bind", "json_schema", "validate_mapping"]
