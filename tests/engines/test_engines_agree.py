"""The fast engine, its slow reading and the cycle-stepped oracle agree to the cycle and the bit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.fast import recur, walk
from hwsim.simulate.engine.pe_level import operands, step_through
from hwsim.simulate.mapping import build_schedule, map_gemm
from hwsim.simulate.schedule import expand, moved_bits
from hwsim.spec.errors import ConservationError, UsageError
from tests.support.machines import DATAFLOW_NAMES, IntegerUnit, context, gemm, honest_tiling, machine, schedules


@settings(max_examples=150, deadline=None)
@given(schedules())
def test_stepping_every_cycle_gives_the_closed_form_and_the_right_product(case):
    schedule, of = case
    here = context(of)
    a, w = operands(schedule, here)
    stepped = step_through(schedule, here, a, w)
    assert stepped.timing == recur(schedule, of.dram_bits_per_cycle)
    ticking = step_through(schedule, here, a, w, every_cycle=True)
    assert (ticking.timing, ticking.port_bits) == (stepped.timing, stepped.port_bits)
    assert np.array_equal(ticking.output, stepped.output)
    product = np.einsum("bmk,bkn->bmn", a.astype(np.int64), w.astype(np.int64))
    assert np.array_equal(stepped.output, product)
    assert stepped.port_bits == sum(moved_bits(schedule.body)) * schedule.gemm.batch


@settings(max_examples=300, deadline=None)
@given(schedules())
def test_the_jump_over_periods_changes_nothing(case):
    schedule, of = case
    assert recur(schedule, of.dram_bits_per_cycle) == walk(schedule, of.dram_bits_per_cycle)


@pytest.mark.parametrize("name", DATAFLOW_NAMES)
@pytest.mark.parametrize("bandwidth", [Fraction(1, 7), Fraction(3), Fraction(10_000)])
def test_long_schedules_agree_with_the_walk(name, bandwidth):
    of = machine(name, ArrayShape(4, 4, 1), (2048, 2048, 4096), bandwidth)
    schedule = map_gemm(gemm(97, 61, 113, batch=3), of)
    assert len(expand(schedule.body)) > 50
    assert recur(schedule, bandwidth) == walk(schedule, bandwidth)


@pytest.mark.parametrize("name", DATAFLOW_NAMES)
def test_infinite_bandwidth_leaves_only_first_load_and_last_store(name):
    of = machine(name, ArrayShape(3, 5, 1), bandwidth=Fraction(10**9))
    schedule = map_gemm(gemm(17, 9, 21), of)
    timing = recur(schedule, of.dram_bits_per_cycle)
    assert timing.compute_cycles <= timing.cycles <= timing.compute_cycles + 2


@settings(max_examples=100, deadline=None)
@given(schedules())
def test_more_bandwidth_is_never_slower(case):
    schedule, of = case
    slow = recur(schedule, of.dram_bits_per_cycle).cycles
    assert recur(schedule, of.dram_bits_per_cycle * 2).cycles <= slow
    bits = sum(moved_bits(schedule.body)) * schedule.gemm.batch
    assert slow >= bits / of.dram_bits_per_cycle
    assert slow >= schedule.compute_cycles * schedule.gemm.batch


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_buffers_in_one_part_stop_all_overlap(case):
    schedule, of = case
    bandwidth = of.dram_bits_per_cycle
    alone = recur(replace(schedule, overlap=False), bandwidth)
    steps = expand(schedule.body)
    moves = sum(-(-bits // bandwidth) for step in steps for bits in (step.load_bits, step.store_bits))
    assert alone.cycles == (moves + schedule.compute_cycles) * schedule.gemm.batch
    assert recur(replace(schedule, overlap=True), bandwidth).cycles <= alone.cycles


def test_pe_engine_refuses_gemms_that_would_take_minutes():
    of = machine(capacities=(10**9, 10**9, 10**9))
    with pytest.raises(UsageError, match="--engine fast"):
        ENGINES.get("pe")(map_gemm(gemm(500, 500, 500), of), context(of))


def test_pe_engine_notices_a_wrong_datapath():
    class Wrong(IntegerUnit):
        def dot(self, w_codes, a_codes, w, a):
            return super().dot(w_codes, a_codes, w, a) + 1

    of = machine()
    with pytest.raises(ConservationError, match="dot product"):
        ENGINES.get("pe")(map_gemm(gemm(3, 3, 3), of), replace(context(of), pe=Wrong()))


def test_engines_have_the_names_of_the_command_line():
    assert {"fast", "event", "pe"} <= set(ENGINES.names())
    of = machine()
    schedule = map_gemm(gemm(5, 7, 9), of)
    fast, event, stepped = (ENGINES.get(name)(schedule, context(of)) for name in ("fast", "event", "pe"))
    assert fast == event == stepped


def test_a_spilling_schedule_pays_for_its_partial_sums():
    g = gemm(8, 8, 8)
    of = machine(capacities=(10**6, 10**6, 32 * 16 * 1))
    tiling = honest_tiling(g, of, (4, 4, 4), "kmn")
    assert tiling is not None
    assert not tiling.hold_o
    schedule = build_schedule(g, tiling, of)
    assert schedule.traffic.dram_psum_read == schedule.traffic.dram_psum_write == 64
