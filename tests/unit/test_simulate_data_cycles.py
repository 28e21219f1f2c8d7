"""Whole runs of PEs whose cycles depend on data: engines, rounding, energy, what is stated."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.simulate.dataflow import DATAFLOWS, ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import TileOperands
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.fast import recur, walk
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import build_schedule, map_gemm
from hwsim.simulate.schedule import Timing, expand
from hwsim.workload import Gemm, Trace
from tests.support.machines import IntegerUnit, context, schedules
from tests.support.small import TRACE, array, small

INT8 = parse_format("int8")
FLOWS = [name for name in DATAFLOWS.names() if DATAFLOWS.get(name).follows_data]
PES = {
    "laconic": {"family": "laconic", "lanes": 2},
    "bitlet": {"family": "bitlet", "lanes": 8},
    "opt4c": {"family": "bit_weight", "engine": "opt4c", "k_tile": 64},
    "opt4e": {"family": "bit_weight", "engine": "opt4e", "k_tile": 64},
    "olaccel": {"family": "olaccel", "w_format": "int8", "a_format": "int8", "lanes": 4},
}
WIDE = {"memories": {name: {"size": 65536} for name in ("weights", "activations", "outputs")},
        "dram": {"preset": "hbm2"}, "vector_unit": {"lanes": 64}}  # fmt: skip


def gemm(m=24, n=6, k=96, stats="gaussian", **more):
    return Trace("t", (Gemm("g", m=m, n=n, k=k, w_stats=stats, a_stats=stats, **more),), {})


def run(machine, trace, engine="fast"):
    return evaluate(machine, trace, engine).layer_rows[0]


@settings(max_examples=100, deadline=None)
@given(schedules(), st.integers(1, 5000), st.data())
def test_engines_agree_on_fractions(case, parts, data):
    schedule, of = case
    of = replace(of, shape=replace(of.shape, interval=Fraction(1024 + parts, 1024)))
    schedule = build_schedule(schedule.gemm, schedule.tiling, of)
    timing = recur(schedule, of.dram_bits_per_cycle)
    assert timing == walk(schedule, of.dram_bits_per_cycle)
    assert schedule.compute_cycles == sum(step.compute_cycles for step in expand(schedule.body))
    for name in ENGINES.names():
        if name not in ("pe", "roofline"):  # one takes the cycles of its data, one overlaps all
            assert ENGINES.get(name)(schedule, context(of)) == timing


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("label", PES)
def test_the_array_that_carries_data_takes_the_expected_cycles_on_average(label, flow):
    machine = small(pe=PES[label], array=array(flow, 3, 2), **WIDE)
    expected, carried = (run(machine, gemm(), engine)["compute_cycles"] for engine in ("fast", "pe"))
    # A GEMM of 13,824 MACs: stationary weights are a few draws only.
    assert carried == pytest.approx(expected, rel=0.04)


class Waiting(IntegerUnit):
    """Takes as many cycles as the largest code of a step."""

    def __init__(self):
        self.spent = []

    def measured_cycles(self, w_codes, a_codes, w, a, sum_steps=None):
        found = np.maximum(w_codes.max(axis=(1, 2, 3)), a_codes.max(axis=(1, 2, 3))).astype(np.int64)
        self.sum_steps = sum_steps
        self.spent.append((w_codes.shape, a_codes.shape, int(np.maximum(found, 2).sum())))
        return found


@pytest.mark.parametrize("name", FLOWS)
@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 7)] * 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2]))
def test_a_fold_takes_the_cycles_of_its_steps(name, dims, rows, cols, lanes):
    flow, unit, (m, k, n) = get_dataflow(name), Waiting(), dims
    shape = ArrayShape(rows, cols, lanes, data_cycles=True, least=2)
    rng = np.random.default_rng(sum(dims))
    a, w = rng.integers(0, 6, (m, k)).astype(np.uint32), rng.integers(0, 6, (k, n)).astype(np.uint32)
    stepped, cycles = flow.stepped(shape, unit, TileOperands(a, w, None, None, None)), 0
    try:
        while True:
            next(stepped)
            cycles += 1
    except StopIteration as end:
        assert np.array_equal(end.value, a.astype(np.int64) @ w.astype(np.int64))
    fixed = flow.tile_cycles(replace(shape, interval=0), m, k, n, True)
    assert cycles == fixed + sum(spent for _, _, spent in unit.spent)
    step = flow.lockstep(shape, m, k, n)  # the first fold is as full as any
    assert step.sum_steps == (unit.sum_steps or -(-k // lanes))
    assert unit.spent[0][0][1:3] == (step.groups, step.weights)
    assert unit.spent[0][1][1:3] == (step.groups, step.activations)


@pytest.mark.parametrize("name", FLOWS)
def test_no_more_pes_wait_than_there_are_and_use(name):
    flow, shape = get_dataflow(name), ArrayShape(8, 4, 2)
    assert flow.lockstep(shape, 999, 999, 999).pes == 32
    assert flow.lockstep(shape, 1, 2, 1).pes == 1
    assert flow.lockstep(shape, 1, 16, 1).pes == (1 if flow.stationary == "o" else 8)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("label", PES)
def test_expected_runs_lie_between_work_and_worst_case(label, flow):
    machine = small(pe=PES[label], array=array(flow), **WIDE)
    pe = machine.accelerator.pe
    mean, worst = pe.work_cycles_per_step(INT8, INT8), pe.cycles_per_step(INT8, INT8)
    shape = machine.machine(INT8, INT8, INT8, gemm(m=512, n=64, k=512).ops[0]).shape
    assert shape.data_cycles
    assert mean < shape.interval <= worst
    found = run(machine, gemm(m=512, n=64, k=512))
    assert 0 < found["utilization"] <= 1


@pytest.mark.parametrize("flow", ["output_stationary", "broadcast"])
@pytest.mark.parametrize("label", PES)
def test_larger_arrays_wait_longer(label, flow):
    def interval(edge, of=None):
        return small(pe=PES[label], array=array(flow, edge, edge), **WIDE).machine(INT8, INT8, INT8, of).shape.interval

    found = [interval(edge) for edge in (1, 2, 4, 16)]
    assert found == sorted(found)
    assert found[0] < found[-1]
    row = gemm(m=1, n=1, k=4096).ops[0]  # one PE in use waits for nobody
    assert interval(16, row) == interval(1, row)


def test_cycles_are_rounded_once():
    machine = small(pe=PES["opt4c"], array=array("output_stationary"), **WIDE)
    trace = gemm(m=9, n=10, k=33, batch=7)
    of = machine.machine(INT8, INT8, INT8, trace.ops[0])
    schedule = map_gemm(trace.ops[0], of)
    assert isinstance(schedule.compute_cycles, Fraction)
    assert run(machine, trace)["compute_cycles"] == ceil(7 * schedule.compute_cycles)
    assert Timing(Fraction(7, 2), 3).whole() == (4, 3)


def test_distributions_and_zeros_of_a_trace_decide():
    machine = small(pe=PES["laconic"], array=array("output_stationary"), **WIDE)
    usual, named, heavy, sparse = (
        run(machine, gemm(stats=stats)) for stats in ("", "gaussian", "student_t3", "gaussian zeros=0.8")
    )
    assert usual == named
    for other in (heavy, sparse):
        assert other["compute_cycles"] < usual["compute_cycles"]
        assert other["energy_pe_pj"] < usual["energy_pe_pj"]


def test_time_is_that_of_the_slowest_and_energy_that_of_the_mean():
    edges = (1, 4)
    found = [run(small(pe=PES["laconic"], array=array("broadcast", e, e), **WIDE), gemm(m=64, n=64)) for e in edges]
    machine = small(pe=PES["laconic"], array=array("broadcast"), **WIDE)
    pe, price = machine.accelerator.pe, machine.accelerator.pe_price
    logic = price.energy_fj - sum(row.energy_fj for row in price.rows if row.part.group == "register")
    steps = 64 * 64 * 48
    work = pe.work_cycles_per_step(INT8, INT8)
    assert (
        found[0]["energy_pe_pj"] == pytest.approx(found[1]["energy_pe_pj"]) == pytest.approx(steps * work * logic / 1e3)
    )
    assert found[1]["compute_cycles"] > found[0]["compute_cycles"] / 16


def test_ports_that_are_slower_than_data_set_the_pace():
    memories = {**WIDE["memories"], "activations": {"size": 65536, "port_bits": 8}}
    machine = small(pe=PES["opt4c"], array=array("output_stationary"), **{**WIDE, "memories": memories})
    shape = machine.machine(INT8, INT8, INT8).shape
    assert shape.interval == shape.least == 4
    assert type(shape.interval) is int


def test_others_are_as_ever():
    result = evaluate(small(), TRACE)
    assert result.notes == ()
    shape = small().machine(INT8, INT8, INT8).shape
    assert type(shape.interval) is int
    assert not shape.data_cycles


def test_runs_state_what_they_assume(tmp_path, capsys):
    notes = evaluate(small(pe=PES["laconic"]), TRACE).notes
    assert len(notes) == 1
    assert "at worst 16 per step, expected" in notes[0]
    assert "weights gaussian (assumed), activations gaussian (assumed)" in notes[0]
    path = tmp_path / "t.csv"
    head = "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format,w_stats\n"
    path.write_text(head + "g,gemm,4,4,32,1,1,,,,laplace\nh,gemm,4,4,32,1,1,,,,\n")
    pe = "pe={family: bit_weight, engine: opt4c}"
    assert run_command(["run", "edge_16x16_45nm", str(path), "--set", pe]) == 0
    out = capsys.readouterr().out
    assert "cycles depend on data, at worst 4 per step" in out
    assert "weights laplace." in out
    assert "weights gaussian (assumed)." in out
    assert run_command(["run", "edge_16x16_45nm", str(path), "--set", pe, "--format", "json"]) == 0
    said = capsys.readouterr()
    assert "weights laplace" in said.err
    assert json.loads(said.out)


def test_explanations_state_worst_case_expected_and_distribution(capsys):
    assert run_command(["explain", "pe", "laconic", "--w-stats", "student_t3"]) == 0
    out = capsys.readouterr().out
    for words in ("worst case", "expected of a PE alone", "16 × 16 PEs, operands shared", "weights student_t3",
                  "activations gaussian (assumed)", "at work"):  # fmt: skip
        assert words in out
    assert run_command(["explain", "pe", "laconic_w8a8", "int8"]) == 0
    assert "expected cycles and work" in capsys.readouterr().out
    assert run_command(["explain", "pe", "int8"]) == 0
    assert "depend on data" not in capsys.readouterr().out
