"""What every dataflow must offer: closed forms that equal a walk over tiles, and the stepped array."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.dataflow import DATAFLOWS, ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Extents, Issue, Pads, Tables, TileOperands, Totals
from tests.support.machines import IntegerUnit

NAMES = DATAFLOWS.names()

shapes = st.builds(
    lambda rows, cols, lanes, interval, load, drain, groups, pads, feed, tables, issue, options: ArrayShape(
        rows, cols, lanes, interval, load, drain, lanes * groups if groups else None,
        pads=pads and Pads(*(size * lanes for size in pads[:2]), pads[2]), feed_interval=feed,
        tables=tables, issue=issue, **options
    ),
    st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 3), st.sampled_from([0, 0, 1, 3, 8]),
    st.none() | st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(1, 5)), st.integers(1, 4),
    st.builds(Tables, st.integers(0, 4), st.booleans()),
    st.builds(Issue, *[st.integers(1, 3)] * 6, *[st.integers(0, 2)] * 3, st.integers(1, 2), st.booleans()),
    st.fixed_dictionaries({name: st.booleans() for name in ("double_buffer", "fold_overlap", "used_only")}),
)  # fmt: skip
sizes = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))


#: The loop that streams, by what is stationary.
STREAMS = {"w": "m", "a": "n", "o": "k"}


def cut(extent, tile):
    return [(start, min(tile, extent - start)) for start in range(0, extent, tile)]


def tiles_of(dims, tiles):
    """Every tile as (m, k, n) with its offset along K."""
    (ms, ks, ns) = (cut(d, t) for d, t in zip(dims, tiles, strict=True))
    return [((m, k, n), k0) for _, m in ms for k0, k in ks for _, n in ns]


def walked(flow, shape, dims, tiles):
    """Sums over tiles and folds, one by one: what the array reads and writes while a fold runs."""
    counts = dict.fromkeys(("cycles", "w", "a", "psum_read", "psum_write"), 0)
    unit = flow.units(shape)
    for (m, k, n), k0 in tiles_of(dims, tiles):
        if flow.streams_outside and (m > unit["m"] or n > unit["n"]):
            walk_updates(counts, flow, shape, (m, k, n), k0)
            continue
        counts["cycles"] += flow.tile_cycles(shape, m, k, n, k0 == 0)
        if flow.needs == "issue" and shape.issue.prepare_activations:
            counts["a"] += m * k
        cuts = {"m": cut(m, unit["m"]), "k": cut(k, unit["k"]), "n": cut(n, unit["n"])}
        streams = STREAMS[flow.stationary]
        cuts[streams] = [(0, {"m": m, "k": k, "n": n}[streams])]
        for _, fold_m in cuts["m"]:
            for (start, fold_k), (_, fold_n) in product(cuts["k"], cuts["n"]):
                counts["w"] += fold_k * fold_n
                counts["a"] += fold_m * fold_k
                continues = k0 > 0 or start > 0
                counts["psum_read"] += fold_m * fold_n * continues
                counts["psum_write"] += fold_m * fold_n
    return Totals(*counts.values())


def walk_updates(counts, flow, shape, tile, k0):
    """As ``walked``, all folds of a tile per unit of K; the rows' operands wait if they are one step."""
    (m, k, n), unit = tile, flow.units(shape)
    counts["cycles"] += flow.tile_cycles(shape, m, k, n, k0 == 0)
    for start, depth in cut(k, unit["k"]):
        for _, fold_m in cut(m, unit["m"]):
            counts["a"] += fold_m * depth if unit["k"] == shape.lanes else 0
            for _, fold_n in cut(n, unit["n"]):
                counts["w"] += depth * fold_n
                counts["a"] += fold_m * depth if unit["k"] > shape.lanes else 0
                counts["psum_read"] += fold_m * fold_n * (k0 + start > 0)
                counts["psum_write"] += fold_m * fold_n


def closed(flow, shape, dims, tiles):
    loops = (Extents(d, t, len(cut(d, t))) for d, t in zip(dims, tiles, strict=True))
    return Totals(*(int(x) for x in flow.totals(shape, *loops)))


def run_stepped(stepped):
    cycles = 0
    while True:
        try:
            next(stepped)
        except StopIteration as end:
            return cycles, end.value
        cycles += 1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(shapes, sizes, st.data())
def test_totals_are_the_sum_over_all_tiles_and_folds(name, shape, dims, data):
    flow = get_dataflow(name)
    unit = flow.units(shape)["k"]  # tiles of K are whole folds, as the mapper cuts them
    k = min(dims[1], unit * data.draw(st.integers(1, 4)))
    tiles = (data.draw(st.integers(1, dims[0])), k, data.draw(st.integers(1, dims[2])))
    assert closed(flow, shape, dims, tiles) == walked(flow, shape, dims, tiles)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(shapes, st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)), st.booleans(), st.integers(0, 99))
def test_the_stepped_array_takes_the_closed_form_and_multiplies(name, shape, dims, first_k, seed):
    flow, unit = get_dataflow(name), IntegerUnit()
    m, k, n = dims
    rng = np.random.default_rng(seed)
    a, w = rng.integers(0, 16, (m, k)).astype(np.uint32), rng.integers(0, 16, (k, n)).astype(np.uint32)
    partial = None if first_k else rng.integers(0, 999, (m, n))
    operands = TileOperands(a, w, partial, None, None)
    cycles, out = run_stepped(flow.stepped(shape, unit, operands))
    assert cycles == flow.tile_cycles(shape, m, k, n, first_k)
    at_once = flow.carried(shape, unit, operands)
    assert at_once[0] == cycles
    assert np.array_equal(at_once[1], out)
    exact = a.astype(np.int64) @ w.astype(np.int64)
    assert np.array_equal(out, exact if partial is None else exact + partial)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(shapes, st.tuples(*[st.integers(1, 200)] * 3))
def test_no_array_does_more_than_all_of_its_pes_can(name, shape, dims):
    flow = get_dataflow(name)
    m, k, n = dims
    slots = flow.tile_cycles(shape, m, k, n, True) * shape.rows * shape.cols * shape.lanes
    assert m * k * n * shape.interval <= slots


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(shapes, sizes, st.data())
def test_every_operand_is_read_and_every_result_written_at_least_once(name, shape, dims, data):
    flow = get_dataflow(name)
    tiles = tuple(data.draw(st.integers(1, d)) for d in dims)
    m, k, n = dims
    found = closed(flow, shape, dims, tiles)
    assert found.sram_w_read >= k * n
    assert found.sram_a_read >= m * k
    assert found.sram_psum_write - found.sram_psum_read == m * n  # what is written and not read again is the result


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(shapes)
def test_units_are_what_one_fold_covers(name, shape):
    flow = get_dataflow(name)
    unit = flow.units(shape)
    assert set(unit) == set("mkn")
    assert all(isinstance(size, int) and size >= 1 for size in unit.values())
    assert unit["k"] % shape.lanes == 0
    if shape.k_limit:  # no fold holds elements of two scale groups
        assert unit["k"] <= shape.k_limit
        assert shape.k_limit % unit["k"] == 0
    assert unit["m"] * unit["k"] * unit["n"] >= 1
    first, second = sorted({"m", "k", "n"} - {STREAMS[flow.stationary]})
    # PEs of a row that listen to one bus hold the same.
    holding = shape.rows * (1 if flow.held_on_bus else shape.cols)
    assert unit[first] * unit[second] <= holding * flow.held(shape)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(shapes)
def test_slower_ports_and_pes_never_save_cycles(name, shape):
    flow = get_dataflow(name)
    fast = replace(shape, interval=1, load_interval=1, drain_interval=1, feed_interval=1)
    assert flow.tile_cycles(shape, 7, 9, 8, False) >= flow.tile_cycles(fast, 7, 9, 8, False)
    assert flow.tile_cycles(shape, 7, 9, 8, True) <= flow.tile_cycles(shape, 7, 9, 8, False)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(shapes, st.integers(1, 32), st.integers(1, 32), st.integers(8, 64))
def test_edges_and_wires_carry_whole_operands(name, shape, w, a, psum):
    flow = get_dataflow(name)
    bits = {"w": w, "a": a, "psum": psum}
    edge = flow.edge_bits(shape, bits)
    rows, cols = shape.rows * shape.lanes, shape.cols * shape.lanes
    streamed = {"w": (cols, rows), "a": (rows, cols), "o": (cols, rows)}[flow.stationary]
    if flow.held_on_bus:  # a bus per row for what is held, and for what each PE streams on its own
        streamed = (rows, rows * shape.cols)
    sums = shape.cols * (shape.rows if flow.at_once else 1)
    assert edge == {"w": streamed[0] * w, "a": streamed[1] * a, "o": sums * psum}
    wires = flow.wire_bits_mm(shape, bits, 0.5)
    assert wires == {k: 2 * v for k, v in flow.wire_bits_mm(shape, bits, 0.25).items()}
    assert {"w": "w", "a": "a", "o": "psum"}[flow.stationary] not in wires  # what stays does not hop
    buses = flow.bus_mm(shape, 0.5)
    assert buses == {k: 2 * v for k, v in flow.bus_mm(shape, 0.25).items()}
    assert not buses.keys() & wires.keys()  # an operand hops or is on a bus
    assert (flow.stationary in buses) == flow.held_on_bus
    ports = flow.port_bits(shape, bits)
    assert all(1 <= ports[key] <= edge[key] for key in edge)
    assert sum(wires.values()) + sum(buses.values()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    flow = get_dataflow(name)
    assert flow.name == name
    assert flow.summary
    assert flow.stationary in ("w", "o", "a")
    assert flow.dequant_site in ("edge", "pe")
