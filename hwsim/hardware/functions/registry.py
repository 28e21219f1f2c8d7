"""From options to a special-function unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwsim.hardware.functions.base import FunctionUnit
from hwsim.hardware.functions.kernels import FUNCTIONS
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.registry import Registry

METHODS: Registry[Callable[[Mapping[str, Any]], FunctionUnit]] = Registry(
    "function method", "hwsim.hardware.functions.methods"
)
#: Fraction bits that are modelled: products stay below 63 bits.
FRACTIONS = range(4, 21)


def make_function(options: Mapping[str, Any]) -> FunctionUnit:
    """Return the unit that ``options`` describe: ``function``, ``method``, ``fraction`` and the method's own.

    Raises
    ------
    UsageError
        If a name or a value is unknown.
    """
    name = str(options.get("function", ""))
    if name not in FUNCTIONS:
        raise UsageError(f"function: unknown {name!r}; {did_you_mean(name, sorted(FUNCTIONS))}")
    method = str(options.get("method", "piecewise"))
    if method not in METHODS:
        raise UsageError(f"method: unknown {method!r}; {did_you_mean(method, METHODS.names())}")
    return METHODS.get(method)(options)


def check_options(options: Mapping[str, Any], own: tuple[str, ...]) -> None:
    """Refuse options that neither every method nor this one knows.

    Raises
    ------
    UsageError
        If there is one.
    """
    known = ("function", "method", "fraction", *own)
    for key in options:
        if key not in known:
            raise UsageError(f"{key}: no such option; {did_you_mean(key, known)}")
