"""The one contract between mappers and engines: what moves and what computes, in which order.

A GEMM ``O[M,N] = A[M,K] · W[K,N]`` is cut into SRAM tiles ``(tile_m, tile_k, tile_n)`` that are
visited by three nested loops. :class:`Tiling` names the cut, the loop order and which operand
keeps more than one tile on chip. :func:`tile_program` turns it into run-length-coded
:class:`Step` objects under nested :class:`Repeat` nodes: a loop of any length is at most three
children (first, middle × count, last), so a schedule has at most 27 steps.

Which transfers a step makes follows from one rule per operand. Each operand of a GEMM has
exactly one loop that it does not depend on (A: n, W: m, O: k). It is *held* over that loop when
its region, all tiles that the loops inside that loop visit, fits in the usable part of its
buffer. Then it moves on the loop's first (A, W) or last (O) iteration only; otherwise it moves
on every iteration, and partial sums are spilled and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil
from typing import Literal, TypeAlias

from hwsim.simulate.nest.count import Moved
from hwsim.simulate.nest.hierarchy import OPERANDS, Hierarchy, Widths
from hwsim.simulate.nest.loops import Nest
from hwsim.workload.ops import Gemm

#: Cycles; expected ones, of PEs whose cycles depend on data, are exact fractions until a whole GEMM is timed.
Cycles: TypeAlias = int | Fraction

#: What becomes of results: they go to DRAM, stay in the activation buffer for the next operation, or both.
Results: TypeAlias = Literal["stored", "kept", "both"]

LOOPS = ("m", "k", "n")
LOOP_ORDERS: tuple[str, ...] = ("mnk", "nmk", "mkn", "kmn", "nkm", "knm")


@dataclass(frozen=True, slots=True)
class Tiling:
    """How one GEMM instance is cut for the SRAM buffers.

    ``order`` lists the tile loops from the outermost to the innermost. ``hold_*`` say that the
    operand's whole region under its irrelevant loop stays on chip (see the module docstring);
    ``resident_w`` and ``resident_a`` that all of W or A is there before the GEMM begins. Results are
    stored in DRAM, stay on chip instead, or ``results`` says that they do both.
    """

    tile_m: int
    tile_k: int
    tile_n: int
    order: str
    hold_a: bool
    hold_w: bool
    hold_o: bool
    resident_w: bool = False
    resident_a: bool = False
    results: Results = "stored"

    def tile(self, loop: str) -> int:
        """Return the tile size of one loop, ``"m"``, ``"k"`` or ``"n"``."""
        return {"m": self.tile_m, "k": self.tile_k, "n": self.tile_n}[loop]


@dataclass(frozen=True, slots=True)
class OperandBits:
    """Bits of storage per element (metadata shared out) times ``denominator``, exact integers.

    A tile of ``e`` elements occupies and moves ``ceil(e · bits / denominator)`` bits.
    """

    w: int
    a: int
    o: int
    psum: int
    denominator: int = 1

    def move(self, elements: int, operand: str) -> int:
        """Return the bits that ``elements`` elements of ``operand`` (w, a, o, psum) occupy."""
        bits: int = getattr(self, operand)
        return -(-elements * bits // self.denominator)


@dataclass(frozen=True, slots=True)
class Step:
    """One tile: load its new operands, compute, store its results.

    ``opens`` marks the first step of an output tile, ``reloads`` one whose load brings back
    spilled partial sums (so that the pending store must go first).
    """

    load_bits: int
    compute_cycles: Cycles
    store_bits: int
    opens: bool
    reloads: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """``body`` executed ``count`` times in a row."""

    count: int
    body: tuple[Node, ...]


Node: TypeAlias = Step | Repeat

#: Cycles of the array for one tile: ``(m, k, n, first_k) -> cycles``.
TileCycles: TypeAlias = Callable[[int, int, int, bool], Cycles]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Elements moved for one GEMM instance, by operand and direction.

    SRAM counts are element accesses by the array (fills from and drains to DRAM come on top);
    DRAM counts are elements that cross the DRAM port; ``kept_o`` results go to the activation buffer and stay.
    """

    dram_w: int
    dram_a: int
    dram_psum_read: int
    dram_psum_write: int
    dram_o: int
    sram_w_read: int
    sram_a_read: int
    sram_psum_read: int
    sram_psum_write: int
    kept_o: int = 0


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a policy counts as another simulator does, where that is not what array and buffers of ours do.

    Parameters
    ----------
    rule
        The simulator, as messages name it.
    sram_read_bits, sram_write_bits
        Bits through the ports of each buffer for one instance, instead of those of :class:`Traffic`; None for these.
    dram_bits
        Bits read and written for one instance, where steps load both, because they overlap alike.
    whole_dram_cycles
        Whether a last cycle of DRAM that is used in part is not counted.
    """

    rule: str
    sram_read_bits: Mapping[str, int] | None = None
    sram_write_bits: Mapping[str, int] | None = None
    dram_bits: tuple[int, int] | None = None
    whole_dram_cycles: bool = False


@dataclass(frozen=True)
class LevelPlan:
    """Levels of memory as the mapper sees them, for one pair of formats.

    An element along K is a step of a PE, ``lanes`` operands wide; ``widths``, capacities and ports count bits in
    units of 1 / ``denominator``, ports in a PE's ``interval``. ``sram`` says of which levels energy is SRAM's,
    ``paths`` where they stand in the file; ``exhaustive``, whether the search leaves nothing out.
    """

    hierarchy: Hierarchy
    widths: Widths
    lanes: int
    interval: int
    denominator: int
    sram: tuple[bool, ...]
    overlap: bool
    paths: tuple[str, ...]
    exhaustive: bool = False

    def whole(self, bits: int) -> int:
        """Return whole bits, rounded up."""
        return -(-bits // self.denominator)


@dataclass(frozen=True)
class LevelRun:
    """A nest over the levels of ``plan`` and what one instance of it moves; among how many mappings it is the best."""

    plan: LevelPlan
    nest: Nest
    moved: Moved
    mappings: int
    complete: bool

    def bits(self, level: int, direction: str) -> int:
        """Return the whole bits that a level reads or writes."""
        return self.plan.whole(sum(self.moved.at(level, x, direction) for x in OPERANDS))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything an engine needs to time one GEMM, and everything the cost model counts.

    Without ``overlap`` a step loads, computes and stores before the next one begins. With ``levels`` it is a loop nest
    over these: its tiling is what one step covers, its traffic what crosses the DRAM port and leaves the outermost
    store of each operand.
    """

    gemm: Gemm
    tiling: Tiling
    bits: OperandBits
    body: tuple[Node, ...]
    traffic: Traffic
    compute_cycles: Cycles
    pe_steps: int
    dequant_ops: int
    overlap: bool = True
    foreign: Foreign | None = None
    levels: LevelRun | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """What an engine found: all cycles of one GEMM with its batch (not its ``repeat``)."""

    cycles: Cycles
    compute_cycles: Cycles

    @property
    def stall_cycles(self) -> Cycles:
        """Cycles in which the array waited for data."""
        return self.cycles - self.compute_cycles

    def whole(self) -> tuple[int, int]:
        """Return cycles and compute cycles rounded up: the one place where expected cycles are rounded."""
        return ceil(self.cycles), ceil(self.compute_cycles)


def classes(extent: int, tile: int) -> list[tuple[int, int, bool, bool]]:
    """Return the kinds of iteration of a tile loop as ``(count, size, is_first, is_last)``."""
    trips = -(-extent // tile)
    edge = extent - (trips - 1) * tile
    if trips == 1:
        return [(1, edge, True, True)]
    middle = [(trips - 2, tile, False, False)] if trips > 2 else []
    return [(1, tile, True, False), *middle, (1, edge, False, True)]


def tile_program(
    gemm: Gemm,
    tiling: Tiling,
    bits: OperandBits,
    tile_cycles: TileCycles,
    drain_cycles: Callable[[int, int], int] = lambda m, n: 0,
) -> tuple[Node, ...]:
    """Return the run-length-coded steps of one GEMM instance.

    ``tile_cycles(m, k, n, first_k)`` gives the array's cycles for one tile, ``drain_cycles(m, n)`` those
    that pass before what it leaves can be stored.
    """
    extents = {"m": gemm.m, "k": gemm.k, "n": gemm.n}
    kinds = [classes(extents[loop], tiling.tile(loop)) for loop in tiling.order]
    at_m, at_k, at_n = (tiling.order.index(loop) for loop in LOOPS)
    move, stays_a, stays_w = bits.move, tiling.resident_a, tiling.resident_w

    def leaf(chosen: tuple[tuple[int, int, bool, bool], ...]) -> Step:
        (_, m, first_m, _), (_, k, first_k, last_k), (_, n, first_n, _) = chosen[at_m], chosen[at_k], chosen[at_n]
        load = 0 if stays_a or (tiling.hold_a and not first_n) else move(m * k, "a")
        if not (stays_w or (tiling.hold_w and not first_m)):
            load += move(k * n, "w")
        reloads = not (first_k or tiling.hold_o)
        if reloads:
            load += move(m * n, "psum")
        store = 0
        if last_k:
            store = 0 if tiling.results == "kept" else move(m * n, "o")
        elif not tiling.hold_o:
            store = move(m * n, "psum")
        cycles = tile_cycles(m, k, n, first_k) + (drain_cycles(m, n) if store else 0)
        return Step(load, cycles, store, first_k or not tiling.hold_o, reloads)

    def nest(depth: int, chosen: tuple[tuple[int, int, bool, bool], ...]) -> tuple[Node, ...]:
        if depth == len(kinds):
            return (leaf(chosen),)
        nodes: list[Node] = []
        for kind in kinds[depth]:
            body = nest(depth + 1, (*chosen, kind))
            nodes.extend(body if kind[0] == 1 else (Repeat(kind[0], body),))
        return tuple(nodes)

    return nest(0, ())


def expand(nodes: tuple[Node, ...]) -> list[Step]:
    """Return all steps one by one: the slow, obvious reading of a run-length-coded program."""
    steps: list[Step] = []
    for node in nodes:
        steps.extend([node] if isinstance(node, Step) else expand(node.body) * node.count)
    return steps


def loop_visits(gemm: Gemm, tiling: Tiling) -> list[dict[str, tuple[int, int]]]:
    """Return every tile in program order as ``{loop: (offset, size)}``; for oracles and tests."""
    extents = {"m": gemm.m, "k": gemm.k, "n": gemm.n}
    ranges = [
        [(start, min(tiling.tile(loop), extents[loop] - start)) for start in range(0, extents[loop], tiling.tile(loop))]
        for loop in tiling.order
    ]
    return [dict(zip(tiling.order, visit, strict=True)) for visit in product(*ranges)]


def step_cycles(nodes: tuple[Node, ...]) -> Cycles:
    """Return the cycles of all steps of ``nodes``, one after the other, without any transfer."""
    return sum(node.compute_cycles if isinstance(node, Step) else node.count * step_cycles(node.body) for node in nodes)


def moved_bits(nodes: tuple[Node, ...]) -> tuple[int, int]:
    """Return the bits that ``nodes`` load and store over the DRAM port."""
    load = store = 0
    for node in nodes:
        if isinstance(node, Step):
            load, store = load + node.load_bits, store + node.store_bits
        else:
            inner = moved_bits(node.body)
            load, store = load + node.count * inner[0], store + node.count * inner[1]
    return load, store
