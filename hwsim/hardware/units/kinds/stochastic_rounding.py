"""Stochastic rounding: random bits are added below the last place that is kept, and what is below is cut.

``(x + r) >> dropped`` with r uniform in [0, 2^dropped) rounds up with the probability of the dropped
fraction: the mean is x. The bits come from a maximal-length Fibonacci LFSR (taps: Xilinx XAPP052)
whose state steps once per dropped bit (a leap of as many steps per cycle, XOR trees of it priced).
Over a whole period every pattern but zeros is as frequent as any other: the bias is at most 2^-bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import Adder, Lfsr, Part, Register, XorRow
from hwsim.hardware.units.base import UNITS, Unit, check
from hwsim.spec.errors import UsageError

#: Taps of maximal-length registers, counted from 1 (XAPP052, table 3).
TAPS = {8: (8, 6, 5, 4), 16: (16, 15, 13, 4), 24: (24, 23, 22, 17), 32: (32, 22, 2, 1)}


@UNITS.register("stochastic_rounding")
@dataclass(frozen=True)
class StochasticRounding(Unit):
    """Rounds ``bits`` to ``bits - dropped`` with an LFSR of ``state_bits``."""

    bits: int = 24
    dropped: int = 8
    state_bits: int = 16

    glitch_family: ClassVar[str] = "integer_add"

    def __post_init__(self) -> None:
        if self.state_bits not in TAPS:
            raise UsageError(f"state_bits: {self.state_bits}; valid: {', '.join(map(str, TAPS))}")
        check("bits", self.bits, 2, 48)
        check("dropped", self.dropped, 1, min(self.bits - 1, self.state_bits))

    def step(self, state: int) -> int:
        """Return the state of the LFSR after one cycle: ``dropped`` single steps."""
        for _ in range(self.dropped):
            bit = 0
            for tap in TAPS[self.state_bits]:
                bit ^= state >> (tap - 1)
            state = ((state << 1) | (bit & 1)) & ((1 << self.state_bits) - 1)
        return state

    def random_bits(self, count: int, seed: int = 1) -> NDArray[np.int64]:
        """Return the low ``dropped`` bits of ``count`` states, one per cycle.

        Raises
        ------
        UsageError
            If the seed is 0, where an LFSR stands still, or too wide.
        """
        check("seed", seed, 1, 2**self.state_bits - 1)
        out, state = np.empty(count, dtype=np.int64), seed
        for i in range(count):
            state = self.step(state)
            out[i] = state & ((1 << self.dropped) - 1)
        return out

    def round(self, x: NDArray[Any], seed: int = 1) -> NDArray[np.int64]:
        """Return whole numbers ``x`` without their last ``dropped`` bits, one after another."""
        whole = np.asarray(x, dtype=np.int64)
        noise = self.random_bits(whole.size, seed).reshape(whole.shape)
        return np.asarray((whole + noise) >> self.dropped)

    def parts(self) -> tuple[Part, ...]:
        """Return generator, its leap, the adder and the result."""
        taps = len(TAPS[self.state_bits])
        return (
            Part("random bits", "register", Lfsr(self.state_bits, taps), on_path=False),
            Part("leap", "control", XorRow(max(1, (self.dropped - 1) * (taps - 1))), on_path=False),
            Part("adder", "accumulator", Adder(self.bits)),
            Part("result", "register", Register(self.bits - self.dropped)),
        )

    def operations(self) -> Mapping[str, int]:
        """One addition per result."""
        return {"add": 1}
