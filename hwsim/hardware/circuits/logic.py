"""Rows and trees of gates, comparators, leading-zero counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import BUFFER, NAND, Circuit, log2_ceil
from hwsim.hardware.circuits.widths import exp2, largest


@dataclass(frozen=True)
class XorRow(Circuit):
    """``bits`` exclusive-or gates side by side."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One XOR per bit."""
        return {"xor": self.bits}

    def levels(self) -> float:
        """One gate (rows c_xor)."""
        return 1.1

    @property
    def passes_ripples(self) -> bool:
        """Bits do not meet."""
        return True

    def live_bits(self, progress: float) -> float:
        """One per gate."""
        return self.bits


@dataclass(frozen=True)
class AndRow(Circuit):
    """``bits`` AND gates side by side: the product with one bit."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One AND per bit."""
        return {"and": self.bits}

    def levels(self) -> float:
        """One gate (rows c_and)."""
        return 0.8

    @property
    def passes_ripples(self) -> bool:
        """Bits do not meet."""
        return True

    def live_bits(self, progress: float) -> float:
        """One per gate."""
        return self.bits


@dataclass(frozen=True)
class OrTree(Circuit):
    """OR over ``bits`` bits, for sticky bits and zero detection."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """bits - 1 gates, NAND and NOR in turn."""
        return {"and": NAND * (self.bits - 1)}

    def levels(self) -> float:
        """A balanced tree of gates that drive one other each."""
        return 0.5 * log2_ceil(largest(self.bits, 2))

    def live_bits(self, progress: float) -> float:
        """Half as many per level of the tree."""
        return largest(1.0, self.bits * exp2(-progress * log2_ceil(largest(self.bits, 2))))


@dataclass(frozen=True)
class Comparator(Circuit):
    """Compares two ``bits``-bit numbers."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """A cell of the chain per bit."""
        return {"cmp": self.bits}

    def levels(self) -> float:
        """A tree (rows c_cmp of 4 to 32 bits: 2.8, 4.9, 7.2, 9.1 levels)."""
        return 2.1 * log2_ceil(largest(self.bits, 2)) - 1.4

    def live_bits(self, progress: float) -> float:
        """What is not compared yet, or the decision."""
        return largest(1.0, 2 * self.bits * (1 - progress))


@dataclass(frozen=True)
class LeadingZeroCounter(Circuit):
    """Counts the leading zeros of ``bits`` bits."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """A tree: log2(bits) cells per bit."""
        return {"lzc": self.bits * log2_ceil(largest(self.bits, 2))}

    def levels(self) -> float:
        """A chain of gates, three to a level (rows c_lzc of 11 and 24 bits: 3.8 and 8.0 levels)."""
        return largest(1.0, self.bits / 3)

    def live_bits(self, progress: float) -> float:
        """What is not looked at yet, and the count."""
        return self.bits * (1 - progress) + (largest(self.bits, 1)).bit_length()


@dataclass(frozen=True)
class Equality(Circuit):
    """Tells whether two ``bits``-bit numbers are equal."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """An XOR per bit under an OR tree."""
        return {"xor": self.bits, "and": NAND * (self.bits - 1)}

    def levels(self) -> float:
        """An XOR and the tree."""
        return 1.1 + 0.5 * log2_ceil(largest(self.bits, 2))

    def live_bits(self, progress: float) -> float:
        """What is not compared yet, or the decision."""
        return largest(1.0, 2 * self.bits * (1 - progress))


#: Loads that a buffer drives (estimated: a usual limit of synthesis).
BUFFER_LOADS = 8


@dataclass(frozen=True)
class FanOut(Circuit):
    """A tree of buffers for each of ``bits`` lines that drive ``loads`` inputs."""

    bits: int
    loads: int

    def nodes(self) -> list[int]:
        """Return the buffers per line of each level, from the loads up; none drives few enough itself."""
        found, left = [], self.loads
        while left > BUFFER_LOADS:
            left = -(-left // BUFFER_LOADS)
            found.append(left)
        return found

    def cells(self) -> Mapping[str, float]:
        """The buffers of the tree."""
        return {"and": BUFFER * self.bits * sum(self.nodes())}

    def levels(self) -> float:
        """A buffer per level, with the delay of a loaded gate."""
        return 0.8 * len(self.nodes())

    def live_bits(self, progress: float) -> float:
        """The lines."""
        return self.bits
