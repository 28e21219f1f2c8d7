"""Floating-point addition, and what surrounds the multiplier of a product: parts that every such datapath has.

Round to nearest even, subnormals flushed to zero, no NaN path: as the synthesised units are built.
"""

from __future__ import annotations

from hwsim.hardware.circuits.adders import Adder, AddSubtract, Incrementer, Subtractor
from hwsim.hardware.circuits.logic import AndRow, Comparator, LeadingZeroCounter, OrTree, XorRow
from hwsim.hardware.circuits.part import Part
from hwsim.hardware.circuits.selection import Mux, Shifter, Swap
from hwsim.hardware.circuits.widths import largest, remembered

#: Guard, round and sticky bits below the longer operand of an addition.
ROUNDING_BITS = 3


@remembered(1024)
def float_addition(exponent: int, result: int, operand: int) -> tuple[Part, ...]:
    """Return the parts of an addition.

    Parameters
    ----------
    exponent
        Exponent bits.
    result
        Significand bits of the sum, to which it is rounded.
    operand
        Significand bits of the longer operand: more than ``result`` for exact products.
    """
    wide = operand + ROUNDING_BITS
    return (
        Part("exponent difference", "exponent", Subtractor(exponent), beside_bits=2 * operand + 2),
        Part("magnitude compare", "exponent", Comparator(exponent + operand - 1), on_path=False),
        Part("operand swap", "alignment", Swap(operand), beside_bits=exponent + 2),
        Part("exponent select", "exponent", Mux(exponent, 2), on_path=False),
        Part("align", "alignment", Shifter(wide, wide), beside_bits=operand + exponent + 2),
        Part("sticky", "alignment", OrTree(wide), on_path=False),
        Part("add or subtract", "accumulator", AddSubtract(wide + 1), beside_bits=exponent + 1),
        Part("leading zeros", "normalisation", LeadingZeroCounter(wide + 1), beside_bits=wide + exponent + 1),
        Part("normalise", "normalisation", Shifter(wide, wide), beside_bits=exponent + 1),
        Part("exponent correction", "normalisation", Subtractor(exponent), on_path=False),
        Part("round", "normalisation", Incrementer(exponent + result), beside_bits=1),
        Part("range check", "normalisation", Comparator(exponent + 1), on_path=False),
        Part("zero and overflow", "normalisation", Mux(exponent + result, 2)),
    )


@remembered(1024)
def float_product(exponent: int, significand: int) -> tuple[Part, ...]:
    """Return what a rounded product has besides the multiplier of significands; ``significand`` with hidden bit."""
    fraction = significand - 1
    return (
        Part("sign", "multiplier", XorRow(1), on_path=False),
        Part("zero operands", "exponent", OrTree(2 * exponent), on_path=False),
        Part("exponent adder", "exponent", Adder(exponent + 1), on_path=False),
        Part("bias and overflow", "exponent", Adder(exponent + 1), on_path=False),
        Part("normalise", "normalisation", Mux(significand, 2)),
        Part("sticky", "normalisation", OrTree(largest(fraction, 1)), on_path=False),
        Part("round", "normalisation", Incrementer(fraction + exponent)),
        Part("flush", "normalisation", AndRow(fraction + exponent)),
    )
