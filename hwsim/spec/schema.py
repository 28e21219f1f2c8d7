"""JSON Schema of the YAML kinds, for editors (completion, hints, red underlines)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_BASE = {
    "type": "string",
    "description": "a file of this kind to start from, relative to this one; keys here replace its keys, null removes",
}


def json_schema(model: type[BaseModel], kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of file.

    Parameters
    ----------
    model
        What files of the kind are bound to.
    kind
        Its name (``"arch"``); the ``$id`` is ``hwsim:arch``.

    Returns
    -------
    dict
        A file with ``base:`` may leave out what its base gives, so required keys are asked only of
        files without one.
    """
    schema: dict[str, Any] = _tidy(model.model_json_schema())
    head = {"$schema": DIALECT, "$id": f"hwsim:{kind}", "title": f"hwsim {kind}"}
    if "base" in schema.get("properties", {}):
        return head | schema | head
    definitions = schema.get("$defs", {})
    required = _required_only(schema, definitions, ())
    optional: dict[str, Any] = _without_required(schema)
    optional["properties"] = {"base": _BASE, **optional.get("properties", {})}
    condition = {"if": {"required": ["base"]}, "else": required} if required else {}
    return head | optional | condition | head


def _tidy(schema: Any) -> Any:
    """Return ``schema`` without what differs from one pydantic to the next and tells editors nothing."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tidy_part(key, part) for key, part in schema.items() if key != "title"}
    if kept.get("additionalProperties") is True:
        del kept["additionalProperties"]
    if "const" in kept:
        kept = {key: part for key, part in kept.items() if key not in ("type", "enum")}
    if len(kept.get("allOf", ())) == 1:
        (only,) = kept.pop("allOf")
        kept = {**only, **kept}
    return kept


def _tidy_part(keyword: str, part: Any) -> Any:
    if keyword in ("properties", "$defs"):
        return {name: _tidy(inner) for name, inner in part.items()}
    if keyword == "description":
        return part.replace("``", "`")
    return part if keyword in ("default", "examples", "enum", "const") else _tidy(part)


def _required_only(schema: dict[str, Any], definitions: dict[str, Any], seen: tuple[str, ...]) -> dict[str, Any]:
    """Return what ``schema`` says about required keys, references written out, and nothing else."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return {} if name in seen else _required_only(definitions[name], definitions, (*seen, name))
    inner = {key: _required_only(part, definitions, seen) for key, part in schema.get("properties", {}).items()}
    skeleton: dict[str, Any] = {"required": schema["required"]} if "required" in schema else {}
    if any(inner.values()):
        skeleton["properties"] = {key: part for key, part in inner.items() if part}
    return skeleton


def _without_required(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_required(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # "required" is a keyword only beside "properties"; below it, it is a field of that name.
    return {
        key: _without_required(part)
        for key, part in schema.items()
        if not (key == "required" and isinstance(part, list) and "properties" in schema)
    }
