"""Many designs as one: what a law reads of them has one value per design.

A :class:`Stack` stands for designs of one class. Its numbers are :class:`~hwsim.hardware.circuits.Widths`;
its objects, such as formats, are stacks again; what is the same for all is itself. Methods and properties of a
class that is ``worked out`` run once, on the stack; those of other classes, which may make tables, run once per
distinct object. Where designs differ in what has no such form (their class, a name, a table) they part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from inspect import getattr_static
from types import FunctionType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import DivergenceError, Widths, widths

R = TypeVar("R")

_NUMBERS = (int, float, np.number, np.bool_)
_TABLES = (str, tuple, frozenset, np.ndarray, list, dict)


class Stack:
    """Designs of one class; ``distinct`` objects, and which of them each design has, int64 (designs,)."""

    def __init__(self, distinct: Sequence[Any], places: NDArray[np.int64], worked_out: type) -> None:
        self._distinct, self._places, self._worked_out = distinct, places, worked_out
        self._class = type(distinct[0])
        self._found: dict[str, Any] = {}

    @property
    def __class__(self) -> type:
        # Laws ask by isinstance what kind of format or PE it is.
        return self._class

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise TypeError("a stack keeps its class")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def _read(self, name: str) -> Any:
        if issubclass(self._class, self._worked_out):
            law = getattr_static(self._class, name, None)
            if isinstance(law, property) and law.fget is not None:
                return law.fget(self)
            if isinstance(law, cached_property):
                return law.func(self)
            if isinstance(law, FunctionType):
                return law.__get__(self)
        used, places = np.unique(self._places, return_inverse=True)
        values = [getattr(self._distinct[place], name) for place in used.tolist()]
        if not callable(values[0]):
            return gathered(values, places, self._worked_out)
        return lambda *args: gathered([method(*args) for method in values], places, self._worked_out)

    def __eq__(self, other: object) -> Any:
        if isinstance(getattr(other, "_distinct", None), Sequence):
            return widths(np.array([a == b for a, b in zip(self._each(), other._each(), strict=True)]))  # type: ignore[attr-defined]
        return widths(np.array([one == other for one in self._distinct])[self._places])

    def __ne__(self, other: object) -> Any:
        return 1 - (self == other)

    def __hash__(self) -> int:
        raise DivergenceError(self._places)

    def __str__(self) -> str:
        raise DivergenceError(self._places)

    def _each(self) -> list[Any]:
        return [self._distinct[place] for place in self._places.tolist()]

    def only(self, group: NDArray[np.int64]) -> Any:
        """Return the stack of some of the designs, or the object that all of them have."""
        return _stack(self._distinct, self._places[group], self._worked_out, self._found, group)


def _stack(
    distinct: Sequence[Any],
    places: NDArray[np.int64],
    worked_out: type,
    found: Mapping[str, Any],
    group: NDArray[np.int64],
) -> Any:
    if (places == places[0]).all():
        return distinct[int(places[0])]
    stack = Stack(distinct, places, worked_out)
    for name, value in found.items():
        if isinstance(value, Widths):
            stack._found[name] = widths(value.values[group])
        elif type(value) is Stack:
            stack._found[name] = value.only(group)
        elif isinstance(value, _NUMBERS):
            stack._found[name] = value
    return stack


def gathered(values: Sequence[Any], places: NDArray[np.int64], worked_out: type) -> Any:
    """Return what stands for ``values`` of the distinct objects of designs: a number, an object or a stack.

    Raises
    ------
    DivergenceError
        Where they differ in what has no form for many.
    """
    first = values[0]
    kinds = [*map(type, values)]
    if all(issubclass(kind, _NUMBERS) for kind in set(kinds)):
        return widths(np.array(values)[places])
    if len(set(kinds)) > 1:
        raise DivergenceError([kinds[place] for place in places.tolist()])
    if all(value is first for value in values):
        return first
    if isinstance(first, _TABLES):
        keys = _keys(values)
        if len(set(keys)) == 1:
            return first
        raise DivergenceError([keys[place] for place in places.tolist()])
    numbers: dict[Any, int] = {}  # formats are equal where they are the same
    own = np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)
    return Stack(list(numbers), own[places], worked_out)


def _keys(values: Sequence[Any]) -> list[Any]:
    """Return a key per value, the same where plain values are equal; tables are told apart by the object."""
    try:
        hash(tuple(values))
    except TypeError:
        return [id(value) for value in values]
    return list(values)


def spread(
    designs: Sequence[Any], worked_out: type, law: Callable[[Any, NDArray[np.int64]], R]
) -> list[tuple[NDArray[np.int64], R]]:
    """Work out ``law`` for ``designs``, as many at once as it allows.

    ``law`` takes a stack of designs, or a design alone, and the places of its designs. Returned are
    the places of each group that went together, and what ``law`` found for it.
    """
    found: list[tuple[NDArray[np.int64], R]] = []
    waiting: list[tuple[NDArray[np.int64], Any]] = []
    for kind in dict.fromkeys(map(type, designs)):
        places = np.array([place for place, design in enumerate(designs) if type(design) is kind], dtype=np.int64)
        chosen = [designs[place] for place in places.tolist()]
        waiting.append((places, gathered(chosen, np.arange(len(chosen)), worked_out)))
    while waiting:
        places, stack = waiting.pop()
        try:
            found.append((places, law(stack, places)))
        except DivergenceError as parting:
            alike = type(stack) is not Stack  # designs that are equal part by what goes with their places
            waiting += [(places[group], stack if alike else stack.only(group)) for group in parting.groups()]
    return found
