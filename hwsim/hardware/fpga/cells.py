"""What a circuit is made of on a fabric of six-input LUTs with carry chains (7-series, UltraScale+, Versal).

A site is one LUT6 with its carry bit and two flip-flops. Laws give counts of *fabric cells*, each of which
takes a share of a site that :mod:`hwsim.hardware.fpga.calibrate` fits; a bit of a carry chain takes one
(derived: every bit's sum needs the XOR of its operands, a LUT). Gates on one operand of an addition are in the
same LUT and cost nothing: an XOR or AND before an adder of n bits makes it no larger (own runs of yosys 0.70,
``hwsim/data/fpga/component_rows.csv``). Where both operands are gated, the carry needs a LUT of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AddSubtract,
    AndRow,
    BoothEncoder,
    BoothMultiplier,
    BoothSelector,
    CarrySelectAdder,
    Circuit,
    Comparator,
    CompressorTree,
    EntEncoder,
    Equality,
    FanOut,
    FunnelShifter,
    Incrementer,
    LeadingZeroCounter,
    Lfsr,
    Multiplier,
    Mux,
    Negator,
    OneHotMux,
    OrTree,
    Placer,
    Popcount,
    PrefixAdder,
    Register,
    RegisterTable,
    Rom,
    Shifter,
    StaggeredTree,
    Subtractor,
    SumDifference,
    Swap,
    XorRow,
)
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.spec.errors import MissingFigureError

#: Classes of fabric cells. ``carry``: a bit of a carry chain; ``gate``: a gate before another one's input;
#: ``mux``: a LUT of multiplexers; ``shift``: a bit of a barrel shifter's stages; ``place``: a bit of two stages that
#: put a word into a wider one, ``summed`` those of its last stages where an adder takes them, in part into its own
#: LUTs; ``negate``: a bit of a conditional negation; ``reduce``: an input of an OR or AND; ``count``: a bit of a
#: leading-zero counter; ``compare``, ``equal``: a bit of a comparison; ``ones``: an input of a counter of ones;
#: ``rom``: a LUT of a table; ``csa``: a full adder without carry chain; ``small``: bits that synthesis saves in a
#: signed multiplier whose operands are alike; ``ff``: a flip-flop, in no LUT.
FABRIC_CELLS = ("carry", "gate", "mux", "shift", "place", "summed", "negate", "reduce", "count", "compare", "equal",
                "ones", "rom", "csa", "small", "ff")  # fmt: skip

#: Address lines of a LUT6 and entries of its table.
LUT_INPUTS = 6
LUT_ENTRIES = 1 << LUT_INPUTS

Cells = Mapping[str, float]


@singledispatch
def fabric_cells(circuit: Circuit) -> Cells:
    """Return how many fabric cells of each class (:data:`FABRIC_CELLS`) a circuit has.

    Raises
    ------
    MissingFigureError
        If there is no law for circuits of its kind.
    """
    raise MissingFigureError(f"no law for a {type(circuit).__name__} on FPGA fabric; valid: an ASIC technology")


def product_cells(a_bits: int, b_bits: int, signed: bool) -> dict[str, float]:
    """Return the cells of a multiplier of rows that are added in pairs, one carry chain a pair.

    A LUT of a chain makes two partial products and their sum: ``long`` + 3 bits a pair. An odd row is gated in the
    chain that adds it. Sums of pairs are chains of the product's width (derived; 8 rows int_mul are within 8 %).
    """
    long, short = max(a_bits, b_bits), min(a_bits, b_bits)
    if short == 1:
        return {"gate": long}
    if long + short <= LUT_INPUTS - 2:
        return {"carry": long + short}
    pairs, sums = short // 2, -(-short // 2) - 1
    return {
        "carry": pairs * (long + 3) + sums * (long + short),
        "small": (short / long) ** 2 if signed and short % 2 == 0 else 0,
    }


def tree_levels(inputs: int, bits: int, staggered: bool = False) -> list[tuple[int, int]]:
    """Return how many adders each level of a tree has, and how wide they are: as what they add."""
    found, count, width, joined = [], inputs, bits, 1
    while count > 1:
        found.append((count // 2, width))
        count, joined = count - count // 2, 2 * joined
        width = bits + joined if staggered else width + 1
    return found


def tree_bits(inputs: int, bits: int, staggered: bool = False) -> float:
    """Return the bits of all carry chains of a tree of adders."""
    return sum(count * width for count, width in tree_levels(inputs, bits, staggered))


@fabric_cells.register(Adder)
@fabric_cells.register(Subtractor)
@fabric_cells.register(AddSubtract)
@fabric_cells.register(Incrementer)
@fabric_cells.register(PrefixAdder)
@fabric_cells.register(CarrySelectAdder)
def _adder(circuit: Adder) -> Cells:
    # A chain is faster than any tree of LUTs, so that every adder is one.
    return {"carry": circuit.bits}


@fabric_cells.register
def _sum_difference(circuit: SumDifference) -> Cells:
    return {"carry": 2 * circuit.bits}


@fabric_cells.register
def _negator(circuit: Negator) -> Cells:
    return {} if circuit.summed else {"negate": circuit.bits}


@fabric_cells.register
def _adder_tree(circuit: AdderTree) -> Cells:
    return {"carry": tree_bits(circuit.inputs, circuit.bits)}


@fabric_cells.register
def _staggered_tree(circuit: StaggeredTree) -> Cells:
    return {"carry": tree_bits(circuit.inputs, circuit.bits, staggered=True)}


@fabric_cells.register
def _compressor(circuit: CompressorTree) -> Cells:
    # Sum and carry of three bits are the two outputs of one LUT6.
    return {"csa": circuit.cells()["fa"]}


@fabric_cells.register
def _popcount(circuit: Popcount) -> Cells:
    return {"ones": circuit.inputs}


@fabric_cells.register
def _multiplier(circuit: Multiplier) -> Cells:
    return product_cells(circuit.a_bits, circuit.b_bits, circuit.signed)


@fabric_cells.register
def _booth(circuit: BoothMultiplier) -> Cells:
    # A selector has five inputs: it is in the LUT of the chain that adds the row. Radix 8 selects from four multiples.
    rows, width = circuit.digits, circuit.a_bits + 2
    triple = 0 if circuit.radix == 4 else circuit.a_bits + 1
    selectors = 0 if circuit.radix == 4 else rows * width
    return {"carry": rows * width + triple, "gate": 3 * rows, "mux": selectors}


@fabric_cells.register
def _booth_encoder(circuit: BoothEncoder) -> Cells:
    return {"gate": 3 * -(-circuit.bits // 2)}


@fabric_cells.register
def _ent_encoder(circuit: EntEncoder) -> Cells:
    return {"negate": circuit.bits, "gate": 3 * -(-circuit.bits // 2)}


@fabric_cells.register
def _booth_selector(circuit: BoothSelector) -> Cells:
    return {"mux": circuit.bits + 1}


@fabric_cells.register
def _mux(circuit: Mux) -> Cells:
    # A LUT6 holds a 4:1 multiplexer; larger ones are a tree of LUTs (rows multiplexer of 2 to 16 ways).
    return {"mux": circuit.bits * max(1.0, circuit.ways / 2 - 1) if circuit.ways > 1 else 0}


@fabric_cells.register
def _swap(circuit: Swap) -> Cells:
    return {"mux": 2 * circuit.bits}


@fabric_cells.register
def _one_hot(circuit: OneHotMux) -> Cells:
    # Three ways of data and select to a LUT6.
    return {"mux": circuit.bits * circuit.ways / 3}


@fabric_cells.register(Shifter)
@fabric_cells.register(FunnelShifter)
def _shifter(circuit: Shifter) -> Cells:
    # Two stages are a LUT a bit; more do not come out in pairs: two thirds of a LUT each (rows shifter).
    stages = log2_ceil(max(circuit.positions, 2))
    return {"shift": circuit.bits * (1.0 if stages <= 2 else 2 / 3 * stages)}


@fabric_cells.register
def _placer(circuit: Placer) -> Cells:
    stages, done, width = log2_ceil(max(circuit.positions, 2)), 0, circuit.bits
    middle = last = 0
    while done < stages:
        step = min(2, stages - done)
        width = min(circuit.width, width + (1 << done) * ((1 << step) - 1))
        done += step
        middle, last = (middle, width) if done == stages else (middle + width, last)
    return {"place": middle, "summed": last} if circuit.summed else {"place": middle + last}


@fabric_cells.register
def _rom(circuit: Rom) -> Cells:
    return {"rom": circuit.bits * -(-circuit.words // LUT_ENTRIES)}


@fabric_cells.register(XorRow)
@fabric_cells.register(AndRow)
def _row(circuit: XorRow) -> Cells:
    return {"gate": circuit.bits}


@fabric_cells.register
def _or_tree(circuit: OrTree) -> Cells:
    return {"reduce": max(circuit.bits, LUT_INPUTS // 2)}


@fabric_cells.register
def _comparator(circuit: Comparator) -> Cells:
    return {"compare": circuit.bits}


@fabric_cells.register
def _equality(circuit: Equality) -> Cells:
    return {"equal": circuit.bits}


@fabric_cells.register
def _leading_zeros(circuit: LeadingZeroCounter) -> Cells:
    return {"count": circuit.bits}


@fabric_cells.register
def _fan_out(circuit: FanOut) -> Cells:
    # Routing buffers every net; no LUT does.
    return {}


@fabric_cells.register
def _register(circuit: Register) -> Cells:
    return {"ff": circuit.bits}


@fabric_cells.register
def _table(circuit: RegisterTable) -> Cells:
    # Distributed RAM: a LUT6 holds 64 words of a bit, once per read port.
    return {"rom": circuit.ports * circuit.bits * -(-circuit.words // LUT_ENTRIES)}


@fabric_cells.register
def _lfsr(circuit: Lfsr) -> Cells:
    return {"ff": circuit.bits, "gate": 1}
