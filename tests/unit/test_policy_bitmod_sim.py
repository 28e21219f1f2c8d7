"""The rule of BitMoD's simulator, and perfect overlap, each against something slow and plain."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.policies.bitmod_sim import REFETCH, RULE, BitModGemm
from hwsim.simulate.schedule import moved_bits
from hwsim.spec.data import example_path
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace
from tests.support.machines import context, gemm, machine, schedules

COMPAT = example_path("arch_configs", "compat/bitmod_sim")
sizes = st.integers(1, 40)


def on(policy, **more):
    shape = more.pop("shape", ArrayShape(4, 3, 2))
    return machine("broadcast", shape, policy=policy, port_bits=(48, 64, 8), step_cycles=2, **more)


@given(sizes, sizes, sizes, st.integers(1, 3), st.sampled_from([256, 2048, 1 << 20]), st.sampled_from([256, 4096]))
def test_tiles_traffic_and_words(m, n, k, batch, room_w, room_a):
    of = on(RULE, capacities=(room_w, room_a, 8))
    found = map_gemm(gemm(m, n, k, batch), of)
    steps = 0
    for _ in range(batch):  # tile by tile, as the simulator's own words have it
        for _ in range(0, m, 4):
            for _ in range(0, n, 3):
                steps += len(range(0, k, 2))
    assert found.compute_cycles == 2 * steps
    assert found.pe_steps == steps * 12
    assert found.foreign.sram_read_bits == {"w": 48 * steps, "a": 64 * steps, "o": 0}
    w, a, o = 8 * k * n * batch, 8 * m * k * batch, 16 * m * n * batch
    fits = w <= 2 * room_w or a <= 2 * room_a
    again = [(ceil(a / (2 * room_a)), 1), (1, ceil(w / (2 * room_w)))]
    plans = [(1, 1)] if fits else again
    traffic = [w * i + a * j for i, j in plans]
    assert moved_bits(found.body) == (min(traffic), o)
    if len(set(traffic)) > 1 or fits:
        w_times, a_times = plans[traffic.index(min(traffic))]
        words = [ceil(8 * k / 64) * 64 * n * batch * w_times, ceil(8 * k / 64) * 64 * m * batch * a_times]
        words[1] += ceil(16 * n / 64) * 64 * m * batch
        assert found.foreign.sram_write_bits == {"w": words[0], "a": words[1], "o": 0}


def test_what_a_layer_has_of_its_own():
    of = on(RULE, capacities=(1 << 20, 1 << 20, 8))
    plain = Gemm("x", 5, 7, 9, batch=3)
    own = BitModGemm("x", 5, 7, 9, batch=3, w_stored=Fraction(49, 16), a_columns=2, shares_w=True)
    load = moved_bits(map_gemm(own, of).body)[0]
    assert load == 7 * ceil(Fraction(9 * 49, 16) / 8) * 8 + 3 * 5 * 2 * 8
    assert load != moved_bits(map_gemm(plain, of).body)[0]
    keys = {plain.cost_key, own.cost_key, replace(own, shares_w=False).cost_key, replace(own, a_columns=0).cost_key}
    assert len(keys) == 4
    assert replace(own, layer="y", repeat=7).cost_key == own.cost_key


@given(schedules())
def test_no_engine_beats_perfect_overlap(case):
    schedule, of = case
    found = ENGINES.get("roofline")(schedule, context(of))
    assert found.cycles <= recur(schedule, of.dram_bits_per_cycle).cycles
    bits = sum(moved_bits(schedule.body)) * schedule.gemm.batch
    assert found.cycles == max(schedule.compute_cycles * schedule.gemm.batch, ceil(bits / of.dram_bits_per_cycle))


@pytest.mark.parametrize(("bandwidth", "cycles"), [(Fraction(7), 1), (Fraction(8), 1), (Fraction(9), 0)])
def test_the_last_dram_cycle_is_dropped_there_alone(bandwidth, cycles):
    of = on(RULE, capacities=(1 << 20, 1 << 20, 8), bandwidth=bandwidth * 4)
    found = map_gemm(gemm(1, 1, 1), of)  # 8 + 8 + 16 bits
    free = replace(found, compute_cycles=0)
    assert ENGINES.get("roofline")(free, context(of)).cycles == cycles
    ours = replace(free, foreign=None)
    assert ENGINES.get("roofline")(ours, context(of)).cycles == ceil(Fraction(32) / (bandwidth * 4))


@given(sizes, sizes, sizes)
def test_resident_or_refetch_is_an_array_of_ours(m, n, k):
    of = on(REFETCH, capacities=(256, 256, 8))
    found = map_gemm(gemm(m, n, k), of)
    shape = of.shape
    folds = ceil(m / shape.rows) * ceil(n / shape.cols)
    assert found.compute_cycles == folds * (shape.rows * shape.drain_interval + ceil(k / shape.lanes) * shape.interval)
    assert moved_bits(found.body)[0] == min(
        8 * (k * n * i + m * k * j)
        for i, j in ([(1, 1)] if min(8 * k * n, 8 * m * k) <= 512 else [(ceil(m * k / 64), 1), (1, ceil(k * n / 64))])
    )


def test_what_is_left_out_costs_nothing_and_is_said():
    trace = Trace("one", (Gemm("x", 64, 64, 256, w_format="bitmod4_g128", a_format="fp16", o_format="fp16"),))
    settings = {"mapper.policy": "search", "costs.leave_out": []}
    bare, whole = (evaluate(open_arch(COMPAT, s), trace).layer_rows[0] for s in ({"mapper.policy": "search"}, settings))
    assert bare["energy_leakage_pj"] == bare["energy_network_pj"] == 0
    for part in ENERGY_PARTS:
        assert bare[part] <= whole[part]
    assert bare["cycles"] == whole["cycles"]
    notes = evaluate(open_arch(COMPAT), trace, "roofline").notes
    assert any("not priced: leakage, network" in note for note in notes)
    assert any("mapper.policy: bitmod-sim" in note for note in notes)


def test_reads_and_writes_are_the_sram_energy():
    found = evaluate(open_arch(COMPAT), Trace("one", (Gemm("x", 40, 70, 96), Gemm("y", 3, 5, 7, repeat=3))), "roofline")
    for row, parts in zip(found.layer_rows, found.sram_pj, strict=True):
        assert sum(parts) == pytest.approx(row["energy_sram_pj"], rel=1e-9)  # settled to a common quantum


def test_the_array_that_carries_data_does_not_step_others_counts():
    with pytest.raises(UsageError, match="bitmod-sim"):
        evaluate(open_arch(COMPAT), Trace("one", (Gemm("x", 4, 4, 4),)), "pe")


def test_mean_bits_of_weights_move_and_nothing_else_changes():
    trace = Trace("one", (Gemm("x", 64, 64, 256), Gemm("kv", 64, 64, 256, w_source="kv")))
    base = example_path("arch_configs", "bitmod_28nm")
    as_stored, narrow = (
        evaluate(open_arch(base, s), trace).layer_rows for s in ({}, {"formats.weight_bits": 2.5, "pe.lanes": 4})
    )
    assert narrow[0]["dram_read_bytes"] == ceil(64 * 256 * (2.5 + 16) / 8)
    assert narrow[0]["dram_read_bytes"] < as_stored[0]["dram_read_bytes"]
    assert narrow[1] == as_stored[1]
    assert narrow[0]["compute_cycles"] == as_stored[0]["compute_cycles"]


def test_mean_bits_of_many_decimals_are_refused(capsys):
    wrong = "formats.weight_bits=3.3333333333333333"
    assert run_command(["run", "bitmod_28nm", "opt-125m", "--set", wrong]) == 2
    assert "at most 4 decimals" in capsys.readouterr().err


def test_counts_of_bits_do_not_overflow_in_the_search():
    base = example_path("arch_configs", "systolic_32x32_28nm")
    trace = Trace("one", (Gemm("x", 1 << 17, 1 << 19, 1 << 14),))
    odd, even = (evaluate(open_arch(base, {"formats.weight_bits": b}), trace).layer_rows[0] for b in (4.1231, 4.125))
    for column in ("cycles", "dram_read_bytes", "energy_pj"):
        assert odd[column] == pytest.approx(even[column], rel=1e-3)


def test_unknown_parts_are_refused(capsys):
    assert run_command(["run", "bitmod_28nm", "opt-125m", "--set", "costs.leave_out=[leackage]"]) == 2
    assert "leakage" in capsys.readouterr().err


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("group", [4, 8, 12, 16, 20, 32, 64, 128])
def test_dequantization_stalls_below_sixteen_weights_per_group(bits, group):
    """A group's sum needs 8 cycles, one per bit of its scale; two terms of four weights at a time come meanwhile."""
    name = f"bitmod{bits}_g{group}"
    pe = {"family": "bitmod", "w_format": name, "a_format": "fp16"}
    simulated = open_arch(example_path("arch_configs", "bitmod_28nm"), {"pe": pe})
    found = simulated.machine(parse_format(name), parse_format("fp16"), parse_format("fp16"))
    steps = ceil(group / 4)
    assert (found.shape.interval > found.step_cycles) == (steps * 2 < 8)
    assert found.shape.interval == max(2, ceil(8 / steps))
