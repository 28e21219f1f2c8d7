"""The mapper: its choice is the best of all candidates, by the slow road, and fits the buffers."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.engine.fast import recur
from hwsim.simulate.mapping import Prices, build_schedule, map_gemm, tile_candidates
from hwsim.simulate.schedule import LOOP_ORDERS, moved_bits
from hwsim.spec.errors import InfeasibleError, UsageError
from tests.support.machines import DATAFLOW_NAMES, gemm, honest_tiling, machine

PRICES = Prices(5.0, 0.2, 0.3, 0.4, 1.0, 2.0)


def slow_score(g, of, tiling):
    """Latency and energy of one tiling from its schedule: the closed form's terms, counted step by step."""
    schedule = build_schedule(g, tiling, of)
    load, store = moved_bits(schedule.body)
    bits, traffic = of.bits, schedule.traffic
    edges = sum(
        bits.move(x * y, operand) / of.dram_bits_per_cycle
        for x, y, operand in (
            (tiling.tile_m, tiling.tile_k, "a"),
            (tiling.tile_k, tiling.tile_n, "w"),
            (tiling.tile_m, tiling.tile_n, "o"),
        )
    )
    latency = float(max(schedule.compute_cycles, (load + store) / of.dram_bits_per_cycle) + edges)
    p = of.prices
    sram = (
        bits.move(traffic.sram_w_read, "w") * p.sram_w_pj_per_bit
        + bits.move(traffic.sram_a_read, "a") * p.sram_a_pj_per_bit
        + bits.move(traffic.sram_psum_read + traffic.sram_psum_write, "psum") * p.sram_o_pj_per_bit
    )
    fixed = g.m * g.n * g.k * p.mac_pj
    energy = (load + store) * p.dram_pj_per_bit + sram + latency * p.static_pj_per_cycle + fixed
    return {"latency": latency, "energy": energy, "edp": energy * latency}


@settings(max_examples=40)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(1, 24), st.sampled_from(DATAFLOW_NAMES),
    st.sampled_from(["edp", "latency", "energy"]), st.tuples(*[st.integers(200, 3000)] * 3), st.integers(1, 64),
)  # fmt: skip
def test_no_candidate_beats_the_choice(m, n, k, flow, objective, capacities, bandwidth):
    of = machine(flow, capacities=capacities, bandwidth=Fraction(bandwidth), prices=PRICES, objective=objective)
    g = gemm(m, n, k)
    units = of.dataflow.units(of.shape)
    sizes = [tile_candidates(extent, units[loop]).tolist() for extent, loop in ((m, "m"), (k, "k"), (n, "n"))]
    tilings = [honest_tiling(g, of, tiles, order) for tiles in product(*sizes) for order in LOOP_ORDERS]
    scores = [slow_score(g, of, t)[objective] for t in tilings if t is not None]
    if not scores:
        with pytest.raises(InfeasibleError):
            map_gemm(g, of)
        return
    chosen = map_gemm(g, of)
    assert slow_score(g, of, chosen.tiling)[objective] == pytest.approx(min(scores), rel=1e-9)


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.sampled_from(DATAFLOW_NAMES))
def test_tiles_and_held_regions_fit_their_buffers(m, n, k, flow):
    of = machine(flow, capacities=(2048, 2048, 4096), prices=PRICES)
    g = gemm(m, n, k)
    t = map_gemm(g, of).tiling
    assert honest_tiling(g, of, (t.tile_m, t.tile_k, t.tile_n), t.order) == t


@given(st.integers(1, 5000), st.integers(1, 64))
def test_candidates_are_whole_units_and_hold_both_ends(extent, unit):
    sizes = tile_candidates(extent, unit).tolist()
    assert all(size % unit == 0 or size == extent for size in sizes)
    assert {min(extent, unit), extent} <= set(sizes)
    assert len(set(sizes)) == len(sizes) <= 19


def test_the_closed_form_bounds_the_engine():
    of = machine(capacities=(2048, 2048, 4096), prices=PRICES)
    schedule = map_gemm(gemm(50, 60, 70), of)
    exact = recur(schedule, of.dram_bits_per_cycle).cycles
    load, store = moved_bits(schedule.body)
    assert exact >= max(schedule.compute_cycles, (load + store) / of.dram_bits_per_cycle)


def test_larger_buffers_never_cost_traffic():
    moved = []
    for size in (500, 1000, 2000, 4000, 16000):
        of = machine(capacities=(size, size, 4 * size), prices=Prices(), objective="energy")
        moved.append(sum(moved_bits(map_gemm(gemm(40, 40, 40), of).body)))
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < moved[0]


def test_astronomic_gemms_are_refused():
    with pytest.raises(UsageError, match="more than 1e\\+16 MACs"):
        map_gemm(gemm(10**7, 10**7, 10**7), machine())
