"""Which method computes which function: from the fields of an architecture to units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.hardware.functions.base import FunctionUnit
from hwsim.hardware.functions.kernels import FUNCTIONS
from hwsim.hardware.functions.registry import METHODS, make_function
from hwsim.spec.errors import UsageError, did_you_mean


def chosen_units(given: Mapping[str, Any]) -> dict[str, FunctionUnit]:
    """Return a unit per function of ``{exp: table, gelu: {method: piecewise, segments: 64}}``.

    Raises
    ------
    UsageError
        If a function, a method or an option is unknown, or a method has no such function.
    """
    return {name: _unit(name, choice) for name, choice in given.items()}


def _unit(name: str, choice: Any) -> FunctionUnit:
    if name not in FUNCTIONS:
        raise UsageError(f"unknown function {name!r}; {did_you_mean(name, sorted(FUNCTIONS))}")
    options = choice if isinstance(choice, Mapping) else {"method": choice}
    if not isinstance(options.get("method"), str):
        raise UsageError(
            f"{name}: must be a method or its options, not {choice!r}; valid: {', '.join(METHODS.names())}"
        )
    if "function" in options:
        raise UsageError(f"{name}: the function is named already; valid: method and its options")
    try:
        return make_function({**options, "function": name})
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def known_units(given: dict[str, Any]) -> dict[str, Any]:
    """Return ``given`` if :func:`chosen_units` can be made of it."""
    chosen_units(given)
    return given


def describe(schema: dict[str, Any]) -> None:
    """Put the names of functions and methods into the JSON Schema of such a field."""
    names = METHODS.names()
    own = {"type": "object", "properties": {"method": {"enum": names}}}  # a base file may give the method
    schema.pop("additionalProperties", None)
    schema.update(
        properties={name: {"anyOf": [{"enum": names}, own]} for name in sorted(FUNCTIONS)}, additionalProperties=False
    )
