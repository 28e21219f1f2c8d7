"""Dyadic requantization (HAWQ-V3, arXiv 2011.10680): a scale as b / 2^c, so an integer product and a shift.

``(x · b + 2^(c-1)) >> c``, half up, then clamped to the symmetric range of the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import Adder, Comparator, Multiplier, Mux, Part, Register, Shifter
from hwsim.hardware.units.base import UNITS, Unit, check


@UNITS.register("dyadic_requantization")
@dataclass(frozen=True)
class DyadicRequantization(Unit):
    """From ``bits`` to ``result_bits`` with a multiplier of ``factor_bits`` (HAWQ-V3: INT32 to INT4 or INT8)."""

    bits: int = 32
    result_bits: int = 8
    factor_bits: int = 16

    def __post_init__(self) -> None:
        check("bits", self.bits, 4, 40)
        check("result_bits", self.result_bits, 2, self.bits)
        check("factor_bits", self.factor_bits, 2, 22)

    def dyadic(self, scale: float) -> tuple[int, int]:
        """Return (b, c) with b / 2^c nearest to ``scale`` in (2^-31, 1), b of ``factor_bits``."""
        fraction, exponent = frexp(scale)
        b, c = round(fraction * 2**self.factor_bits), self.factor_bits - exponent
        if b == 2**self.factor_bits:
            b, c = b // 2, c - 1
        check("shift of this scale", c, 1, 62)
        return b, c

    def requantize(self, x: NDArray[Any], scale: float) -> NDArray[np.int64]:
        """Return whole numbers ``x`` times ``scale``, rounded and clamped."""
        b, c = self.dyadic(scale)
        top = 2 ** (self.result_bits - 1) - 1
        scaled = (np.asarray(x, dtype=np.int64) * b + (1 << (c - 1))) >> c
        return np.asarray(np.clip(scaled, -top, top))

    def parts(self) -> tuple[Part, ...]:
        """Return multiplier, rounding, shifter, clamp and registers."""
        wide = self.bits + self.factor_bits
        return (
            Part("multiplier", "multiplier", Multiplier(self.bits, self.factor_bits, signed=True)),
            Part("rounding", "accumulator", Adder(wide)),
            Part("shift", "alignment", Shifter(wide, wide)),
            Part("range", "normalisation", Comparator(wide), on_path=False),
            Part("clamp", "normalisation", Mux(self.result_bits, 2)),
            Part("factor and shift", "register", Register(self.factor_bits + 6), on_path=False),
            Part("result", "register", Register(self.result_bits)),
        )

    def operations(self) -> Mapping[str, int]:
        """A product, a rounding addition, a shift, two comparisons."""
        return {"mul": 1, "add": 1, "shift": 1, "cmp": 2}
