"""What holds for every dataflow, array option, tiling and bandwidth, whoever made the schedule."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.mapping import build_schedule, map_gemm, resident_tiling, tile_candidates
from hwsim.simulate.schedule import LOOP_ORDERS, OperandBits, expand, loop_visits, moved_bits
from hwsim.spec.errors import InfeasibleError
from tests.support.machines import DATAFLOW_NAMES, gemm, honest_tiling, machine, schedules


@settings(max_examples=200, deadline=None)
@given(schedules())
def test_all_macs_are_done_once(case):
    schedule, of = case
    g = schedule.gemm
    tiles = [tuple(visit[loop][1] for loop in "mkn") for visit in loop_visits(g, schedule.tiling)]
    assert sum(m * k * n for m, k, n in tiles) == g.m * g.k * g.n
    assert len(expand(schedule.body)) == len(tiles)
    assert sum(step.compute_cycles for step in expand(schedule.body)) == schedule.compute_cycles
    # No more than all lanes of all PEs can do in these cycles: utilization of at most 100 %.
    slots = schedule.compute_cycles * of.shape.rows * of.shape.cols * of.shape.lanes
    assert g.m * g.k * g.n * of.shape.interval <= slots


@settings(max_examples=200, deadline=None)
@given(schedules())
def test_unique_elements_at_most_dram_at_most_sram(case):
    schedule, _ = case
    g, t = schedule.gemm, schedule.traffic
    assert g.k * g.n <= t.dram_w <= t.sram_w_read
    assert g.m * g.k <= t.dram_a <= t.sram_a_read
    assert t.dram_psum_read == t.dram_psum_write <= t.sram_psum_read <= t.sram_psum_write
    assert g.m * g.n == t.dram_o <= t.sram_psum_write


@settings(max_examples=300, deadline=None)
@given(schedules(), st.integers(1, 40), st.integers(1, 40))
def test_cycles_lie_between_busy_times_and_stages_and_fall_with_bandwidth(case, more, parts):
    schedule, of = case
    bandwidth = of.dram_bits_per_cycle
    cycles = recur(schedule, bandwidth).cycles
    batch = schedule.gemm.batch
    assert cycles >= max(schedule.compute_cycles, sum(moved_bits(schedule.body)) / bandwidth) * batch
    assert cycles <= stages(schedule, bandwidth)
    assert recur(schedule, bandwidth * (1 + Fraction(more, parts))).cycles <= cycles


def stages(schedule, bandwidth):
    """First load, then per step the longer of its computation and the transfers beside it, last store."""
    steps = expand(schedule.body) * schedule.gemm.batch
    loads, stores = ([-(-bits // bandwidth) for bits in each] for each in zip(*(
        (step.load_bits, step.store_bits) for step in steps), strict=True))  # fmt: skip
    if not schedule.overlap:
        return sum(loads) + sum(stores) + sum(step.compute_cycles for step in steps)
    # While a step computes, the port brings the next one's operands and takes the last one's results.
    beside = [load + store for load, store in zip([*loads[1:], 0], [0, *stores[:-1]], strict=True)]
    return loads[0] + sum(max(s.compute_cycles, moved) for s, moved in zip(steps, beside, strict=True)) + stores[-1]


@st.composite
def searches(draw):
    """A GEMM and a machine on which its fastest mapping is looked for."""
    dims = draw(st.tuples(*[st.integers(1, 60)] * 3))
    shape = ArrayShape(
        draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.sampled_from([1, 2])),
        interval=draw(st.sampled_from([1, 1, 2, Fraction(7, 3)])),
        **{option: draw(st.booleans()) for option in ("double_buffer", "fold_overlap", "used_only")},
    )  # fmt: skip
    of = machine(
        draw(st.sampled_from(DATAFLOW_NAMES)),
        shape,
        draw(st.tuples(*[st.integers(300, 4000)] * 3)),
        Fraction(draw(st.integers(1, 64)), draw(st.sampled_from([1, 3]))),
        objective="latency",
        bits=draw(st.sampled_from([OperandBits(8, 8, 16, 32), OperandBits(9, 15, 24, 96, 3)])),
        parts=draw(st.sampled_from([(2, 2, 2), (2, 2, 2), (1, 2, 2)])),
        resident_w=draw(st.sampled_from([False, False, True])),
        resident_a=draw(st.sampled_from([False, False, True])),
        results=draw(st.sampled_from(["stored", "stored", "kept", "both"])),
    )
    return gemm(*dims, draw(st.sampled_from([1, 1, 3]))), of


def best(g, of):
    return recur(map_gemm(g, of), of.dram_bits_per_cycle).cycles


@settings(max_examples=150, deadline=None)
@given(searches(), st.tuples(*[st.integers(0, 4000)] * 3), st.integers(0, 64), st.sampled_from([1, 3]))
def test_the_best_latency_falls_with_the_size_of_buffers_and_with_bandwidth(case, more, wider, parts):
    g, of = case
    try:
        cycles = best(g, of)
    except InfeasibleError:
        return
    for field, rest in zip(("capacity_w_bits", "capacity_a_bits", "capacity_o_bits"), more, strict=True):
        larger = replace(of, **{field: getattr(of, field) + rest})
        assert best(g, larger) <= cycles
    bandwidth = of.dram_bits_per_cycle + Fraction(wider, parts)
    assert best(g, replace(of, dram_bits_per_cycle=bandwidth)) <= cycles


#: Dataflow, (m, n, k), usable bits, bandwidth, and a larger buffer with which closed forms choose a slower mapping.
SLOWER = [
    ("output_stationary", (49, 20, 24), (3145, 2706, 3019), 5, {"capacity_a_bits": 5592}),
    ("cube", (30, 19, 53), (3469, 1326, 1634), 36, {"capacity_w_bits": 5519}),
    ("output_stationary", (23, 60, 54), (1421, 2938, 1715), 53, {"capacity_a_bits": 6502}),
    ("cube", (38, 19, 23), (1534, 688, 1509), 44, {"capacity_w_bits": 4887}),
    ("outer_product", (6, 56, 8), (1699, 649, 2647), 5, {"capacity_w_bits": 3774}),
]


@pytest.mark.parametrize(("flow", "sizes", "bits", "bandwidth", "larger"), SLOWER)
def test_where_closed_forms_are_misled_exact_times_are_not(flow, sizes, bits, bandwidth, larger):
    of = machine(flow, capacities=bits, bandwidth=Fraction(bandwidth), objective="latency")
    assert best(gemm(*sizes), replace(of, **larger)) <= best(gemm(*sizes), of)


def every_tiling(g, of):
    units = of.dataflow.units(of.shape)
    sizes = [tile_candidates(extent, units[loop]).tolist() for loop, extent in zip("mkn", (g.m, g.k, g.n), strict=True)]
    for tiles in product(*sizes):
        roomy = replace(
            of,
            capacity_w_bits=10**9 if of.resident_w else of.capacity_w_bits,
            capacity_a_bits=10**9 if of.resident_a else of.capacity_a_bits,
        )
        for order in LOOP_ORDERS:
            tiling = honest_tiling(g, roomy, tiles, order)
            if tiling is not None:
                yield resident_tiling(tiling, of)


@settings(max_examples=40, deadline=None)
@given(searches())
def test_the_fastest_of_all_tilings_is_found(case):
    g, of = case
    found = [recur(build_schedule(g, tiling, of), of.dram_bits_per_cycle).cycles for tiling in every_tiling(g, of)]
    if found:
        assert best(g, of) == min(found)


@settings(max_examples=300, deadline=None)
@given(schedules(), st.tuples(*[st.booleans()] * 3))
def test_holding_costs_no_cycle(case, less):
    schedule, of = case
    tiling = schedule.tiling
    holds = {
        name: getattr(tiling, name) and not drop
        for name, drop in zip(("hold_a", "hold_w", "hold_o"), less, strict=True)
    }
    loading = build_schedule(schedule.gemm, replace(tiling, **holds), of)
    assert recur(schedule, of.dram_bits_per_cycle).cycles <= recur(loading, of.dram_bits_per_cycle).cycles


@pytest.mark.parametrize("flow", DATAFLOW_NAMES)
def test_one_buffer_after_the_other_until_everything_fits(flow):
    cycles = []
    for size in (400, 1000, 4000, 20_000, 10**6):
        of = machine(flow, capacities=(size, size, 4 * size), bandwidth=Fraction(4), objective="latency")
        cycles.append(recur(map_gemm(gemm(40, 50, 60), of), Fraction(4)).cycles)
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] < cycles[0]
