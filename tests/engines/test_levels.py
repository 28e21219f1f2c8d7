"""GEMMs on memory levels: engines agree, laws hold, counts are the walk's, nothing fixed is better."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.context import engine_context
from hwsim.simulate.cost import ENERGY_PARTS, gemm_counts, gemm_energy, hierarchy_energy
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.event import replay
from hwsim.simulate.engine.fast import fast
from hwsim.simulate.engine.fast import walk as walk_steps
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.nest.count import bounds, count, lower_bound
from hwsim.simulate.nest.hierarchy import DIMS, OPERANDS, READ, WRITE
from hwsim.simulate.nest.loops import Kept, Loop, Nest, check_nest
from hwsim.simulate.nest.walk import walk
from hwsim.simulate.schedule import moved_bits
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace
from tests.support.levels import SMALL, built, level_archs, machine_of, pads

MANY = settings(max_examples=60, deadline=None)


def mapped(data, dims, batch=1):
    simulated = built(data)
    machine = machine_of(simulated)
    gemm = Gemm("layer", dims[0], dims[2], dims[1], batch=batch)
    return simulated, machine, map_gemm(gemm, machine)


def context_of(simulated, machine):
    formats = parse_format(simulated.policy.w_format), parse_format(simulated.policy.a_format)
    return engine_context(simulated, machine, formats, Operands())


@MANY
@given(level_archs(), SMALL, st.integers(1, 3))
def test_engines_agree_and_ports_bound_them(data, dims, batch):
    simulated, machine, schedule = mapped(data, dims, batch)
    context = context_of(simulated, machine)
    timing = fast(schedule, context)
    assert timing == walk_steps(schedule, context.dram_bits_per_cycle)
    assert ENGINES.get("event")(schedule, context) == timing
    assert replay([schedule], context.dram_bits_per_cycle).cores[0] == timing
    assert ENGINES.get("roofline")(schedule, context).cycles <= timing.cycles
    run = schedule.levels
    slowest = max(bound.cycles for bound in bounds(run.plan.hierarchy, run.moved)) * run.plan.interval * batch
    assert timing.cycles >= max(slowest, schedule.compute_cycles * batch)
    assert timing.compute_cycles == run.moved.compute_cycles * batch


@MANY
@given(level_archs(), SMALL)
def test_counts_are_the_slow_walks(data, dims):
    _, machine, schedule = mapped(data, dims)
    run = schedule.levels
    check_nest(run.plan.hierarchy, run.nest, run.plan.widths)
    bits, cycles = walk(run.plan.hierarchy, run.nest, run.plan.widths)
    assert {key: moved for key, moved in run.moved.bits.items() if moved} == bits
    assert run.moved.compute_cycles == cycles
    counts = gemm_counts(schedule, *moved_bits(schedule.body))
    assert counts.dram_read_bits == sum(bits.get((0, x, READ), 0) for x in OPERANDS)
    assert counts.dram_write_bits == bits[0, "o", WRITE]
    assert schedule.pe_steps == dims[0] * ceil(dims[1] / machine.shape.lanes) * dims[2]


@MANY
@given(level_archs(), SMALL)
def test_what_is_unique_is_read_once_at_least_and_more_often_further_in(data, dims):
    _, _, schedule = mapped(data, dims)
    traffic, (m, k, n) = schedule.traffic, dims
    assert k * n <= traffic.dram_w <= traffic.sram_w_read
    assert m * k <= traffic.dram_a <= traffic.sram_a_read
    assert traffic.dram_o == m * n
    run = schedule.levels
    for x in ("a", "w"):
        reads = [run.moved.at(kept.level, x, READ) for kept in run.nest.chain(x)]
        assert reads == sorted(reads)


@MANY
@given(level_archs(), SMALL, st.integers(1, 2))
def test_energy_is_that_of_the_search_and_what_goes_by_time(data, dims, batch):
    """The parts of a run, less clock, leakage and standby, are the energy by which the search chose."""
    simulated, machine, schedule = mapped(data, dims, batch)
    w, a = parse_format(simulated.policy.w_format), parse_format(simulated.policy.a_format)
    unit, timing = simulated.unit_costs(w, a), fast(schedule, context_of(simulated, machine))
    counts = gemm_counts(schedule, *moved_bits(schedule.body))
    energy = gemm_energy(schedule, timing, counts, unit)
    still = unit.array_clock_pj_per_cycle * timing.compute_cycles
    still += timing.cycles * unit.period_ns * (unit.dram_background_mw + unit.leakage_w * 1e3)
    run = schedule.levels
    found = sum(hierarchy_energy(run.plan.hierarchy, run.moved).values()) * batch
    # Sums of floats in another order.
    assert sum(energy.values()) - still == pytest.approx(found, rel=1e-9)


def innermost(hierarchy, dims):
    """A fixed nest: one loop after the other in single elements, every level keeps what the MACs need next."""
    loops = tuple(Loop(dim, 1) for dim in "nmk")
    kept = [Kept(0, x, 0) for x in OPERANDS]
    kept += [Kept(level, x, 3) for level, x in hierarchy.held if level > 0]
    return Nest(*dims, loops, tuple(kept))


def unrolled(hierarchy, dims):
    """Another one: the axes as full as they can be, all else one by one."""
    loops, size = [], dict(zip(DIMS, dims, strict=True))
    for axis in hierarchy.axes:
        dim = axis.dims[0]
        if size[dim] > axis.size:
            loops.append(Loop(dim, axis.size))
            size[dim] = axis.size
    loops += [Loop(dim, 1) for dim in DIMS if dim not in {axis.dims[0] for axis in hierarchy.axes}]
    outside = len(loops)
    loops += [Loop(axis.dims[0], 1, axis.name) for axis in hierarchy.axes]
    kept = [Kept(0, x, 0) for x in OPERANDS]
    kept += [Kept(level, x, outside) for level, x in hierarchy.held if level > 0]
    return Nest(*dims, tuple(loops), tuple(kept))


@MANY
@given(level_archs(), SMALL)
def test_no_fixed_mapping_is_better(data, dims):
    _, machine, schedule = mapped(data, dims)
    run, tried = schedule.levels, 0
    hierarchy, widths, objective = run.plan.hierarchy, run.plan.widths, machine.objective
    sizes = (dims[0], ceil(dims[1] / run.plan.lanes), dims[2])

    def merit(moved):
        energy = sum(hierarchy_energy(hierarchy, moved).values())
        cycles = float(lower_bound(hierarchy, moved).cycles)
        return {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]

    for fixed in (innermost, unrolled):
        nest = fixed(hierarchy, sizes)
        try:
            check_nest(hierarchy, nest, widths)
        except UsageError:
            continue
        tried += 1
        assert merit(run.moved) <= merit(count(hierarchy, nest, widths)) * (1 + 1e-9)  # sums of floats
    assert tried


@MANY
@given(level_archs(), SMALL, st.integers(1, 2), st.integers(1, 3))
def test_a_run_keeps_the_laws_and_its_parts_sum(data, dims, batch, repeat):
    gemm = Gemm("layer", dims[0], dims[2], dims[1], batch=batch, repeat=repeat)
    result = evaluate(built(data), Trace("t", (gemm,)), "roofline" if repeat == 3 else "fast")
    (row,) = result.layer_rows
    assert row["energy_pj"] == sum(row[part] for part in ENERGY_PARTS)
    assert row["macs"] == gemm.m * gemm.n * gemm.k * batch * repeat
    assert 0 < row["utilization"] <= 1
    assert row["cycles"] >= row["compute_cycles"]


def test_the_stepped_engine_says_why_it_does_not():
    simulated, machine, schedule = mapped(pads(), (3, 4, 5))
    with pytest.raises(UsageError, match=r"engine 'pe'.*loop nest.*--engine fast or event"):
        ENGINES.get("pe")(schedule, context_of(simulated, machine))


@settings(max_examples=25, deadline=None)
@given(SMALL, st.sampled_from([1, 2, 4]))
def test_no_slower_with_more_room_and_wider_ports(dims, factor):
    """Least cycles, which is what the objective latency looks for, fall with size and width; so does least energy."""
    base = pads(mapper__objective="latency")
    wider = pads(mapper__objective="latency", memories__levels__0__port_bits=64 * factor)
    roomy = pads(mapper__objective="latency", memories__levels__0__size=f"{4 * factor} KiB")

    def least(data):
        run = mapped(data, dims)[2].levels
        return lower_bound(run.plan.hierarchy, run.moved).cycles

    assert least(wider) <= least(base)
    assert least(roomy) <= least(base)


def test_steps_that_wait_for_a_port_inside_say_which():
    slow = pads(memories__levels__0__port_bits=8, array__rows=8, array__cols=8)
    gemm = Gemm("layer", 64, 64, 64)
    (row,) = evaluate(built(slow), Trace("t", (gemm,))).layer_rows
    assert row["bound"] == "shared"
    (quick,) = evaluate(built(pads(memories__levels__0__port_bits=64, array__rows=8, array__cols=8)),
                        Trace("t", (gemm,))).layer_rows  # fmt: skip
    assert quick["cycles"] < row["cycles"]


def test_one_nest_in_another_gemm_of_the_same_size_is_the_same():
    simulated, machine, schedule = mapped(pads(), (6, 5, 4))
    other = map_gemm(replace(schedule.gemm, layer="other"), machine)
    assert (other.body, other.levels) == (schedule.body, schedule.levels)
    assert simulated.accelerator.cores == 1
