"""The circuits of arithmetic datapaths, counted from their widths.

Counts are the textbook structures: carry-propagate adders of one ``cpa`` cell per bit, array
multipliers of a·b AND gates with full and half adders by Dadda's reduction and a final adder,
logarithmic barrel shifters of one multiplexer per bit and stage. Depths are in full-adder
delays; adders ripple, as they do in the area-optimised synthesis that the prices come from.
"""

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
class Multiplier(Circuit):
    """Array multiplier of ``a_bits`` × ``b_bits``; signed ones are Baugh-Wooley, same cells."""

    a_bits: int
    b_bits: int
    signed: bool = False

    def cells(self) -> Mapping[str, float]:
        """Return a·b AND; Dadda's full adders (l-1)(s-2) - (s-1), s - 1 half adders, a final adder of l + s - 2."""
        long, short = max(self.a_bits, self.b_bits), min(self.a_bits, self.b_bits)
        if short == 1:
            return {"and": long}
        full = max(0, (long - 1) * (short - 2) - (short - 1))
        return {"and": long * short, "fa": full, "ha": short - 1, "cpa": long + short - 2}

    def levels(self) -> float:
        """Reduction in log1.5 stages, then the final adder's carry."""
        short = min(self.a_bits, self.b_bits)
        return 0.5 + (1.7 * log2_ceil(short) if short > 2 else short / 2) + max(self.a_bits, self.b_bits)


@dataclass(frozen=True)
class Shifter(Circuit):
    """Barrel shifter of ``bits`` by 0 … ``positions`` - 1."""

    bits: int
    positions: int

    def cells(self) -> Mapping[str, float]:
        """One multiplexer per bit and stage."""
        return {"mux": self.bits * log2_ceil(max(self.positions, 2))}

    def levels(self) -> float:
        """One multiplexer per stage."""
        return 0.7 * log2_ceil(max(self.positions, 2))


@dataclass(frozen=True)
class Mux(Circuit):
    """``ways``:1 multiplexer of ``bits``."""

    bits: int
    ways: int = 2

    def cells(self) -> Mapping[str, float]:
        """ways - 1 two-way multiplexers per bit."""
        return {"mux": self.bits * (self.ways - 1)}

    def levels(self) -> float:
        """One multiplexer per level of the tree."""
        return 0.7 * log2_ceil(self.ways)


@dataclass(frozen=True)
class Rom(Circuit):
    """Table of ``words`` constants of ``bits``: a small decoder, such as that of a codebook."""

    words: int
    bits: int

    def cells(self) -> Mapping[str, float]:
        """A tree of two-way multiplexers per bit whose lowest row, of constants, falls away: words / 2 - 1.

        An upper bound (derived): synthesis shares terms between bits.
        """
        return {"mux": self.bits * max(1, (self.words + 1) // 2 - 1)}

    def levels(self) -> float:
        """One multiplexer per level of the tree above its lowest row."""
        return 0.7 * max(1, log2_ceil(max(self.words, 2)) - 1)


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
class Register(Circuit):
    """``bits`` flip-flops."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """One flip-flop per bit."""
        return {"reg": self.bits}

    def levels(self) -> float:
        """Clock to output, as part of a path."""
        return 1.5
