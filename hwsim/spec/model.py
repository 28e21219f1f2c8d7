"""The base of every model that a file is bound to."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Parts of a core schema that hold no schemas.
_OPAQUE = frozenset({"metadata", "config", "cls", "default", "expected", "serialization", "ref"})


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


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


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
