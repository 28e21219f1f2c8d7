"""Outer products by hand: one fold is a broadcast array, more read and write every sum in every update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Extents
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.engine.pe_level import operands, step_through
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import build_schedule
from hwsim.simulate.nest.count import loads
from hwsim.simulate.nest.from_schedule import nest_of
from hwsim.simulate.schedule import Tiling
from hwsim.workload import Gemm, Trace
from tests.contract.test_dataflow_contract import shapes
from tests.support.machines import context, gemm, machine
from tests.support.small import array, small

OUTER, BROADCAST = get_dataflow("outer_product"), get_dataflow("broadcast")


def whole(m, k, n):
    return [Extents(extent, extent, 1) for extent in (m, k, n)]


def test_figures_by_hand():
    shape = ArrayShape(4, 8, 1)
    assert OUTER.tile_cycles(shape, 4, 10, 8, True) == 10 + 4  # sums stay for all of K
    # Two by two folds, ten updates: a step, four cycles in and four out each; nothing comes in at first.
    assert OUTER.tile_cycles(shape, 8, 10, 16, True) == 10 * 4 * (1 + 8) - 4 * 4
    assert OUTER.tile_cycles(shape, 8, 10, 16, False) == 10 * 4 * (1 + 8)
    # Scale groups of five: two updates of five steps.
    assert OUTER.tile_cycles(replace(shape, k_limit=5), 8, 10, 16, True) == 2 * 4 * (5 + 8) - 4 * 4
    # Lanes of four: updates of rank four, four and two.
    assert OUTER.tile_cycles(replace(shape, lanes=4), 8, 10, 16, True) == 3 * 4 * (1 + 8) - 4 * 4


def test_accesses_by_hand():
    shape = ArrayShape(4, 8, 1)
    found = OUTER.totals(shape, *whole(8, 10, 16))
    assert found.sram_a_read == 8 * 10  # a column waits while all of the row passes
    assert found.sram_w_read == 2 * 10 * 16
    assert (found.sram_psum_write, found.sram_psum_read) == (10 * 8 * 16, 9 * 8 * 16)
    grouped = OUTER.totals(replace(shape, k_limit=5), *whole(8, 10, 16))
    assert grouped.sram_a_read == 2 * 8 * 10  # five steps do not fit the registers
    assert (grouped.sram_psum_write, grouped.sram_psum_read) == (2 * 8 * 16, 8 * 16)


@settings(max_examples=60)
@given(shapes, st.tuples(*[st.integers(1, 40)] * 3), st.booleans())
def test_one_fold_is_a_broadcast_array_and_more_are_never_faster(shape, dims, first_k):
    m, k, n = dims
    one = (min(m, shape.rows), k, min(n, shape.cols))
    assert OUTER.tile_cycles(shape, *one, first_k) == BROADCAST.tile_cycles(shape, *one, first_k)
    assert OUTER.totals(shape, *whole(*one)) == BROADCAST.totals(shape, *whole(*one))
    assert OUTER.tile_cycles(shape, m, k, n, first_k) >= BROADCAST.tile_cycles(shape, m, k, n, first_k)
    outer, usual = (flow.totals(shape, *whole(m, k, n)) for flow in (OUTER, BROADCAST))
    assert outer.sram_a_read <= usual.sram_a_read
    assert outer.sram_w_read == usual.sram_w_read
    assert outer.sram_psum_write >= usual.sram_psum_write


def test_the_nest_of_a_tile_has_k_outside_of_its_folds():
    of = machine("outer_product", ArrayShape(4, 4, 1), capacities=(10**6,) * 3)
    schedule = build_schedule(gemm(8, 12, 5), Tiling(8, 5, 12, "mnk", True, True, True), of)
    hierarchy, nest = nest_of(schedule, of.dataflow, of.shape)
    # Results, and sums that come back to the PEs, counted by the nest in its own way.
    traffic = schedule.traffic
    assert loads(hierarchy, nest)[2, "o"] == traffic.sram_psum_write == 5 * 8 * 12
    usual = machine("broadcast", ArrayShape(4, 4, 1), capacities=(10**6,) * 3)
    hierarchy, nest = nest_of(build_schedule(schedule.gemm, schedule.tiling, usual), usual.dataflow, usual.shape)
    assert loads(hierarchy, nest)[2, "o"] == 8 * 12


def test_a_mapper_that_looks_for_latency_keeps_sums_in_the_pes():
    """Tiles of one fold are as fast as a broadcast array's; larger ones pass every sum through the buffer."""
    trace = Trace("t", (Gemm("g", m=24, n=24, k=32),), {})
    rows = {
        name: evaluate(small("int8", array=array(name, 4, 4), mapper={"objective": "latency"}), trace).layer_rows[0]
        for name in ("outer_product", "broadcast")
    }
    assert rows["outer_product"]["compute_cycles"] == rows["broadcast"]["compute_cycles"]


def test_all_engines_agree_where_sums_pass_the_buffer():
    """A tile of nine folds in four updates of a scale group each, the last one ragged."""
    of = machine("outer_product", ArrayShape(3, 2, 1, k_limit=4), capacities=(10**6,) * 3)
    schedule = build_schedule(gemm(7, 5, 14, batch=2), Tiling(7, 14, 5, "mnk", True, True, True), of)
    timings = {
        "fast": recur(schedule, of.dram_bits_per_cycle),
        "pe": step_through(schedule, context(of), *operands(schedule, context(of))).timing,
    }
    a, w = operands(schedule, context(of))
    stepped = step_through(schedule, context(of), a, w, every_cycle=True)
    assert timings["fast"] == timings["pe"] == stepped.timing
    assert (stepped.output == a.astype(np.int64) @ w.astype(np.int64)).all()
