"""What stays on chip: fused attention against a plain walk over its tiles, resident weights, and their laws."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.context import engine_context
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.engine.fast import walk
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.residency.chain import Fused, fuse_attention
from hwsim.simulate.residency.fused import fused_plans, tile_work
from hwsim.simulate.residency.run import _machine
from hwsim.simulate.residency.weights import ALL_FREE
from hwsim.simulate.schedule import expand, moved_bits
from hwsim.simulate.vector_unit import work
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Gemm, Trace, VectorOp, apply_policy, load_workload
from tests.support.small import array, small

FLOWS = ("weight_stationary", "input_stationary", "output_stationary", "broadcast")
DRAM = ("dram_read_bytes", "dram_write_bytes")


def attention(m=24, keys=40, width=8, batch=2, repeat=3):
    return (
        Gemm("score", m, keys, width, batch=batch, repeat=repeat, w_source="kv", role="score"),
        VectorOp("softmax", "softmax", m, keys, batch, repeat),
        Gemm("value", m, width, keys, batch=batch, repeat=repeat, w_source="kv", role="value"),
    )


def block(**sizes):
    before = Gemm("qkv", 24, 24, 8, repeat=3, role="qkv")
    return Trace("block", (before, *attention(**sizes), Gemm("out", 24, 8, 16, repeat=3, role="attn_out")), {})


def machine(flow="weight_stationary", residency=None, sizes=(8192, 8192, 8192), label="int8", **more):
    memories = {name: {"size": size} for name, size in zip(("weights", "activations", "outputs"), sizes, strict=True)}
    return small(label, array=array(flow), memories=memories, residency=residency or {}, **more)


def total(result, key):
    return sum(row[key] for row in result.layer_rows)


def the_fused(simulated, trace):
    groups, left = fuse_attention(apply_policy(trace, simulated.policy).ops)
    assert not left
    (fused,) = (group for group in groups if isinstance(group, Fused))
    return fused


def plans(simulated, trace):
    fused = the_fused(simulated, trace)
    machines = _machine(simulated, fused.score, ALL_FREE), _machine(simulated, fused.value, ALL_FREE)
    return fused, machines, fused_plans(simulated, fused, machines)


# What holds without any option


@pytest.mark.parametrize("phase", [{"phase": "decode", "context": 256}, {"phase": "prefill", "seq_len": 256}])
def test_kv_cache_traffic_is_that_of_kv_heads(phase):
    trace = load_workload({"model": "llama-3-8b", **phase})
    simulated = small("fp16", memories={name: {"size": "4 MiB"} for name in ("weights", "activations", "outputs")})
    heads, kv_heads, width = 32, 8, 128
    for role in ("score", "value"):
        gemm = next(op for op in trace.gemms if op.role == role)
        row = evaluate(simulated, Trace("one", (replace(gemm, repeat=1),), {})).layer_rows[0]
        keys = gemm.n if role == "score" else gemm.k
        cache = kv_heads * keys * width * 2
        queries = heads * (gemm.m * kv_heads // heads) * gemm.k * 2
        assert row["dram_read_bytes"] == cache + queries  # every kv head is read once for the heads that share it


def test_partial_sums_are_spilled_on_overflow_only():
    gemm = Gemm("deep", 64, 64, 512)
    roomy, tight = (evaluate(machine(sizes=(4096, 4096, out)), Trace("t", (gemm,), {})) for out in (64 << 10, 1024))
    outputs = 64 * 64
    assert total(roomy, "dram_write_bytes") == outputs
    assert total(tight, "dram_write_bytes") >= outputs
    assert total(tight, "dram_read_bytes") > total(roomy, "dram_read_bytes")


# Fused attention


def test_attention_is_found_where_the_chain_is_known():
    score, softmax, value = attention()
    other = Gemm("x", 4, 4, 4)
    groups, left = fuse_attention([other, score, softmax, value, other])
    assert [group.layer for group in groups] == ["x", "score+softmax+value", "x"]
    assert not left
    for broken in (
        [score, softmax, replace(value, k=41)],
        [score, replace(softmax, op="gelu"), value],
        [score, other, softmax, value],
        [score, softmax, replace(value, repeat=1)],
        [score, softmax],
        [replace(score, w_source="dram"), softmax, value],
    ):
        groups, left = fuse_attention(broken)
        assert groups == broken
        assert left == ("score",)


@pytest.mark.parametrize("model", ["bert-base", "llama-2-7b", "gpt2", "vit-base-16"])
def test_attention_of_models_is_found(model):
    trace = load_workload(model)
    groups, left = fuse_attention(trace.ops)
    assert not left
    assert sum(isinstance(group, Fused) for group in groups) == sum(op.role == "score" for op in trace.gemms) > 0


def online(scores, values, tile, count):
    """FlashAttention-2 over key tiles in plain numpy, counting what it does."""
    rows, keys = scores.shape
    result, sums, top = np.zeros((rows, values.shape[1])), np.zeros(rows), np.full(rows, -np.inf)
    for start in range(0, keys, tile):
        part = scores[:, start : start + tile]
        new = np.maximum(top, part.max(axis=1))
        weights = np.exp(part - new[:, None])
        count.update(cmp=part.size, add=2 * part.size, exp=part.size)
        if start:
            factor = np.exp(top - new)
            sums, result = sums * factor, result * factor[:, None]
            count.update(cmp=rows, add=2 * rows, exp=rows, mul=rows + result.size)
        sums, top = sums + weights.sum(axis=1), new
        result = result + weights @ values[start : start + tile]
    count.update(div=rows, mul=result.size)
    return result * (1 / sums)[:, None]


@pytest.mark.parametrize("tile", [1, 3, 7, 13])
def test_the_online_softmax_does_what_is_counted(tile):
    rng = np.random.default_rng(1)
    rows, keys, width = 5, 14, 4
    scores, values = rng.normal(size=(rows, keys)) * 9, rng.normal(size=(keys, width))
    done: Counter[str] = Counter()
    found = online(scores, values, tile, done)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, weights @ values / weights.sum(axis=1, keepdims=True), rtol=1e-12)
    counted: Counter[str] = Counter()
    for start in range(0, keys, tile):
        size = min(tile, keys - start)
        for kind, elements in tile_work(rows, size, width, start == 0, start + size == keys):
            counted.update({name: number * elements for name, number in kind.primitives})
    assert counted == done


SIZES = st.builds(attention, m=st.integers(1, 60), keys=st.integers(1, 150), width=st.integers(1, 40),
                  batch=st.integers(1, 3), repeat=st.just(2))  # fmt: skip
BUFFERS = st.tuples(*[st.sampled_from([1024, 2048, 4096, 16384])] * 3)


@settings(max_examples=40, deadline=None)
@given(ops=SIZES, flow=st.sampled_from(FLOWS), sizes=BUFFERS, label=st.sampled_from(["int8", "fp16"]))
def test_every_plan_is_what_a_walk_over_its_tiles_moves_and_does(ops, flow, sizes, label):
    simulated = machine(flow, sizes=sizes, label=label)
    fused, (score, value), found = plans(simulated, Trace("a", ops, {}))
    bits = parse_format(label).element.bits
    psum = score.bits.psum // score.bits.denominator
    for plan in (plan for plan in found if not plan.overlapped):
        tm, tk = plan.score.tiling.tile_m, plan.score.tiling.tile_n
        held = plan.score.tiling.hold_w and tm < fused.m  # of one query tile nothing is kept
        loads, stores, cycles, vector, rescaled = [], [], [], 0, 0
        for m0 in range(0, fused.m, tm):
            for k0 in range(0, fused.k, tk):
                m, k = min(tm, fused.m - m0), min(tk, fused.k - k0)
                load = m * fused.score.k if k0 == 0 else 0
                load += 0 if held and m0 else k * (fused.score.k + fused.n)
                first, last = k0 == 0, k0 + k == fused.k
                lanes = sum(work(simulated, *done)[0] for done in tile_work(m, k, fused.n, first, last))
                vector += lanes
                rescaled += 0 if first else m * fused.n
                loads.append(load * bits)
                stores.append(m * fused.n * bits if last else 0)
                cycles.append(
                    score.dataflow.tile_cycles(score.shape, m, fused.score.k, k, True)
                    + lanes
                    + value.dataflow.tile_cycles(value.shape, m, k, fused.n, first)
                )
                kept = fused.k if held else k
                assert kept * (fused.score.k + fused.n) * bits <= sizes[0] * 4
                assert (m * fused.score.k + m * k) * bits <= sizes[1] * 4
                assert (m * k + m * fused.n) * psum <= sizes[2] * 4
        steps = expand(plan.program.body)
        assert [(s.load_bits, s.compute_cycles, s.store_bits) for s in steps] == list(
            zip(loads, cycles, stores, strict=True)
        )
        assert plan.vector_cycles == vector * fused.batch
        assert plan.program.compute_cycles == sum(cycles)
        assert plan.vector_counts.sram_read_bits == {"o": (2 * fused.m * fused.k + rescaled) * psum * fused.batch}
        assert plan.vector_counts.sram_write_bits == {
            "a": fused.m * fused.k * bits * fused.batch,
            "o": rescaled * psum * fused.batch,
        }
        moved = plan.counts()
        assert (moved.dram_read_bits, moved.dram_write_bits) == tuple(
            b * fused.batch for b in moved_bits(plan.program.body)
        )
        formats = parse_format(fused.w_format), parse_format(fused.a_format)
        context = engine_context(simulated, score, formats, Operands())
        fast = ENGINES.get("fast")(plan.program, context)
        assert fast == walk(plan.program, score.dram_bits_per_cycle) == ENGINES.get("event")(plan.program, context)


@settings(max_examples=40, deadline=None)
@given(ops=SIZES, flow=st.sampled_from(FLOWS), sizes=BUFFERS, objective=st.sampled_from(["edp", "latency", "energy"]))
def test_fusing_is_never_slower_and_never_moves_more(ops, flow, sizes, objective):
    mapper = {"objective": objective}
    trace = Trace("a", ops, {})
    apart = evaluate(machine(flow, sizes=sizes, mapper=mapper), trace)
    fused = evaluate(machine(flow, {"fused_attention": True}, sizes, mapper=mapper), trace)
    for key in ("cycles", *DRAM):
        assert total(fused, key) <= total(apart, key)
    assert total(fused, "macs") == total(apart, "macs")
    score, _, value = ops
    inputs = (score.m * score.k + score.k * score.n + value.k * value.n) * score.batch
    assert total(fused, "dram_read_bytes") >= 2 * inputs
    assert total(fused, "dram_write_bytes") >= 2 * value.m * value.n * value.batch
    if len(fused.layer_rows) == 3:
        assert fused.layer_rows == apart.layer_rows
    for row in fused.layer_rows:
        assert row["energy_pj"] == sum(row[part] for part in ENERGY_PARTS)
        assert 0 <= row["utilization"] <= 1


def test_fused_attention_moves_queries_keys_values_and_results_only():
    sizes = (64 << 10, 64 << 10, 8192)
    trace = Trace("a", attention(m=64, keys=512, batch=1, repeat=1), {})
    apart = evaluate(machine(sizes=sizes), trace)
    result = evaluate(machine(sizes=sizes, residency={"fused_attention": "always"}), trace)
    (row,) = result.layer_rows
    assert row["op"] == "fused_attention"
    assert (row["m"], row["n"], row["k"]) == (64, 8, 512)
    assert row["dram_read_bytes"] == 64 * 8 + 2 * 512 * 8  # int8, keys and values held
    assert row["dram_write_bytes"] == 64 * 8
    assert total(apart, "dram_write_bytes") >= 64 * 512
    assert any("FlashAttention-2" in note for note in result.notes)


def test_too_small_a_buffer_leaves_attention_as_it_was():
    trace = Trace("a", attention(m=8, keys=8, width=64), {})  # 4 × 64 sums of 32 bits are the 1024 bytes of two halves
    sizes = (8192, 8192, 1024)
    plain, always = (
        evaluate(machine("output_stationary", residency, sizes), trace)
        for residency in ({}, {"fused_attention": "always"})
    )
    assert always.layer_rows == plain.layer_rows
    assert any("no tile fits the buffers" in note for note in always.notes)


def test_a_chain_that_is_not_known_is_named():
    score, softmax, value = attention()
    trace = Trace("a", (score, VectorOp("cap", "tanh", 24, 40, 2, 3), softmax, value), {})
    result = evaluate(machine(residency={"fused_attention": True}), trace)
    assert result.layer_rows == evaluate(machine(), trace).layer_rows
    assert any("score not fused: no softmax and value" in note for note in result.notes)


def test_a_workload_without_attention_says_so():
    result = evaluate(machine(residency={"fused_attention": True}), Trace("a", (Gemm("x", 4, 4, 4),), {}))
    assert "residency.fused_attention: the workload has no attention" in result.notes


# Weights that stay


def test_resident_weights_are_not_read_again():
    trace = block(repeat=3)
    plain, held = (evaluate(machine(residency=r), trace) for r in ({}, {"weights": True}))
    before, after = ({row["layer"]: row for row in result.layer_rows} for result in (plain, held))
    for layer, (m, n, k) in {"qkv": (24, 24, 8), "out": (24, 8, 16)}.items():
        assert after[layer]["dram_read_bytes"] == 3 * m * k
        assert before[layer]["dram_read_bytes"] >= 3 * (m * k + k * n)
        assert after[layer]["dram_write_bytes"] == before[layer]["dram_write_bytes"] == 3 * m * n
    weights = 3 * (24 * 8 + 8 * 16)
    assert any(f"all {weights:,} bytes of weights stay" in note for note in held.notes)
    cycles = -(-weights * 8 // machine().accelerator.dram_bits_per_cycle)
    assert any(f"takes {cycles:,} cycles" in note for note in held.notes)


GEMMS = st.lists(
    st.builds(
        lambda m, n, k, batch, source: Gemm("g", m, n, k, batch=batch, repeat=2, w_source=source),
        st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 2),
        st.sampled_from(["dram", "dram", "kv"]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(gemms=GEMMS, flow=st.sampled_from(FLOWS), sizes=BUFFERS, objective=st.sampled_from(["edp", "latency", "energy"]),
       engine=st.sampled_from(["fast", "event", "roofline"]))  # fmt: skip
def test_resident_weights_are_never_slower_and_never_move_more(gemms, flow, sizes, objective, engine):
    mapper = {"objective": objective}
    trace = Trace("g", tuple(replace(gemm, layer=f"g{i}") for i, gemm in enumerate(gemms)), {})
    plain = evaluate(machine(flow, sizes=sizes, mapper=mapper), trace, engine)
    result = evaluate(machine(flow, {"weights": True}, sizes, mapper=mapper), trace, engine)
    weights = sum(gemm.w_elements for gemm in gemms if gemm.w_source == "dram")
    for row, before in zip(result.layer_rows, plain.layer_rows, strict=True):
        assert all(row[key] <= before[key] for key in ("cycles", *DRAM))
    if weights > sizes[0] or not weights:
        assert result.layer_rows == plain.layer_rows
        assert any("are read from DRAM" in note or "has no weights" in note for note in result.notes)


def test_weights_that_leave_no_room_for_the_rest_are_read():
    weights = Gemm("w", 8, 60, 64)
    keys = Gemm("kv", 8, 64, 60, w_source="kv")
    trace = Trace("t", (weights, keys), {})
    tight, roomy = (evaluate(machine(residency={"weights": True}, sizes=(s, 8192, 8192)), trace) for s in (3860, 16384))
    assert any("too little room" in note for note in tight.notes)
    assert tight.layer_rows == evaluate(machine(sizes=(3860, 8192, 8192)), trace).layer_rows
    assert any("bytes of weights stay" in note for note in roomy.notes)


def test_both_options_together_are_no_worse_than_either():
    trace = block()
    both, fused, held = (
        evaluate(machine(residency=options), trace)
        for options in ({"weights": True, "fused_attention": True}, {"fused_attention": True}, {"weights": True})
    )
    for key in ("cycles", *DRAM):
        assert total(both, key) <= min(total(fused, key), total(held, key))


# What is refused


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cores": {"count": 2}}, "valid on one core of one chip; cores.count is 2"),
        ({"mapper": {"policy": "scalesim"}}, "needs mapper.policy search"),
        (
            {"chips": {"count": 2, "parallel": "tensor", "link_bandwidth": "1 GB/s", "link_energy": "1 pJ/bit"}},
            "chips.count is 2",
        ),
    ],
)
@pytest.mark.parametrize("option", ["weights", "fused_attention", "outputs", "prefetch"])
def test_where_it_is_not_modelled_it_is_refused(fields, message, option):
    with pytest.raises(SpecError, match=message):
        small("int8", residency={option: True}, **fields)


def test_loads_ahead_are_refused_where_banks_are_stepped():
    with pytest.raises(SpecError, match="leave one out"):
        small("int8", residency={"prefetch": True}, dram={"preset": "ddr4_3200", "banks": True})


def test_the_stepped_engine_is_refused():
    with pytest.raises(UsageError, match="valid: --engine fast"):
        evaluate(machine(residency={"weights": True}), block(), "pe")


def test_nothing_changes_by_default():
    result = evaluate(machine(residency={"weights": False, "fused_attention": False}), block())
    assert result.layer_rows == evaluate(machine(), block()).layer_rows
    assert not any("residency" in note for note in result.notes)


# Machines whose cycles depend on data, formats with scales, and what is shown


@pytest.mark.parametrize("pe", [{"family": "laconic"}, {"family": "bitlet"}])
def test_expected_cycles_stay_exact_in_fused_steps(pe):
    trace = Trace("a", attention(m=16, keys=64), {})
    memories = {name: {"size": 16384} for name in ("weights", "activations", "outputs")}
    plain, always = (
        evaluate(small(pe=pe, memories=memories, residency=options), trace)
        for options in ({}, {"fused_attention": "always"})
    )
    (row,) = always.layer_rows
    assert isinstance(row["cycles"], int)
    assert row["macs"] == total(plain, "macs")
    assert row["compute_cycles"] <= row["cycles"]


@pytest.mark.parametrize("label", ["int4_g128", "mxfp4", "bitmod4_g128"])
def test_key_tiles_cut_no_block_apart(label):
    simulated = machine(sizes=(4096, 4096, 4096), label=label)
    fused, (_, value), found = plans(simulated, Trace("a", attention(m=20, keys=300, width=16), {}))
    block = parse_format(fused.value.w_format).block_size or 1
    for plan in found:
        tile = plan.value.tiling.tile_k
        assert tile == fused.k or (tile % block == 0 and tile % value.dataflow.units(value.shape)["k"] == 0)


def test_explain_names_what_stays_and_refuses_what_it_cannot_show(capsys):
    arch = ["edge_16x16_45nm", "--set", "residency.weights=true"]
    assert run_command(["explain", "arch", *arch, "--set", "residency.fused_attention=true"]) == 0
    assert "fused attention, weights" in capsys.readouterr().out
    assert run_command(["explain", "arch", "edge_16x16_45nm"]) == 0
    assert "stays on chip" not in capsys.readouterr().out
    assert run_command(["explain", "mapping", arch[0], "bert-base", *arch[1:], "--layer", "attn.q_proj"]) == 2
    assert "--set residency.weights=false" in " ".join(capsys.readouterr().err.split())
