"""Outputs that stay on chip: what the order of a trace implies, what moves, and that it is never worse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.residency.flow import kept_tensors
from hwsim.workload import Gemm, Trace, VectorOp, load_workload
from hwsim.workload.zoo import open_settings
from tests.support.small import array, small

FLOWS = ("weight_stationary", "input_stationary", "output_stationary", "broadcast")
DRAM = ("dram_read_bytes", "dram_write_bytes")
KEEP = {"outputs": True}


def machine(flow="weight_stationary", residency=None, sizes=(8192, 8192, 8192), label="int8", **more):
    memories = {name: {"size": size} for name, size in zip(("weights", "activations", "outputs"), sizes, strict=True)}
    return small(label, array=array(flow), memories=memories, residency=residency or {}, **more)


def total(result, key):
    return sum(row[key] for row in result.layer_rows)


def conv(layer, channels, edge, out, kernel=3):
    note = f"im2col: {channels}x{edge}x{edge}, kernel {kernel}, stride 1, padding {kernel // 2}"
    return Gemm(layer, edge * edge, out, channels * kernel**2, role="conv", note=note)


def vector(layer, op, m, n, **more):
    return VectorOp(layer, op, m, n, **more)


def chains(ops):
    """Return the found tensors by the names of their rows, with what is stored."""
    return [
        (
            "+".join(ops[p].layer for p in kept.producers),
            [ops[p].layer for p in kept.through],
            [ops[p].layer for p in kept.readers],
            kept.stored,
            [ops[p].layer for p in kept.stores],
        )
        for kept in kept_tensors(ops)
    ]


# What the order of rows implies


def test_a_convolution_hands_on_through_activation_and_pooling():
    ops = [
        conv("a", 3, 8, 16), vector("a.act", "relu", 64, 16), vector("pool", "maxpool", 16, 16),
        conv("b", 16, 4, 8), vector("b.act", "relu", 16, 8), Gemm("c", 1, 10, 128),
    ]  # fmt: skip
    assert chains(ops) == [("a", ["a.act", "pool"], ["b"], False, []), ("b", ["b.act"], ["c"], False, [])]
    first, second = kept_tensors(ops)
    assert (first.written, first.read) == (64 * 16, 4 * 4 * 16)
    assert (second.written, second.read) == (16 * 8, 128)


def test_what_a_later_addition_may_need_is_stored_as_well():
    chain = [conv("a", 8, 8, 8), vector("act", "relu", 64, 8), conv("b", 8, 8, 8)]
    assert chains(chain) == [("a", ["act"], ["b"], False, [])]
    assert chains([*chain, vector("sum", "add", 64, 8)]) == [("a", ["act"], ["b"], True, [])]
    assert chains([*chain, vector("sum", "add", 64, 9)]) == [("a", ["act"], ["b"], False, [])]
    # A convolution whose input no row before it explains may read it, or anything if its size is not known.
    assert chains([*chain, conv("c", 9, 9, 3), conv("d", 8, 8, 3)])[0] == ("a", ["act"], ["b"], True, [])
    assert chains([*chain, conv("c", 9, 9, 3)])[0][3] is False
    assert chains([*chain, replace(conv("c", 9, 9, 3), note="")])[0][3] is True


def test_a_sum_is_stored_and_its_other_operand_read():
    ops = [conv("a", 8, 8, 8), vector("sum", "add", 64, 8), vector("act", "relu", 64, 8), conv("b", 8, 8, 4)]
    assert chains(ops) == [("a", ["sum", "act"], ["b"], False, [])]
    assert chains([*ops, vector("later", "add", 64, 8)]) == [("a", ["sum", "act"], ["b"], True, ["sum"])]


def test_notes_say_what_the_order_of_rows_does_not():
    chain = [conv("a", 8, 8, 8), vector("act", "relu", 64, 8), conv("b", 8, 8, 8)]
    for named, stored in (("act", True), ("a", True), ("x", False)):
        assert chains([*chain, vector("sum", "add", 64, 8, note=f"reads {named}")])[0][3] is stored
    aside = replace(conv("short", 8, 8, 16), note=conv("short", 8, 8, 16).note + "; reads act")
    assert chains([*chain[:2], aside, replace(chain[2], note=chain[2].note + "; reads act")])[0] == (
        "a", ["act"], ["short", "b"], False, [],
    )  # fmt: skip
    assert chains([*chain[:2], replace(aside, note=aside.note.replace("act", "x"))]) == []


@pytest.mark.parametrize("model", ["resnet-18", "resnet-50", "mobilenet-v2"])
def test_inside_of_residual_blocks_nothing_is_stored(model):
    trace = load_workload(model)
    for first, _, readers, stored, stores in chains(trace.ops):
        inside = any(f".{name}" in "".join(readers) for name in ("conv2", "conv3", ".1.conv", ".2.conv"))
        if inside and "residual" not in first:
            assert not stored
            assert not stores
    if model == "resnet-18":
        found = {
            first: (through, readers, stored, stores) for first, through, readers, stored, stores in chains(trace.ops)
        }
        block = (["stage1.1.residual", "stage1.1.act"], ["stage2.0.shortcut", "stage2.0.conv1"], False, [])
        assert found["stage1.1.conv2"] == block
        assert found["stage1.0.conv2"][2:] == (False, ["stage1.0.residual"])


@pytest.mark.parametrize(
    ("before", "op"),
    [
        (Gemm("a", 8, 8, 8), Gemm("b", 8, 8, 8)),  # may both read the same
        (Gemm("q", 8, 8, 4, role="qkv"), Gemm("k", 8, 8, 8, role="qkv")),
        (Gemm("v", 8, 8, 4, role="qkv"), Gemm("x", 8, 8, 8)),
        (Gemm("v", 8, 8, 4), Gemm("s", 8, 8, 8, w_source="kv", role="score")),
        (Gemm("a", 8, 6, 4), Gemm("b", 8, 8, 8)),
        (Gemm("a", 8, 8, 4, repeat=2), Gemm("b", 8, 8, 8, repeat=3)),
        (Gemm("a", 8, 8, 4, o_format="fp16"), Gemm("b", 8, 8, 8, a_format="int8")),
        (Gemm("a", 8, 8, 4), Gemm("b", 8, 8, 8, a_source="dram")),
        (Gemm("gate", 8, 8, 4, role="ffn"), Gemm("up", 8, 8, 4, role="ffn")),
    ],
)
def test_where_another_reading_is_open_nothing_is_claimed(before, op):
    assert chains([before, op]) == []


def test_products_beside_each_other_need_an_operation_that_joins_them():
    gate, up = (Gemm(name, 8, 16, 4, role="ffn") for name in ("gate", "up"))
    down = Gemm("down", 8, 4, 16, role="ffn")
    act, mul = vector("act", "silu", 8, 16), vector("mul", "mul", 8, 16)
    assert chains([gate, up, act, down]) == []
    assert chains([gate, up, act, mul, down]) == [("gate+up", ["act", "mul"], ["down"], False, [])]
    other = [replace(op, role="other") for op in (gate, up)]
    found = chains([*other, act, mul, replace(down, role="other")])
    assert found == [("up", ["act", "mul"], ["down"], False, [])]


def test_a_parallel_block_reads_its_norm_and_not_the_sum():
    out, add = Gemm("out", 8, 16, 4, role="attn_out"), vector("sum", "add", 8, 16)
    assert chains([out, add, Gemm("up", 8, 32, 16, role="ffn")]) == []
    norm = vector("norm", "rmsnorm", 8, 16)
    ups = [Gemm(name, 8, 32, 16, role="ffn") for name in ("gate", "up")]
    assert chains([out, add, norm, *ups])[0] == ("out", ["sum", "norm"], ["gate", "up"], False, [])
    later = vector("later", "add", 8, 16)
    assert chains([out, add, norm, *ups, later])[0] == ("out", ["sum", "norm"], ["gate", "up"], False, ["sum"])
    # A product whose input nothing explains may read the norm, so that both sum and norm are stored.
    others = Gemm("x", 3, 3, 3), Gemm("other", 8, 3, 16)
    assert chains([out, add, norm, *ups, later, *others])[0][4] == ["sum", "norm"]


def test_as_many_elements_of_other_channels_are_another_tensor():
    out, short = conv("a", 4, 8, 16), conv("short", 4, 16, 16, kernel=1)
    assert chains([out, short]) == []
    assert chains([out, conv("b", 16, 8, 4)]) == [("a", [], ["b"], False, [])]


@pytest.mark.parametrize("model", ["llama-2-7b", "gemma-2-2b", "gpt2", "bert-base", "phi-2", "bitnet-b1.58-2b-4t"])
def test_models_keep_the_inside_of_attention_and_of_their_mlp(model):
    trace = load_workload({"model": model, "settings": open_settings(model)})
    found = {(first, tuple(last)): stored for first, _, last, stored, _ in chains(trace.ops)}
    assert found["attn.score", ("attn.value",)] is False
    ups = "mlp.gate_proj+mlp.up_proj" if ("mlp.gate_proj+mlp.up_proj", ("mlp.down_proj",)) in found else "mlp.up_proj"
    assert found[ups, ("mlp.down_proj",)] is False
    readers = {name for _, last in found for name in last}
    assert not readers & {"attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.qkv_proj", "attn.score", "lm_head"}
    if model == "phi-2":
        assert not any("mlp.up_proj" in last for _, last in found)


# What moves


def test_what_stays_is_neither_stored_nor_loaded():
    trace = Trace("t", (Gemm("a", 24, 20, 10), vector("act", "relu", 24, 20), Gemm("b", 24, 12, 20)), {})
    before, after = (
        {row["layer"]: row for row in evaluate(machine(residency=r), trace).layer_rows} for r in ({}, KEEP)
    )
    assert after["a"]["dram_write_bytes"] == 0 < before["a"]["dram_write_bytes"] == 24 * 20
    assert after["a"]["dram_read_bytes"] == before["a"]["dram_read_bytes"]
    assert after["b"]["dram_read_bytes"] == 20 * 12
    assert after["b"]["dram_write_bytes"] == 24 * 12
    assert after["act"]["dram_read_bytes"] == after["act"]["dram_write_bytes"] == 0
    assert sum(row["cycles"] for row in after.values()) < sum(row["cycles"] for row in before.values())
    result = evaluate(machine(residency=KEEP), trace)
    assert any("a → act → b (480 bytes)" in note for note in result.notes)


def test_the_format_of_the_outputs_decides_what_fits():
    trace = Trace("t", (Gemm("a", 48, 40, 10), vector("act", "relu", 48, 40), Gemm("b", 48, 12, 40)), {})
    tight, roomy = (machine(residency=KEEP, sizes=(8192, size, 8192)) for size in (1920, 2560))
    notes = [evaluate(each, trace).notes for each in (tight, roomy)]
    assert any("no tile fits beside it" in note for note in notes[0])
    assert any("stay in the activation buffer: a → act → b" in note for note in notes[1])
    wide = evaluate(machine(residency=KEEP, sizes=(8192, 2560, 8192), label="fp16"), trace).notes
    assert any("it does not fit" in note for note in wide)


def test_a_gate_needs_no_operand_from_dram():
    gate, up = (Gemm(name, 8, 32, 16, role="ffn", repeat=3) for name in ("gate", "up"))
    ops = (gate, up, vector("act", "silu", 8, 32, repeat=3), vector("mul", "mul", 8, 32, repeat=3),
           Gemm("down", 8, 16, 32, role="ffn", repeat=3))  # fmt: skip
    rows = {row["layer"]: row for row in evaluate(machine(residency=KEEP), Trace("t", ops, {})).layer_rows}
    assert rows["gate"]["dram_write_bytes"] == rows["up"]["dram_write_bytes"] == 0
    assert rows["mul"]["dram_read_bytes"] == rows["mul"]["dram_write_bytes"] == 0
    assert rows["down"]["dram_read_bytes"] == 3 * 32 * 16
    assert rows["down"]["dram_write_bytes"] == 3 * 8 * 16


@st.composite
def networks(draw):
    """Rows that hand on, and rows that do not: products, activations, norms, additions, gates."""
    m, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    repeat, ops = draw(st.integers(1, 3)), []
    for number in range(draw(st.integers(1, 5))):
        out = draw(st.sampled_from([width, draw(st.integers(1, 32))]))
        role = draw(st.sampled_from(["other", "other", "ffn", "attn_out", "qkv"]))
        batch = draw(st.sampled_from([1, 1, 2]))
        ops.append(Gemm(f"g{number}", m, out, width, batch=batch, repeat=repeat, role=role))
        for op in draw(st.lists(st.sampled_from(["relu", "rmsnorm", "add", "mul"]), max_size=2)):
            ops.append(VectorOp(f"{op}{len(ops)}", op, m, out, batch=batch, repeat=repeat))
        width = out
    return Trace("net", tuple(ops), {})


BUFFERS = st.tuples(*[st.sampled_from([1024, 2048, 4096, 16384])] * 3)


@settings(max_examples=80, deadline=None)
@given(trace=networks(), flow=st.sampled_from(FLOWS), sizes=BUFFERS, engine=st.sampled_from(["fast", "event"]),
       objective=st.sampled_from(["edp", "latency", "energy"]), label=st.sampled_from(["int8", "fp16", "mxfp4"]),
       also=st.sampled_from([{}, {"weights": True}]))  # fmt: skip
def test_outputs_that_stay_are_never_slower_and_never_move_more(trace, flow, sizes, engine, objective, label, also):
    mapper = {"objective": objective}
    plain = evaluate(machine(flow, also, sizes, label, mapper=mapper), trace, engine)
    held = evaluate(machine(flow, {**KEEP, **also}, sizes, label, mapper=mapper), trace, engine)
    for key in ("cycles", *DRAM):
        assert total(held, key) <= total(plain, key)
    assert total(held, "macs") == total(plain, "macs")
    for row in held.layer_rows:
        assert row["energy_pj"] == sum(row[part] for part in ENERGY_PARTS)
    if not any("stay in the activation buffer" in note for note in held.notes):
        assert held.layer_rows == plain.layer_rows


@settings(max_examples=30, deadline=None)
@given(trace=networks(), sizes=BUFFERS)
def test_engines_agree_on_outputs_that_stay(trace, sizes):
    of = machine(residency=KEEP, sizes=sizes)
    assert evaluate(of, trace, "fast").layer_rows == evaluate(of, trace, "event").layer_rows


def test_explain_refuses_what_it_cannot_show():
    arguments = ["explain", "mapping", "edge_16x16_45nm", "bert-base", "--layer", "attn.q_proj"]
    assert run_command([*arguments, "--set", "residency.outputs=true"]) == 2
