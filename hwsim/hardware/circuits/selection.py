"""Selection: multiplexers, barrel shifters, tables of constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import Circuit, log2_ceil


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
class FunnelShifter(Circuit):
    """Takes ``bits`` out of a longer word, from place 0 … ``positions`` - 1."""

    bits: int
    positions: int

    def cells(self) -> Mapping[str, float]:
        """Return the multiplexers of each stage: as wide as the word and what is still to be shifted by."""
        stages = log2_ceil(max(self.positions, 2))
        return {"mux": sum(self.bits + 2**stage - 1 for stage in range(stages))}

    def levels(self) -> float:
        """One multiplexer per stage."""
        return 0.7 * log2_ceil(max(self.positions, 2))


@dataclass(frozen=True)
class OneHotMux(Circuit):
    """``ways``:1 selection of ``bits`` by decoded select lines: AND gates under an OR tree."""

    bits: int
    ways: int

    def cells(self) -> Mapping[str, float]:
        """An AND per bit and way, ways - 1 OR per bit."""
        return {"and": self.bits * self.ways, "or": self.bits * (self.ways - 1)}

    def levels(self) -> float:
        """One gate, then the tree."""
        return 0.3 + 0.3 * log2_ceil(max(self.ways, 2))
