"""Bit-serial, ternary, power-of-two and table units, decoders of codes.

Parameters: ``lanes`` or ``n`` products of ``wa`` bits, ``acc`` accumulator bits; ``shift_bits`` of a runtime shift,
``terms`` of a number; tables of ``W`` bits over ``K`` activations; posits of ``n`` bits.
"""

from __future__ import annotations

from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    LeadingZeroCounter,
    Mux,
    Negator,
    Placer,
    Register,
    Rom,
    Shifter,
    XorRow,
)
from hwsim.hardware.fpga.unit import FAMILIES, Counted, Params, times

#: Bits of the accumulators of all serial units of the table, where a row states none.
ACCUMULATOR = 24


@FAMILIES.register("bit_serial_pe")
def bit_serial(p: Params) -> list[Counted]:
    """Activations gated by a weight bit each, a tree, the accumulator."""
    lanes, bits, acc = p["lanes"], p["wa"], p.get("acc", ACCUMULATOR)
    return [{"gate": lanes * bits}, AdderTree(lanes, bits), Adder(acc), Register(acc)]


def _term(bits: int, shift_bits: int) -> tuple[int, list[Counted]]:
    """Return the width of ±a · 2^s, and its circuits."""
    width = bits + (1 << shift_bits) - 1
    return width, [Placer(bits, 1 << shift_bits, width), Negator(width)]


@FAMILIES.register("bitserial_term_pe_int8")
def term_serial(p: Params) -> list[Counted]:
    """A signed power of two times each activation, a tree, the accumulator."""
    width, term = _term(p["wa"], p["shift_bits"])
    acc = p.get("acc", ACCUMULATOR)
    return [*times(p["lanes"], term), AdderTree(p["lanes"], width + 1), Adder(acc), Register(acc)]


@FAMILIES.register("power_of_two_mul")
def power_of_two(p: Params) -> list[Counted]:
    """A number times a sum of signed powers of two."""
    width, term = _term(p["wa"], p["shift_bits"])
    terms = p["terms"]
    return [*times(terms, term), (terms - 1, Adder(width + 1)), (terms, XorRow(1))]


@FAMILIES.register("ternary_dot")
def ternary(p: Params) -> list[Counted]:
    """Activations added, subtracted or skipped, and a tree."""
    lanes, bits = p["n"], p["wa"] + 1
    tree = [AdderTree(lanes, bits)] if lanes > 1 else []
    return [{"gate": lanes * bits}, (lanes, Negator(bits, lanes > 1)), *tree]


@FAMILIES.register("table_lookup_select")
def select(p: Params) -> list[Counted]:
    """One of half a table's entries, negated or not."""
    bits, lines = p["W"], p["K"]
    return [Mux(bits, 1 << (lines - 1)), Negator(bits), XorRow(lines - 1)]


@FAMILIES.register("table_precompute")
def precompute(p: Params) -> list[Counted]:
    """Half a table of sums and differences of K numbers: each entry is one addition away from another."""
    bits, lines = p["W"], p["K"]
    sums = [(1 << (n - 1), Adder(bits + n - 1)) for n in range(2, lines + 1)]
    return [*sums]


@FAMILIES.register("lookup_decode")
def decode(p: Params) -> list[Counted]:
    """Sixteen codes of eight bits, those of NF4, unless the table says otherwise."""
    return [Rom(p.get("words", 16), p.get("bits", 8))]


@FAMILIES.register("posit_decode")
def posit(p: Params) -> list[Counted]:
    """A regime of leading digits, what is behind it shifted up, the sign taken off."""
    bits = p["n"]
    return [Negator(bits), LeadingZeroCounter(bits), Shifter(bits, bits)]
