"""Whole evaluations: sums, conservation, engines, repeats, and hand-computed costs."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.hardware.technology import load_technology
from hwsim.hardware.technology.operations import operation_counts
from hwsim.simulate.accuracy import design_sqnr_db
from hwsim.simulate.cost import ENERGY_PARTS, settle
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.evaluate import LAYER_COLUMNS, evaluate
from hwsim.simulate.multicore import plan as module
from hwsim.simulate.schedule import Timing, expand
from hwsim.simulate.vector_unit import requantization
from hwsim.spec.errors import ConservationError, InfeasibleError, UsageError
from hwsim.workload import Gemm, Trace, VectorOp, load_workload
from tests.support.small import TRACE, array, small

#: Small enough to step through in every format; K ends inside a group, M and N inside a fold.
RAGGED = Trace("ragged", (Gemm("one", m=2, n=5, k=34), Gemm("two", m=1, n=3, k=6, batch=2, w_source="kv")), {})
LABELS = [
    "int8", "int4_g128", "int3_g32", "mxint8", "fp32", "bf16", "fp8_e4m3", "mxfp4", "nvfp4", "lmul_e4m3",
    "bitmod4_g128", "w4a16_g128",
]  # fmt: skip
SMALL_MEMORIES = {name: {"size": 8192} for name in ("weights", "activations", "outputs")}
FLOWS = ["weight_stationary", "input_stationary", "output_stationary", "broadcast"]


@pytest.fixture(params=LABELS)
def label(request):
    return request.param


@pytest.mark.parametrize("flow", FLOWS)
def test_engines_agree_on_real_machines(label, flow):
    machine = small(label, array=array(flow))
    fast, stepped = evaluate(machine, RAGGED, "fast"), evaluate(machine, RAGGED, "pe")
    assert fast.layer_rows == stepped.layer_rows
    assert fast.design_row == stepped.design_row
    assert (fast.engine, stepped.engine) == ("fast", "pe")


@pytest.mark.parametrize("flow", FLOWS)
def test_parts_sum_to_totals_exactly_in_any_order(label, flow):
    rows = evaluate(small(label, array=array(flow)), TRACE).layer_rows
    for row in rows:
        assert tuple(row) == LAYER_COLUMNS
        assert row["energy_pj"] == sum(row[p] for p in ENERGY_PARTS) == sum(row[p] for p in reversed(ENERGY_PARTS))
        assert all(row[part] >= 0 for part in ENERGY_PARTS)
        assert row["stall_cycles"] == row["cycles"] - row["compute_cycles"] >= 0
    total = math.fsum(row[part] for row in rows for part in ENERGY_PARTS)
    for order in itertools.islice(itertools.permutations(rows), 20):
        assert sum(row["energy_pj"] for row in order) == total


def test_repeats_multiply_and_equal_gemms_are_simulated_once(monkeypatch):
    calls = []
    real = module.map_gemm
    monkeypatch.setattr(module, "map_gemm", lambda gemm, machine: calls.append(gemm) or real(gemm, machine))
    rows = {r["layer"]: r for r in evaluate(small(), TRACE).layer_rows}
    assert len(calls) == 2
    for column in ("macs", "cycles", "dram_read_bytes", "sram_write_bytes"):
        assert rows["one"][column] == 3 * rows["one again"][column]
    assert rows["one"]["energy_pj"] == pytest.approx(3 * rows["one again"]["energy_pj"], rel=1e-9)
    assert rows["one"]["macs"] == 3 * 9 * 10 * 33
    assert rows["two"]["macs"] == 2 * 16 * 24


def test_a_model_is_simulated_by_its_unique_gemms(monkeypatch):
    calls = []
    real = module.map_gemm
    monkeypatch.setattr(module, "map_gemm", lambda gemm, machine: calls.append(gemm) or real(gemm, machine))
    trace = load_workload({"model": "llama-2-7b", "phase": "prefill", "seq_len": 64})
    rows = evaluate(small("fp16"), trace).layer_rows
    different = {(op.m, op.k, op.n, op.batch) for op in trace.gemms}
    assert {(g.m, g.k, g.n, g.batch) for g in calls} == different
    assert len(calls) == len(different) < len(trace.gemms)
    assert len(rows) == len(trace.ops)
    assert sum(row["macs"] for row in rows) == trace.macs


def test_utilization_is_measured_against_what_each_pair_could_do():
    # Weights of 8 bits pass a 4-bit multiplier twice, attention's 4 bits once: half of the peak, and all of it.
    pe = {"family": "int_mac", "w_format": "int4", "a_format": "int8"}
    formats = {"weights": "int8", "kv_cache": "int4"}
    machine = small(pe=pe, formats=formats, dram={"preset": "hbm2"}, vector_unit={"lanes": 256})
    ops = (Gemm("w", m=500, n=4, k=4), Gemm("kv", m=5000, n=4, k=4, w_source="kv"))
    result = evaluate(machine, Trace("t", ops, {}))
    cycles = [row["cycles"] for row in result.layer_rows]
    assert result.layer_rows[0]["utilization"] == 2 * 500 * 16 / (16 * cycles[0])
    assert result.layer_rows[1]["utilization"] == 5000 * 16 / (16 * cycles[1])
    assert result.design_row["utilization"] == pytest.approx((2 * 500 + 5000) / sum(cycles))
    assert 2 * 5500 / sum(cycles) > 1  # against the slower pair's peak it would be impossible


def test_totals_of_the_design():
    machine = small()
    result = evaluate(machine, TRACE)
    rows, design = result.layer_rows, result.design_row
    assert design["latency_ms"] == sum(r["cycles"] for r in rows) * 2e-6
    assert design["energy_mj"] == pytest.approx(sum(r["energy_pj"] for r in rows) * 1e-9)
    assert design["edp_mj_ms"] == pytest.approx(design["energy_mj"] * design["latency_ms"])
    assert design["avg_power_w"] == pytest.approx(design["energy_mj"] / design["latency_ms"])
    assert design["peak_tops"] == pytest.approx(2 * 16 * 5e8 * 1e-12)
    assert design["area_mm2"] == pytest.approx(sum(machine.accelerator.area_breakdown_mm2.values()))
    macs = sum(r["macs"] for r in rows)
    assert design["tops_per_watt"] == pytest.approx(2 * macs / (design["energy_mj"] * 1e-3) * 1e-12)
    assert design["utilization"] == pytest.approx(macs / (16 * sum(r["cycles"] for r in rows)))
    assert 0 < design["utilization"] <= 1


def test_array_energy_by_hand():
    # One fold of a 4 × 4 int8 array: every figure from the parts' prices and the counts.
    machine = small(vector_unit={"lanes": 16})
    acc, price = machine.accelerator, machine.accelerator.pe_price
    row = evaluate(machine, Trace("t", (Gemm("g", m=4, n=4, k=4),), {})).layer_rows[0]
    registers = sum(r.energy_fj for r in price.rows if r.part.group == "register")
    assert row["energy_pe_pj"] == pytest.approx(64 * (price.energy_fj - registers) * 1e-3)
    cycles = 2 * 4 + 4 + 4 - 2  # 2R + C + M - 2
    assert row["compute_cycles"] == cycles
    wires = 64 * (8 + 32) * acc.pe_pitch_mm * acc.technology.wire_fj_per_bit_mm * 0.5
    # 16 weights of 8 bits are shifted through 2.5 rows on average, a wire and a register each.
    hop = acc.pe_pitch_mm * acc.technology.wire_fj_per_bit_mm * 0.5 + acc.technology.price(Register(1)).energy_fj
    shifts = 16 * 8 * 2.5 * hop
    assert row["energy_rf_pj"] == pytest.approx((64 * registers + wires + shifts + cycles * 16 * price.clock_fj) * 1e-3)
    # 16 weights and 16 activations of 8 bits in, 16 results of 8 bits out, over 18.2 GB/s of the peak's 19.2 at 500 MHz.
    assert (row["dram_read_bytes"], row["dram_write_bytes"]) == (32, 16)
    assert row["cycles"] == cycles + 1 + 1  # 256 bits in and 128 bits out at 291.6 bits per cycle
    assert row["energy_dram_pj"] == pytest.approx(48 * 8 * acc.dram.read_pj_per_bit)
    assert row["energy_leakage_pj"] == pytest.approx(row["cycles"] * 2 * acc.leakage_w * 1e3)
    reads = {"w": 16 * 8, "a": 16 * 8, "o": 16 * 32}
    writes = {"w": 16 * 8, "a": 16 * 8, "o": 16 * 32}
    sram = sum(bits * acc.srams[k].read_pj / acc.srams[k].width_bits for k, bits in reads.items())
    sram += sum(bits * acc.srams[k].write_pj / acc.srams[k].width_bits for k, bits in writes.items())
    assert row["energy_sram_pj"] == pytest.approx(sram)
    energy = {p: load_technology("28nm").op_energy_pj(p, acc.vector_format) for p in ("mul", "cmp", "div")}
    quantize = 16 * (energy["mul"] + 2 * energy["cmp"]) + 4 * energy["div"]  # and the factor of each of 4 rows
    slots = 16 * 3 + 4 * DIVISION  # on 16 lanes, all clocked
    clock = math.ceil(slots / 16) * 16 * acc.vector_lane.clock_fj * 1e-3
    assert row["energy_vector_pj"] == pytest.approx(quantize + clock)


def test_floats_are_not_quantized_on_their_way_out():
    trace = Trace("t", (Gemm("g", m=4, n=4, k=4),), {})
    assert evaluate(small("bf16"), trace).layer_rows[0]["energy_vector_pj"] == 0
    assert evaluate(small("mxfp4"), Trace("t", (Gemm("g", m=4, n=4, k=32),), {})).layer_rows[0]["energy_vector_pj"] > 0


#: Operations of a division in FP32: the linear seed's product and sum, then products and sums of Newton-Raphson.
DIVISION = sum(operation_counts("div", parse_format("fp32")).values())


def test_a_slow_vector_unit_holds_up_the_array():
    trace = Trace("t", (Gemm("g", m=64, n=64, k=4),), {})
    slow, quick = (evaluate(small(vector_unit={"lanes": n}), trace).layer_rows[0] for n in (1, 64))
    assert slow["cycles"] == 64 * 64 * 3 + 64 * DIVISION > quick["cycles"]
    assert slow["bound"] == "vector"
    assert slow["compute_cycles"] == quick["compute_cycles"]


@pytest.mark.parametrize(("fmt", "scales", "each"), [
    ("int8", 6, "div"), ("int8_g32", 12, "div"), ("mxfp8_e4m3", 12, "add"), ("nvfp4", 24, "div"),
])  # fmt: skip
def test_results_take_a_factor_per_scale_as_explicit_quantization_does(fmt, scales, each):
    of = small(vector_unit={"lanes": 1})
    once = sum(operation_counts(each, of.accelerator.vector_format).values())
    gemm = Gemm("g", m=3, n=64, k=4, batch=2, o_format=fmt)
    assert requantization(of, gemm)[0] == 3 * 6 * 64 + scales * once
    explicit = VectorOp("q", "quantize", 6, 64, a_format="fp32", o_format=fmt)
    alone = evaluate(of, Trace("t", (explicit,), {})).layer_rows[0]
    assert requantization(of, gemm)[0] == alone["compute_cycles"]
    assert requantization(of, gemm)[1] == pytest.approx(alone["energy_vector_pj"])


def test_vector_operations_by_hand():
    machine = small()
    acc = machine.accelerator
    row = evaluate(machine, Trace("t", (VectorOp("v", "add", 8, 10),), {})).layer_rows[0]
    assert row["cycles"] == row["compute_cycles"] == 20  # 80 additions on 4 lanes
    add = acc.technology.op_energy_pj("add", acc.vector_format)
    assert row["energy_vector_pj"] == pytest.approx(80 * add + 20 * 4 * acc.vector_lane.clock_fj * 1e-3)
    assert (row["dram_read_bytes"], row["sram_read_bytes"], row["sram_write_bytes"]) == (0, 160, 80)
    assert row["bound"] == "vector"


def test_tensors_that_do_not_fit_stream_and_rows_that_do_are_read_once():
    fits = evaluate(small(), Trace("t", (VectorOp("v", "softmax", 4, 1000),), {})).layer_rows[0]
    streams = evaluate(small(), Trace("t", (VectorOp("v", "softmax", 40, 1000),), {})).layer_rows[0]
    long = evaluate(small(), Trace("t", (VectorOp("v", "softmax", 1, 40_000),), {})).layer_rows[0]
    assert fits["dram_read_bytes"] == fits["dram_write_bytes"] == 0
    assert (streams["dram_read_bytes"], streams["dram_write_bytes"]) == (40_000, 40_000)
    assert (long["dram_read_bytes"], long["dram_write_bytes"]) == (80_000, 40_000)
    # Every bit that a buffer gives or takes crosses the chip, those from and to DRAM too, as in a GEMM.
    acc = small().accelerator
    bit_pj = acc.buffer_distance_mm * acc.technology.wire_fj_per_bit_mm * 0.5e-3
    for row in (fits, streams, long):
        moved = 8 * (row["sram_read_bytes"] + row["sram_write_bytes"])
        assert row["energy_network_pj"] == pytest.approx(moved * bit_pj)
    assert streams["sram_read_bytes"] == 2 * 40_000 + 40_000  # two passes, and what leaves for DRAM


def test_divisions_and_exponentials_take_their_programs():
    rows = [
        evaluate(small(), Trace("t", (VectorOp("v", op, 4, 8),), {})).layer_rows[0] for op in ("relu", "mul", "silu")
    ]
    assert [r["cycles"] for r in rows[:2]] == [8, 8]
    assert rows[2]["cycles"] > 8 * 10  # an exponential and a division, a dozen operations each


@pytest.mark.parametrize("tampered", ["dram_w", "dram_a", "sram_w_read", "sram_a_read"])
def test_lost_traffic_is_noticed(monkeypatch, tampered):
    real = module.map_gemm

    def wrong(gemm, machine):
        schedule = real(gemm, machine)
        return replace(schedule, traffic=replace(schedule.traffic, **{tampered: 1}))

    monkeypatch.setattr(module, "map_gemm", wrong)
    with pytest.raises(ConservationError, match="DRAM reads"):
        evaluate(small(), TRACE)


@pytest.mark.parametrize(("lost", "law"), [("load_bits", "what DRAM delivers"), ("store_bits", "outputs <=")])
def test_lost_transfers_are_noticed(monkeypatch, lost, law):
    real = module.map_gemm

    def wrong(gemm, machine):
        schedule = real(gemm, machine)
        return replace(schedule, body=tuple(replace(step, **{lost: 0}) for step in expand(schedule.body)))

    monkeypatch.setattr(module, "map_gemm", wrong)
    with pytest.raises(ConservationError, match=law):
        evaluate(small(), TRACE)


@pytest.mark.parametrize(
    ("cycles", "bandwidth", "law"), [(99, 1e9, "bits / bandwidth"), (35, 1e15, "utilization <= 100 %")]
)
def test_an_engine_that_is_too_fast_is_noticed(monkeypatch, cycles, bandwidth, law):
    # 208 bytes at 16 bits per cycle take 104 cycles, 576 MACs on 16 PEs 36.
    monkeypatch.setattr(ENGINES, "get", lambda name: lambda schedule, context: Timing(cycles, 1))
    with pytest.raises(ConservationError, match=law):
        evaluate(
            small(dram={"preset": "ddr4_2400", "bandwidth": bandwidth}, vector_unit={"lanes": 4096}),
            Trace("t", (Gemm("g", m=9, n=8, k=8),), {}),
        )


def test_lost_macs_and_time_are_noticed(monkeypatch):
    real = module.map_gemm
    monkeypatch.setattr(module, "map_gemm", lambda g, m: replace(real(g, m), pe_steps=1))
    with pytest.raises(ConservationError, match="all MACs"):
        evaluate(small(), TRACE)
    monkeypatch.setattr(module, "map_gemm", lambda g, m: replace(real(g, m), compute_cycles=10**9))
    with pytest.raises(ConservationError, match="compute cycles"):
        evaluate(small(), TRACE)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_impossible_energies_are_refused(value):
    with pytest.raises(ConservationError, match="negative or not finite"):
        settle([{**dict.fromkeys(ENERGY_PARTS, 1.0), "energy_dram_pj": value}])


def test_what_the_step_engine_is_too_slow_for():
    with pytest.raises(UsageError, match="valid: --engine fast"):
        evaluate(small(), Trace("t", (Gemm("g", m=500, n=500, k=500),), {}), "pe")


def test_formats_that_the_pe_does_not_compute():
    trace = Trace("t", (Gemm("g", m=4, n=4, k=4, w_format="fp16", a_format="fp16"),), {})
    with pytest.raises(UsageError, match="cannot compute fp16 × fp16"):
        evaluate(small(), trace)


def test_group_scales_need_a_dequantizer():
    trace = Trace("t", (Gemm("g", m=4, n=4, k=128, w_format="int8_g128"),), {})
    with pytest.raises(UsageError, match="needs a dequantizer"):
        evaluate(small(), trace)
    assert evaluate(small(formats={"weights": "int8_g128"}), trace).layer_rows[0]["energy_pj"] > 0


def test_what_is_too_small_says_what_would_do_and_that_does():
    import re

    def run(size):
        memories = {name: {"size": 1024, "port_bits": 64} for name in ("weights", "activations", "outputs")}
        memories["weights"]["size"] = size
        return evaluate(
            small(array=array(rows=64, cols=64), memories=memories), Trace("t", (Gemm("g", 64, 64, 64),), {})
        )

    with pytest.raises(InfeasibleError, match=r"memories\.weights\.size") as caught:
        run(4096)
    needed = int(re.search(r"valid: at least (\d+) B", str(caught.value))[1])
    assert run(needed).design_row["status"] == "ok"
    assert run(needed).design_row["accuracy_source"] == "distribution"
    assert "accuracy_source" not in run(needed)._repr_html_()  # numbers only
    with pytest.raises(InfeasibleError):
        run(needed - 64)


def test_narrow_ports_slow_the_array_down():
    trace = Trace("t", (Gemm("g", m=64, n=16, k=16),), {})
    memories = {name: {"size": 8192} for name in ("weights", "activations", "outputs")}
    wide = evaluate(small(memories=memories), trace).layer_rows[0]
    memories["activations"] = {"size": 8192, "port_bits": 8}  # a quarter of 4 × 8 bits
    narrow = evaluate(small(memories=memories), trace).layer_rows[0]
    assert narrow["compute_cycles"] > 2 * wide["compute_cycles"]


@pytest.mark.parametrize(
    ("flow", "name", "field"),
    [
        ("weight_stationary", "activations", "interval"),
        ("weight_stationary", "outputs", "interval"),
        ("weight_stationary", "weights", "load_interval"),
        ("input_stationary", "weights", "interval"),
        ("input_stationary", "outputs", "interval"),
        ("input_stationary", "activations", "load_interval"),
        ("output_stationary", "activations", "interval"),
        ("output_stationary", "weights", "interval"),
        ("output_stationary", "outputs", "drain_interval"),
        ("broadcast", "weights", "interval"),
        ("broadcast", "outputs", "drain_interval"),
        ("cube", "weights", "interval"),
    ],
)
def test_every_narrow_port_costs_cycles_where_its_operand_moves(flow, name, field):
    memories = {key: {"size": 8192} for key in ("weights", "activations", "outputs")}
    wide = small(array=array(flow), memories=memories)
    memories[name] = {"size": 8192, "port_bits": 32 if name == "outputs" else 8}  # a quarter of the edge
    narrow = small(array=array(flow), memories=memories)
    int8 = parse_format("int8")
    assert [getattr(m.machine(int8, int8, int8).shape, field) for m in (wide, narrow)] == [1, 4]
    trace = Trace("t", (Gemm("g", m=64, n=16, k=16),), {})
    slow, quick = (evaluate(m, trace).layer_rows[0]["compute_cycles"] for m in (narrow, wide))
    assert slow > quick


def test_single_buffering_ends_all_overlap():
    trace = Trace("t", (Gemm("g", m=4, n=4, k=4, batch=5),), {})
    single, double = (
        evaluate(
            small(
                memories={**SMALL_MEMORIES, "outputs": {"size": 8192, "double_buffered": flag}},
                vector_unit={"lanes": 64},
            ),
            trace,
        )
        for flag in (False, True)
    )
    # 14 cycles for a fold, one each for 256 bits in and 128 bits out.
    assert single.layer_rows[0]["cycles"] == 5 * (14 + 1 + 1)
    assert double.layer_rows[0]["cycles"] == 5 * 14 + 1 + 1
    stepped = evaluate(
        small(
            memories={**SMALL_MEMORIES, "outputs": {"size": 8192, "double_buffered": False}}, vector_unit={"lanes": 64}
        ),
        trace,
        "pe",
    )
    assert stepped.layer_rows == single.layer_rows


def test_single_buffering_leaves_more_room():
    memories = {name: {"size": 2048, "double_buffered": False} for name in ("weights", "activations", "outputs")}
    trace = Trace("t", (Gemm("g", m=64, n=64, k=64),), {})
    single = evaluate(small(memories=memories), trace).layer_rows[0]
    double = evaluate(small(memories={k: {"size": 2048} for k in memories}), trace).layer_rows[0]
    assert single["dram_read_bytes"] < double["dram_read_bytes"]


def test_accuracy_belongs_to_the_arithmetic():
    def sqnr(label):
        machine = small(label)
        pe = machine.accelerator.pe
        return design_sqnr_db(pe, pe.w_format, pe.a_format)

    assert sqnr("lmul_e4m3") < sqnr("fp8_e4m3") - 3
    assert sqnr("lmul_bf16") != sqnr("lmul_bf16_formula")
    assert sqnr("int4_g128") < sqnr("int8") < sqnr("fp16")
    # L-Mul's own error rules: neither semantics gains from more mantissa bits.
    assert sqnr("lmul_bf16") < sqnr("fp8_e4m3") + 6


def test_dram_stands_by_as_long_as_a_run_takes():
    # The same traffic at a tenth of the clock: ten times the standby and refresh of a preset with currents.
    trace = Trace("one", (Gemm("one", 32, 64, 64, w_format="int8", a_format="int8", o_format="int8"),))
    slow, fast = (
        evaluate(small("int8", clock=clock, dram={"preset": "ddr4_8gb_x8_2400"}), trace).layer_rows[0]
        for clock in (5e7, 5e8)
    )
    assert slow["dram_read_bytes"] == fast["dram_read_bytes"]
    dram = small("int8", dram={"preset": "ddr4_8gb_x8_2400"}).accelerator.dram
    waited = (slow["time_us"] - fast["time_us"]) * 1e3 * dram.background_mw
    assert slow["energy_dram_pj"] - fast["energy_dram_pj"] == pytest.approx(waited, rel=1e-6)


def test_buffers_slower_than_the_clock_are_named():
    lstp = {"name": "28nm", "sram_device": "lstp"}
    trace = Trace("one", (Gemm("one", 8, 8, 8, w_format="int8", a_format="int8", o_format="int8"),))
    quick, slow = (
        evaluate(small("int8", technology=lstp, clock=clock, memories=BIG), trace).notes for clock in (2e9, 1e8)
    )
    assert any("memories.weights: its SRAM takes" in note for note in quick)
    assert not any("its SRAM takes" in note for note in slow)


BIG = {name: {"size": 1 << 20} for name in ("weights", "activations", "outputs")}
