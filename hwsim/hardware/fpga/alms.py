"""What a circuit is made of on Intel's ALMs: where their laws differ from those of six-input LUTs.

An ALM is a function of six inputs or two of four and fewer, or two bits of an adder whose operands are functions of
up to four inputs (:mod:`hwsim.hardware.fpga.generate.alm` cites the handbooks). So a bit of a chain is half an ALM,
gates before an adder cost nothing there, either, and whatever has few inputs takes half of one. Cells are those of
:data:`~hwsim.hardware.fpga.cells.FABRIC_CELLS`, and ``mlab``: an ALM of a memory LAB. Every chain begins in an ALM
of its own, so that its bits are rounded up to even.
"""

from __future__ import annotations

from functools import singledispatch

from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AddSubtract,
    BoothMultiplier,
    BoothSelector,
    CarrySelectAdder,
    Circuit,
    Comparator,
    FunnelShifter,
    Incrementer,
    Multiplier,
    Mux,
    Negator,
    PrefixAdder,
    RegisterTable,
    Rom,
    Shifter,
    StaggeredTree,
    Subtractor,
    SumDifference,
    Swap,
)
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.fpga.cells import FABRIC_CELLS, LUT_ENTRIES, Cells, fabric_cells, tree_levels

#: Classes of cells on ALMs.
ALM_CELLS = (*FABRIC_CELLS, "mlab")
#: Words and bits of an ALM of a memory LAB: 640 bits, 32 words of 20, in ten ALMs (Intel 683149, 1.18, table 9).
MLAB_WORDS, MLAB_BITS = 32, 2


@singledispatch
def alm_cells(circuit: Circuit) -> Cells:
    """Return how many cells of each class (:data:`ALM_CELLS`) a circuit has; as on LUT6 unless a law says otherwise.

    Raises
    ------
    MissingFigureError
        If there is no law for circuits of its kind.
    """
    return fabric_cells(circuit)


def chain(bits: float) -> float:
    """Return the bits that a chain takes: two to an ALM."""
    return 2 * -(-bits // 2)


@alm_cells.register(Adder)
@alm_cells.register(Subtractor)
@alm_cells.register(AddSubtract)
@alm_cells.register(Incrementer)
@alm_cells.register(PrefixAdder)
@alm_cells.register(CarrySelectAdder)
def _adder(circuit: Adder) -> Cells:
    return {"carry": chain(circuit.bits)}


@alm_cells.register
def _negator(circuit: Negator) -> Cells:
    return {"negate": chain(circuit.bits)}


@alm_cells.register
def _sum_difference(circuit: SumDifference) -> Cells:
    return {"carry": 2 * chain(circuit.bits)}


@alm_cells.register(AdderTree)
@alm_cells.register(StaggeredTree)
def _tree(circuit: AdderTree) -> Cells:
    # A sum's highest bit, the carry out, is a bit of the chain, too (rows adder_tree).
    levels = tree_levels(circuit.inputs, circuit.bits, isinstance(circuit, StaggeredTree))
    return {"carry": sum(count * chain(width + 1) for count, width in levels)}


@alm_cells.register
def _multiplier(circuit: Multiplier) -> Cells:
    """Rows in pairs, one chain a pair, and a tree of sums, each as wide as it grows."""
    long, short = max(circuit.a_bits, circuit.b_bits), min(circuit.a_bits, circuit.b_bits)
    if short == 1:
        return {"gate": long}
    # A row that is subtracted needs a bit for the carry that begins its chain.
    pairs, less = short // 2, 1 if circuit.signed else 0
    even = short % 2 == 0
    chains = [long + 2 + (less if even and pair == pairs - 1 else 0) for pair in range(pairs)]
    tops = [long + 2 + 2 * pair for pair in range(pairs)]
    while len(tops) > 1:
        sums = [min(long + short, max(pair) + 1) for pair in zip(tops[::2], tops[1::2], strict=False)]
        chains += sums
        tops = sums + (tops[-1:] if len(tops) % 2 else [])
    if not even:
        chains.append(long + short + less)
    return {"carry": sum(map(chain, chains)), "gate": 1}


@alm_cells.register
def _booth(circuit: BoothMultiplier) -> Cells:
    # A selector has five inputs, too many for an adder's LUT; three are those of its digit, so that two share an ALM.
    rows, width = circuit.digits, circuit.a_bits + 2
    triple = 0 if circuit.radix == 4 else chain(circuit.a_bits + 1)
    return {"carry": rows * chain(width) + triple, "gate": 3 * rows, "mux": rows * width * (circuit.radix // 4) / 2}


@alm_cells.register
def _booth_selector(circuit: BoothSelector) -> Cells:
    return {"mux": (circuit.bits + 1) / 2}


def mux_alms(ways: int) -> float:
    """Return the ALMs of a bit of a multiplexer: one for four ways, half of one for three or two (rows multiplexer)."""
    if ways <= 1:
        return 0.0
    return 0.5 if ways <= 3 else ways // 4 + mux_alms(ways // 4 + ways % 4)


@alm_cells.register
def _mux(circuit: Mux) -> Cells:
    return {"mux": circuit.bits * mux_alms(circuit.ways)}


@alm_cells.register
def _swap(circuit: Swap) -> Cells:
    return {"mux": 2 * circuit.bits * mux_alms(2)}


@alm_cells.register(Shifter)
@alm_cells.register(FunnelShifter)
def _shifter(circuit: Shifter) -> Cells:
    return {"shift": circuit.bits * log2_ceil(max(circuit.positions, 2)) / 2}


@alm_cells.register
def _comparator(circuit: Comparator) -> Cells:
    # A chain with a bit before its lowest and one that takes the carry out.
    return {"compare": circuit.bits + 2}


@alm_cells.register
def _rom(circuit: Rom) -> Cells:
    tables = -(-circuit.words // LUT_ENTRIES)
    return {"rom": circuit.bits * (0.5 if circuit.words <= LUT_ENTRIES // 2 else tables + mux_alms(tables))}


@alm_cells.register
def _table(circuit: RegisterTable) -> Cells:
    return {"mlab": circuit.ports * circuit.bits / MLAB_BITS * -(-circuit.words // MLAB_WORDS)}
