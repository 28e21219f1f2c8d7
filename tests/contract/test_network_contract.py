"""Every topology: hops and wire counted on a drawn network, and energies that add up."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats.operand import RANDOM_TOGGLE
from hwsim.hardware.circuits import Register
from hwsim.hardware.network import TOPOLOGIES, Grid, build_network
from hwsim.hardware.technology import Point, load_technology, scale_factor
from hwsim.spec.errors import MissingFigureError, UsageError

NAMES = TOPOLOGIES.names()
EDGES = [(1, 1), (1, 5), (2, 2), (3, 4), (4, 4), (5, 2), (2, 3), (6, 6), (8, 8)]


def usable(name, rows, cols):
    return name != "h_tree" or not (rows & (rows - 1) or cols & (cols - 1))


def options(name):
    return {"router_pj_per_bit": 0.25} if TOPOLOGIES.get(name).stop == "router" else {}


def neighbours(name, rows, cols, node):
    """Who a router has a link to."""
    row, col = node
    for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        r, c = row + dr, col + dc
        if name == "torus":
            r, c = r % rows, c % cols
        if 0 <= r < rows and 0 <= c < cols and (r, c) != node:
            yield r, c


def distances(name, rows, cols):
    """Hops between all ordered pairs of distinct nodes, by breadth-first search."""
    nodes = list(product(range(rows), range(cols)))
    for start in nodes:
        seen, queue = {start: 0}, deque([start])
        while queue:
            node = queue.popleft()
            for other in neighbours(name, rows, cols, node):
                if other not in seen:
                    seen[other] = seen[node] + 1
                    queue.append(other)
        assert len(seen) == len(nodes)
        yield from (hops for node, hops in seen.items() if node != start)


@pytest.mark.parametrize("name", ["mesh", "torus"])
@pytest.mark.parametrize(("rows", "cols"), EDGES)
def test_hops_of_routed_networks_by_search(name, rows, cols):
    found = list(distances(name, rows, cols))
    kind, grid = TOPOLOGIES.get(name), Grid(rows, cols)
    mean = Fraction(sum(found), len(found)) if found else 0
    assert kind.unicast(grid).hops == mean
    assert kind.longest(grid).hops == max(found, default=0)
    assert kind.broadcast(grid).hops == rows * cols - 1
    link = 2 if name == "torus" else 1
    assert kind.unicast(grid).pitches == mean * link


def test_a_folded_ring_needs_no_link_longer_than_two_pitches():
    for nodes in range(3, 12):
        order = [*range(0, nodes, 2), *reversed(range(1, nodes, 2))]  # places of the ring's nodes, in its order
        steps = [abs(a - b) for a, b in zip(order, order[1:] + order[:1], strict=True)]
        assert max(steps) == 2


def tree_wires(left, top, width, height):
    """Draw an H-tree: yield the length of each branch below the centre of a block, and the way to each leaf."""
    if width * height == 1:
        yield [], 0
        return
    if width >= height:
        halves = [(left, top, width / 2, height), (left + width / 2, top, width / 2, height)]
    else:
        halves = [(left, top, width, height / 2), (left, top + height / 2, width, height / 2)]
    centre = (left + width / 2, top + height / 2)
    for half in halves:
        x, y = half[0] + half[2] / 2, half[1] + half[3] / 2
        branch = abs(x - centre[0]) + abs(y - centre[1])
        for first, (below, way) in enumerate(tree_wires(*half)):
            yield ([branch] if first == 0 else []) + below, branch + way


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 8), (4, 4), (2, 8), (16, 4), (8, 1)])
def test_an_h_tree_as_it_is_drawn(rows, cols):
    leaves = list(tree_wires(0.0, 0.0, float(cols), float(rows)))
    tree, grid = TOPOLOGIES.get("h_tree"), Grid(rows, cols)
    assert len(leaves) == rows * cols
    assert {way for _, way in leaves} == {float(tree.unicast(grid).pitches)}
    branches = [length for wires, _ in leaves for length in wires]
    assert float(tree.broadcast(grid).pitches) == sum(branches)
    assert tree.broadcast(grid).hops == len(branches)
    assert tree.unicast(grid).hops == int(math.log2(rows * cols))


def test_a_bus_by_hand():
    bus = TOPOLOGIES.get("bus")
    assert bus.broadcast(Grid(1, 8)).pitches == 8
    assert bus.broadcast(Grid(3, 8)).pitches == 3 + 3 * 8
    assert bus.longest(Grid(3, 8)).pitches == 3 + 8
    assert bus.unicast(Grid(3, 8)) == bus.broadcast(Grid(3, 8))


def test_a_chain_by_hand():
    chain = TOPOLOGIES.get("chain")
    assert chain.unicast(Grid(2, 5)).hops == Fraction(sum(range(1, 6)), 5)
    assert chain.broadcast(Grid(2, 5)).pitches == 10
    network = build_network("chain", 2, 5, 0.1, load_technology("28nm"))
    held = load_technology("28nm").price(Register(1))
    assert network.stop.pj_per_bit == pytest.approx((held.energy_fj + held.clock_fj) * 1e-3)


@pytest.mark.parametrize("name", NAMES)
@given(rows=st.integers(1, 40), cols=st.integers(1, 40))
def test_one_node_costs_no_more_than_all_and_more_nodes_no_less(name, rows, cols):
    if name == "h_tree":
        rows, cols = 1 << rows.bit_length(), 1 << cols.bit_length()
    kind, grid = TOPOLOGIES.get(name), Grid(rows, cols)
    one, far, all_ = kind.unicast(grid), kind.longest(grid), kind.broadcast(grid)
    for route in (one, far, all_):
        assert route.hops >= 0
        assert route.pitches >= 0
    assert one.pitches <= all_.pitches
    assert far.hops <= all_.hops
    wider = Grid(rows, 2 * cols)
    assert kind.broadcast(wider).pitches > all_.pitches
    assert kind.longest(wider).pitches >= far.pitches
    assert kind.name == name
    assert kind.summary
    assert kind.traffic
    assert kind.stop in ("router", "register", "wire")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "cols"), EDGES)
def test_energy_is_hops_times_stops_and_wire_times_activity(name, rows, cols):
    if not usable(name, rows, cols):
        pytest.skip("no power of two")
    technology = load_technology("45nm", 0.85)
    network = build_network(name, rows, cols, 0.3, technology, activity=0.2, **options(name))
    for route in (network.topology.unicast(network.grid), network.topology.broadcast(network.grid)):
        # 257.48 fJ at CACTI's 1.0 V.
        wires = float(route.pitches) * 0.3 * 257.48e-3 * 0.85**2 * 0.2
        assert network.link_pj(route) == pytest.approx(wires)
        assert network.pj_per_bit(route) == pytest.approx(wires + float(route.hops) * network.stop.pj_per_bit)
        assert network.delay_ns(route) == pytest.approx(float(route.pitches) * 0.3 * technology.wire.delay_ns_per_mm)
    assert build_network(name, rows, cols, 0.3, technology, **options(name)).activity == RANDOM_TOGGLE


@pytest.mark.parametrize("name", ["mesh", "torus"])
def test_routers_are_never_free(name):
    technology = load_technology("28nm")
    with pytest.raises(MissingFigureError, match=r"router_energy .* park2012"):
        build_network(name, 4, 4, 1.0, technology)
    published = build_network(name, 4, 4, 1.0, technology, router="park2012")
    factor = scale_factor("energy", Point(45, "hp", 1.1), Point(28, "hp", 0.9)).value
    assert published.stop.pj_per_bit == pytest.approx(531.4 / 892 * factor, rel=1e-3)
    assert published.link_pj(published.topology.unicast(published.grid)) == 0
    assert published.stop.estimated
    with pytest.raises(MissingFigureError, match="7 to 180 nm"):
        build_network(name, 4, 4, 1.0, load_technology("5nm"), router="park2012")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mash", 4, 4, 1.0), "did you mean 'mesh'"),
        (("h_tree", 3, 4, 1.0), "rows must be a power of two, not 3; nearest: 2 or 4"),
        (("bus", 0, 4, 1.0), "between 1 and 65536, not 0"),
        (("bus", 4, 4, 0.0), "pitch must be positive"),
        (("bus", 4, 4, 1.0, "28nm", 0.1), "bus has no routers"),
        (("mesh", 4, 4, 1.0, "28nm", 0.1, "park2012"), "not both"),
        (("mesh", 4, 4, 1.0, "28nm", None, "park2013"), "did you mean 'park2012'"),
        (("bus", 4, 4, 1.0, "28nm", None, None, 1.5), "between 0 and 1, not 1.5"),
    ],
)
def test_errors_say_what_is_valid(arguments, words):
    name, rows, cols, pitch, technology, *rest = (*arguments, "28nm") if len(arguments) == 4 else arguments
    with pytest.raises(UsageError, match=words):
        build_network(name, rows, cols, pitch, load_technology(technology), *rest)
