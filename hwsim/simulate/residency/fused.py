"""Fused attention: scores never leave the chip, and rows that do not fit are taken key tile by key tile.

The loops are those of FlashAttention-2 (Dao, arXiv 2307.08691, section 3.1): query tiles outside, key tiles
inside. Taking turns, a step loads a tile of keys and one of values (with the first key tile also the queries), then
the array computes scores, the vector unit their softmax, the array the weighted values, one after the other;
meanwhile the port brings the next step's operands. Working at the same time (the default, where there is room and
it pays) they are at different tiles: :mod:`hwsim.simulate.residency.overlap`. Keys and values of an instance are
read once if they fit in one part of the weights buffer, else once per query tile.

Where one key tile holds all keys the softmax is the plain one. Otherwise it is the online softmax, and
with every key tile after the first the results so far are rescaled, in place in the output buffer.

=========== ===================================================================================
buffer      one part holds
=========== ===================================================================================
weights     a tile (or, held, all) of keys and of values
activations a tile of queries, and the probabilities of a query tile and a key tile (at the same time: of two)
outputs     their scores (of two) and the accumulated results of the query tile, both as partial sums
=========== ===================================================================================

Scores go to the vector unit as partial sums: they are not quantized. Probabilities are rounded to the
value's activation format on their way, which is not counted, as it is not where the operations are apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import lcm
from typing import Any, cast

import numpy as np

from hwsim.formats import parse_format
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, gemm_counts, sum_counts
from hwsim.simulate.dataflow.base import Extents, ceil_div
from hwsim.simulate.mapping import Machine, dequant_ops, tile_candidates
from hwsim.simulate.residency.chain import Fused
from hwsim.simulate.residency.overlap import Block, stages
from hwsim.simulate.schedule import (
    Cycles,
    Node,
    Repeat,
    Schedule,
    Step,
    Tiling,
    Traffic,
    classes,
    moved_bits,
    step_cycles,
)
from hwsim.simulate.vector_ops import VectorKind, online_kind, vector_kind
from hwsim.simulate.vector_unit import lane_costs, work
from hwsim.workload.ops import Gemm

#: Machines of the score and of the value.
Machines = tuple[Machine, Machine]


@dataclass(frozen=True)
class FusedPlan:
    """One way of fusing: what the port and the array see as one program, and what its parts count.

    ``program`` is what an engine times; ``score`` and ``value`` have the accesses and the array cycles of their
    products alone. ``vector_cycles``, ``vector_pj`` and ``vector_counts`` are of the vector unit, over the batch.
    ``overlapped``: array and vector unit work at the same time. The program is of one instance, or of all of them
    with a batch of 1.
    """

    program: Schedule
    score: Schedule
    value: Schedule
    vector_cycles: int
    vector_pj: float
    vector_counts: Counts
    overlapped: bool = False

    def counts(self) -> Counts:
        """Return the bits that all parts move, over the batch."""
        all_of_them = self.score.gemm.batch // self.program.gemm.batch
        load, store = (bits // all_of_them for bits in moved_bits(self.program.body))
        return sum_counts([gemm_counts(self.score, load, 0), gemm_counts(self.value, 0, store), self.vector_counts])


def fused_plans(simulated: Simulated, fused: Fused, machines: Machines) -> list[FusedPlan]:
    """Return the plans that no other one of their kind beats in both estimated latency and DRAM traffic.

    There are none if no tile fits.
    """
    ways = (False, True) if simulated.spec.residency.fused_overlap else (False,)
    return [plan for overlapped in ways for plan in _plans(simulated, fused, machines, overlapped)]


def _plans(simulated: Simulated, fused: Fused, machines: Machines, overlapped: bool) -> list[FusedPlan]:
    m, k = _tiles(fused, machines)
    fits, held = _fits(fused, machines, m, k, 2 if overlapped else 1)
    m, k, held = m[fits], k[fits], held[fits]
    if not m.size:
        return []
    latency, traffic = _estimate(simulated, fused, machines, (m, k, held), overlapped)
    chosen: list[int] = []
    for at in np.lexsort((traffic, latency)):  # by latency; what moves less than all before it stays
        if not chosen or traffic[at] < traffic[chosen[-1]]:
            chosen.append(int(at))
    tiles = [(int(m[at]), int(k[at]), bool(held[at])) for at in chosen]
    found = [_plan(simulated, fused, machines, *tile) for tile in tiles]
    if not overlapped:
        return found
    return [_overlapped(simulated, fused, machines, plan, tile) for plan, tile in zip(found, tiles, strict=True)]


def _tiles(fused: Fused, machines: Machines) -> tuple[Any, Any]:
    """Return every pair of query and key tile; key tiles cut no scale group apart."""
    units = [machine.dataflow.units(machine.shape) for machine in machines]
    blocks = (parse_format(name).block_size or 1 for name in (fused.value.w_format, fused.value.a_format))
    whole = lcm(units[1]["k"], *blocks)
    queries = tile_candidates(fused.m, max(unit["m"] for unit in units))
    keys = np.union1d(tile_candidates(fused.k, whole), tile_candidates(fused.k, lcm(whole, units[0]["n"])))
    grids = np.meshgrid(queries[::-1], keys[::-1], indexing="ij")
    return grids[0].ravel(), grids[1].ravel()


def _fits(fused: Fused, machines: Machines, m: Any, k: Any, blocks: int) -> tuple[Any, Any]:
    """Return whether tiles fit, and whether all keys and values do, so that they are held over the query tiles.

    So many ``blocks`` of scores and probabilities are there at a time.
    """
    (score, value), width = machines, fused.score.k

    def stationary(keys: Any) -> Any:
        return score.bits.move(width * keys, "w") + value.bits.move(keys * fused.n, "w")

    room = min(score.capacity_w_bits, value.capacity_w_bits)
    streamed = score.bits.move(m * width, "a") + blocks * value.bits.move(m * k, "a")
    sums = blocks * score.bits.move(m * k, "psum") + value.bits.move(m * fused.n, "psum")
    fits = (stationary(k) <= room) & (streamed <= score.capacity_a_bits) & (sums <= score.capacity_o_bits)
    return fits, np.full(m.shape, stationary(fused.k) <= room)


def _loops(fused: Fused, m: Any, k: Any) -> tuple[Extents, Extents]:
    return Extents(fused.m, m, ceil_div(fused.m, m)), Extents(fused.k, k, ceil_div(fused.k, k))


def _estimate(
    simulated: Simulated, fused: Fused, machines: Machines, tiles: tuple[Any, Any, Any], overlapped: bool
) -> tuple[Any, Any]:
    """Return latency in cycles and DRAM bits of one instance for every pair of tiles, for choosing among them."""
    m, k, held = tiles
    score, value = (replace(machine, shape=_float_interval(machine)) for machine in machines)
    rows, keys = _loops(fused, m, k)
    width, out = Extents(fused.score.k, fused.score.k, 1), Extents(fused.n, fused.n, 1)
    compute = score.dataflow.totals(score.shape, rows, width, keys).compute_cycles
    compute = compute + value.dataflow.totals(value.shape, rows, keys, out).compute_cycles
    acc = simulated.accelerator
    slots = sum(
        count * lane_costs(simulated, kind)[0] for kind, count in _vector_work(fused.m, fused.k, fused.n, keys.trips)
    )
    vector = slots / acc.spec.vector_unit.lanes
    if overlapped:  # but for the first score and the last value
        compute = np.maximum(compute, vector) + np.minimum(compute, vector) / (rows.trips * keys.trips)
    else:
        compute = compute + vector
    stationary = score.bits.move(fused.score.k * fused.k, "w") + value.bits.move(fused.k * fused.n, "w")
    once = score.bits.move(fused.m * fused.score.k, "a") + value.bits.move(fused.m * fused.n, "o")
    traffic = once + stationary * np.where(held, 1, rows.trips)
    first = (score.bits.move(m * fused.score.k, "a") + stationary / keys.trips) / float(score.dram_bits_per_cycle)
    dram = traffic / float(score.dram_bits_per_cycle)
    return (np.maximum(compute, dram) + first if score.overlap else compute + dram), traffic


def _float_interval(machine: Machine) -> Any:
    """Return the array's shape for arithmetic over candidates: an expected interval is no integer."""
    shape = machine.shape
    if not isinstance(shape.interval, Fraction):
        return shape
    return replace(shape, interval=cast(Fraction, float(shape.interval)))


def _vector_work(queries: int, keys: int, width: int, trips: Any) -> Iterator[tuple[VectorKind, Any]]:
    """Yield what the vector unit does for so many queries in all, and for how many elements; ``trips`` of key tiles."""
    several = (trips > 1) * 1
    yield vector_kind("softmax"), queries * keys * (1 - several)
    yield online_kind("online_softmax"), queries * keys * several
    yield online_kind("online_row"), queries * (trips - 1)
    yield online_kind("online_rescale"), queries * width * (trips - 1)
    yield online_kind("online_inverse"), queries
    yield online_kind("online_normalize"), queries * width * several


def tile_work(queries: int, keys: int, width: int, first: bool, last: bool) -> Iterator[tuple[VectorKind, int]]:
    """Yield what the vector unit does in one step, and for how many elements."""
    if first and last:
        yield vector_kind("softmax"), queries * keys
        yield online_kind("online_inverse"), queries
        return
    yield online_kind("online_softmax"), queries * keys
    if not first:
        yield online_kind("online_row"), queries
        yield online_kind("online_rescale"), queries * width
    if last:
        yield online_kind("online_inverse"), queries
        yield online_kind("online_normalize"), queries * width


def _plan(simulated: Simulated, fused: Fused, machines: Machines, m: int, k: int, held: bool) -> FusedPlan:
    score, value = machines
    rows, keys = _loops(fused, m, k)
    body: list[Node] = []
    cycles: Cycles = 0
    vector_cycles, vector_pj = 0, 0.0
    for row in classes(fused.m, m):
        inner: list[Node] = []
        for key in classes(fused.k, k):
            times = row[0] * key[0]
            costs = [work(simulated, *done) for done in tile_work(row[1], key[1], fused.n, *key[2:])]
            step = _step(fused, machines, row, key, held, sum(cost[0] for cost in costs))
            inner.append(step if key[0] == 1 else Repeat(key[0], (step,)))
            cycles += times * step.compute_cycles
            vector_cycles += times * sum(cost[0] for cost in costs)
            vector_pj += times * sum(cost[1] for cost in costs)
        body.extend(inner if row[0] == 1 else [Repeat(row[0], tuple(inner))])
    width, out = Extents(fused.score.k, fused.score.k, 1), Extents(fused.n, fused.n, 1)
    visits = 1 if held else rows.trips
    first = _half(fused.score, score, (rows, width, keys), visits, reads_a=True)
    second = _half(fused.value, value, (rows, keys, out), visits, reads_a=False)
    program = replace(first, body=tuple(body), compute_cycles=cycles)
    counts = _vector_counts(fused, machines, keys.trips)
    return FusedPlan(program, first, second, vector_cycles * fused.batch, vector_pj * fused.batch, counts)


def _step(
    fused: Fused,
    machines: Machines,
    row: tuple[int, int, bool, bool],
    key: tuple[int, int, bool, bool],
    held: bool,
    vector_cycles: int,
) -> Step:
    """Return the step of one kind of query and key tile, as :func:`~hwsim.simulate.schedule.classes` lists them."""
    (score, value), width, out = machines, fused.score.k, fused.n
    (_, m, first_m, _), (_, k, first_k, last_k) = row, key
    load = score.bits.move(m * width, "a") if first_k else 0
    if first_m or not held:
        load += score.bits.move(width * k, "w") + value.bits.move(k * out, "w")
    cycles = score.dataflow.tile_cycles(score.shape, m, width, k, True) + vector_cycles
    cycles += value.dataflow.tile_cycles(value.shape, m, k, out, first_k)
    return Step(load, cycles, value.bits.move(m * out, "o") if last_k else 0, first_k, reloads=False)


def _overlapped(
    simulated: Simulated, fused: Fused, machines: Machines, plan: FusedPlan, tile: tuple[int, int, bool]
) -> FusedPlan:
    """Return ``plan`` with array and vector unit at work at the same time.

    Instances of one query tile follow each other without a pause; others begin when the one before is done.
    """
    (score, value), (m, k, held), width, out = machines, tile, fused.score.k, fused.n
    rows, keys = ceil_div(fused.m, m), ceil_div(fused.k, k)
    all_of_them = rows == 1
    edges = fused.m - (rows - 1) * m, fused.k - (keys - 1) * k

    @cache
    def block(first_m: bool, last_m: bool, first_k: bool, last_k: bool) -> Block:
        tm, tk = edges[0] if last_m else m, edges[1] if last_k else k
        done: dict[str, int] = {}
        for kind, elements in tile_work(tm, tk, out, first_k, last_k):
            done[kind.name] = work(simulated, kind, elements)[0]
        after, ends = done.pop("online_rescale", 0), done.pop("online_normalize", 0)
        loads = first_m or not held
        score_bits = score.bits.move(tm * width, "a") if first_k else 0
        return Block(
            score=score.dataflow.tile_cycles(score.shape, tm, width, tk, True),
            softmax=sum(done.values()),
            after=after,
            value=value.dataflow.tile_cycles(value.shape, tm, tk, out, first_k),
            ends=ends,
            score_bits=score_bits + (score.bits.move(width * tk, "w") if loads else 0),
            value_bits=value.bits.move(tk * out, "w") if loads else 0,
            store_bits=value.bits.move(tm * out, "o") if last_k else 0,
            first=first_k,
        )

    def block_of(row: int, key: int) -> Block:
        return block(all_of_them or row == 0, all_of_them or row == rows - 1, key == 0, key == keys - 1)

    body = stages(fused.batch if all_of_them else rows, keys, block_of)
    gemm = replace(plan.program.gemm, batch=1) if all_of_them else plan.program.gemm
    program = replace(plan.program, gemm=gemm, body=body, compute_cycles=step_cycles(body))
    return replace(plan, program=program, overlapped=True)


def _half(
    gemm: Gemm, machine: Machine, loops: tuple[Extents, Extents, Extents], visits: int, *, reads_a: bool
) -> Schedule:
    """Return one product's accesses: the score (``reads_a``) has queries from DRAM, the value's results go there."""
    m, k, n = loops
    totals = machine.dataflow.totals(machine.shape, m, k, n)
    traffic = Traffic(
        dram_w=k.extent * n.extent * visits,
        dram_a=m.extent * k.extent if reads_a else 0,
        dram_psum_read=0,
        dram_psum_write=0,
        dram_o=0 if reads_a else m.extent * n.extent,
        sram_w_read=totals.sram_w_read,
        sram_a_read=totals.sram_a_read,
        sram_psum_read=totals.sram_psum_read,
        sram_psum_write=totals.sram_psum_write,
    )
    return Schedule(
        gemm=gemm,
        tiling=Tiling(m.tile, k.tile, n.tile, "mnk", hold_a=True, hold_w=visits == 1, hold_o=True),
        bits=machine.bits,
        body=(),
        traffic=traffic,
        compute_cycles=totals.compute_cycles,
        pe_steps=gemm.m * gemm.n * ceil_div(gemm.k, machine.shape.lanes),
        dequant_ops=dequant_ops(gemm, totals, machine),
        overlap=machine.overlap,
    )


def _vector_counts(fused: Fused, machines: Machines, trips: int) -> Counts:
    """Return the bits that the vector unit moves, over the batch: scores in, probabilities out, results rescaled."""
    score, value = machines
    kind, rescale = (
        vector_kind("softmax") if trips == 1 else online_kind("online_softmax"),
        online_kind("online_rescale"),
    )
    scores, again = fused.m * fused.k, fused.m * fused.n * (trips - 1)
    reads = kind.reads * score.bits.move(scores, "psum") + rescale.reads * value.bits.move(again, "psum")
    written = {
        "a": kind.writes * value.bits.move(scores, "a"),
        "o": rescale.writes * value.bits.move(again, "psum"),
    }
    return Counts(0, 0, {"o": reads * fused.batch}, {key: bits * fused.batch for key, bits in written.items()})
