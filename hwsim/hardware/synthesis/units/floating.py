"""Floating-point multipliers, adders and MACs, and L-Mul; subnormals flushed, round to nearest even.

Parameters: ``E`` exponent bits, ``M`` mantissa bits. MACs accumulate in FP32 (``fp_mac``, ``lmul_mac``)
or in the format itself (``fp_mac_same``).
"""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.hardware.circuits import (
    Adder,
    AndRow,
    Circuit,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Mux,
    OrTree,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.synthesis.unit import UNITS, Bill, bill, product, product_levels

Params = Mapping[str, int]

#: Exponent and significand bits of FP32, and its sum with guard, round and sticky bits.
FP32_EXPONENT, FP32_SIGNIFICAND, FP32_WIDE = 8, 24, 27


def _add(exponent: int, significand: int, wide: int) -> tuple[tuple[float, Circuit], ...]:
    """Return the parts of a floating-point addition whose aligned operands are ``wide`` bits."""
    return (
        (1, Subtractor(exponent)),
        (1, Comparator(exponent)),
        (2, Mux(wide, 2)),
        (2, Shifter(wide, wide)),
        (1, OrTree(wide)),
        (1, Subtractor(wide)),
        (1, Incrementer(wide + significand)),
        (1, LeadingZeroCounter(wide)),
        (1, Adder(exponent)),
        (1, Mux(1 + exponent + significand, 2)),
    )


def _add_levels(exponent: int, significand: int, wide: int) -> float:
    return exponent + 1.4 * log2_ceil(wide) + wide + 1.2 * log2_ceil(wide) + significand / 2 + 1


@UNITS.register("fp_mul")
def fp_mul(p: Params, style: str) -> Bill:
    """Rounded product: two exponent adders, normalisation, rounding."""
    e, m = p["E"], p["M"]
    levels = max(product_levels(m + 1, m + 1), e) + 1.7 + m / 2 + e / 2
    return bill(
        levels, product(m + 1, m + 1, style, signed=False), XorRow(1), OrTree(2 * e), (2, Adder(e + 1)),
        Mux(m + 1, 2), AndRow(m + e), Incrementer(m + e), OrTree(max(m, 1)),
    )  # fmt: skip


@UNITS.register("fp_mulx")
def fp_mulx(p: Params, style: str) -> Bill:
    """Exact product: one exponent adder, zero detection."""
    e, m = p["E"], p["M"]
    levels = max(product_levels(m + 1, m + 1), e + 2) + 1
    return bill(
        levels,
        product(m + 1, m + 1, style, signed=False),
        XorRow(1),
        OrTree(2 * e),
        Adder(e + 1),
        AndRow(2 * m + 2 + e),
    )


@UNITS.register("fp_add")
def fp_add(p: Params, style: str) -> Bill:
    """Rounded sum of two numbers of the format."""
    e, m = p["E"], p["M"]
    return bill(_add_levels(e, m + 1, m + 4), *_add(e, m + 1, m + 4))


@UNITS.register("fp_mac")
def fp_mac(p: Params, style: str) -> Bill:
    """Exact product added to an FP32 accumulator."""
    e, m = p["E"], p["M"]
    adder = FP32_EXPONENT, FP32_SIGNIFICAND, FP32_WIDE
    levels = 1.5 + product_levels(m + 1, m + 1) + _add_levels(*adder)
    return bill(levels, product(m + 1, m + 1, style, signed=False), (2, Adder(e + 1)), *_add(*adder), Register(32))


@UNITS.register("fp_mac_same")
def fp_mac_same(p: Params, style: str) -> Bill:
    """Exact product added to an accumulator of the format."""
    e, m = p["E"], p["M"]
    adder = e, m + 1, 2 * m + 5
    levels = 1.5 + product_levels(m + 1, m + 1) + _add_levels(*adder)
    return bill(
        levels, product(m + 1, m + 1, style, signed=False), (2, Adder(e + 1)), *_add(*adder), Register(1 + e + m)
    )


@UNITS.register("lmul")
def lmul(p: Params, style: str) -> Bill:
    """L-Mul of exponent and mantissa fields as one integer, with a constant; zero detection."""
    e, m = p["E"], p["M"]
    return bill(e + m + 3, (2, Adder(e + m)), XorRow(1), OrTree(2 * e), AndRow(e + m))


@UNITS.register("lmul_mac")
def lmul_mac(p: Params, style: str) -> Bill:
    """L-Mul with an FP32 accumulator."""
    e, m = p["E"], p["M"]
    adder = FP32_EXPONENT, FP32_SIGNIFICAND, FP32_WIDE
    return bill(1.5 + e + m + _add_levels(*adder), (2, Adder(e + m)), *_add(*adder), Register(32))
