"""Bit-serial, shift-and-add, table, ternary and binary lanes with their accumulators.

Parameters: ``n`` activation bits, ``w`` weight bits, ``K`` lanes, ``acc`` accumulator bits, ``E`` and ``M``
of float activations; tables of ``T`` entries of ``e`` bits, over ``g`` activations.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    Circuit,
    Comparator,
    Mux,
    Negator,
    Popcount,
    Register,
    Shifter,
    XorRow,
)
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.synthesis.unit import UNITS, Bill, bill

Params = Mapping[str, int]


@UNITS.register("bitserial_int")
def bitserial_int(p: Params, style: str) -> Bill:
    """K activations times one weight bit each, an adder tree, shift and add."""
    n, lanes, acc = p["n"], p["K"], p["acc"]
    levels = 2 + n + 1.2 * log2_ceil(lanes) + 0.5 * acc
    return bill(
        levels, (lanes, AndRow(n)), AdderTree(lanes, n), Adder(acc), Register(acc), XorRow(n + log2_ceil(lanes))
    )


@UNITS.register("bitmod")
def bitmod(p: Params, style: str) -> Bill:
    """K terms times float activations: exponents, alignment to the largest, tree, shifted accumulation."""
    e, m, lanes, acc = p["E"], p["M"], p["K"], p["acc"]
    wide = m + 4  # three further bits
    levels = 2 + 2 * e + 0.5 * e * log2_ceil(lanes) + m + acc
    return bill(
        levels, (lanes, Adder(2 * e + 1)), (lanes - 1, Comparator(e)), (lanes - 1, Mux(e, 2)),
        (lanes, XorRow(e + wide)), (lanes, Shifter(wide, wide)), (lanes, AndRow(m + 1)), AdderTree(lanes, wide + 1),
        Shifter(acc, acc), Mux(acc, 2), Adder(acc + 2 * e), XorRow(acc), Register(acc + e + 1),
    )  # fmt: skip


@UNITS.register("shiftadd")
def shiftadd(p: Params, style: str) -> Bill:
    """K lanes that add the activation shifted for every weight bit, a tree, the accumulator."""
    n, w, lanes, acc = p["n"], p["w"], p["K"], p["acc"]
    levels = 2 + n + w + 1.2 * log2_ceil(lanes) + 0.5 * acc
    lane = {"and": n * w, "cpa": (w - 1) * (n + 1) + n}
    return bill(levels, {c: lanes * k for c, k in lane.items()}, AdderTree(lanes, n + w), Adder(acc), Register(acc))


@UNITS.register("lut_sym")
def lut_sym(p: Params, style: str) -> Bill:
    """Selection from half a table and conditional negation, accumulated."""
    return bill(2 + 0.7 * log2_ceil(max(p["T"], 2)) + p["acc"], Mux(p["e"], p["T"]), XorRow(p["e"]), *_loaded_sum(p))


@UNITS.register("lut_full")
def lut_full(p: Params, style: str) -> Bill:
    """Selection from a whole table, accumulated."""
    return bill(2 + 0.7 * log2_ceil(max(p["T"], 2)) + p["acc"], Mux(p["e"], p["T"]), *_loaded_sum(p))


def _sum(p: Params) -> tuple[Adder, Register]:
    return Adder(p["acc"]), Register(p["acc"])


def _loaded_sum(p: Params) -> tuple[Circuit, ...]:
    # Their area without a table is that of a sum whose start can be loaded.
    return *_sum(p), Mux(p["acc"], 2)


@UNITS.register("lut_gen")
def lut_gen(p: Params, style: str) -> Bill:
    """The table's entries from g activations: an addition each."""
    return bill(p["n"] + 2 * p["g"], (p["T"], Adder(p["n"] + 1)), (p["T"], XorRow(p["n"] + 1)))


@UNITS.register("ternary")
def ternary(p: Params, style: str) -> Bill:
    """K activations added, subtracted or skipped, an adder tree, the accumulator."""
    n, lanes, acc = p["n"], p["K"], p["acc"]
    levels = 2 + n + 1.5 * log2_ceil(lanes) + 0.5 * acc
    return bill(levels, (lanes, AndRow(n)), (lanes, Negator(n + 1)), AdderTree(lanes, n + 1), *_sum(p))


@UNITS.register("xnor")
def xnor(p: Params, style: str) -> Bill:
    """K one-bit products, counted and accumulated."""
    return bill(2 + 1.7 * log2_ceil(p["K"]) + p["acc"], XorRow(p["K"]), Popcount(p["K"]), *_sum(p))
