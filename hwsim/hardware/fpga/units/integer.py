"""Integers: adders, multipliers of rows in pairs, MACs, dot products, counters of ones.

Parameters: ``w`` bits, ``wa`` and ``wb`` operand bits, ``acc`` accumulator bits, ``n`` products.
"""

from __future__ import annotations

from hwsim.formats.sums import lossless_integer_bits
from hwsim.hardware.circuits import Adder, AdderTree, Multiplier, Register
from hwsim.hardware.fpga.unit import FAMILIES, LENGTH, Counted, Params


@FAMILIES.register("int_add")
def int_add(p: Params) -> list[Counted]:
    """An adder."""
    return [Adder(p["w"])]


@FAMILIES.register("int_mul")
def int_mul(p: Params) -> list[Counted]:
    """A multiplier, signed or not."""
    return [Multiplier(p["wa"], p["wb"], bool(p.get("signed", 1)))]


@FAMILIES.register("int_mac")
def int_mac(p: Params) -> list[Counted]:
    """A multiplier and the accumulator: as stated, or lossless over :data:`LENGTH` products."""
    acc = p["acc"] if "acc" in p else lossless_integer_bits(p["wa"], p["wb"], LENGTH)
    return [Multiplier(p["wa"], p["wb"], signed=True), Adder(acc), Register(acc)]


@FAMILIES.register("int_dot_rows")
def int_dot(p: Params) -> list[Counted]:
    """Multipliers and a tree of adders."""
    return [(p["n"], Multiplier(p["wa"], p["wb"])), AdderTree(p["n"], p["wa"] + p["wb"])]


@FAMILIES.register("adder_tree")
def adder_tree(p: Params) -> list[Counted]:
    """A tree of adders."""
    return [AdderTree(p["n"], p["w"])]
