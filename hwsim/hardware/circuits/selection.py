"""Selection: multiplexers, barrel shifters, tables of constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import MUX_LEVELS, NAND, SELECT_LEVELS, Circuit, log2_ceil
from hwsim.hardware.circuits.widths import exp2, largest, least

#: Levels of a stage of a shifter: the rows c_shr of 11 to 28 bits take 1.40 to 1.65 (synthesis with ASAP7).
STAGE_LEVELS = 1.45


@dataclass(frozen=True)
class Mux(Circuit):
    """``ways``:1 multiplexer of ``bits``."""

    bits: int
    ways: int = 2

    def cells(self) -> Mapping[str, float]:
        """ways - 1 two-way multiplexers per bit; those of a tree share gates and are smaller."""
        return {"mux" if self.ways == 2 else "tree": self.bits * (self.ways - 1)}

    def levels(self) -> float:
        """One multiplexer per level of the tree; the select line drives all bits."""
        return MUX_LEVELS * log2_ceil(self.ways) + SELECT_LEVELS * log2_ceil(self.bits) if self.ways > 1 else 0.0

    @property
    def passes_ripples(self) -> bool:
        """Bits do not meet."""
        return True

    def live_bits(self, progress: float) -> float:
        """What is still chosen from."""
        return self.bits * largest(1.0, self.ways * exp2(-progress * log2_ceil(largest(self.ways, 2))))


@dataclass(frozen=True)
class Swap(Circuit):
    """Hands on two numbers of ``bits``, or exchanges them."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Two multiplexers per bit."""
        return {"mux": 2 * self.bits}

    def levels(self) -> float:
        """One multiplexer; the select line drives both numbers."""
        return MUX_LEVELS + SELECT_LEVELS * log2_ceil(2 * self.bits)

    @property
    def passes_ripples(self) -> bool:
        """Bits do not meet."""
        return True

    def live_bits(self, progress: float) -> float:
        """Both numbers."""
        return 2 * self.bits


@dataclass(frozen=True)
class Shifter(Circuit):
    """Barrel shifter of ``bits`` by 0 … ``positions`` - 1."""

    bits: int
    positions: int

    def cells(self) -> Mapping[str, float]:
        """A cell per bit and stage, or an AND where zeros come in."""
        stages = log2_ceil(largest(self.positions, 2))
        narrow = least(stages, self.bits.bit_length())  # stages that shift by no more than the word is wide
        filled = 2**narrow - 1 + self.bits * (stages - narrow)
        return {"shift": self.bits * stages - filled, "and": filled}

    def levels(self) -> float:
        """One multiplexer per stage, its select line's fan-out included."""
        return STAGE_LEVELS * log2_ceil(largest(self.positions, 2))

    def live_bits(self, progress: float) -> float:
        """The word, and the places that are still to come."""
        return self.bits + log2_ceil(largest(self.positions, 2)) * (1 - progress)


@dataclass(frozen=True)
class Placer(Circuit):
    """Puts a number of ``bits`` at place 0 … ``positions`` - 1 of a word of ``width``: a float to fixed point.

    ``summed`` says that an adder takes the word, whose LUTs hold a part of the last stages on FPGA fabric.
    """

    bits: int
    positions: int
    width: int
    summed: bool = False

    def _stages(self) -> list[tuple[int, int]]:
        """Return the width that each stage takes, and by how much it may shift."""
        found, width = [], self.bits
        for stage in range(log2_ceil(largest(self.positions, 2))):
            found.append((width, 1 << stage))
            width = least(self.width, width + (1 << stage))
        return found

    def cells(self) -> Mapping[str, float]:
        """A multiplexer where both places are in the word, an AND where only one of them is."""
        both = sum(largest(0, width - shift) for width, shift in self._stages())
        one = sum(2 * least(width, shift) for width, shift in self._stages())
        return {"shift": both, "and": one}

    def levels(self) -> float:
        """One multiplexer per stage, its select line's fan-out included."""
        return STAGE_LEVELS * log2_ceil(largest(self.positions, 2))

    def live_bits(self, progress: float) -> float:
        """The number as far as it is placed, and the places that are still to come."""
        return self.bits + (self.width - self.bits) * progress + log2_ceil(largest(self.positions, 2)) * (1 - progress)


@dataclass(frozen=True)
class Rom(Circuit):
    """Table of ``words`` constants of ``bits``: a small decoder, such as that of a codebook."""

    words: int
    bits: int

    def cells(self) -> Mapping[str, float]:
        """A tree of two-way multiplexers per bit whose lowest row, of constants, falls away: words / 2 - 1.

        An upper bound (derived): synthesis shares terms between bits.
        """
        return {"tree": self.bits * largest(1, (self.words + 1) // 2 - 1)}

    def levels(self) -> float:
        """One multiplexer per level of the tree above its lowest row."""
        return MUX_LEVELS * largest(1, log2_ceil(largest(self.words, 2)) - 1)

    def live_bits(self, progress: float) -> float:
        """The word."""
        return self.bits


@dataclass(frozen=True)
class FunnelShifter(Circuit):
    """Takes ``bits`` out of a longer word, from place 0 … ``positions`` - 1."""

    bits: int
    positions: int

    def cells(self) -> Mapping[str, float]:
        """Return the multiplexers of each stage: as wide as the word and what is still to be shifted by."""
        stages = log2_ceil(largest(self.positions, 2))
        return {"shift": stages * (self.bits - 1) + 2**stages - 1}

    def levels(self) -> float:
        """One multiplexer per stage, its select line's fan-out included."""
        return STAGE_LEVELS * log2_ceil(largest(self.positions, 2))

    def live_bits(self, progress: float) -> float:
        """The word, and what is shifted in."""
        return self.bits + self.positions * (1 - progress)


@dataclass(frozen=True)
class OneHotMux(Circuit):
    """``ways``:1 selection of ``bits`` by decoded select lines: AND gates under an OR tree."""

    bits: int
    ways: int

    def cells(self) -> Mapping[str, float]:
        """Return a NAND per bit and way, and the tree of NAND over them."""
        return {"and": NAND * self.bits * (2 * self.ways - 1)}

    def levels(self) -> float:
        """One gate, then the tree."""
        return 0.8 + 0.5 * log2_ceil(largest(self.ways, 2))

    def live_bits(self, progress: float) -> float:
        """The word."""
        return self.bits
