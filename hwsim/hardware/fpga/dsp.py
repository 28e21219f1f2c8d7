"""DSP blocks: which products one block takes, and what must be shared for it to take several.

A packed mode is legal only where the dataflow shares the operand that it needs shared: two products of a block
with one common operand need PEs that get the same weight or the same activation; four need both. Products that a
block adds must go into one sum. A tensor block has several such sums: their PEs share one operand, and the other waits
in registers of the block. Modes and their sources are in ``hwsim/data/fpga/dsp_modes.csv``, sums of tensor blocks in
``dsp_columns.csv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil
from typing import Literal

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

Arithmetic = Literal["int", "float", "complex"]

#: Where products are: in DSP blocks as far as these go, never there, or always.
DspChoice = Literal["auto", "never", "always"]
DSP_CHOICES: tuple[DspChoice, ...] = ("auto", "never", "always")

#: What neighbours share: nothing, one operand, one operand along each direction, the sum that they go into, or a sum
#: in each of several PEs that share an operand while the other is kept.
SHARED = ("none", "one", "both", "sum", "columns")


_NEEDS = {
    "one": "a shared operand",
    "both": "both operands shared",
    "sum": "products of one sum",
    "columns": "products of one sum, one operand that waits in the PEs and one that they share",
}


@dataclass(frozen=True)
class Mode:
    """A mode of a DSP block: ``macs`` products of up to ``a_bits`` × ``b_bits``, signed.

    ``accumulator_bits`` is None where products share a word whose lanes overflow early, so that sums go on in LUTs.
    ``extra_lut6`` is None where the source names correction logic without its size. ``columns`` are the sums of a
    block that adds products.
    """

    primitive: str
    name: str
    arithmetic: Arithmetic
    a_bits: int
    b_bits: int
    macs: Fraction
    shares: str
    accumulator_bits: int | None
    extra_lut6: float | None
    note: str
    source: str
    columns: int = 1

    def takes(self, a_bits: int, b_bits: int, arithmetic: Arithmetic) -> bool:
        """Return whether operands of these widths fit, either way round."""
        if arithmetic != self.arithmetic:
            return False
        return (a_bits <= self.a_bits and b_bits <= self.b_bits) or (b_bits <= self.a_bits and a_bits <= self.b_bits)

    def legal(self, shared: frozenset[str]) -> bool:
        """Return whether neighbours that share ``shared`` may use it.

        ``shared`` holds operands ``w``, ``a``; the ``sum``, where products of one PE are added; and ``kept``, where an
        operand waits in the PEs.
        """
        if self.shares == "columns":
            return {"sum", "kept"} <= shared and bool(shared & {"w", "a"})
        if self.shares == "one":
            return bool(shared & {"w", "a"})
        if self.shares == "both":
            return {"w", "a"} <= shared
        return self.shares == "none" or "sum" in shared

    def blocks(self, products: float) -> Fraction:
        """Return how many blocks the products of one PE take; sums of other PEs do not fill up a sum's block."""
        count = Fraction(products).limit_denominator(1 << 20)
        if self.shares not in ("sum", "columns"):
            return count / self.macs
        return Fraction(ceil(count / (self.macs / self.columns)), self.columns)


@cache
def dsp_primitives() -> list[str]:
    """Return the names of all DSP blocks, sorted."""
    return sorted({row["primitive"] for row in read_csv_rows("fpga", "dsp_modes.csv")})


@cache
def dsp_modes(primitive: str) -> tuple[Mode, ...]:
    """Return the modes of a DSP block.

    Raises
    ------
    UsageError
        If the block is unknown.
    """
    rows = read_csv_rows("fpga", "dsp_modes.csv")
    if primitive not in dsp_primitives():
        raise UsageError(f"unknown DSP block {primitive!r}; {did_you_mean(primitive, dsp_primitives())}")
    return tuple(_mode(row) for row in rows if row["primitive"] == primitive)


def _mode(row: dict[str, str]) -> Mode:
    return Mode(
        primitive=row["primitive"],
        name=row["mode"],
        arithmetic=row["arithmetic"],  # type: ignore[arg-type]
        a_bits=int(row["a_bits"]),
        b_bits=int(row["b_bits"]),
        macs=Fraction(row["macs"]),
        shares=row["shares"],
        accumulator_bits=int(row["accumulator_bits"]) if row["accumulator_bits"] else None,
        extra_lut6=float(row["extra_lut6"]) if row["extra_lut6"] else None,
        note=row["note"],
        source=row["source"],
        columns=_columns().get((row["primitive"], row["mode"]), 1),
    )


@cache
def _columns() -> dict[tuple[str, str], int]:
    rows = read_csv_rows("fpga", "dsp_columns.csv")
    return {(row["primitive"], row["mode"]): int(row["columns"]) for row in rows}


def best_mode(
    primitive: str, a_bits: int, b_bits: int, shared: frozenset[str] = frozenset(), arithmetic: Arithmetic = "int"
) -> Mode | None:
    """Return the legal mode with the most products of these widths per block, None if no mode takes them."""
    fitting = [m for m in dsp_modes(primitive) if m.takes(a_bits, b_bits, arithmetic) and m.legal(shared)]
    return max(fitting, key=lambda mode: (mode.macs, mode.name == "plain"), default=None)


def refused_modes(
    primitive: str, a_bits: int, b_bits: int, shared: frozenset[str] = frozenset(), arithmetic: Arithmetic = "int"
) -> list[str]:
    """Return why denser modes that would take these widths are not legal, one sentence each."""
    best = best_mode(primitive, a_bits, b_bits, shared, arithmetic)
    found = []
    for mode in dsp_modes(primitive):
        if mode.takes(a_bits, b_bits, arithmetic) and not mode.legal(shared) and mode.macs > (best.macs if best else 0):
            found.append(f"{mode.name} ({float(mode.macs):g} products a block) needs {_NEEDS[mode.shares]}")
    return found
