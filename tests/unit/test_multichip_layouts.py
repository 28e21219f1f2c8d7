"""Where results lie on several chips: every message that is needed is there, none that is not, each of its size."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import ceil, lcm

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.multichip.cuts import Cuts
from hwsim.simulate.multichip.layouts import MESSAGES, WHOLE, Exchange, Part, exchange, message_between
from hwsim.simulate.multichip.links import Message, message_row
from hwsim.workload import Gemm, Trace, VectorOp
from tests.support.chips import LINKS, block, chips, filled
from tests.support.small import small

#: Roles of a product and of the next one, what the first is cut along, and the message between them on 4 chips.
PAIRS = [
    # heads on chips: all goes on in place, until sums meet
    ({"heads": 4}, {"qkv": "n", "score": "batch", "value": "batch", "out": "k"}, ["out.all_reduce 8 16"]),
    # 8 heads, 2 per chip
    ({"heads": 8}, {"score": "batch"}, ["out.all_reduce 8 16"]),
    # two heads on four chips: what chips have of queries, keys and values goes to where the heads are, and back
    (
        {"heads": 2},
        {"qkv": "n", "score": "batch", "value": "batch", "out": "k"},
        ["qkv.all_to_all 8 48", "value.all_to_all 8 8 x2", "out.all_reduce 8 16"],
    ),
    # one head: queries by rows, keys and values on every chip, rows back to columns
    (
        {"heads": 1},
        {"qkv": "n", "score": "m", "value": "m", "out": "k"},
        ["qkv.all_to_all 8 16", "qkv.all_gather 8 32", "value.all_to_all 8 16", "out.all_reduce 8 16"],
    ),
]  # fmt: skip


def sent(rows):
    return [
        f"{r['layer']} {r['m']} {r['n']}" + (f" x{r['batch']}" if r["batch"] > 1 else "")
        for r in rows
        if r["op"] in ("all_reduce", "all_gather", "all_to_all", "broadcast")
    ]


@pytest.mark.parametrize(("fields", "loops", "messages"), PAIRS)
def test_attention_sends_what_its_cut_needs_and_nothing_else(fields, loops, messages):
    trace = block(**fields)
    attention = Trace("a", trace.ops[:8])
    cuts = Cuts(filled(attention).ops, 4)
    found = {gemm.layer: cuts.of(at).loop for at, gemm in enumerate(cuts.gemms)}
    assert {name: found[name] for name in loops} == loops
    assert sent(evaluate(chips(4), attention).layer_rows) == messages


def test_sequences_share_heads_that_divide_among_chips_and_are_sent_where_not():
    def attention(sequences, heads, hidden=24):
        size = hidden // heads
        many = {"batch": sequences * heads, "w_source": "kv"}
        return Trace(
            "a",
            (
                *(Gemm(name, 8, hidden, hidden, role="qkv") for name in "qkv"),
                Gemm("score", 8 // sequences, 5, size, role="score", **many),
                Gemm("value", 8 // sequences, size, 5, role="value", **many),
                Gemm("out", 8, hidden, hidden, role="attn_out"),
            ),
        )

    assert sent(evaluate(chips(3), attention(2, 3)).layer_rows) == ["out.all_reduce 8 24"]
    assert sent(evaluate(chips(4), attention(2, 2)).layer_rows) == [
        "q.all_to_all 8 24", "k.all_to_all 8 24", "v.all_to_all 8 24", "value.all_to_all 4 12 x4",
        "out.all_reduce 8 24",
    ]  # fmt: skip


def test_sums_of_fewer_chips_are_added_by_these_alone():
    down = Trace("d", (Gemm("down", 8, 16, 48, role="ffn", w_format="int8_g16", a_format="int8", o_format="int8"),))
    assert len(Cuts(filled(down).ops, 8).of(0).sizes) == 3
    simulated = small(pe={"family": "int_mac", "format": "int8"}, chips={"count": 8, "parallel": "tensor", **LINKS})
    message = Message("r", "all_reduce", 8, 16, o_format="int8", have=Part("sums", (16, 16, 16)), need=WHOLE)
    row = message_row(simulated, message)
    step = ceil(8 * 16 / 3)
    assert row["dram_read_bytes"] == 3 * 3 * step * 4
    assert row["dram_write_bytes"] == 8 * 3 * step
    all_of_them = message_row(simulated, Message("r", "all_reduce", 8, 16, o_format="int8"))
    assert row["energy_vector_pj"] < all_of_them["energy_vector_pj"]


def test_what_one_chip_has_alone_is_passed_on():
    trace = Trace("d", (Gemm("down", 8, 16, 32, role="ffn", w_format="int8_g32", a_format="int8", o_format="int8"),))
    one = Part("sums", (32,))
    assert Cuts(trace.ops, 4).of(0).has == one
    assert message_between(one, WHOLE) == "broadcast"
    row = message_row(chips(4), Message("b", "broadcast", 8, 16, o_format="int8", have=one, need=WHOLE))
    assert (row["dram_read_bytes"], row["dram_write_bytes"]) == (128, 3 * 128)


def test_the_first_products_of_an_mlp_are_cut_as_the_last_one():
    up, down = (Gemm("up", 8, 96, 16, role="ffn"), Gemm("down", 8, 16, 96, role="ffn", w_format="int8_g32"))
    cuts = Cuts(filled(Trace("mlp", (up, down))).ops, 3)
    assert cuts.of(0).sizes == cuts.of(1).sizes == (32, 32, 32)
    uneven = Cuts(filled(Trace("mlp", (replace(up, n=160), replace(down, k=160)))).ops, 3)
    assert uneven.of(0).sizes == uneven.of(1).sizes == (64, 64, 32)
    fewer = Cuts(filled(Trace("mlp", (up, replace(down, w_format="int8_g48")))).ops, 3)
    assert (fewer.of(0).sizes, fewer.of(1).sizes) == ((32, 32, 32), (48, 48))
    assert message_between(fewer.of(0).has, fewer.of(0).needed[0].part) == "all_to_all"


def test_norms_over_cut_columns_add_up_their_rows_across_chips():
    ops = (
        Gemm("up", 8, 64, 16, role="ffn"), VectorOp("norm", "rmsnorm", 8, 64), VectorOp("ln", "layernorm", 8, 64),
        VectorOp("h", "hadamard", 8, 64), VectorOp("full", "hadamard_full", 8, 64), VectorOp("act", "gelu", 8, 64),
        Gemm("down", 8, 16, 64, role="ffn"),
    )  # fmt: skip
    assert sent(evaluate(chips(4), Trace("t", ops)).layer_rows) == [
        "norm.all_reduce 8 1", "ln.all_reduce 8 2", "full.all_gather 8 64", "down.all_reduce 8 16",
    ]  # fmt: skip
    heads = (Gemm("q", 8, 64, 16, role="qkv"), VectorOp("qk_norm", "rmsnorm", 8 * 8, 8), *block(hidden=64).ops[4:8])
    assert not [text for text in sent(evaluate(chips(4), Trace("t", heads)).layer_rows) if "norm" in text]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(2, 7),
    st.lists(st.integers(1, 5), min_size=1, max_size=7),
    st.lists(st.integers(1, 5), min_size=1, max_size=7),
    st.booleans(),
)
def test_an_exchange_moves_every_element_once_the_shorter_way(count, have, need, crossing):
    have, need = tuple(have[:count]), tuple(need[:count])
    own, wanted = Part("rows" if crossing else "columns", have), Part("columns", need)
    found = exchange(own, wanted, count)
    rows, cols = (sum(have), sum(need)) if crossing else (1, lcm(sum(have), sum(need)))

    def owners(sizes, length):
        unit = length // sum(sizes)
        return [chip for chip, size in enumerate(sizes) for _ in range(size * unit)]

    links = Counter()
    ports = Counter()
    moved = hops = 0
    if crossing:
        pairs = [(a, b) for a in owners(have, rows) for b in owners(need, cols)]
    else:
        pairs = list(zip(owners(have, cols), owners(need, cols), strict=True))
    for source, target in pairs:
        ahead = (target - source) % count
        forward, far = (True, ahead) if ahead <= count // 2 else (False, count - ahead)
        for step in range(far):
            links[forward, (source + (step if forward else -step)) % count] += 1
        hops += far
        if ahead:
            moved += 1
            ports[source] += 1
            ports[target] += 1
    most = max(links.values(), default=0)
    assert found == Exchange(len(pairs), most, hops, moved, max(ports.values(), default=0))


def test_every_pair_of_layouts_has_a_message_or_none():
    known = ("whole", "rows", "columns", "instances")
    assert set(MESSAGES) == {(a, b) for a in known for b in known} | {("sums", "whole")}
    for layout in known[1:]:
        even, other = Part(layout, (2, 2)), Part(layout, (4, 4))
        assert message_between(even, other) == ""
        assert message_between(even, Part(layout, (3, 1))) == "all_to_all"
        assert message_between(even, WHOLE) == "all_gather"
        assert message_between(WHOLE, even) == ""
