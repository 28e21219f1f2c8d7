"""The event engine: alone the cycles of the fast one; several cores wait for the port they share."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.engine.event import replay
from hwsim.simulate.engine.fast import recur, walk
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.schedule import expand
from hwsim.spec.errors import UsageError
from tests.support.machines import DATAFLOW_NAMES, gemm, machine, schedules


def port_cycles(schedule, bandwidth):
    steps = expand(schedule.body) * schedule.gemm.batch
    return sum(-(-bits // bandwidth) for step in steps for bits in (step.load_bits, step.store_bits))


@settings(max_examples=300, deadline=None)
@given(schedules(), st.booleans())
def test_alone_on_its_port_a_core_takes_the_cycles_of_the_fast_engine(case, overlap):
    schedule, of = case
    schedule = replace(schedule, overlap=overlap)
    found = replay([schedule], of.dram_bits_per_cycle)
    assert found.cores == (recur(schedule, of.dram_bits_per_cycle),)
    assert found.cycles == found.cores[0].cycles
    assert found.port_busy_cycles == port_cycles(schedule, of.dram_bits_per_cycle)


@pytest.mark.parametrize("name", DATAFLOW_NAMES)
@pytest.mark.parametrize("bandwidth", [Fraction(1, 7), Fraction(3), Fraction(10_000)])
def test_long_schedules_agree_too(name, bandwidth):
    of = machine(name, ArrayShape(4, 4, 1), (2048, 2048, 4096), bandwidth)
    schedule = map_gemm(gemm(97, 61, 113, batch=3), of)
    assert replay([schedule], bandwidth).cores == (walk(schedule, bandwidth),)


def test_expected_cycles_stay_exact():
    of = machine("weight_stationary", ArrayShape(4, 4, 1, interval=Fraction(7, 3)), bandwidth=Fraction(5))
    schedule = map_gemm(gemm(9, 8, 11), of)
    assert replay([schedule], Fraction(5)).cores == (recur(schedule, Fraction(5)),)


@settings(max_examples=100, deadline=None)
@given(st.lists(schedules(), min_size=2, max_size=3))
def test_cores_on_one_port_wait_for_each_other_and_for_nothing_else(cases):
    bandwidth = cases[0][1].dram_bits_per_cycle
    programs = [schedule for schedule, _ in cases]
    alone = [recur(schedule, bandwidth) for schedule in programs]
    found = replay(programs, bandwidth)
    moved = sum(port_cycles(schedule, bandwidth) for schedule in programs)
    assert found.port_busy_cycles == moved
    for core, one in zip(found.cores, alone, strict=True):
        assert core.compute_cycles == one.compute_cycles
        assert core.cycles >= one.cycles
        assert core.cycles <= one.cycles + moved  # at the worst it waits for all that is moved
    assert found.cycles == max(core.cycles for core in found.cores)
    assert found.cycles >= moved


def test_two_cores_on_a_port_that_is_never_short_do_not_notice_each_other():
    of = machine(bandwidth=Fraction(10**9))
    schedule = map_gemm(gemm(17, 9, 21), of)
    alone = recur(schedule, of.dram_bits_per_cycle)
    found = replay([schedule, schedule], of.dram_bits_per_cycle)
    assert all(alone.cycles <= core.cycles <= alone.cycles + 2 * len(expand(schedule.body)) for core in found.cores)


def test_two_cores_whose_port_is_the_limit_take_as_long_as_both_programs_move():
    of = machine(bandwidth=Fraction(1, 50))
    schedule = map_gemm(gemm(17, 9, 21), of)
    found = replay([schedule, schedule], of.dram_bits_per_cycle)
    moved = port_cycles(schedule, of.dram_bits_per_cycle)
    assert found.port_busy_cycles == 2 * moved
    assert 2 * moved <= found.cycles <= 2 * moved + schedule.compute_cycles


def test_no_program_is_refused():
    with pytest.raises(UsageError, match="no schedule"):
        replay([], Fraction(1))
