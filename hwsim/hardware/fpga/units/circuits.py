"""Single circuits, as ``hwsim/data/fpga/component_rows.csv`` has them: ``n`` or ``w`` bits, ``k`` select lines."""

from __future__ import annotations

from hwsim.hardware.circuits import (
    Adder,
    Comparator,
    Equality,
    Incrementer,
    LeadingZeroCounter,
    Mux,
    Negator,
    OrTree,
    Placer,
    Popcount,
    Shifter,
)
from hwsim.hardware.fpga.unit import FAMILIES, Counted, Params


@FAMILIES.register("adder")
def adder(p: Params) -> list[Counted]:
    """An adder."""
    return [Adder(p["w"])]


@FAMILIES.register("gated_adder")
def gated(p: Params) -> list[Counted]:
    """An adder, one of whose operands goes through a row of gates: they are in its LUTs."""
    return [Adder(p["n"])]


@FAMILIES.register("shifter")
def shifter(p: Params) -> list[Counted]:
    """A right shift by up to 2^k - 1 places."""
    return [Shifter(p["n"], 1 << p["k"])]


@FAMILIES.register("placer")
def placer(p: Params) -> list[Counted]:
    """A left shift by up to 2^k - 1 places into a word that holds all of them."""
    return [Placer(p["n"], 1 << p["k"], p["n"] + (1 << p["k"]) - 1)]


@FAMILIES.register("leading_zeros")
def leading_zeros(p: Params) -> list[Counted]:
    """A leading-zero counter."""
    return [LeadingZeroCounter(p["n"])]


@FAMILIES.register("comparator")
def comparator(p: Params) -> list[Counted]:
    """Less than."""
    return [Comparator(p["n"])]


@FAMILIES.register("equality")
def equality(p: Params) -> list[Counted]:
    """Equal."""
    return [Equality(p["n"])]


@FAMILIES.register("or_tree")
def or_tree(p: Params) -> list[Counted]:
    """An OR over all bits."""
    return [OrTree(p["n"])]


@FAMILIES.register("incrementer")
def incrementer(p: Params) -> list[Counted]:
    """An increment by one bit."""
    return [Incrementer(p["n"])]


@FAMILIES.register("negator")
def negator(p: Params) -> list[Counted]:
    """A conditional negation."""
    return [Negator(p["n"])]


@FAMILIES.register("multiplexer")
def multiplexer(p: Params) -> list[Counted]:
    """A multiplexer."""
    return [Mux(p["w"], p["ways"])]


@FAMILIES.register("ones_counter")
def ones(p: Params) -> list[Counted]:
    """A counter of ones."""
    return [Popcount(p["n"])]
