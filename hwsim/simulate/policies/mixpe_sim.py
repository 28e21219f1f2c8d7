"""The tile search of the simulators of ANT and MixPE (on Bit Fusion's), for comparison.

Both (ANT-Quantization bc84067, mixpe_simulator 7e0d42c; no licence, so nothing of them is here) lay a layer on
an array of fused PEs, output- or weight-stationary, and take the fastest of all cuts, the one of least energy
among equals. Their rules, where they differ from ours:

* tiles are powers of two of images, output edge (both alike), input and output channels, or all of them; a
  tile at the edge counts in full, and neither skew nor drain takes a cycle;
* a PE that fuses its parts to ``p × p`` narrow products has p times the rows and the columns;
* tiles of operands are filled up to rows (weights) or columns (activations) of the array along K, and fit
  half of their buffer; results of any size do, each of 16 bits and written once per tile of K, never read back;
* a transfer moves out to the next loop as long as what it moves fits there; loops that its operand does not
  depend on are free until then, those that are outside of one that did not fit repeat it;
* the first load and the last store do not overlap, all else does, as one; the last store is a tile of
  results, or nothing if a loop around it was moved out (their code takes the size from an empty entry). Loops
  over the output image are there in convolutions alone;
* the search weighs DRAM by figures of its own (:data:`SEARCH_DRAM_PJ_PER_BIT`).

:class:`ConvGemm` says what of a GEMM's M and K are images, edges and kernel; others are fully connected.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import ceil_div
from hwsim.simulate.mapping import POLICIES, Machine
from hwsim.simulate.schedule import Foreign, Schedule, Step, Tiling, Traffic
from hwsim.spec.errors import InfeasibleError
from hwsim.workload.ops import Gemm

RULE = "mixpe-sim"
#: What the search takes for a DRAM bit read and written: 1.18294 and 1.47797 nJ per 1024 bits (ANT's stats.py).
SEARCH_DRAM_PJ_PER_BIT = (1182.94 / 1024, 1477.97 / 1024)
#: Loops: images, both edges of the output, input channels, output channels; operands that depend on each.
DEPENDS = {"b": "ao", "x": "ao", "y": "ao", "i": "aw", "c": "wo"}
#: Buffers in the order of :class:`Machine`.
BUFFERS = ("w", "a", "o")

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ConvGemm(Gemm):
    """A layer of ``images`` with output images of ``edge`` × ``edge`` under a square ``kernel``."""

    images: int = 0
    edge: int = 1
    kernel: int = 1

    @property
    def cost_key(self) -> tuple[Hashable, ...]:
        """That of a GEMM, and its images."""
        return (*Gemm.cost_key.fget(self), self.images, self.edge, self.kernel)  # type: ignore[attr-defined]


class Layer(NamedTuple):
    """Sizes of a layer: images, output edge, kernel edge, input and output channels."""

    images: int
    edge: int
    kernel: int
    inputs: int
    outputs: int


class Cut(NamedTuple):
    """What cuts cost: integers, or arrays over candidates. Bits by buffer, in the order of :data:`BUFFERS`."""

    compute_cycles: Any
    first_bits: Any
    last_bits: Any
    dram_bits: tuple[Any, Any, Any]
    sram_read_bits: tuple[Any, Any, Any]
    sram_write_bits: tuple[Any, Any, Any]

    def middle_bits(self) -> Any:
        """Bits that move while the array works."""
        return sum(self.dram_bits) - self.first_bits - self.last_bits


@POLICIES.register(RULE)
def mixpe_sim(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the schedule of ``gemm``: two steps, the second of which loads while the first computes.

    Raises
    ------
    InfeasibleError
        If no cut fits the buffers.
    """
    images, edge, kernel = (gemm.images, gemm.edge, gemm.kernel) if isinstance(gemm, ConvGemm) else (gemm.m, 1, 1)
    layer = Layer(images, edge, kernel, gemm.k // kernel**2, gemm.n)
    cut = _search(layer, machine)
    reads = cut.dram_bits[0] + cut.dram_bits[1]
    pes = machine.shape.rows * machine.shape.cols
    return Schedule(
        gemm=gemm,
        tiling=Tiling(gemm.m, gemm.k, gemm.n, "mnk", hold_a=True, hold_w=True, hold_o=True),
        bits=machine.bits,
        body=(
            Step(cut.first_bits, cut.compute_cycles, 0, opens=True, reloads=False),
            Step(cut.middle_bits(), 0, cut.last_bits, opens=False, reloads=False),
        ),
        traffic=_elements(cut, machine),
        compute_cycles=cut.compute_cycles,
        pe_steps=ceil_div(cut.compute_cycles * pes, machine.step_cycles),
        dequant_ops=0,
        foreign=Foreign(
            RULE,
            sram_read_bits=dict(zip(BUFFERS, cut.sram_read_bits, strict=True)),
            sram_write_bits=dict(zip(BUFFERS, cut.sram_write_bits, strict=True)),
            dram_bits=(reads, cut.dram_bits[2]),
        ),
    )


def _elements(cut: Cut, machine: Machine) -> Traffic:
    """Return elements through ports; partial sums never come back over DRAM's."""
    b = machine.bits
    by_buffer = (b.w, b.a, b.o)
    dram, reads = ([x * b.denominator // y for x, y in zip(moved, by_buffer, strict=True)]
                   for moved in (cut.dram_bits, cut.sram_read_bits))  # fmt: skip
    sums = cut.sram_write_bits[2] * b.denominator // b.o
    return Traffic(dram[0], dram[1], 0, 0, dram[2], reads[0], reads[1], reads[2] - dram[2], sums)


@lru_cache(maxsize=4096)
def _search(layer: Layer, machine: Machine) -> Cut:
    """Return the fastest cut, of least energy among equals; the first of those in order of loops and sizes."""
    tiles = _tiles(layer, machine)
    best: tuple[tuple[float, float], Cut] | None = None
    for order in _orders(layer):
        cut = _costs(layer, machine, tiles, order)
        cycles, energy = _cycles(cut, machine), _energy(cut, machine)
        at = int(np.lexsort((energy, cycles))[0])
        score = (float(cycles[at]), float(energy[at]))
        if best is None or score < best[0]:
            best = score, _one(cut, at)
    assert best is not None
    return best[1]


def _tiles(layer: Layer, machine: Machine) -> tuple[Ints, Ints, Ints, Ints]:
    """Return images, edges, input and output channels of all tiles whose operands fit."""
    sizes = [_powers(extent) for extent in (layer.images, layer.edge, layer.inputs, layer.outputs)]
    b, o, i, c = (grid.ravel() for grid in np.meshgrid(*sizes, indexing="ij"))
    w, a, _ = _tile_bits(layer, machine, (b, o, i, c))
    fits = (w <= machine.capacity_w_bits) & (a <= machine.capacity_a_bits)
    if not fits.any():
        raise InfeasibleError(
            f"memories: the smallest tiles need {int(w.min())} bits of weights and {int(a.min())} of activations, and "
            f"half of a buffer has {machine.capacity_w_bits} and {machine.capacity_a_bits}"
        )
    return b[fits], o[fits], i[fits], c[fits]


def _powers(extent: int) -> Ints:
    """Return the powers of two below ``extent``, and ``extent``."""
    return np.array([1 << i for i in range((extent - 1).bit_length())] + [extent], dtype=np.int64)


def _tile_bits(layer: Layer, machine: Machine, tile: tuple[Ints, Ints, Ints, Ints]) -> tuple[Ints, Ints, Ints]:
    b, o, i, c = tile
    rows, cols = _fused(machine)
    bits, k = machine.bits, layer.kernel**2 * i
    return (
        ceil_div(k, rows) * rows * c * bits.w // bits.denominator,
        o * o * ceil_div(k, cols) * cols * b * bits.a // bits.denominator,
        o * o * c * b * bits.o // bits.denominator,
    )


def _fused(machine: Machine) -> tuple[int, int]:
    """Return rows and columns of products."""
    ways = isqrt(machine.shape.lanes // machine.step_cycles) or 1
    return machine.shape.rows * ways, machine.shape.cols * ways


def _orders(layer: Layer) -> Iterator[tuple[str, ...]]:
    """Yield the loops from the outermost to the innermost; both edges are alike, so x is always outside of y."""
    loops = "bic" if layer.edge == 1 else "bxyic"
    yield from (
        order for order in permutations(loops) if layer.edge == 1 or order.index("x") < order.index("y")
    )  # fmt: skip


def _costs(layer: Layer, machine: Machine, tiles: tuple[Ints, Ints, Ints, Ints], order: tuple[str, ...]) -> Cut:
    b, o, i, c = tiles
    edge = ceil_div(layer.edge, o)
    trips = {"b": ceil_div(layer.images, b), "x": edge, "y": edge}
    trips |= {"i": ceil_div(layer.inputs, i), "c": ceil_div(layer.outputs, c)}
    count = trips["b"] * edge * edge * trips["i"] * trips["c"]
    (w, a, results), (held_w, held_a, held_o) = _moved(machine, _tile_bits(layer, machine, tiles), trips, order)
    bits, rows, k = machine.bits, b * o * o, layer.kernel**2 * i
    products, sums = count * rows * c * k, count * rows * c
    if machine.dataflow.stationary == "w":
        sums, w_read = products, count * k * c
    else:
        w_read = products
    stored = [x // bits.denominator for x in (w_read * bits.w, products * bits.a, sums * bits.o)]
    return Cut(
        compute_cycles=count * _tile_cycles(machine, rows, k, c),
        first_bits=held_w + held_a,
        last_bits=held_o,
        dram_bits=(w, a, results),
        sram_read_bits=(stored[0], stored[1], stored[2] + results),
        sram_write_bits=(w, a, stored[2]),
    )


def _tile_cycles(machine: Machine, rows: Ints, k: Ints, columns: Ints) -> Any:
    """Return the cycles of a tile: K streams, or M does where weights are stationary."""
    high, wide = _fused(machine)
    if machine.dataflow.stationary == "w":
        return rows * ceil_div(columns, wide) * ceil_div(k, high)
    return ceil_div(rows, high) * ceil_div(columns, wide) * k


def _moved(
    machine: Machine, tile_bits: tuple[Ints, Ints, Ints], trips: dict[str, Ints], order: tuple[str, ...]
) -> tuple[list[Ints], list[Ints]]:
    """Return the bits that every operand moves, and those of its largest transfer that its buffer holds."""
    room = (machine.capacity_w_bits, machine.capacity_a_bits, machine.capacity_o_bits)
    moved, held = [], []
    for name, tile, most in zip(BUFFERS, tile_bits, room, strict=True):
        bits, largest, outward = tile, tile, np.ones(len(tile), dtype=np.bool_)
        for loop in reversed(order):
            if name in DEPENDS[loop]:
                bits = bits * trips[loop]
                outward = outward & (bits <= most)
                largest = np.where(outward, 0 if name == "o" else bits, largest)
            else:
                bits = np.where(outward, bits, bits * trips[loop])
        moved.append(bits)
        held.append(largest)
    return moved, held


def _cycles(cut: Cut, machine: Machine) -> Any:
    rate = machine.dram_bits_per_cycle
    port = [
        ceil_div(bits * rate.denominator, rate.numerator) for bits in (cut.first_bits, cut.middle_bits(), cut.last_bits)
    ]
    return port[0] + np.maximum(cut.compute_cycles, port[1]) + port[2]


def _energy(cut: Cut, machine: Machine) -> Any:
    """Return what equals in cycles differ by, in pJ."""
    prices, shape = machine.prices, machine.shape
    pe_pj = shape.rows * shape.cols * prices.mac_pj * shape.lanes / machine.step_cycles + prices.clock_pj_per_cycle
    read_pj, write_pj = SEARCH_DRAM_PJ_PER_BIT
    dram = (cut.dram_bits[0] + cut.dram_bits[1]) * read_pj + cut.dram_bits[2] * write_pj
    reads = sum(bits * pj for bits, pj in zip(cut.sram_read_bits, prices.sram_read_pj_per_bit, strict=True))
    writes = sum(bits * pj for bits, pj in zip(cut.sram_write_bits, prices.sram_write_pj_per_bit, strict=True))
    return cut.compute_cycles * pe_pj + dram + reads + writes


def _one(cut: Cut, at: int) -> Cut:
    """Return one of the candidates, as integers."""
    single = [int(x[at]) for x in (cut.compute_cycles, cut.first_bits, cut.last_bits)]
    by_buffer = [tuple(int(x[at]) for x in group) for group in (cut.dram_bits, cut.sram_read_bits, cut.sram_write_bits)]
    return Cut(single[0], single[1], single[2], *by_buffer)  # type: ignore[arg-type]
