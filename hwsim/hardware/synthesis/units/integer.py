"""Integer adders, multipliers, MACs, systolic PEs and dot products.

Parameters: ``n`` and ``m`` operand bits, ``acc`` accumulator bits, ``K`` products.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.hardware.circuits import Adder, AdderTree, Register
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.synthesis.unit import UNITS, Bill, bill, product, product_levels

Params = Mapping[str, int]


@UNITS.register("int_add")
def int_add(p: Params, style: str) -> Bill:
    """Ripple-carry adder of n bits."""
    return bill(p["n"] + 1, Adder(p["n"]))


@UNITS.register("int_mul")
def int_mul(p: Params, style: str) -> Bill:
    """Signed multiplier."""
    return bill(product_levels(p["n"], p["m"]), product(p["n"], p["m"], style))


@UNITS.register("uint_mul")
def uint_mul(p: Params, style: str) -> Bill:
    """Unsigned multiplier."""
    return bill(product_levels(p["n"], p["m"]), product(p["n"], p["m"], style, signed=False))


def _mac_levels(p: Params) -> float:
    # The accumulator's carry starts before the product is complete.
    return 1.5 + max(0.6 * product_levels(p["n"], p["m"]) + 0.5 * p["acc"], p["acc"])


@UNITS.register("int_mac")
def int_mac(p: Params, style: str) -> Bill:
    """Multiplier, adder and accumulator."""
    acc = p["acc"]
    return bill(_mac_levels(p), product(p["n"], p["m"], style, sum_bits=acc), Adder(acc), Register(acc))


@UNITS.register("int_pe")
def int_pe(p: Params, style: str) -> Bill:
    """MAC with registers of both operands."""
    acc, held = p["acc"], p["n"] + p["m"]
    return bill(_mac_levels(p), product(p["n"], p["m"], style, sum_bits=acc), Adder(acc), Register(acc), Register(held))


@UNITS.register("int_dot")
def int_dot(p: Params, style: str) -> Bill:
    """K multipliers, an adder tree, adder and accumulator."""
    n, m, acc, lanes = p["n"], p["m"], p["acc"], p["K"]
    products = {cell: lanes * count for cell, count in product(n, m, style, sum_bits=acc).items()}
    levels = 1.5 + 0.5 * product_levels(n, m) + 1.2 * log2_ceil(lanes) + 0.6 * acc
    return bill(levels, products, AdderTree(lanes, n + m), Adder(acc), Register(acc))
