"""Shifts instead of multiplications: ShiftExp and ShiftGELU of I-ViT (arXiv 2207.01405).

ShiftExp is that of :mod:`hwsim.hardware.functions.i_vit`, with n = 15 for exp and 23 inside GELU.

ShiftGELU is x · sigmoid(1.6875 x), the factor as ``I + (I >> 1) + (I >> 3) + (I >> 4)``; SiLU the same
without the factor. The sigmoid is ``e / (e + e')`` of two ShiftExp, its division ``floor(2^31 / sum)``,
8 bits. Both exponentials are taken below max(x, 0) of the element; I-ViT takes the row's maximum.

Divisions remain: one by x0 per exponential, and one by the sum. They are restoring dividers here, a
bit of the quotient per cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import Adder, Multiplier, Mux, Part, Register, Shifter, Subtractor
from hwsim.hardware.functions.base import FunctionUnit
from hwsim.hardware.functions.i_vit import GELU_N, OUTPUT_BITS, RECIPROCAL_BITS, SOFTMAX_N, shift_exp
from hwsim.hardware.functions.integer import integer_operations
from hwsim.hardware.functions.registry import METHODS, check_options
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count


@dataclass(frozen=True)
class ShiftUnit(FunctionUnit):
    """ShiftExp or ShiftGELU for arguments in units of ``step``."""

    step: float

    method: ClassVar[str] = "shift"
    glitch_family: ClassVar[str] = "shift_add"

    @property
    def n(self) -> int:
        """Largest shift."""
        return SOFTMAX_N if self.name == "exp" else GELU_N

    def value(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return the results; arguments are clamped to the range and rounded to ``step``."""
        given = np.clip(np.asarray(x, dtype=np.float64), self.function.low, self.function.high)
        whole = np.rint(given / self.step).astype(np.int64)
        if self.name == "exp":
            return np.asarray(shift_exp(whole, self.step, self.n) * self.step / 2.0**self.n)
        scaled = whole + (whole >> 1) + (whole >> 3) + (whole >> 4) if self.name == "gelu" else whole
        top = np.maximum(scaled, 0)
        own, other = (shift_exp(part - top, self.step, self.n) for part in (scaled, np.zeros_like(scaled)))
        inverse = (1 << RECIPROCAL_BITS) // (own + other)
        sigmoid = (own * inverse) >> (RECIPROCAL_BITS - OUTPUT_BITS + 1)
        return np.asarray(whole * sigmoid * self.step / 2.0 ** (OUTPUT_BITS - 1))

    def operations(self) -> Mapping[str, int]:
        """Return the published counts of Shiftmax and ShiftGELU per element, for SiLU those of GELU."""
        counts = integer_operations("shiftmax" if self.name == "exp" else "shiftgelu")
        return {key: count for key, count in counts.items() if count}

    @property
    def argument_bits(self) -> int:
        """Bits of an argument with its sign."""
        return 1 + int(max(-self.function.low, self.function.high) / self.step).bit_length()

    @property
    def result_bits(self) -> int:
        """Bits of an exponential: 1 / ``step``, shifted by n."""
        return int(1 / self.step).bit_length() + 1 + self.n

    @property
    def cycles(self) -> int:
        """A bit of each quotient per cycle: q up to n, and for GELU the reciprocal of the sum."""
        return self.n.bit_length() + (0 if self.name == "exp" else RECIPROCAL_BITS)

    @property
    def latency_cycles(self) -> int:
        """The quotients, then the shift and, for GELU, two products."""
        return self.cycles + (1 if self.name == "exp" else 3)

    def parts(self) -> tuple[Part, ...]:
        """Return scaling, divider, shifter and, for GELU, the second exponential, the sum's division and products.

        Parts are priced per cycle: what works once per element has activity 1 / cycles.
        """
        bits, once = self.argument_bits + 1, 1 / self.cycles
        found = [
            Part("clamp", "decode", Mux(bits, 2), activity=once),
            Part("result", "register", Register(self.result_bits)),
            Part("argument", "register", Register(bits), on_path=False),
            *self._exponential(bits, 1 if self.name == "exp" else 2, once),
        ]
        if self.name == "exp":
            return tuple(found)
        if self.name == "gelu":
            found.append(Part("1.6875 x", "multiplier", Adder(bits), 3, once, in_series=3))
        wide = self.result_bits + 1
        return (
            *found,
            Part("row maximum", "control", Mux(bits, 2), activity=once),
            Part("sum", "accumulator", Adder(wide), activity=once),
            *_divider("by the sum", wide, RECIPROCAL_BITS / self.cycles),
            Part("sigmoid", "multiplier", Multiplier(self.result_bits, RECIPROCAL_BITS), activity=once),
            Part("times x", "multiplier", Multiplier(bits, OUTPUT_BITS, signed=True), activity=once),
        )

    def _exponential(self, bits: int, count: int, once: float) -> list[Part]:
        busy = self.n.bit_length() / self.cycles
        return [
            Part("times log2 e", "multiplier", Adder(bits), 2 * count, once, in_series=2),
            *(Part(p.role, p.group, p.circuit, count, p.activity, p.on_path) for p in _divider("by x0", bits, busy)),
            Part("r / 2 - x0", "accumulator", Adder(bits), count, once),
            Part("shift by n - q", "alignment", Shifter(self.result_bits, self.n + 1), count, once),
        ]


def _divider(role: str, bits: int, activity: float) -> list[Part]:
    """Return a restoring divider: a subtraction, a choice and a shifted register per bit of the quotient."""
    return [
        Part(f"division {role}: subtract", "multiplier", Subtractor(bits), activity=activity),
        Part(f"division {role}: restore", "multiplier", Mux(bits, 2), activity=activity),
        Part(f"division {role}: remainder and quotient", "register", Register(2 * bits), on_path=False),
    ]


@METHODS.register("shift")
def build(options: Mapping[str, Any]) -> ShiftUnit:
    """Build from ``{function: exp | gelu | silu, fraction: 5}`` or ``step``, the unit of the arguments."""
    check_options(options, ("step",))
    name = str(options["function"])
    if name not in ("exp", "gelu", "silu"):
        raise UsageError(f"function: shift has no {name}; valid: exp, gelu, silu")
    fraction = take_count(options, "fraction", 5, range(2, 13))
    step = options.get("step", 2.0**-fraction)
    finest = 2.0**-12 if name == "exp" else 2.0**-6  # floor(2^31 / sum) must not vanish
    if not isinstance(step, (int, float)) or not finest <= step <= 0.25:
        raise UsageError(f"step: {step!r}; valid: {finest:g} to 0.25")
    return ShiftUnit(name, fraction, float(step))
