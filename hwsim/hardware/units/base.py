"""What every unit offers, and from options to a unit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from hwsim.hardware.circuits import Part
from hwsim.hardware.technology import PartsPrice, Technology
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.registry import Registry


@dataclass(frozen=True)
class Unit(ABC):
    """A unit with its widths as fields; behaviour is its own method, named for what it does."""

    glitch_family: ClassVar[str] = "integer_mac"
    latency_cycles: ClassVar[int] = 1

    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """Return the whole unit with its registers."""

    @abstractmethod
    def operations(self) -> Mapping[str, int]:
        """Return operations per result (of a group of results where the unit works on groups)."""

    def price(self, technology: Technology) -> PartsPrice:
        """Return the cost per cycle on uniform data."""
        return technology.price_parts(self.parts(), self.glitch_family, "uniform")


UNITS: Registry[Callable[..., Unit]] = Registry("unit", "hwsim.hardware.units.kinds")


def make_unit(name: str, options: Mapping[str, int] | None = None) -> Unit:
    """Return the unit called ``name`` with ``options`` in the place of its usual widths.

    Raises
    ------
    UsageError
        If name, option or value is unknown.
    """
    kind: Any = UNITS.get(name)
    known = [field.name for field in fields(kind)]
    for key, value in (options or {}).items():
        if key not in known:
            raise UsageError(f"{name}.{key}: no such option; {did_you_mean(key, known)}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"{name}.{key}: {value!r}; valid: whole numbers")
    unit: Unit = kind(**(options or {}))
    return unit


def check(name: str, value: int, low: int, high: int) -> None:
    """Refuse a width out of range.

    Raises
    ------
    UsageError
        If it is.
    """
    if not low <= value <= high:
        raise UsageError(f"{name}: {value}; valid: {low} to {high}")
