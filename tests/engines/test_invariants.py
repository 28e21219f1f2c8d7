"""What holds for every dataflow, array option, tiling and bandwidth, whoever made the schedule."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.engine.fast import recur
from hwsim.simulate.mapping import Prices, map_gemm
from hwsim.simulate.schedule import expand, loop_visits, moved_bits
from hwsim.spec.errors import InfeasibleError
from tests.support.machines import DATAFLOW_NAMES, gemm, machine, schedules
from tests.unit.test_simulate_mapping import slow_score

#: Exact cycles of the best mapping on a larger buffer: the mapper ranks by busy times, steps that wait for each
#: other come on top (the worst of 2,700 random cases was 2.0 %).
WAITING = 0.05


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


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 60)] * 3), st.sampled_from(DATAFLOW_NAMES), st.tuples(*[st.integers(300, 4000)] * 3),
    st.tuples(*[st.integers(0, 4000)] * 3), st.integers(1, 64),
)  # fmt: skip
def test_the_best_latency_falls_with_the_size_of_buffers(dims, flow, capacities, more, bandwidth):
    larger = tuple(size + rest for size, rest in zip(capacities, more, strict=True))
    fixed = {"bandwidth": Fraction(bandwidth), "objective": "latency", "prices": Prices()}
    of = [machine(flow, capacities=sizes, **fixed) for sizes in (capacities, larger)]
    try:
        found = [map_gemm(gemm(*dims), each) for each in of]
    except InfeasibleError:
        return
    ranked = [slow_score(gemm(*dims), each, s.tiling)["latency"] for each, s in zip(of, found, strict=True)]
    assert ranked[1] <= ranked[0] * (1 + 1e-12)  # floats
    exact = [recur(schedule, Fraction(bandwidth)).cycles for schedule in found]
    assert exact[1] <= exact[0] * (1 + WAITING)


#: Where orders tie, the mapper takes the first one, whose loads may come in the wrong places: its ranking by busy
#: times does not see that (:data:`WAITING`).
UNSEEN = pytest.mark.xfail(
    strict=True,
    reason="orders that tie by busy times: 25,177 cycles, 26,521 with a larger buffer (row_stationary), 31,264 and 31,456 (simd)",
)


@pytest.mark.parametrize(
    "flow",
    [pytest.param(name, marks=[UNSEEN] if name in ("row_stationary", "simd") else []) for name in DATAFLOW_NAMES],
)
def test_one_buffer_after_the_other_until_everything_fits(flow):
    cycles = []
    for size in (400, 1000, 4000, 20_000, 10**6):
        of = machine(flow, capacities=(size, size, 4 * size), bandwidth=Fraction(4), objective="latency")
        cycles.append(recur(map_gemm(gemm(40, 50, 60), of), Fraction(4)).cycles)
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] < cycles[0]
