"""Carry-propagate adders, a half adder and then a ``cpa`` cell per bit; carries ripple, as in area-optimised synthesis.

Depths are those of the rows int_add, c_sub, c_addsub, c_inc and c_negc (synthesis with ASAP7).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import INVERTER, MUX_LEVELS, NAND, SELECT_LEVELS, Circuit, log2_ceil
from hwsim.hardware.circuits.widths import exp2, largest, least

#: Levels of one bit of a rippling carry; with it and one level more, the six rows int_add of 4 to 48 bits are
#: within 9 % (synthesis with ASAP7, area mode, yosys 0.70 and abc; a level is the technology's).
CARRY_LEVELS = 0.75
#: An XOR over a carry-propagate cell, 0.158 of 0.559 um2 (hwsim/data/synthesis/calibration.csv).
SHARED_XOR = 0.28


@dataclass(frozen=True)
class _Rippling(Circuit):
    """An addition of two ``bits``-bit numbers whose carry ripples."""

    bits: int

    def ripple_levels(self) -> float:
        """The carry."""
        return CARRY_LEVELS * self.bits

    def live_bits(self, progress: float) -> float:
        """The sum as far as it is, and both numbers above."""
        return self.bits * (2 - progress)


@dataclass(frozen=True)
class Adder(_Rippling):
    """Adds two ``bits``-bit numbers."""

    def cells(self) -> Mapping[str, float]:
        """A half adder, then a carry-propagate cell per bit."""
        return {"ha": 1, "cpa": self.bits - 1}

    def levels(self) -> float:
        """The carry ripples through every bit, the sum's XOR comes after."""
        return 1 + CARRY_LEVELS * self.bits


@dataclass(frozen=True)
class Subtractor(_Rippling):
    """Subtracts two ``bits``-bit numbers."""

    def cells(self) -> Mapping[str, float]:
        """A half adder, then a carry-propagate cell per bit; an inverter per bit."""
        return {"ha": 1, "cpa": self.bits - 1, "and": INVERTER * self.bits}

    def levels(self) -> float:
        """An inverter before the adder."""
        return 1.5 + CARRY_LEVELS * self.bits


@dataclass(frozen=True)
class SumDifference(Circuit):
    """Adds two ``bits``-bit numbers and subtracts them, both at once."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Two adders that share the XOR of their operands, and inverters."""
        return {"ha": 2, "cpa": (2 - SHARED_XOR) * (self.bits - 1), "and": INVERTER * self.bits}

    def levels(self) -> float:
        """As a subtractor."""
        return 1.5 + CARRY_LEVELS * self.bits

    def ripple_levels(self) -> float:
        """The carry."""
        return CARRY_LEVELS * self.bits

    def live_bits(self, progress: float) -> float:
        """Both results."""
        return 2 * self.bits


@dataclass(frozen=True)
class _Stepping(Circuit):
    """A step from one ``bits``-bit number to another that ripples at half a level per bit (rows c_inc, c_negc)."""

    bits: int

    def levels(self) -> float:
        """The carry, or the OR over lower bits."""
        return self.bits / 2

    def ripple_levels(self) -> float:
        """All of it."""
        return self.bits / 2

    def live_bits(self, progress: float) -> float:
        """The number, in part stepped."""
        return self.bits


@dataclass(frozen=True)
class Incrementer(_Stepping):
    """Adds one bit to a ``bits``-bit number: a rounding step."""

    def cells(self) -> Mapping[str, float]:
        """A half adder per bit."""
        return {"ha": self.bits}


@dataclass(frozen=True)
class AddSubtract(_Rippling):
    """Adds or subtracts two ``bits``-bit numbers, as one line says."""

    def cells(self) -> Mapping[str, float]:
        """A carry-propagate cell and an inverting XOR per bit."""
        return {"cpa": self.bits, "xor": self.bits}

    def levels(self) -> float:
        """An XOR with the fan-out of the line before the adder, whose cells do not merge with it."""
        return 2.3 + 0.96 * self.bits


@dataclass(frozen=True)
class Negator(_Stepping):
    """Negates a ``bits``-bit two's complement number, or not, as one line says.

    ``summed`` says that an adder takes it, which on LUT6 has the inversion in its LUTs and the one as its carry-in.
    """

    summed: bool = False

    def cells(self) -> Mapping[str, float]:
        """Per bit two gates, for an OR over those below it and the line, and an XOR."""
        return {"and": 2 * NAND * self.bits, "xor": self.bits}


@dataclass(frozen=True)
class AdderTree(Circuit):
    """Sum of ``inputs`` numbers of ``bits`` bits, growing by one bit per level."""

    inputs: int
    bits: int

    def cells(self) -> Mapping[str, float]:
        """An adder per pair; widths grow towards the root."""
        cells, count, width = 0, self.inputs, self.bits
        while count > 1:
            cells += (count // 2) * (width - 1)
            count, width = count - count // 2, width + 1
        return {"ha": largest(0, self.inputs - 1), "cpa": cells}

    def levels(self) -> float:
        """The first carry chain, and a sum and one more bit per level."""
        depth = log2_ceil(largest(self.inputs, 1))
        return 1 + CARRY_LEVELS * self.bits + (1 + CARRY_LEVELS) * (depth - 1) if depth else 0

    def ripple_levels(self) -> float:
        """The carry."""
        return CARRY_LEVELS * self.bits if self.inputs > 1 else 0.0

    def live_bits(self, progress: float) -> float:
        """What is left of the numbers at a level of the tree."""
        return _tree_bits(self.inputs, self.bits, progress)


@dataclass(frozen=True)
class StaggeredTree(Circuit):
    """Sum of ``inputs`` numbers of ``bits`` bits, each worth twice the one before it."""

    inputs: int
    bits: int

    def cells(self) -> Mapping[str, float]:
        """An adder per pair, as wide as the upper number: the lowest bits of the other pass by."""
        cells, count, width, joined = 0, self.inputs, self.bits, 1
        while count > 1:
            cells += (count // 2) * (width - 1)
            count, joined = count - count // 2, 2 * joined
            width = self.bits + joined
        return {"ha": largest(0, self.inputs - 1), "cpa": cells}

    def levels(self) -> float:
        """The first carry chain, and the places by which numbers grow."""
        return 1 + CARRY_LEVELS * (self.bits + self.inputs) if self.inputs > 1 else 0

    def ripple_levels(self) -> float:
        """The carry."""
        return CARRY_LEVELS * self.bits if self.inputs > 1 else 0.0

    def live_bits(self, progress: float) -> float:
        """What is left of the numbers at a level of the tree."""
        return _tree_bits(self.inputs, self.bits, progress)


@dataclass(frozen=True)
class PrefixAdder(Circuit):
    """Adds two ``bits``-bit numbers with a parallel-prefix carry tree (Sklansky 1960): fast, larger."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Return bits / 2 · log2(bits) carry merges of two AND and an OR, two XOR and an AND per bit."""
        merges = self.bits / 2 * log2_ceil(largest(self.bits, 2))
        return {"xor": 2 * self.bits, "and": self.bits + 3 * merges}

    def levels(self) -> float:
        """An XOR, a merge of two gates per level of the tree, an XOR (gates as in rows c_and and c_xor)."""
        return 2.2 + 1.6 * log2_ceil(largest(self.bits, 2))

    def live_bits(self, progress: float) -> float:
        """Propagate and generate bits become sums."""
        return self.bits * (2 - progress)


@dataclass(frozen=True)
class CarrySelectAdder(Circuit):
    """Adds two ``bits``-bit numbers in blocks that are computed for both carries; the carry selects."""

    bits: int
    block: int = 4

    def cells(self) -> Mapping[str, float]:
        """Two adders and a row of multiplexers for every block but the first."""
        later = largest(0, self.bits - self.block)
        blocks = -(-later // self.block)
        return {"cpa": self.bits + later, "mux": later + blocks}

    def levels(self) -> float:
        """One block's ripple, then a multiplexer per block."""
        blocks = -(-largest(0, self.bits - self.block) // self.block)
        return (
            1
            + CARRY_LEVELS * least(self.block, self.bits)
            + (MUX_LEVELS + SELECT_LEVELS * log2_ceil(self.block)) * blocks
        )

    def live_bits(self, progress: float) -> float:
        """Both sums of the blocks that are not selected yet."""
        return self.bits * (2 - progress)


def _tree_bits(inputs: int, bits: int, progress: float) -> float:
    """Return the bits of the numbers that are left when a share of a tree of adders is done."""
    level = math.floor(progress * log2_ceil(largest(inputs, 1)) + 1e-9)
    left: float = math.ceil(inputs / exp2(level)) * (bits + level)
    return left
