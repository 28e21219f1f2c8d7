"""Polynomials over equal segments in fixed point: a table is degree 0, piecewise linear degree 1.

The top bits of the reduced argument choose a row of coefficients, the rest t in [0, 1) is put into
``(c_d t + c_(d-1)) t + …`` by Horner's rule. Coefficients interpolate the kernel at the Chebyshev
nodes of each segment (near-minimax) and have two guard bits; every product is cut to them, the
result is rounded to nearest, half up. One multiplier and adder per degree, all in a pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import cos, e, log2, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    Incrementer,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    Negator,
    Part,
    Register,
    Rom,
    Shifter,
    Subtractor,
)
from hwsim.hardware.functions.base import FunctionUnit
from hwsim.hardware.functions.kernels import FUNCTIONS

Whole = NDArray[np.int64]

#: Bits that coefficients and products keep beyond the result.
GUARD = 2


@lru_cache(maxsize=256)
def coefficients(name: str, fraction: int, segments: int, degree: int) -> Whole:
    """Return the table, shape (kernels · segments, degree + 1), highest power first, in units of 2^-(fraction + 2)."""
    function = FUNCTIONS[name]
    nodes = np.array([(1 + cos((2 * k + 1) * pi / (2 * degree + 2))) / 2 for k in range(degree + 1)])
    rows = []
    for kernel in function.kernels:
        for segment in range(segments):
            at = function.start + (segment + nodes) * function.width / segments
            rows.append(np.linalg.solve(np.vander(nodes), kernel(at)))
    return np.asarray(np.rint(np.array(rows) * 2 ** (fraction + GUARD)), dtype=np.int64)


@dataclass(frozen=True)
class Segmented(FunctionUnit):
    """``segments`` polynomials of ``degree``; both decide error and cost."""

    segments: int
    degree: int

    @property
    def argument_bits(self) -> int:
        """Bits of the argument with its sign."""
        return 1 + int(log2(max(-self.function.low, self.function.high))) + self.fraction

    @property
    def local_bits(self) -> int:
        """Bits of t, below those that choose the segment."""
        return int(log2(self.function.width)) + self.fraction - int(log2(self.segments))

    @property
    def table(self) -> Whole:
        """The coefficients; see :func:`coefficients`."""
        return coefficients(self.name, self.fraction, self.segments, self.degree)

    def kernel(self, reduced: Whole, variant: Whole) -> Whole:
        """Return the kernel at ``reduced`` / 2^fraction above its start, in units of 2^-(fraction + 2)."""
        row = (reduced >> self.local_bits) + variant * self.segments
        t = reduced & ((1 << self.local_bits) - 1)
        total = self.table[row, 0]
        for power in range(1, self.degree + 1):
            total = ((total * t) >> self.local_bits) + self.table[row, power]
        return np.asarray(total)

    def value(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Reduce, evaluate, restore; arguments beyond the range are clamped to it."""
        function, scale = self.function, 2**self.fraction
        whole = np.rint(np.clip(np.asarray(x, dtype=np.float64), function.low, function.high) * scale).astype(np.int64)
        if function.reduction == "exponential":
            found = self._exponential(whole)
        elif function.reduction == "tail":
            found = self._tail(whole)
        else:
            found = self._normalised(whole, function.reduction == "root")
        return np.asarray(found / scale)

    def _rounded(self, guarded: Whole) -> Whole:
        return (guarded + (1 << (GUARD - 1))) >> GUARD

    @property
    def log2_e(self) -> int:
        """The constant log2 e in units of 2^-(fraction + 2)."""
        return round(log2(e) * (1 << (self.fraction + GUARD)))

    def _exponential(self, whole: Whole) -> Whole:
        t = (whole * self.log2_e) >> (self.fraction + GUARD)
        k, f = t >> self.fraction, t & ((1 << self.fraction) - 1)
        return self._rounded(self.kernel(f, np.zeros_like(f)) >> np.minimum(-k, 62))

    def _normalised(self, whole: Whole, root: bool) -> Whole:
        exponent = np.frexp(whole.astype(np.float64))[1].astype(np.int64) - 1 - self.fraction  # exact: below 2^53
        left, right = np.maximum(-exponent, 0), np.maximum(exponent, 0)
        reduced = ((whole << left) >> right) - (1 << self.fraction)
        variant = exponent & 1 if root else np.zeros_like(exponent)
        shift = exponent >> 1 if root else exponent
        found = self.kernel(reduced, variant)
        return self._rounded((found << np.maximum(-shift, 0)) >> np.maximum(shift, 0))

    def _tail(self, whole: Whole) -> Whole:
        size, limit = np.abs(whole), self.function.width << self.fraction
        inside = np.minimum(size, limit - 1)
        tail = np.where(size < limit, self._rounded(self.kernel(inside, np.zeros_like(inside))), 0)
        return np.maximum(whole, 0) - tail

    def operations(self) -> Mapping[str, int]:
        """One lookup, a product and a sum per degree, and the reduction's."""
        own = {"lookup": 1, "mul": self.degree, "add": self.degree}
        more = {
            "exponential": {"mul": 1, "shift": 1},
            "normalised": {"shift": 2},
            "root": {"shift": 2},
            "tail": {"add": 2, "cmp": 2},
        }[self.function.reduction]
        found = {key: own.get(key, 0) + more.get(key, 0) for key in ("add", "mul", "shift", "cmp", "lookup")}
        return {key: count for key, count in found.items() if count}

    @property
    def latency_cycles(self) -> int:
        """The reduction, the table, a cycle per degree, and the restoring step."""
        return 3 + self.degree

    def widths(self) -> list[int]:
        """Return the bits of each column of the table, sign included where one is needed."""
        low, high = self.table.min(axis=0), self.table.max(axis=0)
        return [int(max(abs(a), abs(b))).bit_length() + int(a < 0) for a, b in zip(low, high, strict=True)]

    def parts(self) -> tuple[Part, ...]:
        """Return reduction, table, Horner chain, restoring step, registers (a stage each)."""
        widths = [max(w, 1) for w in self.widths()]
        result = self.fraction + GUARD + 1
        found = [*self._reduction_parts()]
        found.append(Part("coefficient table", "decode", Rom(max(2, len(self.table)), sum(widths))))
        total = widths[0]
        for power, width in enumerate(widths[1:], 1):
            found.append(
                Part(f"product {power}", "multiplier", Multiplier(total, max(1, self.local_bits), signed=True))
            )
            total = max(total, width) + 1
            found.append(Part(f"sum {power}", "accumulator", Adder(total)))
            found.append(Part(f"stage {power}", "register", Register(total + self.local_bits), on_path=False))
        found += [Part("rounding", "normalisation", Incrementer(result)), *self._restoring_parts(result)]
        found.append(Part("argument", "register", Register(self.argument_bits), on_path=False))
        found.append(Part("result", "register", Register(self.result_bits)))
        return tuple(found)

    @property
    def result_bits(self) -> int:
        """Bits of the result: the integers of its range, the fraction, a sign for GELU and SiLU."""
        top = np.abs(self.function.exact(np.array([self.function.low, self.function.high], dtype=np.float64))).max()
        return self.fraction + max(1, int(np.ceil(np.log2(top + 2.0**-30)))) + int(self.function.reduction == "tail")

    def _reduction_parts(self) -> list[Part]:
        bits = self.argument_bits
        if self.function.reduction == "exponential":
            digits = nonadjacent_digits(self.log2_e)
            return [Part("times log2 e", "multiplier", AdderTree(digits, bits + 1))]
        if self.function.reduction == "tail":
            return [
                Part("magnitude", "decode", Negator(bits)),
            ]
        return [
            Part("leading zeros", "decode", LeadingZeroCounter(bits)),
            Part("normalise", "alignment", Shifter(bits, bits)),
        ]

    def _restoring_parts(self, result: int) -> list[Part]:
        bits = self.argument_bits
        if self.function.reduction == "tail":
            return [
                Part("positive part", "normalisation", Mux(bits, 2), on_path=False),
                Part("subtraction", "accumulator", Subtractor(bits)),
            ]
        return [Part("scale back", "alignment", Shifter(result, result))]


def nonadjacent_digits(constant: int) -> int:
    """Return the non-zero digits of the non-adjacent form: terms that a multiplication by a constant adds."""
    return ((3 * constant) ^ constant).bit_count()
