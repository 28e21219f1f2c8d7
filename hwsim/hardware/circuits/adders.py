"""Carry-propagate adders, one ``cpa`` cell per bit; carries ripple, as in area-optimised synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import Circuit, log2_ceil


@dataclass(frozen=True)
class Adder(Circuit):
    """Adds two ``bits``-bit numbers."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One carry-propagate cell per bit."""
        return {"cpa": self.bits}

    def levels(self) -> float:
        """The carry ripples through every bit."""
        return self.bits


@dataclass(frozen=True)
class Subtractor(Circuit):
    """Subtracts two ``bits``-bit numbers."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """A carry-propagate cell and an inverting XOR per bit."""
        return {"cpa": self.bits, "xor": self.bits}

    def levels(self) -> float:
        """The carry ripples through every bit."""
        return self.bits + 0.5


@dataclass(frozen=True)
class Incrementer(Circuit):
    """Adds one bit to a ``bits``-bit number: a rounding step."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """A half adder per bit."""
        return {"ha": self.bits, "inc": self.bits}

    def levels(self) -> float:
        """The carry ripples through half adders, half a full adder each."""
        return self.bits / 2


@dataclass(frozen=True)
class AdderTree(Circuit):
    """Sum of ``inputs`` numbers of ``bits`` bits, growing by one bit per level."""

    inputs: int
    bits: int

    def cells(self) -> Mapping[str, float]:
        """A carry-propagate adder per pair; widths grow towards the root."""
        cells, count, width = 0, self.inputs, self.bits
        while count > 1:
            cells += (count // 2) * width
            count, width = count - count // 2, width + 1
        return {"cpa": cells}

    def levels(self) -> float:
        """The first carry chain, and one more bit per level."""
        depth = log2_ceil(max(self.inputs, 1))
        return self.bits + depth if depth else 0


@dataclass(frozen=True)
class StaggeredTree(Circuit):
    """Sum of ``inputs`` numbers of ``bits`` bits, each worth twice the one before it."""

    inputs: int
    bits: int

    def cells(self) -> Mapping[str, float]:
        """A carry-propagate adder per pair, as wide as the upper number: the lowest bits of the other pass by."""
        cells, count, width, joined = 0, self.inputs, self.bits, 1
        while count > 1:
            cells += (count // 2) * width
            count, joined = count - count // 2, 2 * joined
            width = self.bits + joined
        return {"cpa": cells}

    def levels(self) -> float:
        """The first carry chain, and the places by which numbers grow."""
        return self.bits + self.inputs if self.inputs > 1 else 0


@dataclass(frozen=True)
class PrefixAdder(Circuit):
    """Adds two ``bits``-bit numbers with a parallel-prefix carry tree (Sklansky 1960): fast, larger."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Return bits / 2 · log2(bits) carry merges of two AND and an OR, two XOR and an AND per bit."""
        merges = self.bits / 2 * log2_ceil(max(self.bits, 2))
        return {"xor": 2 * self.bits, "and": self.bits + 2 * merges, "or": merges}

    def levels(self) -> float:
        """Propagate, one merge per level of the tree, sum."""
        return 1.0 + 0.5 * log2_ceil(max(self.bits, 2))


@dataclass(frozen=True)
class CarrySelectAdder(Circuit):
    """Adds two ``bits``-bit numbers in blocks that are computed for both carries; the carry selects."""

    bits: int
    block: int = 4

    def cells(self) -> Mapping[str, float]:
        """Two adders and a row of multiplexers for every block but the first."""
        later = max(0, self.bits - self.block)
        blocks = -(-later // self.block)
        return {"cpa": self.bits + later, "mux": later + blocks}

    def levels(self) -> float:
        """One block's ripple, then a multiplexer per block."""
        return min(self.block, self.bits) + 0.7 * -(-max(0, self.bits - self.block) // self.block)
