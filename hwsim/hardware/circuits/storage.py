"""Storage in flip-flops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import MUX_LEVELS, Circuit, log2_ceil
from hwsim.hardware.circuits.widths import largest


@dataclass(frozen=True)
class Register(Circuit):
    """``bits`` flip-flops."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One flip-flop per bit."""
        return {"reg": self.bits}

    def levels(self) -> float:
        """Setup and clock to output, as part of a path (rows c_reg)."""
        return 2.3

    def live_bits(self, progress: float) -> float:
        """What it holds."""
        return self.bits


@dataclass(frozen=True)
class RegisterTable(Circuit):
    """``words`` registers of ``bits`` bits, each of ``ports`` read through a tree of multiplexers."""

    words: int
    bits: int
    ports: int = 1

    def cells(self) -> Mapping[str, float]:
        """A flip-flop per bit; words - 1 multiplexers per bit and port."""
        return {"reg": self.words * self.bits, "tree": self.ports * self.bits * (self.words - 1)}

    def levels(self) -> float:
        """The read multiplexers."""
        return MUX_LEVELS * log2_ceil(largest(self.words, 2))

    def live_bits(self, progress: float) -> float:
        """What is read."""
        return self.bits * self.ports


@dataclass(frozen=True)
class Lfsr(Circuit):
    """Linear-feedback shift register of ``bits``: pseudo-random bits for stochastic rounding."""

    bits: int
    taps: int = 4

    def cells(self) -> Mapping[str, float]:
        """A flip-flop per bit, taps - 1 XOR."""
        return {"reg": self.bits, "xor": self.taps - 1}

    def levels(self) -> float:
        """The feedback's XOR tree."""
        return 1.1 * log2_ceil(largest(self.taps, 2))

    def live_bits(self, progress: float) -> float:
        """Its state."""
        return self.bits
