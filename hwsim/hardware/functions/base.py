"""What every special-function unit offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import Part
from hwsim.hardware.functions.kernels import FUNCTIONS, Function
from hwsim.hardware.technology import PartsPrice, Technology

#: Most arguments on which an error is measured; below it every argument of the range is.
MOST_ARGUMENTS = 2**20


class ErrorFound(NamedTuple):
    """Largest errors on a range: absolute, relative (where the value is not 0), and how many arguments."""

    absolute: float
    relative: float
    arguments: int


@dataclass(frozen=True)
class FunctionUnit(ABC):
    """A unit for one function; ``fraction`` bits behind the binary point of argument and result."""

    name: str
    fraction: int

    method: ClassVar[str]
    #: Multipliers and adders in a row without registers: the nearest measured family.
    glitch_family: ClassVar[str] = "integer_mac"

    @property
    def function(self) -> Function:
        """What is computed."""
        return FUNCTIONS[self.name]

    @abstractmethod
    def value(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return the results for ``x``, float64, bit for bit; ``x`` is rounded to the argument's grid first."""

    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """Return the whole unit with its registers."""

    @abstractmethod
    def operations(self) -> Mapping[str, int]:
        """Return operations per element: add, mul, shift, cmp, lookup, div."""

    @property
    @abstractmethod
    def latency_cycles(self) -> int:
        """Cycles from argument to result, one per multiplication, table or shift in a row."""

    @property
    def cycles(self) -> int:
        """Cycles between results: 1 for units that work as a pipeline."""
        return 1

    def price(self, technology: Technology) -> PartsPrice:
        """Return the cost per cycle on uniform data."""
        return technology.price_parts(self.parts(), self.glitch_family, "uniform")

    def arguments(self) -> NDArray[np.float64]:
        """Return the arguments of the function's range on the grid, all or evenly spaced ones."""
        low, high = (round(edge * 2**self.fraction) for edge in (self.function.low, self.function.high))
        step = max(1, -(-(high - low) // MOST_ARGUMENTS))
        return np.asarray(np.arange(low, high + 1, step) / 2**self.fraction)

    def max_error(self, x: NDArray[Any] | None = None) -> ErrorFound:
        """Return the largest errors on ``x``, by default on :meth:`arguments`; relative ones where |value| >= 2^-6."""
        given = self.arguments() if x is None else np.asarray(x, dtype=np.float64)
        exact = self.function.exact(given)
        error = np.abs(self.value(given) - exact)
        large = np.abs(exact) >= 2.0**-6
        relative = (error[large] / np.abs(exact[large])).max(initial=0.0)
        return ErrorFound(float(error.max(initial=0.0)), float(relative), given.size)
