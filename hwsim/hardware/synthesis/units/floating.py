"""Floating-point multipliers, adders and MACs, and L-Mul; subnormals flushed, round to nearest even.

Parameters: ``E`` exponent bits, ``M`` mantissa bits. MACs accumulate in FP32 (``fp_mac``, ``lmul_mac``)
or in the format itself (``fp_mac_same``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwsim.hardware.circuits import (
    Adder,
    AndRow,
    Circuit,
    Incrementer,
    OrTree,
    Part,
    Register,
    XorRow,
    float_addition,
    float_product,
)
from hwsim.hardware.synthesis.unit import UNITS, Bill, bill, product, product_levels

Params = Mapping[str, int]

#: Exponent and significand bits of FP32.
FP32 = 8, 24


def _circuits(parts: Sequence[Part]) -> list[tuple[float, Circuit]]:
    return [(part.count, part.circuit) for part in parts]


def _add(exponent: int, significand: int) -> list[tuple[float, Circuit]]:
    return _circuits(float_addition(exponent, significand, significand))


def _add_levels(exponent: int, significand: int) -> float:
    return sum(p.circuit.levels() for p in float_addition(exponent, significand, significand) if p.on_path)


@UNITS.register("fp_mul")
def fp_mul(p: Params, style: str) -> Bill:
    """Rounded product: two exponent adders, normalisation, rounding."""
    e, m = p["E"], p["M"]
    levels = max(product_levels(m + 1, m + 1), e) + 1.7 + m / 2 + e / 2
    return bill(levels, product(m + 1, m + 1, style, signed=False), *_circuits(float_product(e, m + 1)))


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
    return bill(_add_levels(e, m + 1), *_add(e, m + 1))


@UNITS.register("fp_mac")
def fp_mac(p: Params, style: str) -> Bill:
    """Exact product added to an FP32 accumulator."""
    e, m = p["E"], p["M"]
    levels = 1.5 + product_levels(m + 1, m + 1) + _add_levels(*FP32)
    return bill(levels, product(m + 1, m + 1, style, signed=False), (2, Adder(e + 1)), *_add(*FP32), Register(32))


@UNITS.register("fp_mac_same")
def fp_mac_same(p: Params, style: str) -> Bill:
    """Rounded product added to an accumulator of the format."""
    multiply, add = fp_mul(p, style), fp_add(p, style)
    return bill(1.5 + multiply.levels + add.levels, multiply.cells, add.cells, Register(1 + p["E"] + p["M"]))


@UNITS.register("lmul")
def lmul(p: Params, style: str) -> Bill:
    """L-Mul of exponent and mantissa fields as one integer, with a constant; zero detection."""
    e, m = p["E"], p["M"]
    return bill(e + m + 3, Adder(e + m), Incrementer(e + m), XorRow(1), OrTree(2 * e), AndRow(e + m))


@UNITS.register("lmul_mac")
def lmul_mac(p: Params, style: str) -> Bill:
    """L-Mul with an FP32 accumulator."""
    e, m = p["E"], p["M"]
    return bill(1.5 + e + m + _add_levels(*FP32), Adder(e + m), Incrementer(e + m), *_add(*FP32), Register(32))
