"""Widths of many designs at once, for cost laws that are written for one.

A law is arithmetic on a few numbers. :class:`Widths` is such a number with one value per design: added,
multiplied and compared, it stays one. Where a law takes a branch, or needs a plain number, and the designs
differ there, it raises :class:`DivergenceError`, which says how they part: the law is then worked out for
each group by itself (:func:`hwsim.hardware.pe.stack.spread`). So every law holds for arrays as it is
written, and what it finds for a design is what it finds for it alone, to the last bit: only operations that
are exact or correctly rounded run on arrays, powers value by value.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
#: A plain number, or one per design in its place.
N = TypeVar("N", int, float)


class DivergenceError(Exception):
    """Designs part here: those with equal ``keys`` stay together."""

    def __init__(self, keys: Sequence[Hashable] | NDArray[Any]) -> None:
        super().__init__("designs differ where a law needs one value")
        self.keys = keys

    def groups(self) -> list[NDArray[np.int64]]:
        """Return the places of the designs of each group."""
        if isinstance(self.keys, np.ndarray):
            found = np.unique(self.keys, return_inverse=True)[1]
        else:
            known: dict[Hashable, int] = {}
            found = np.array([known.setdefault(key, len(known)) for key in self.keys], dtype=np.int64)
        return [np.flatnonzero(found == group) for group in range(int(found.max()) + 1)]


class Widths:
    """A number of which designs have different ones; ``values`` has shape (designs,), integers or floats.

    Made by :func:`widths`, and by arithmetic, which gives a plain number where all designs come to the same.
    """

    __slots__ = ("values",)

    #: numpy leaves operations with arrays and numpy scalars to this class.
    __array_ufunc__ = None

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"Widths({self.values.tolist()})"

    def __bool__(self) -> bool:
        held = self.values != 0
        if held.all():
            return True
        raise DivergenceError(held)

    def _part(self, *_: object) -> Any:
        raise DivergenceError(self.values)

    __index__ = __int__ = __float__ = __hash__ = __str__ = __format__ = _part
    # Cost laws here have none of these; those of others may.
    __abs__ = __pos__ = __invert__ = __trunc__ = __divmod__ = __rdivmod__ = _part
    __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = _part

    def __ceil__(self) -> Any:
        return widths(np.ceil(self.values).astype(np.int64))

    def __floor__(self) -> Any:
        return widths(np.floor(self.values).astype(np.int64))

    def __round__(self) -> Any:
        return widths(np.rint(self.values).astype(np.int64))  # halves go to even, as in Python

    def __neg__(self) -> Any:
        return widths(np.negative(self.values))

    def __pow__(self, power: float) -> Any:
        if isinstance(power, Widths):
            raise DivergenceError(self.values)
        return self.each(lambda value: value**power)

    def __rpow__(self, base: float) -> Any:
        return self.each(lambda value: base**value)

    def bit_length(self) -> Any:
        """Return the bits of the binary numbers, as :meth:`int.bit_length`."""
        return widths(np.frexp(self.values.astype(np.float64))[1])

    def each(self, law: Callable[[Any], Any]) -> Any:
        """Return ``law`` of every value, worked out once per value."""
        values, places = np.unique(self.values, return_inverse=True)
        return widths(np.array([law(value) for value in values.tolist()])[places])


def widths(values: NDArray[Any]) -> Any:
    """Return one number per design, or the number that all have."""
    if values[0] == values[-1] and (values == values[0]).all():
        return values[0].item()
    return Widths(values.astype(np.int64) if values.dtype.kind in "bui" else values)


def _operator(law: Callable[[Any, Any], Any], reflected: bool = False) -> Callable[[Widths, Any], Any]:
    def apply(own: Widths, other: Any) -> Any:
        if not isinstance(other, _NUMBERS):  # such as a tuple that is repeated
            raise DivergenceError(own.values)
        value = other.values if isinstance(other, Widths) else other
        return widths(law(value, own.values) if reflected else law(own.values, value))

    return apply


_NUMBERS = (int, float, np.number, Widths)

for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "lshift", "rshift"):
    setattr(Widths, f"__{_name}__", _operator(getattr(operator, _name)))
    setattr(Widths, f"__r{_name}__", _operator(getattr(operator, _name), reflected=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Widths, f"__{_name}__", _operator(getattr(operator, _name)))


def largest(a: N, b: N) -> N:
    """Return the larger number, design by design."""
    return _choice(a, b, np.maximum) if isinstance(a, Widths) or isinstance(b, Widths) else max(a, b)


def least(a: N, b: N) -> N:
    """Return the smaller number, design by design."""
    return _choice(a, b, np.minimum) if isinstance(a, Widths) or isinstance(b, Widths) else min(a, b)


def _choice(a: Any, b: Any, law: Callable[[Any, Any], Any]) -> Any:
    return widths(law(*(one.values if isinstance(one, Widths) else one for one in (a, b))))


def exp2(value: float) -> float:
    """Return 2 to a power, design by design."""
    many: Any = value
    return cast(float, many.each(math.exp2)) if isinstance(many, Widths) else math.exp2(value)


def total(values: Iterable[Any]) -> Any:
    """Return the sum of numbers, added one after the other (``sum`` of newer Pythons corrects itself)."""
    return functools.reduce(operator.add, values, 0.0)


def remembered(size: int) -> Callable[[F], F]:
    """Remember what a function of plain numbers found, of up to ``size`` calls; what has widths is worked out anew."""

    def decorate(function: F) -> F:
        kept = functools.lru_cache(maxsize=size)(function)

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            return function(*args) if any(isinstance(arg, Widths) for arg in args) else kept(*args)

        return cast(F, call)

    return decorate
