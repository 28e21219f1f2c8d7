"""The mapper: searches tile sizes and loop orders under the SRAM capacities, all at once.

Every candidate is scored in closed form by numpy over the whole candidate set: the array's
cycles, the DRAM and SRAM traffic, from them the latency ``max(compute, DRAM) + first load + last
store`` and the energy at the accelerator's own prices. The objective is ``edp`` (their product),
``latency`` or ``energy``; ties go to the other figure. Latency alone would buy a per-cent of
time with many times the DRAM traffic. The chosen tiling becomes a
:class:`~hwsim.simulate.schedule.Schedule`, which an engine then times exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow import ArrayShape, Dataflow, Totals
from hwsim.simulate.dataflow.base import Extents, ceil_div
from hwsim.simulate.schedule import (
    LOOP_ORDERS,
    LevelPlan,
    OperandBits,
    Schedule,
    Tiling,
    Traffic,
    tile_program,
)
from hwsim.spec.errors import InfeasibleError, UsageError
from hwsim.spec.registry import Registry
from hwsim.workload.ops import Gemm

Objective = Literal["edp", "latency", "energy"]

#: Trip counts that the search tries per loop; between them a finer cut never pays more than
#: the step from one entry to the next.
TRIPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 4096, 16384)


#: Largest GEMM: candidates are counted in 64-bit integers.
MOST_MACS = 10**16


@dataclass(frozen=True, slots=True)
class Prices:
    """Energy per event as the mapper weighs candidates; the cost model prices the winner anew.

    ``sram_*_pj_per_bit`` are of buffers alone (weights, activations, outputs), the three before them with wires.
    """

    dram_pj_per_bit: float = 1.0
    sram_w_pj_per_bit: float = 0.0
    sram_a_pj_per_bit: float = 0.0
    sram_o_pj_per_bit: float = 0.0
    mac_pj: float = 0.0
    static_pj_per_cycle: float = 0.0
    clock_pj_per_cycle: float = 0.0
    sram_read_pj_per_bit: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sram_write_pj_per_bit: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the mapper needs to know of an accelerator, for one pair of formats.

    Capacities are the usable bits of each buffer for one tile or held region: one of its ``parts``
    (weights, activations, outputs), half of a buffer whose other half is being filled. One buffer
    that is not divided stops all overlap (pessimistic where only one is). ``step_cycles`` are those of a PE
    that neither port nor dequantizer holds up; ``port_bits`` are the buffers' widths. With ``resident_w``
    the whole W lies in its buffer before the GEMM begins: it bounds no tile and is not loaded. With ``levels``
    there are no such buffers, and the policy is that of loop nests.
    """

    dataflow: Dataflow
    shape: ArrayShape
    bits: OperandBits
    capacity_w_bits: int
    capacity_a_bits: int
    capacity_o_bits: int
    dram_bits_per_cycle: Fraction
    group_k: int | None = None
    objective: Objective = "edp"
    prices: Prices = Prices()
    parts: tuple[int, int, int] = (2, 2, 2)
    policy: str = "search"
    resident_w: bool = False
    step_cycles: int = 1
    port_bits: tuple[int, int, int] = (0, 0, 0)
    levels: LevelPlan | None = None

    @property
    def overlap(self) -> bool:
        """Whether transfers of one tile overlap with the computation of another."""
        return min(self.parts) > 1


@lru_cache(maxsize=4096)
def tile_candidates(extent: int, unit: int, limit: int = 18) -> NDArray[np.int64]:
    """Return tile sizes for a loop: even cuts of ``extent``, rounded up to whole units."""
    sizes: list[int] = []
    for trips in TRIPS:
        size = min(extent, ceil_div(ceil_div(extent, trips), unit) * unit)
        if size not in sizes:
            sizes.append(size)
    smallest = min(extent, unit)
    if smallest not in sizes:
        sizes.append(smallest)
    if len(sizes) > limit:  # keep both ends, thin the middle evenly
        keep = np.unique(np.linspace(0, len(sizes) - 1, limit).round().astype(int))
        sizes = [sizes[i] for i in keep]
    return np.array(sizes, dtype=np.int64)


class MappingPolicy(Protocol):
    """Callable that maps one GEMM instance."""

    def __call__(self, gemm: Gemm, machine: Machine) -> Schedule:
        """Return the schedule of ``gemm`` on ``machine``."""
        ...


#: Policies by the name that ``mapper.policy`` takes.
POLICIES: Registry[MappingPolicy] = Registry("mapping policy", "hwsim.simulate.policies")


def map_gemm(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the schedule of ``gemm`` by the machine's policy.

    Raises
    ------
    InfeasibleError
        If no candidate tile fits the buffers; names the buffer and the bits it would need.
    UsageError
        If the GEMM is larger than anything that 64-bit counts of bits can hold.
    """
    if gemm.m * gemm.k * gemm.n > MOST_MACS:
        raise UsageError(f"{gemm.layer}: {gemm.m} × {gemm.k} × {gemm.n} is more than {MOST_MACS:.0e} MACs per instance")
    return POLICIES.get(machine.policy)(gemm, machine)


@POLICIES.register("search")
def search_mapping(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the best schedule of ``gemm`` by the machine's objective."""
    return build_schedule(gemm, _search((gemm.m, gemm.k, gemm.n), machine), machine)


def forget_mappings() -> None:
    """Forget every mapping that was found; for measurements of the search itself."""
    _search.cache_clear()
    _candidates.cache_clear()


def build_schedule(gemm: Gemm, tiling: Tiling, machine: Machine) -> Schedule:
    """Return the schedule of one given tiling."""
    m, k, n = _extents((gemm.m, gemm.k, gemm.n), tiling.tile_m, tiling.tile_k, tiling.tile_n)
    totals = machine.dataflow.totals(machine.shape, m, k, n)
    traffic = _traffic(m, k, n, totals, tiling)
    body = tile_program(
        gemm,
        tiling,
        machine.bits,
        lambda tm, tk, tn, first: machine.dataflow.tile_cycles(machine.shape, tm, tk, tn, first),
    )
    return Schedule(
        gemm=gemm,
        tiling=tiling,
        bits=machine.bits,
        body=body,
        traffic=traffic,
        compute_cycles=totals.compute_cycles,
        pe_steps=gemm.m * gemm.n * ceil_div(gemm.k, machine.shape.lanes),
        dequant_ops=dequant_ops(gemm, totals, machine),
        overlap=machine.overlap,
    )


def dequant_ops(gemm: Gemm, totals: Totals, machine: Machine) -> int:
    """Return the sums that are scaled: in place one per group, at the edge every one that leaves the array."""
    if machine.group_k is None:
        return 0
    if machine.dataflow.dequant_site == "edge":
        return int(totals.sram_psum_write)
    return int(gemm.m * gemm.n * ceil_div(gemm.k, machine.group_k))


def _extents(dims: tuple[int, int, int], tm: Any, tk: Any, tn: Any) -> tuple[Extents, Extents, Extents]:
    m, k, n = dims
    return (
        Extents(m, tm, ceil_div(m, tm)),
        Extents(k, tk, ceil_div(k, tk)),
        Extents(n, tn, ceil_div(n, tn)),
    )


def _traffic(m: Extents, k: Extents, n: Extents, totals: Totals, tiling: Tiling) -> Traffic:
    """DRAM elements by the rule of :mod:`hwsim.simulate.schedule`, SRAM accesses from ``totals``."""
    outputs = m.extent * n.extent
    spills = 0 if tiling.hold_o else outputs * (k.trips - 1)
    loads_w = 0 if tiling.resident_w else 1 if tiling.hold_w else m.trips
    return Traffic(
        dram_w=k.extent * n.extent * loads_w,
        dram_a=m.extent * k.extent * (1 if tiling.hold_a else n.trips),
        dram_psum_read=spills,
        dram_psum_write=spills,
        dram_o=outputs,
        sram_w_read=totals.sram_w_read,
        sram_a_read=totals.sram_a_read,
        sram_psum_read=totals.sram_psum_read,
        sram_psum_write=totals.sram_psum_write,
    )


@lru_cache(maxsize=512)
def _candidates(dims: tuple[int, int, int], units: tuple[int, int, int]) -> tuple[NDArray[np.int64], ...]:
    """Return every combination of tile sizes, three arrays (candidates,); buffers and formats do not matter to it."""
    sizes = [tile_candidates(extent, unit) for extent, unit in zip(dims, units, strict=True)]
    return tuple(grid.ravel() for grid in np.meshgrid(*sizes, indexing="ij"))


@lru_cache(maxsize=65536)
def _search(dims: tuple[int, int, int], machine: Machine) -> Tiling:
    """Score all candidate tilings and orders; deterministic (first best in candidate order)."""
    units = machine.dataflow.units(machine.shape)
    tm, tk, tn = _candidates(dims, (units["m"], units["k"], units["n"]))
    fits = _fits(tm, tk, tn, machine)
    if not fits.any():
        raise InfeasibleError(_why_infeasible((int(tm.min()), int(tk.min()), int(tn.min())), machine))
    tm, tk, tn = tm[fits], tk[fits], tn[fits]
    m, k, n = _extents(dims, tm, tk, tn)
    shape = machine.shape
    if isinstance(shape.interval, Fraction):  # does not fit into arrays; the winner is timed exactly
        shape = replace(shape, interval=cast(Fraction, float(shape.interval)))
    totals = machine.dataflow.totals(shape, m, k, n)
    holds = _holds(m, k, n, machine)
    primary, secondary = _score(m, k, n, totals, holds, machine)
    ties = primary <= primary.min()
    flat = int(np.argmin(np.where(ties, secondary, np.inf)))
    order, at = divmod(flat, tm.size)
    hold_a, hold_w, hold_o = (bool(hold[order, at]) for hold in holds)
    tiles = int(tm[at]), int(tk[at]), int(tn[at])
    return Tiling(*tiles, LOOP_ORDERS[order], hold_a, hold_w, hold_o, machine.resident_w)


def _moved(elements: Any, bits: int, denominator: int) -> Any:
    return elements * bits if denominator == 1 else ceil_div(elements * bits, denominator)


def _fits(tm: Any, tk: Any, tn: Any, machine: Machine) -> Any:
    b = machine.bits
    return (
        (machine.resident_w | (_moved(tk * tn, b.w, b.denominator) <= machine.capacity_w_bits))
        & (_moved(tm * tk, b.a, b.denominator) <= machine.capacity_a_bits)
        & (_moved(tm * tn, b.psum, b.denominator) <= machine.capacity_o_bits)
    )


#: ``_INSIDE[x, y][order]`` is 1 where loop x runs inside loop y, shape (orders, 1).
_INSIDE = {
    (x, y): np.array([[order.index(x) > order.index(y)] for order in LOOP_ORDERS])
    for x in "mkn"
    for y in "mkn"
    if x != y
}


def _holds(m: Extents, k: Extents, n: Extents, machine: Machine) -> tuple[Any, Any, Any]:
    """Whether each operand's region under its irrelevant loop fits its buffer: (orders, candidates)."""
    b = machine.bits
    loops = {"m": m, "k": k, "n": n}

    def region(first: str, second: str, over: str, bits: int) -> Any:
        elements: Any = 1
        for loop in (first, second):
            extent = loops[loop]
            elements = elements * np.where(_INSIDE[loop, over], extent.extent, extent.tile)
        return _moved(elements, bits, b.denominator)

    return (
        region("m", "k", "n", b.a) <= machine.capacity_a_bits,
        region("k", "n", "m", b.w) <= machine.capacity_w_bits,
        region("m", "n", "k", b.psum) <= machine.capacity_o_bits,
    )


def _countable(bits: OperandBits, macs: int) -> OperandBits:
    """Return ``bits`` as floats where 64-bit integers might not hold the traffic of ``macs``; the winner is exact."""
    most = 2 * macs * sum((bits.w, bits.a, bits.o, bits.psum))
    if most < 1 << 63:
        return bits
    counts = {name: cast(int, float(getattr(bits, name))) for name in ("w", "a", "o", "psum")}
    return replace(bits, **counts)


def _score(
    m: Extents, k: Extents, n: Extents, totals: Totals, holds: tuple[Any, Any, Any], machine: Machine
) -> tuple[Any, Any]:
    """Return the objective and its tie-break for every (order, candidate)."""
    b, prices = _countable(machine.bits, m.extent * k.extent * n.extent), machine.prices
    loaded_w = 0 if machine.resident_w else b.w  # bits per element that cross the DRAM port
    hold_a, hold_w, hold_o = holds
    outputs = m.extent * n.extent
    dram_bits = (
        np.where(hold_w, k.extent * n.extent * loaded_w, k.extent * n.extent * loaded_w * m.trips)
        + np.where(hold_a, m.extent * k.extent * b.a, m.extent * k.extent * b.a * n.trips)
        + np.where(hold_o, 0, 2 * outputs * b.psum * (k.trips - 1))
        + outputs * b.o
    ) * (1.0 / b.denominator)
    edges = (m.tile * k.tile * b.a + k.tile * n.tile * loaded_w + m.tile * n.tile * b.o) / b.denominator
    per_cycle = float(machine.dram_bits_per_cycle)
    if machine.overlap:
        latency = np.maximum(totals.compute_cycles, dram_bits / per_cycle) + edges / per_cycle
    else:
        latency = totals.compute_cycles + dram_bits / per_cycle
    sram_pj = (
        totals.sram_w_read * (b.w * prices.sram_w_pj_per_bit)
        + totals.sram_a_read * (b.a * prices.sram_a_pj_per_bit)
        + (totals.sram_psum_read + totals.sram_psum_write) * (b.psum * prices.sram_o_pj_per_bit)
    ) / b.denominator
    fixed_pj = outputs * k.extent * prices.mac_pj
    cycles_pj = latency * prices.static_pj_per_cycle + totals.compute_cycles * prices.clock_pj_per_cycle
    energy = dram_bits * prices.dram_pj_per_bit + sram_pj + cycles_pj + fixed_pj
    if machine.objective == "latency":
        return latency, energy
    if machine.objective == "energy":
        return energy, latency
    return energy * latency, latency


def _why_infeasible(smallest: tuple[int, int, int], machine: Machine) -> str:
    """Name every buffer that the smallest tile does not fit, with the size that would do."""
    tm, tk, tn = smallest
    b = machine.bits
    buffers = (
        ("weights", b.move(tk * tn, "w"), machine.capacity_w_bits, f"{tk}×{tn}"),
        ("activations", b.move(tm * tk, "a"), machine.capacity_a_bits, f"{tm}×{tk}"),
        ("outputs", b.move(tm * tn, "psum"), machine.capacity_o_bits, f"{tm}×{tn}"),
    )
    return "; ".join(
        f"memories.{buffer}.size: too small for one tile: {tile} elements need {ceil_div(need, 8)} bytes "
        f"in {'one half of ' if parts > 1 else ''}the buffer, which has {have // 8}; "
        f"valid: at least {parts * ceil_div(need, 8)} B"
        for (buffer, need, have, tile), parts in zip(buffers, machine.parts, strict=True)
        if need > have and not (machine.resident_w and buffer == "weights")
    )
