"""Multipliers: arrays reduced as Dadda does, and Booth recoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.hardware.circuits.base import Circuit, log2_ceil
from hwsim.hardware.circuits.widths import largest, least

#: Levels of the gates of a Booth encoder with its fan-out and of a selector: 80.4 ps of the row boothenc16 and
#: 142.4 ps of boothpp16 over 30.1 ps, the 7 nm delay of a level (synthesis with ASAP7, yosys 0.70 and abc).
ENCODER_LEVELS, SELECTOR_LEVELS = 2.7, 4.7
#: Levels per bit of the final adder, whose carry starts before the upper bits are reduced (rows int_mul).
FINAL_CARRY = 0.8


@dataclass(frozen=True)
class _Product(Circuit):
    """A product of ``a_bits`` × ``b_bits`` that ends in an adder."""

    a_bits: int
    b_bits: int

    def ripple_levels(self) -> float:
        """The final adder's carry."""
        return FINAL_CARRY * (self.a_bits + self.b_bits - 2)

    @property
    def takes_ripples(self) -> bool:
        """Partial products take all bits at once."""
        return False

    def live_bits(self, progress: float) -> float:
        """Sum and carry word, in part added."""
        return (self.a_bits + self.b_bits) * (2 - progress)


@dataclass(frozen=True)
class Multiplier(_Product):
    """Array multiplier of ``a_bits`` × ``b_bits``; signed ones are Baugh-Wooley, same cells."""

    signed: bool = False

    def cells(self) -> Mapping[str, float]:
        """Return a·b AND; Dadda's full adders (l-1)(s-2) - (s-1), s - 1 half adders, a final adder of l + s - 2."""
        long, short = largest(self.a_bits, self.b_bits), least(self.a_bits, self.b_bits)
        if short == 1:
            return {"and": long}
        full = largest(0, (long - 1) * (short - 2) - (short - 1))
        return {"and": long * short, "fa": full, "ha": short - 1, "cpa": long + short - 2}

    def levels(self) -> float:
        """Reduction in log1.5 stages, then most of the final adder's carry."""
        long, short = largest(self.a_bits, self.b_bits), least(self.a_bits, self.b_bits)
        if short == 1:
            return 0.8
        return 0.5 + (1.7 * log2_ceil(short) if short > 2 else 1) + FINAL_CARRY * (long + short - 2)


@dataclass(frozen=True)
class BoothEncoder(Circuit):
    """Recodes a ``bits``-bit multiplier into radix-4 digits: one, two and sign of each."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Return two XOR and two AND per digit."""
        digits = -(-self.bits // 2)
        return {"xor": 2 * digits, "and": 2 * digits}

    def levels(self) -> float:
        """Return two gates that drive a row of selectors."""
        return ENCODER_LEVELS

    def live_bits(self, progress: float) -> float:
        """One, two and sign of each digit."""
        return 3 * -(-self.bits // 2)


@dataclass(frozen=True)
class EntEncoder(Circuit):
    """Recodes the magnitude of a ``bits``-bit number into digits -1, 0, 1, 2 (EN-T), its sign apart."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Return a conditional negation, and per digit two half adders for the carry and two gates for 3 = 4 - 1."""
        digits = -(-self.bits // 2)
        return {"xor": self.bits, "ha": self.bits + 2 * digits, "and": 2 * digits}

    def levels(self) -> float:
        """Return the negation's carry, half a level per bit, and the carry from digit to digit."""
        return 0.5 + self.bits / 2 + -(-self.bits // 2)

    def live_bits(self, progress: float) -> float:
        """Digits and the sign."""
        return 3 * -(-self.bits // 2) + 1


@dataclass(frozen=True)
class BoothSelector(Circuit):
    """Chooses 0, ±1 or ±2 times a ``bits``-bit multiplicand by one radix-4 digit."""

    bits: int

    def cells(self) -> Mapping[str, float]:
        """Return two multiplexers (0, 1, 2 times) and an XOR (sign) per bit."""
        return {"mux": 2 * self.bits, "xor": self.bits}

    def levels(self) -> float:
        """Return a multiplexer and a gate, with the fan-out of the digit over the row."""
        return SELECTOR_LEVELS

    def live_bits(self, progress: float) -> float:
        """The partial product and its sign."""
        return self.bits + 2


@dataclass(frozen=True)
class BoothMultiplier(_Product):
    """Multiplier with Booth-recoded ``b_bits``: radix 4 halves the rows, radix 8 leaves a third of them.

    Raises
    ------
    ValueError
        If the radix is not 4 or 8.
    """

    radix: int = 4
    signed: bool = True

    def __post_init__(self) -> None:
        if self.radix not in (4, 8):
            raise ValueError(f"Booth multiplier of radix {self.radix}; valid: 4, 8")

    @property
    def digits(self) -> int:
        """Rows of partial products; an unsigned multiplier may need one more."""
        step = 2 if self.radix == 4 else 3
        return -(-(self.b_bits + (not self.signed)) // step)

    def cells(self) -> Mapping[str, float]:
        """Return encoders, selectors, full adders that reduce the rows, the final adder; radix 8 also adds 3·a.

        A full adder takes one bit away, until two words are left, without the three places that have one bit
        already. The top digit of an even unsigned number is 0 or 1: a row of ANDs.
        """
        rows, width, ways = self.digits, self.a_bits + 1, 2 if self.radix == 4 else 4
        triple = 0 if self.radix == 4 else self.a_bits + 1
        gated = 1 if self.radix == 4 and not self.signed and self.b_bits % 2 == 0 else 0
        selected = (rows - gated) * width
        reduced = rows * (width + 1) - (2 * (self.a_bits + self.b_bits) - 3)
        return {
            "xor": 2 * rows + selected,
            "and": 2 * rows + gated * width,
            "mux": ways * selected,
            "fa": largest(0, reduced) if rows > 2 else 0,
            "ha": rows,
            "cpa": self.a_bits + self.b_bits + triple,
        }

    def levels(self) -> float:
        """Return the encoder, the selector, the reduction in log1.5 stages, and the final adder's carry."""
        rows = self.digits
        triple = 0 if self.radix == 4 else self.a_bits
        return (
            ENCODER_LEVELS
            + SELECTOR_LEVELS
            + (1.7 * log2_ceil(rows) if rows > 2 else 0)
            + triple
            + FINAL_CARRY * (self.a_bits + self.b_bits - 2)
        )
