"""The event engine's jump over periods: nothing but time is saved, for one core and for several on one port."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.engine import cores as cores_module
from hwsim.simulate.engine.cores import share
from hwsim.simulate.engine.event import contend, replay
from hwsim.simulate.engine.fast import recur, walk
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.schedule import Repeat, Schedule, Step, Traffic
from hwsim.spec.data import find_example
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, apply_policy, load_workload
from tests.support.machines import context, gemm, machine, schedules

NO_TRAFFIC = Traffic(*[0] * 9)

steps = st.builds(
    Step,
    load_bits=st.sampled_from([0, 0, 1, 7, 40, 100]),
    compute_cycles=st.one_of(st.integers(1, 60), st.builds(Fraction, st.integers(1, 99), st.just(7))),
    store_bits=st.sampled_from([0, 0, 0, 3, 50]),
    opens=st.booleans(),
    reloads=st.booleans(),
)
bodies = st.recursive(
    st.lists(steps, min_size=1, max_size=3).map(tuple),
    lambda inner: st.lists(st.one_of(steps, st.builds(Repeat, st.integers(1, 9), inner)), min_size=1, max_size=3).map(
        tuple
    ),
    max_leaves=4,
)


def computed(nodes):
    return sum(node.compute_cycles if isinstance(node, Step) else node.count * computed(node.body) for node in nodes)


def program(body, batch=1, overlap=True):
    """A schedule of which engines see the steps alone."""
    of = machine()
    whole = map_gemm(gemm(2, 2, 2, batch), of)
    cycles = computed(body)
    return Schedule(whole.gemm, whole.tiling, of.bits, body, NO_TRAFFIC, cycles, 0, 0, overlap)


programs = st.builds(program, bodies, st.integers(1, 5), st.booleans())


@settings(max_examples=300, deadline=None)
@given(st.lists(programs, min_size=1, max_size=4), st.sampled_from([Fraction(1), Fraction(7, 3), Fraction(1000)]))
def test_any_programs_take_what_stepping_through_all_of_them_takes(cases, bandwidth):
    assert share(cases, bandwidth) == replay(cases, bandwidth)


@settings(max_examples=200, deadline=None)
@given(bodies, st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_cores_in_step_with_one_another_jump_together(body, count, cores, overlap):
    cases = [program((Repeat(count, body),), overlap=overlap)] * cores
    assert share(cases, Fraction(3)) == replay(cases, Fraction(3))


@settings(max_examples=200, deadline=None)
@given(st.lists(schedules(), min_size=1, max_size=3), st.integers(1, 6), st.booleans())
def test_schedules_of_real_tilings_too(cases, batch, overlap):
    bandwidth = cases[0][1].dram_bits_per_cycle
    run = [replace(s, overlap=overlap, gemm=replace(s.gemm, batch=batch)) for s, _ in cases]
    found = share(run, bandwidth)
    assert found == replay(run, bandwidth)
    if len(run) == 1:
        assert found.cores == (recur(run[0], bandwidth),)


@settings(max_examples=100, deadline=None)
@given(programs)
def test_alone_the_recurrence_of_the_fast_engine_and_its_plain_reading_say_the_same(case):
    found = share([case], Fraction(7, 3))
    assert found.cores[0].cycles == walk(case, Fraction(7, 3)).cycles == recur(case, Fraction(7, 3)).cycles


def test_a_full_memory_of_states_changes_nothing(monkeypatch):
    of = machine(bandwidth=Fraction(2))
    cases = [map_gemm(gemm(40, 30, 50, batch=3), of), map_gemm(gemm(33, 30, 50, batch=3), of)]
    expected = share(cases, Fraction(2))
    monkeypatch.setattr(cores_module, "MOST_STATES", 2)
    assert share(cases, Fraction(2)) == expected == replay(cases, Fraction(2))


def test_loops_of_any_length_take_as_many_events_as_their_transient(monkeypatch):
    served = []
    plain = cores_module._Core.served
    monkeypatch.setattr(cores_module._Core, "served", lambda core, now: (served.append(now), plain(core, now))[1])
    tile = Step(load_bits=10, compute_cycles=7, store_bits=2, opens=True, reloads=False)
    still = Step(load_bits=0, compute_cycles=5, store_bits=0, opens=False, reloads=False)
    long = Repeat(10**9, (tile, Repeat(10**9, (still, Repeat(3, (still,))))))
    found = share([program((long,))] * 3, Fraction(1))
    assert found.port_busy_cycles == 3 * 12 * 10**9
    assert found.cycles == pytest.approx(2 * 10**19, rel=1e-9)
    assert len(served) < 200


def test_of_those_who_ask_in_the_same_cycle_the_first_core_is_served_first():
    one = program((Step(load_bits=10, compute_cycles=100, store_bits=0, opens=True, reloads=False),))
    for run in (share, replay):
        assert [core.cycles for core in run([one] * 3, Fraction(1)).cores] == [110, 120, 130]


def test_no_program_is_refused():
    with pytest.raises(UsageError, match="no schedule"):
        share([], Fraction(1))


def layer(simulated):
    """The schedules of one layer of Llama-2-7B, prefill of 2,048 tokens, and their bandwidth."""
    trace = apply_policy(load_workload("llama-2-7b", phase="prefill", seq_len=2048), simulated.policy)
    gemms = [op for op in trace.ops if isinstance(op, Gemm) and op.layer != "lm_head"]
    assert len(gemms) == 9
    found = []
    for op in gemms:
        w, a, o = (parse_format(name) for name in (op.w_format, op.a_format, op.o_format))
        found.append(map_gemm(op, simulated.machine(w, a, o, op)))
    return found, simulated.accelerator.dram_bits_per_cycle


def test_a_layer_of_llama_is_replayed_in_a_tenth_of_a_second_and_to_the_cycle():
    run, bandwidth = layer(open_arch(find_example("arch_configs", "systolic_32x32_28nm")))
    start = time.process_time()
    found = [share([schedule], bandwidth).cores[0] for schedule in run]
    assert time.process_time() - start < 0.1  # takes a hundredth; half a million tiles, of which few are stepped
    assert found == [recur(schedule, bandwidth) for schedule in run]
    assert found[0] == replay(run[:1], bandwidth).cores[0]


def test_the_engine_jumps_where_no_banks_are_stepped():
    of = machine(bandwidth=Fraction(2))
    cases = [map_gemm(gemm(40, 30, 50), of)] * 2
    assert contend(cases, context(of)) == share(cases, Fraction(2))
