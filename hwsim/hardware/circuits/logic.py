"""Rows and trees of gates, comparators, leading-zero counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import Circuit, log2_ceil


@dataclass(frozen=True)
class XorRow(Circuit):
    """``bits`` exclusive-or gates side by side."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One XOR per bit."""
        return {"xor": self.bits}

    def levels(self) -> float:
        """One gate."""
        return 0.5


@dataclass(frozen=True)
class AndRow(Circuit):
    """``bits`` AND gates side by side: the product with one bit."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One AND per bit."""
        return {"and": self.bits}

    def levels(self) -> float:
        """One gate."""
        return 0.3


@dataclass(frozen=True)
class OrTree(Circuit):
    """OR over ``bits`` bits, for sticky bits and zero detection."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """bits - 1 OR gates."""
        return {"or": self.bits - 1}

    def levels(self) -> float:
        """A balanced tree."""
        return 0.3 * log2_ceil(max(self.bits, 2))


@dataclass(frozen=True)
class Comparator(Circuit):
    """Compares two ``bits``-bit numbers."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """An XOR and an AND per bit and the comparison chain."""
        return {"xor": self.bits, "and": self.bits, "cmp": self.bits}

    def levels(self) -> float:
        """The decision ripples at half a full adder per bit."""
        return self.bits / 2


@dataclass(frozen=True)
class LeadingZeroCounter(Circuit):
    """Counts the leading zeros of ``bits`` bits."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """A tree with about log2(bits) / 2 cells per bit, OR gates beside it."""
        return {"lzc": self.bits * 0.5, "or": self.bits}

    def levels(self) -> float:
        """Two gates per level of the tree."""
        return 0.8 * log2_ceil(max(self.bits, 2))


@dataclass(frozen=True)
class Equality(Circuit):
    """Tells whether two ``bits``-bit numbers are equal."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """An XOR per bit under an OR tree."""
        return {"xor": self.bits, "or": self.bits - 1}

    def levels(self) -> float:
        """An XOR and the tree."""
        return 0.5 + 0.3 * log2_ceil(max(self.bits, 2))
