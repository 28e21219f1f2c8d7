"""Several chips: all work is done, messages follow their formulas, and rows add up to the latency."""

from __future__ import annotations

import time
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.multichip.cuts import Cuts
from hwsim.simulate.multichip.links import Message, message_row
from hwsim.simulate.multichip.pipeline import Block, Stages, blocks_of, stages_of
from hwsim.simulate.multichip.tensor import sum_format
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import work
from hwsim.spec.errors import SpecError
from hwsim.workload import Gemm, Trace, VectorOp, load_workload
from tests.support.chips import block, chips, filled
from tests.support.small import TRACE, small

FORMATS = {"w_format": "int8", "a_format": "int8", "o_format": "int8"}


def rows_of(simulated, trace, engine="fast"):
    return {row["layer"]: row for row in evaluate(simulated, trace, engine).layer_rows}


@pytest.mark.parametrize("parallel", ["tensor", "pipeline"])
def test_one_chip_is_what_it_was(parallel):
    plain, single = evaluate(small("int8"), TRACE), evaluate(chips(1, parallel), TRACE)
    assert single.layer_rows == plain.layer_rows
    assert single.design_row == plain.design_row
    assert single.notes == plain.notes


# Tensor parallel


def test_layers_are_cut_as_megatron_does():
    cuts = Cuts(filled(block()).ops, 4)
    assert {gemm.layer: cuts.of(at).loop for at, gemm in enumerate(cuts.gemms)} == {
        "qkv": "n", "score": "batch", "value": "batch", "out": "k", "up": "n", "down": "k", "head": "n",
    }  # fmt: skip


def test_an_even_cut_takes_the_time_of_its_pieces_and_the_energy_of_all():
    trace = block()
    four, whole = rows_of(chips(4), trace), rows_of(small("int8"), trace)
    qkv = Trace("piece", (Gemm("qkv", 8, 12, 16, repeat=2, role="qkv"),))
    piece = rows_of(small("int8"), qkv)["qkv"]
    assert four["qkv"]["cycles"] == piece["cycles"]
    assert four["qkv"]["utilization"] == pytest.approx(piece["utilization"])
    for column in ("macs", "dram_read_bytes", "sram_write_bytes", *ENERGY_PARTS):
        assert four["qkv"][column] == pytest.approx(4 * piece[column])
    assert four["qkv"]["macs"] == whole["qkv"]["macs"]
    # Attention's vector operations go with their heads, those on whole results are done by every chip.
    assert four["softmax"]["compute_cycles"] == whole["softmax"]["compute_cycles"] / 4
    assert four["act"]["compute_cycles"] == whole["act"]["compute_cycles"] / 4
    assert four["norm"]["cycles"] == whole["norm"]["cycles"]
    assert four["norm"]["energy_pj"] == pytest.approx(4 * whole["norm"]["energy_pj"])


def test_messages_follow_where_results_belong_together_and_nowhere_else():
    rows = evaluate(chips(4), block()).layer_rows
    messages = [(row["layer"], row["m"], row["n"], row["repeat"]) for row in rows if row["op"].startswith("all_")]
    assert messages == [
        ("out.all_reduce", 8, 16, 2), ("down.all_reduce", 8, 16, 2), ("head.all_gather", 8, 80, 1),
    ]  # fmt: skip


def test_chips_that_get_nothing_wait_at_the_cost_of_standing():
    trace = Trace("t", (Gemm("g", 8, 1, 16, role="qkv"),))
    alone, three = rows_of(small("int8"), trace)["g"], rows_of(chips(3), trace)["g"]
    assert three["cycles"] == alone["cycles"]
    assert three["energy_pe_pj"] == pytest.approx(alone["energy_pe_pj"])
    assert three["energy_leakage_pj"] == pytest.approx(3 * alone["energy_leakage_pj"])
    assert three["utilization"] == pytest.approx(alone["utilization"] / 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.integers(1, 300), st.integers(1, 50), st.sampled_from([None, 40, 5000]))
def test_a_ring_sends_what_its_formula_says(count, m, n, latency_ns):
    simulated = chips(count, link_latency=latency_ns and f"{latency_ns} ns")
    acc = simulated.accelerator
    step = ceil(m * n / count)
    cycles_per_bit = Fraction(acc.spec.clock) / (8 * 10**10)
    latency = Fraction(latency_ns or 0) * Fraction(acc.spec.clock) / 10**9
    gather = message_row(simulated, Message("g", "all_gather", m, n, o_format="int8"))
    assert gather["cycles"] >= (count - 1) * (8 * step * cycles_per_bit + latency)
    reduce = message_row(simulated, Message("r", "all_reduce", m, n, o_format="int8"))
    link = (count - 1) * ((32 + 8) * step * cycles_per_bit + 2 * latency)
    port = count * (32 + 8) * step / acc.dram_bits_per_cycle
    lanes = work(simulated, vector_kind("add"), (count - 1) * step)[0]
    lanes += work(simulated, vector_kind("quantize"), step, rows=ceil(step / n))[0]
    assert reduce["cycles"] == ceil(max(link, port, lanes))
    assert reduce["bound"] == max({"link": link, "dram": port, "vector": lanes}.items(), key=lambda item: item[1])[0]
    assert reduce["dram_read_bytes"] == count * count * step * 4  # every sum of every chip once
    assert reduce["dram_write_bytes"] == count * count * step  # the whole result on every chip
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    sent = count * (count - 1) * (32 + 8) * step
    inside = 8 * (reduce["sram_read_bytes"] + reduce["sram_write_bytes"]) * unit.network_pj_per_bit
    assert reduce["energy_network_pj"] == pytest.approx(8 * sent + inside)
    # Every own sum is read once, every one that arrives to be added, every result for the link and for DRAM.
    own, arrived = count * count * step * 4, count * (count - 1) * step * 4
    assert reduce["sram_write_bytes"] == own + arrived + count * count * step
    assert reduce["sram_read_bytes"] == own + arrived + count * step + count * count * step
    reads, writes = unit.sram_read_pj_per_bit["a"], unit.sram_write_pj_per_bit["a"]
    for row in (reduce, gather):
        spent = 8 * (row["sram_read_bytes"] * reads + row["sram_write_bytes"] * writes)
        assert (
            row["energy_sram_pj"] == pytest.approx(spent) == pytest.approx(row["sram_read_pj"] + row["sram_write_pj"])
        )
    assert gather["sram_read_bytes"] == gather["sram_write_bytes"] == count * count * step


def test_links_cost_nothing_where_networks_are_left_out():
    rows = evaluate(chips(4, fields={"costs": {"leave_out": ["network"]}}), block()).layer_rows
    assert [row["energy_network_pj"] for row in rows] == [0.0] * len(rows)


def test_sums_are_stored_as_wide_as_they_travel():
    for bits in (8, 10, 16, 24, 32):
        assert parse_format(sum_format(bits)).bits_per_element == bits
    rows = {bits: rows_of(chips(4, reduce_bits=bits), block()) for bits in (16, 32)}
    assert rows[32]["out"]["dram_write_bytes"] == 2 * 4 * 8 * 16 * 4 == 2 * rows[16]["out"]["dram_write_bytes"]
    assert rows[32]["out"]["o_format"] == "int8"
    assert rows_of(chips(4), block())["out"] == rows[32]["out"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(1, 3), st.integers(1, 9), st.sampled_from([8, 16, 24]), st.booleans())
def test_totals_are_those_of_the_rows_and_no_mac_is_lost(count, layers, m, hidden, cores):
    fields = {"cores": {"count": 2}} if cores else {}
    trace = block(layers, m, hidden)
    for parallel in ("tensor", "pipeline"):
        simulated = chips(count, parallel, fields)
        result = evaluate(simulated, trace)
        design, rows = result.design_row, result.layer_rows
        assert sum(row["macs"] for row in rows) == trace.macs
        at_once = count if parallel == "pipeline" else 1
        cycles = sum(row["cycles"] for row in rows)
        assert design["latency_ms"] == pytest.approx(cycles * 2e-6 / at_once)
        assert design["area_mm2"] == pytest.approx(count * simulated.accelerator.area_mm2)
        leaking = cycles * (count if parallel == "tensor" else 1) * 2 * simulated.accelerator.leakage_w * 1e3
        assert sum(row["energy_leakage_pj"] for row in rows) == pytest.approx(leaking)
        assert 0 < design["utilization"] <= 1
        assert result.layer_rows == evaluate(simulated, trace, "event").layer_rows


# Pipeline

VECTOR = VectorOp("v", "relu", 1, 1)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(1, 5))
def test_stages_are_contiguous_and_the_longest_as_short_as_can_be(cycles, count):
    blocks = [Block(VECTOR, each) for each in cycles]
    stages = stages_of(blocks, count)
    assert [b for stage in stages for b in stage] == blocks
    assert all(stages)
    assert len(stages) <= count

    def best(left, parts):
        if parts == 1 or not left:
            return sum(left)
        return min(max(sum(left[:i]), best(left[i:], parts - 1)) for i in range(1, len(left) + 1))

    assert max(sum(b.cycles for b in stage) for stage in stages) == best(cycles, count)


def test_many_blocks_are_cut_in_one_pass_per_guess():
    start = time.process_time()
    stages = stages_of([Block(TRACE.ops[0], 3)] * 20_000, 4)
    assert [len(stage) for stage in stages] == [5_000] * 4
    assert time.process_time() - start < 2  # takes a tenth; a sum over the stage per block takes a minute


def test_repeats_of_a_run_of_operations_are_blocks_that_follow_each_other():
    ops = block(layers=3).ops
    cycles = {op: at + 1 for at, op in enumerate(ops)}
    found = list(blocks_of(ops, lambda op: {"cycles": cycles[op]}))
    assert [b.last.layer for b in found] == ["embed", "down", "down", "down", "head"]
    assert [b.cycles for b in found] == [1, *[sum(range(2, 13))] * 3, 13]


def test_equal_stages_have_the_bubble_of_gpipe():
    trace = Trace("even", (Gemm("g", 8, 16, 16, repeat=4),))
    for batches in (1, 2, 5, 16):
        fast_links = {"link_bandwidth": "1000000 TB/s"}
        result = evaluate(chips(4, "pipeline", micro_batches=batches, **fast_links, fields={"dram": WIDE}), trace)
        rows = {row["layer"]: row for row in result.layer_rows}
        sends = sum(rows[f"stage {i} to {i + 1}"]["cycles"] for i in (1, 2, 3))
        assert sends == 3 * batches  # a cycle each
        total = sum(row["cycles"] for row in result.layer_rows)
        assert rows["pipeline"]["cycles"] / total == pytest.approx(3 / (batches + 3), rel=0.02)
        assert rows["g"]["repeat"] == 4 * batches
        assert rows["g"]["macs"] == batches * trace.macs


WIDE = {"preset": "ddr4_2400", "bandwidth": "1000 TB/s"}


def test_a_pipeline_takes_its_first_batch_and_its_longest_stage_for_every_other():
    trace = block(layers=4)
    alone = rows_of(small("int8"), trace)
    for batches in (1, 3):
        result = evaluate(chips(2, "pipeline", micro_batches=batches), trace)
        rows = {row["layer"]: row for row in result.layer_rows}
        send = rows["stage 1 to 2"]
        assert (send["m"], send["n"], send["o_format"], send["repeat"]) == (8, 16, "int8", batches)
        work_cycles = sum(row["cycles"] for row in alone.values())
        layer = sum(row["cycles"] // 4 for name, row in alone.items() if name not in ("embed", "head"))
        first = alone["embed"]["cycles"] + 2 * layer
        stages = (first, work_cycles - first)
        latency = sum(stages) + send["cycles"] // batches
        latency += (batches - 1) * (max(stages) + send["cycles"] // batches)
        assert result.design_row["latency_ms"] == pytest.approx(latency * 2e-6)


def test_a_message_takes_either_port_once_and_the_time_of_both_chips():
    trace = Trace("even", (Gemm("g", 8, 64, 16, repeat=2, **FORMATS),))
    fast_links = {"link_bandwidth": "1000000 TB/s"}
    simulated = chips(2, "pipeline", **fast_links)
    rows = rows_of(simulated, trace)
    sent, got = rows["stage 1 to 2"], rows["stage 2 from 1"]
    port = ceil(8 * 64 * 8 / simulated.accelerator.dram_bits_per_cycle)
    assert sent["cycles"] == got["cycles"] == port
    assert (sent["dram_read_bytes"], sent["dram_write_bytes"]) == (512, 0)
    assert (got["dram_read_bytes"], got["dram_write_bytes"]) == (0, 512)
    assert all(row[f"sram_{way}_bytes"] == 512 for row in (sent, got) for way in ("read", "write"))
    assert sent["energy_sram_pj"] > 0
    unit = simulated.unit_costs(simulated.accelerator.pe.w_format, simulated.accelerator.pe.a_format)
    assert sent["energy_network_pj"] - got["energy_network_pj"] == pytest.approx(4096 * 8)  # the link, once
    assert got["energy_network_pj"] == pytest.approx(2 * 4096 * unit.network_pj_per_bit)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=5),
    st.lists(st.integers(0, 20), min_size=4, max_size=4),
    st.integers(1, 6),
)
def test_the_latency_of_a_pipeline_is_that_of_chips_that_wait_for_each_other(work_cycles, sends, batches):
    count = len(work_cycles)
    sends = sends[: count - 1]
    free = [0] * count
    ready = [[0] * batches for _ in range(count)]
    for batch in range(batches):
        for chip in range(count):
            start = free[0] if chip == 0 else ready[chip - 1][batch]
            ready[chip][batch] = start + work_cycles[chip]
            if chip + 1 < count:  # both chips are free, and stay busy until the message is through
                through = max(ready[chip][batch], free[chip + 1]) + sends[chip]
                ready[chip][batch] = free[chip] = through
            else:
                free[chip] = ready[chip][batch]
    messages = tuple((None, {"cycles": each}, None, {"cycles": each}) for each in sends)
    assert Stages(tuple(work_cycles), messages).latency(batches) == ready[-1][-1]


def test_stages_are_cut_by_cycles_not_by_macs_and_notes_say_how():
    # All MACs are in the first operation, most cycles in the others.
    trace = Trace("t", (Gemm("g", 4, 4, 4), *(VectorOp(f"v{i}", "softmax", 64, 64) for i in range(3))))
    alone = rows_of(small("int8"), trace)
    each = alone["v0"]["cycles"]
    assert alone["g"]["cycles"] < each
    note = evaluate(chips(2, "pipeline"), trace).notes[-2]
    assert "; 2 stages, " in note
    assert f"({alone['g']['cycles'] + each:,} of work)" in note
    assert f"({2 * each:,} of work)" in note
    one = evaluate(chips(3, "pipeline"), Trace("t", (Gemm("g", 4, 4, 4),))).notes[-2]
    assert "; 1 stages, " in one


def test_a_single_chip_takes_micro_batches_one_after_the_other():
    once, thrice = evaluate(small("int8"), TRACE), evaluate(chips(1, "pipeline", micro_batches=3), TRACE)
    assert thrice.design_row["latency_ms"] == pytest.approx(3 * once.design_row["latency_ms"])
    assert thrice.design_row["energy_mj"] == pytest.approx(3 * once.design_row["energy_mj"])


# Words


def test_notes_say_how_to_read_the_rows():
    assert "3 chips, tensor parallel, in a ring of links of 10 GB/s and 8 pJ/bit" in evaluate(chips(3), TRACE).notes[-2]
    assert "2 micro-batches" in evaluate(chips(3, "pipeline", micro_batches=2), TRACE).notes[-2]
    assert "area" in evaluate(chips(3), TRACE).notes[-1]
    assert "not in area_mm2" in evaluate(chips(3, "pipeline"), TRACE).notes[-1]


def test_what_cannot_be_is_refused():
    with pytest.raises(SpecError, match="valid: parallel: pipeline"):
        chips(2, micro_batches=4)
    with pytest.raises(SpecError, match="link_bandwidth"):
        small("int8", chips={"count": 2, "parallel": "tensor", "link_energy": "1 pJ/bit"})


def test_llama_on_eight_chips_is_faster_but_not_eight_times():
    trace = load_workload("llama-2-7b", phase="prefill", seq_len=128)
    alone, eight = (evaluate(simulated, trace).design_row for simulated in (small("int8"), chips(8)))
    assert alone["latency_ms"] / 8 < eight["latency_ms"] < alone["latency_ms"]
    assert eight["energy_mj"] > alone["energy_mj"] * 0.5
