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
from itertools import pairwise
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
class Packing:
    """Where operands lie in the words that a block multiplies: their lowest bits, on its wide and its narrow port.

    With ``narrow`` packed operands lack their lowest code. Lanes are corrected in LUTs: by the ``sign`` of the lane
    below, or by a ``canary``, two bits of each product.
    """

    a_offsets: tuple[int, ...]
    b_offsets: tuple[int, ...]
    narrow: bool
    correction: str
    source: str

    @property
    def lanes(self) -> tuple[int, ...]:
        """Lowest bits of the products in the word that comes out, ascending."""
        return tuple(sorted(a + b for a in self.a_offsets for b in self.b_offsets))

    @property
    def lane_bits(self) -> int:
        """Bits of the narrowest lane that has another above it."""
        return min(high - low for low, high in pairwise(self.lanes))


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
    packing: Packing | None = None

    def takes(self, a_bits: int, b_bits: int, arithmetic: Arithmetic) -> bool:
        """Return whether operands of these widths fit, either way round."""
        if arithmetic != self.arithmetic:
            return False
        return (a_bits <= self.a_bits and b_bits <= self.b_bits) or (b_bits <= self.a_bits and a_bits <= self.b_bits)

    @property
    def lane_products(self) -> int | None:
        """The most products whose sum a lane of a packed word holds, None where nothing is packed or known of it."""
        if self.packing is None:
            return None
        largest = ((1 << (self.a_bits - 1)) - self.packing.narrow) << (self.b_bits - 1)
        return ((1 << (self.packing.lane_bits - 1)) - 1) // largest

    def in_range(self, shared: frozenset[str], full: frozenset[str]) -> bool:
        """Return whether what would be packed has a range that its lanes take, operands of ``full`` use every code."""
        if self.packing is None or not self.packing.narrow:
            return True
        return any({"w": "a", "a": "w"}[one] not in full for one in shared & {"w", "a"})

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

    @property
    def adds(self) -> bool:
        """Whether a block adds products of one PE."""
        return self.shares in ("sum", "columns")

    def blocks(self, products: float) -> Fraction:
        """Return how many blocks the products of one PE take; sums of other PEs do not fill up a sum's block."""
        count = Fraction(products).limit_denominator(1 << 20)
        if not self.adds:
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
        packing=_packings().get((row["primitive"], row["mode"])),
    )


@cache
def _columns() -> dict[tuple[str, str], int]:
    rows = read_csv_rows("fpga", "dsp_columns.csv")
    return {(row["primitive"], row["mode"]): int(row["columns"]) for row in rows}


@cache
def _packings() -> dict[tuple[str, str], Packing]:
    return {
        (row["primitive"], row["mode"]): Packing(
            tuple(int(bit) for bit in row["a_offsets"].split()),
            tuple(int(bit) for bit in row["b_offsets"].split()),
            row["narrow"] == "yes",
            row["correction"],
            row["source"],
        )
        for row in read_csv_rows("fpga", "dsp_packing.csv")
    }


@cache
def product_registers(primitive: str) -> int:
    """Return the registers of a block between those of its operands and its sum; 0 where no source tells."""
    rows = read_csv_rows("fpga", "dsp_registers.csv")
    return next((int(row["product"]) for row in rows if row["primitive"] == primitive), 0)


def best_mode(
    primitive: str,
    a_bits: int,
    b_bits: int,
    shared: frozenset[str] = frozenset(),
    arithmetic: Arithmetic = "int",
    full: frozenset[str] = frozenset(),
    asked: str = "",
) -> Mode | None:
    """Return the legal mode with the most products of these widths per block, None if no mode takes them.

    Operands of ``full`` use every code of their width, the lowest too. The mode ``asked`` for comes first if legal.
    """
    fitting = legal_modes(primitive, a_bits, b_bits, shared, arithmetic, full)
    return max(fitting, key=lambda mode: (mode.name == asked, mode.macs, mode.name == "plain"), default=None)


def legal_modes(
    primitive: str,
    a_bits: int,
    b_bits: int,
    shared: frozenset[str] = frozenset(),
    arithmetic: Arithmetic = "int",
    full: frozenset[str] = frozenset(),
) -> list[Mode]:
    """Return the modes that take products of these widths and are legal; arguments as of :func:`best_mode`."""
    taking = [mode for mode in dsp_modes(primitive) if mode.takes(a_bits, b_bits, arithmetic)]
    return [mode for mode in taking if mode.legal(shared) and mode.in_range(shared, full)]


def refused_modes(
    primitive: str,
    a_bits: int,
    b_bits: int,
    shared: frozenset[str] = frozenset(),
    arithmetic: Arithmetic = "int",
    full: frozenset[str] = frozenset(),
) -> list[str]:
    """Return why denser modes that would take these widths are not legal, one sentence each."""
    best = best_mode(primitive, a_bits, b_bits, shared, arithmetic, full)
    found = []
    for mode in dsp_modes(primitive):
        if not mode.takes(a_bits, b_bits, arithmetic) or mode.macs <= (best.macs if best else 0):
            continue
        lowest = -(1 << (mode.a_bits - 1))
        needs = f"packed operands without {lowest}" if mode.legal(shared) else _NEEDS[mode.shares]
        found.append(f"{mode.name} ({float(mode.macs):g} products a block) needs {needs}")
    return found
