"""Fused attention with array and vector unit at work at the same time, against walks over all blocks."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.context import engine_context
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.fast import walk
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.residency.fused import tile_work
from hwsim.simulate.residency.overlap import Block, stages
from hwsim.simulate.schedule import expand, moved_bits
from hwsim.simulate.vector_unit import work
from hwsim.workload import Trace, load_workload
from tests.support.small import small
from tests.unit.test_simulate_residency import BUFFERS, DRAM, FLOWS, SIZES, attention, machine, plans, total


@pytest.mark.parametrize("rows", range(1, 9))
@pytest.mark.parametrize("keys", range(1, 8))
def test_stages_are_those_of_a_list_of_all_blocks(rows, keys):
    def block(row, key):
        first, last = row == 0, row == rows - 1
        kind = 1 + first + 2 * last + 4 * (key == 0) + 8 * (key == keys - 1)  # one of a kind in the middle
        return Block(kind, 2 * kind + 1, 3 * (key > 0), kind + 5, 7 * (key == keys - 1), kind, 100 * kind,
                     1000 * (key == keys - 1), key == 0)  # fmt: skip

    every = [block(row, key) for row in range(rows) for key in range(keys)]
    steps = expand(stages(rows, keys, block))
    assert len(steps) == len(every) + 2
    array_free = vector_free = now = 0
    for place, step in enumerate(steps):
        at = {name: every[place - back] if 0 <= place - back < len(every) else None
              for name, back in (("score", 0), ("softmax", 1), ("value", 2))}  # fmt: skip
        array_free = vector_free = now
        if at["value"]:
            array_free += at["value"].value
        added = array_free
        if at["score"]:
            array_free += at["score"].score
        if at["softmax"]:
            vector_free += at["softmax"].softmax
        if at["value"] or at["softmax"]:
            vector_free = max(vector_free, added) if at["value"] else vector_free
        vector_free += (at["value"].ends if at["value"] else 0) + (at["softmax"].after if at["softmax"] else 0)
        assert step.compute_cycles == max(array_free, vector_free) - now
        now = max(array_free, vector_free)
        loads = (at["score"].score_bits if at["score"] else 0) + (at["value"].value_bits if at["value"] else 0)
        assert (step.load_bits, step.store_bits) == (loads, at["value"].store_bits if at["value"] else 0)
        assert step.opens == bool(at["value"] and at["value"].first)


@settings(max_examples=40, deadline=None)
@given(ops=SIZES, flow=st.sampled_from(FLOWS), sizes=BUFFERS, label=st.sampled_from(["int8", "fp16"]))
def test_every_overlapped_plan_is_what_a_walk_over_its_blocks_does(ops, flow, sizes, label):
    simulated = machine(flow, sizes=sizes, label=label)
    fused, (score, value), found = plans(simulated, Trace("a", ops, {}))
    bits = parse_format(label).element.bits
    psum = score.bits.psum // score.bits.denominator
    for plan in (plan for plan in found if plan.overlapped):
        tm, tk = plan.score.tiling.tile_m, plan.score.tiling.tile_n
        held, done = plan.score.tiling.hold_w and tm < fused.m, Counter()
        array = vector = loads = stores = 0
        for m0 in range(0, fused.m, tm):
            for k0 in range(0, fused.k, tk):
                m, k = min(tm, fused.m - m0), min(tk, fused.k - k0)
                array += score.dataflow.tile_cycles(score.shape, m, fused.score.k, k, True)
                array += value.dataflow.tile_cycles(value.shape, m, k, fused.n, k0 == 0)
                vector += sum(
                    work(simulated, *each)[0] for each in tile_work(m, k, fused.n, k0 == 0, k0 + k == fused.k)
                )
                loads += (m * fused.score.k if k0 == 0 else 0) + (0 if held and m0 else k * (fused.score.k + fused.n))
                stores += m * fused.n if k0 + k == fused.k else 0
                assert (fused.k if held else k) * (fused.score.k + fused.n) * bits <= sizes[0] * 4
                assert (m * fused.score.k + 2 * m * k) * bits <= sizes[1] * 4
                assert (2 * m * k + m * fused.n) * psum <= sizes[2] * 4
                done["blocks"] += 1
        instances = fused.batch // plan.program.gemm.batch
        assert moved_bits(plan.program.body) == (instances * loads * bits, instances * stores * bits)
        assert plan.vector_cycles == vector * fused.batch
        steps = expand(plan.program.body)
        assert len(steps) == instances * done["blocks"] + 2
        total_cycles = sum(step.compute_cycles for step in steps)
        assert total_cycles == plan.program.compute_cycles
        assert instances * max(array, vector) <= total_cycles <= instances * (array + vector)
        counts = plan.counts()
        assert counts.dram_read_bits == loads * bits * fused.batch
        assert counts.dram_write_bits == stores * bits * fused.batch
        context = engine_context(
            simulated, score, (parse_format(fused.w_format), parse_format(fused.a_format)), Operands()
        )
        fast = ENGINES.get("fast")(plan.program, context)
        assert fast == walk(plan.program, score.dram_bits_per_cycle) == ENGINES.get("event")(plan.program, context)


@settings(max_examples=30, deadline=None)
@given(ops=SIZES, flow=st.sampled_from(FLOWS), sizes=BUFFERS)
def test_working_at_the_same_time_is_never_slower_than_taking_turns(ops, flow, sizes):
    trace, mapper = Trace("a", ops, {}), {"objective": "latency"}
    turns, both = (
        evaluate(machine(flow, {"fused_attention": True, "fused_overlap": overlap}, sizes, mapper=mapper), trace)
        for overlap in (False, True)
    )
    assert total(both, "cycles") <= total(turns, "cycles")
    apart = evaluate(machine(flow, sizes=sizes, mapper=mapper), trace)
    for key in DRAM:
        assert total(both, key) <= total(apart, key)


def test_heads_of_one_tile_follow_each_other_without_a_pause():
    sizes = (64 << 10, 64 << 10, 64 << 10)
    ops = attention(m=4, keys=64, width=8, batch=32, repeat=1)
    turns, both = (
        evaluate(machine(residency={"fused_attention": "always", "fused_overlap": overlap}, sizes=sizes,
                         mapper={"objective": "latency"}), Trace("a", ops, {}))
        for overlap in (False, True)
    )  # fmt: skip
    assert total(both, "compute_cycles") < total(turns, "compute_cycles")
    assert any("at the same time (FlashAttention-3)" in note for note in both.notes)
    assert any("in turns" in note for note in turns.notes)


def test_attention_of_a_model_gets_faster_and_moves_the_same():
    trace = load_workload({"model": "bert-base", "seq_len": 256})
    memories = {name: {"size": "256 KiB"} for name in ("weights", "activations", "outputs")}
    found = [
        evaluate(small("int8", memories=memories, mapper={"objective": "latency"},
                       residency={"fused_attention": True, "fused_overlap": overlap}), trace)
        for overlap in (False, True)
    ]  # fmt: skip
    turns, both = ([row for row in result.layer_rows if row["op"] == "fused_attention"] for result in found)
    if turns and both:
        assert both[0]["cycles"] < turns[0]["cycles"]
        assert both[0]["macs"] == turns[0]["macs"]
    assert both
