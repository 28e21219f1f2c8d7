"""The mapper: its choice is the best of all candidates, by the slow road, and fits the buffers."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.cost import gemm_counts, gemm_energy
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.mapping import Prices, build_schedule, map_gemm, tile_candidates
from hwsim.simulate.schedule import LOOP_ORDERS, OperandBits, moved_bits
from hwsim.spec.errors import InfeasibleError, UsageError
from tests.support.machines import DATAFLOW_NAMES, gemm, honest_tiling, machine
from tests.support.small import array, small

MEMORIES = ("weights", "activations", "outputs")

PRICES = Prices(1.0, 0.2, 0.3, 0.4, 1.0, 2.0, 50.0)


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
    moving = (load + store) / of.dram_bits_per_cycle
    latency = max(schedule.compute_cycles, moving) + edges if of.overlap else schedule.compute_cycles + moving
    p = of.prices
    sram = (
        bits.move(traffic.sram_w_read, "w") * p.sram_w_pj_per_bit
        + bits.move(traffic.sram_a_read, "a") * p.sram_a_pj_per_bit
        + bits.move(traffic.sram_psum_read + traffic.sram_psum_write, "psum") * p.sram_o_pj_per_bit
    )
    fixed = g.m * g.n * g.k * p.mac_pj
    per_cycle = float(latency) * p.static_pj_per_cycle + schedule.compute_cycles * p.clock_pj_per_cycle
    energy = (load + store) * p.dram_pj_per_bit + sram + per_cycle + fixed
    return {"latency": float(latency), "energy": energy, "edp": energy * float(latency)}


def all_tilings(g, of):
    """Every candidate that the mapper may choose, its held regions by the honest rule."""
    units = of.dataflow.units(of.shape)
    sizes = [tile_candidates(extent, units[loop]).tolist() for extent, loop in ((g.m, "m"), (g.k, "k"), (g.n, "n"))]
    tilings = [honest_tiling(g, of, tiles, order) for tiles in product(*sizes) for order in LOOP_ORDERS]
    return [tiling for tiling in tilings if tiling is not None]


@settings(max_examples=40)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(1, 24), st.sampled_from(DATAFLOW_NAMES),
    st.sampled_from(["edp", "latency", "energy"]), st.tuples(*[st.integers(200, 3000)] * 3), st.integers(1, 64),
    st.sampled_from([(2, 2, 2), (2, 2, 1)]),
)  # fmt: skip
def test_no_candidate_beats_the_choice(m, n, k, flow, objective, capacities, bandwidth, parts):
    fixed = {"capacities": capacities, "bandwidth": Fraction(bandwidth), "prices": PRICES, "parts": parts}
    of = machine(flow, objective=objective, **fixed)
    g = gemm(m, n, k)
    scores = [slow_score(g, of, tiling)[objective] for tiling in all_tilings(g, of)]
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


@settings(max_examples=60)
@given(
    st.tuples(*[st.integers(1, 90)] * 3), st.sampled_from(DATAFLOW_NAMES), st.tuples(*[st.integers(512, 4000)] * 3),
    st.tuples(*[st.integers(0, 4000)] * 3),
)  # fmt: skip
def test_larger_buffers_never_cost_traffic(dims, flow, capacities, more):
    larger = tuple(map(sum, zip(capacities, more, strict=True)))
    ofs = [machine(flow, capacities=sizes, prices=Prices(), objective="energy") for sizes in (capacities, larger)]
    small, large = (sum(moved_bits(map_gemm(gemm(*dims), of).body)) for of in ofs)
    assert large <= small


@pytest.mark.parametrize("flow", DATAFLOW_NAMES)
def test_buffers_that_hold_everything_move_everything_once(flow):
    of = machine(flow, capacities=(10**6, 10**6, 10**6), prices=Prices(), objective="energy")
    assert moved_bits(map_gemm(gemm(30, 40, 50), of).body) == (8 * (30 * 50 + 50 * 40), 16 * 30 * 40)


@pytest.mark.parametrize(("flow", "label", "dims"), [
    ("weight_stationary", "int8", (64, 96, 128)), ("output_stationary", "fp16", (33, 65, 129)),
    ("broadcast", "int4_g128", (33, 65, 129)), ("weight_stationary", "int4_g128", (1, 256, 256)),
])  # fmt: skip
def test_the_choice_is_as_good_by_exact_cycles_and_full_energy(flow, label, dims):
    # The closed form knows how long the port and the array are busy and the first and last transfer, but not
    # how single steps wait for each other: a few per cent of the latency on the smallest of buffers.
    simulated = small(label, array=array(flow, 8, 8), memories={name: {"size": 2048} for name in MEMORIES})
    pe, g = simulated.accelerator.pe, gemm(*dims)
    unit = simulated.unit_costs(pe.w_format, pe.a_format)
    of = simulated.machine(pe.w_format, pe.a_format, pe.a_format)

    def exact(tiling):
        schedule = build_schedule(g, tiling, of)
        timing = recur(schedule, of.dram_bits_per_cycle)
        energy = sum(gemm_energy(schedule, timing, gemm_counts(schedule, *moved_bits(schedule.body)), unit).values())
        return {"latency": timing.cycles, "energy": energy, "edp": timing.cycles * energy}

    scores = [exact(tiling) for tiling in all_tilings(g, of)]
    for objective in ("latency", "energy", "edp"):
        chosen = exact(map_gemm(g, replace(of, objective=objective)).tiling)[objective]
        assert chosen <= 1.08 * min(score[objective] for score in scores)


@settings(max_examples=150)
@given(
    st.tuples(*[st.integers(1, 40)] * 3), st.sampled_from(DATAFLOW_NAMES), st.tuples(*[st.integers(0, 600)] * 3),
    st.sampled_from([(2, 2, 2), (1, 2, 1)]),
)  # fmt: skip
def test_what_is_too_small_says_what_would_do_and_nothing_less_does(dims, flow, capacities, parts):
    def of(sizes):
        return machine(flow, capacities=sizes, bits=OperandBits(33, 64, 64, 256, 8), parts=parts)

    try:
        map_gemm(gemm(*dims), of(capacities))
    except InfeasibleError as error:
        found = re.findall(r"memories\.(\w+)\.size: too small.*?valid: at least (\d+) B", str(error))
    else:
        return
    needed = {name: int(size) for name, size in found}
    assert needed
    sizes = [
        needed[name] * 8 // n if name in needed else capacity
        for name, capacity, n in zip(MEMORIES, capacities, parts, strict=True)
    ]
    map_gemm(gemm(*dims), of(tuple(sizes)))
    for name in needed:  # a byte less per part
        less = [size - 8 * (name == other) for other, size in zip(MEMORIES, sizes, strict=True)]
        with pytest.raises(InfeasibleError, match=f"memories.{name}.size"):
            map_gemm(gemm(*dims), of(tuple(less)))


def test_astronomic_gemms_are_refused():
    with pytest.raises(UsageError, match="more than 1e\\+16 MACs"):
        map_gemm(gemm(10**7, 10**7, 10**7), machine())
