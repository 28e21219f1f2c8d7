"""The search against all nests of its space, one by one, and its parts against their slow twins."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations, product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.cost import hierarchy_energy
from hwsim.simulate.nest import cases, tiles
from hwsim.simulate.nest import count as counting
from hwsim.simulate.nest.count import count, lower_bound
from hwsim.simulate.nest.hierarchy import DIMS, OPERANDS, Axis, Hierarchy, Level, Port, Store, Widths
from hwsim.simulate.nest.loops import Kept, Loop, Nest, check_nest
from hwsim.simulate.nest.orders import orders, shape_of
from hwsim.simulate.nest.search import search
from hwsim.spec.errors import InfeasibleError, UsageError

WIDTHS = Widths(a=2, w=3, psum=7, result=5)


@st.composite
def hierarchies(draw, places=3):
    """A hierarchy with ``places`` operands held below DRAM, on one or two levels, and up to two axes."""
    held = draw(st.lists(st.sampled_from([(1, x) for x in OPERANDS] + [(2, x) for x in OPERANDS]),
                         min_size=places, max_size=places, unique=True))  # fmt: skip
    levels = [level(draw, "L0", OPERANDS, None)]
    for i in (1, 2):
        holds = tuple(x for j, x in held if j == i)
        levels.append(level(draw, f"L{i}", holds, draw(st.sampled_from([None, 8, 24, 60, 150])) if holds else None))
    loops = draw(st.lists(st.sampled_from("mkn"), max_size=2, unique=True))
    axes = tuple(
        Axis(f"x{dim}", (dim,), 2, draw(st.integers(0, 2)), dim == "k" or draw(st.booleans())) for dim in loops
    )
    wires = draw(st.sampled_from([(), tuple(0.5 + at for at in range(len(axes)))]))
    return Hierarchy("h", tuple(levels), axes, 0.25, wire_pj_per_bit=wires)


def level(draw, name, holds, capacity):
    price = st.sampled_from([0.0, 0.125, 0.5, 1.0, 4.0])
    stores = (Store(tuple(holds), capacity),) if holds else ()
    ports = draw(st.sampled_from([
        (), (Port(OPERANDS, ("read", "write"), Fraction(4)),),
        (Port(("a",), ("read",), Fraction(1)), Port(("w", "o"), ("read", "write"), Fraction(3))),
    ]))  # fmt: skip
    return Level(name, stores, ports, draw(price), draw(price))


def chains(extent, slots, size):
    """Yield the loops of a dimension as (tile, is spatial) by slot: any tiles; above an axis, multiples of its size."""
    if size is None:
        for sizes in product(range(1, extent + 1), repeat=slots):
            if all(a >= b for a, b in pairwise(sizes)):
                yield [[(tile, False)] for tile in sizes] + [[(1, False)]]
        return
    steps = sorted({min(extent, i * size) for i in range(1, extent + 1)})
    for at in range(slots + 1):
        for outside in product(steps, repeat=at + 1):
            if any(a < b for a, b in pairwise(outside)):
                continue
            one = -(-outside[-1] // size)
            for inside in product(range(1, one + 1), repeat=slots - at):
                if any(a < b for a, b in pairwise(inside)):
                    continue
                found = [[(tile, False)] for tile in outside] + [[(tile, False)] for tile in inside]
                found[at].append((one, True))
                yield [*found, [(1, False)]]


def every_nest(hierarchy, dims):
    """Yield every nest: all orders of places, all tiles, all orders of loops that matter."""
    shape = shape_of(hierarchy)
    for places in dict.fromkeys(order.places for order in orders(shape)):
        slots = len(places)
        axis_of = {axis.dims[0]: axis for axis in hierarchy.axes}
        each = [
            list(chains(e, slots, axis_of[d].size if d in axis_of else None)) for d, e in zip(DIMS, dims, strict=True)
        ]
        for chosen in product(*each):
            for turn in permutations(range(3)) if sum(dims) < 6 else ((0, 1, 2), (2, 1, 0)):
                yield nest_of(dims, places, chosen, turn, axis_of)


def nest_of(dims, places, chosen, turn, axis_of):
    loops, outside = [], []
    for slot in range(len(places) + 2):
        for i in turn:
            if slot < len(chosen[i]):
                loops += [
                    Loop(DIMS[i], t, axis_of[DIMS[i]].name if spatial else None) for t, spatial in chosen[i][slot]
                ]
        outside.append(len(loops))
    kept = [Kept(0, x, 0) for x in OPERANDS]
    return Nest(*dims, tuple(loops), (*kept, *(Kept(lv, x, outside[at]) for at, (lv, x) in enumerate(places))))


def figures(hierarchy, nest):
    """Return energy and cycles of a nest, or nothing where it cannot run."""
    try:
        check_nest(hierarchy, nest, WIDTHS)
    except (InfeasibleError, UsageError):
        return None
    moved = count(hierarchy, nest, WIDTHS)
    return sum(hierarchy_energy(hierarchy, moved).values()), float(lower_bound(hierarchy, moved).cycles)


VALUES = {"energy": lambda e, c: e, "latency": lambda e, c: c, "edp": lambda e, c: e * c}


@settings(max_examples=25, deadline=None)
@given(hierarchies(places=2), st.tuples(*[st.integers(1, 3)] * 3))
def test_no_nest_of_the_space_is_better(hierarchy, dims):
    """All nests of two places and small dimensions; those of the search are among them."""
    known = [f for nest in every_nest(hierarchy, dims) if (f := figures(hierarchy, nest)) is not None]
    for objective, value in VALUES.items():
        if not known:
            with pytest.raises(InfeasibleError):
                search(hierarchy, dims, WIDTHS, objective)
            return
        found = search(hierarchy, dims, WIDTHS, objective)
        best = min(value(*each) for each in known)
        assert value(found.energy_pj, found.cycles) == pytest.approx(best, rel=1e-12)
        assert figures(hierarchy, found.nest) == (found.energy_pj, found.cycles)


@settings(max_examples=60, deadline=None)
@given(hierarchies(places=4), st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 10**6))
def test_no_nest_drawn_at_random_is_better(hierarchy, dims, seed):
    """Four places and larger dimensions, too many to list: draws of them."""
    random = Random(seed)
    axis_of = {axis.dims[0]: axis for axis in hierarchy.axes}
    all_places = [order.places for order in orders(shape_of(hierarchy))]
    for objective, value in VALUES.items():
        try:
            found = search(hierarchy, dims, WIDTHS, objective)
        except InfeasibleError:
            found = None
        for _ in range(60):
            chosen = [drawn_chain(random, e, 4, axis_of.get(d)) for d, e in zip(DIMS, dims, strict=True)]
            turn = random.sample(range(3), 3)
            each = figures(hierarchy, nest_of(dims, random.choice(all_places), chosen, turn, axis_of))
            if each is not None:
                assert found is not None
                assert value(found.energy_pj, found.cycles) <= value(*each) * (1 + 1e-12)


def drawn_chain(random, extent, slots, axis):
    """Draw one of :func:`chains`."""
    at = slots + 1 if axis is None else random.randint(0, slots)
    step, size, found = (1 if axis is None else axis.size), extent, []
    for slot in range(slots + (axis is not None)):
        inner = slot > at
        unit = 1 if inner else step
        size = min(size, unit * random.randint(1, -(-size // unit)))
        found.append([(size, False)])
        if slot == at:
            size = -(-size // axis.size)
            found[-1].append((size, True))
    return [*found, [(1, False)]]


@settings(max_examples=40, deadline=None)
@given(hierarchies(places=4), st.tuples(*[st.integers(1, 40)] * 3), st.sampled_from(sorted(VALUES)))
def test_pruning_changes_nothing(hierarchy, dims, objective):
    try:
        whole = search(hierarchy, dims, WIDTHS, objective, prune=False)
    except InfeasibleError:
        with pytest.raises(InfeasibleError):
            search(hierarchy, dims, WIDTHS, objective)
        return
    found = search(hierarchy, dims, WIDTHS, objective)
    assert found.energy_pj == pytest.approx(whole.energy_pj, rel=1e-12)
    assert found.cycles == pytest.approx(whole.cycles, rel=1e-12)


@pytest.fixture
def scarce(monkeypatch):
    """Tables are listed at length only where they are tiny: bounds come first, then rows where a count changes."""
    caches = (tiles.table, tiles.grains, cases.cases_of, cases.exact_case)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(tiles, "CHEAP", 4)
    monkeypatch.setattr(tiles, "MOST_ROWS", 30)
    yield
    for cache in caches:
        cache.cache_clear()


def test_bounds_and_breaks_change_nothing(scarce):
    @settings(max_examples=60, deadline=None)
    @given(hierarchies(places=4), st.tuples(*[st.integers(1, 40)] * 3), st.sampled_from(sorted(VALUES)))
    def same(hierarchy, dims, objective):
        for cache in (tiles.table, tiles.grains, cases.cases_of, cases.exact_case):
            cache.cache_clear()
        try:
            found = search(hierarchy, dims, WIDTHS, objective)
        except InfeasibleError:
            return
        for cache in (tiles.table, tiles.grains, cases.cases_of, cases.exact_case):
            cache.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tiles, "CHEAP", 10**6)
            patch.setattr(tiles, "MOST_ROWS", 10**6)
            whole = search(hierarchy, dims, WIDTHS, objective)
        value = VALUES[objective]
        best, ours = value(whole.energy_pj, whole.cycles), value(found.energy_pj, found.cycles)
        assert ours == pytest.approx(best, rel=1e-12) if found.complete else ours >= best * (1 - 1e-12)

    same()


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=4))
def test_pieces_of_arrays_are_those_of_numbers(extent, cuts):
    arrays = [(np.array([tile, tile]), counted) for tile, counted in cuts]
    assert (np.broadcast_to(tiles.pieces(extent, arrays), (2,)) == counting.pieces(extent, cuts)).all()


@pytest.mark.parametrize("extent", [5, 8, 9, 31])
def test_tiles_above_an_axis_are_multiples_of_its_size(extent, monkeypatch):
    """Also where a table is nearly too long to be listed."""
    places = Level("L1", (Store(OPERANDS, None),), (), 1.0, 1.0), Level("L2", (Store(OPERANDS, None),), (), 1.0, 1.0)
    top = Level("L0", (Store(OPERANDS, None),), (), 1.0, 1.0)
    shape = shape_of(Hierarchy("h", (top, *places), (Axis("x", ("k",), 2, 2),), 0.0))
    plans = {plan for order in orders(shape) for plan in order.plans if plan.dim == "k" and plan.choices == 2}
    assert plans
    monkeypatch.setattr(tiles, "CHEAP", 4)
    monkeypatch.setattr(tiles, "MOST_ROWS", (-(-extent // 2)) ** 2)
    for plan in plans:
        grain = tiles.grains.__wrapped__(plan, extent)[1]
        assert grain is tiles.Grain.ALL
        table = tiles.table.__wrapped__(plan, extent, grain)
        at = [cut.kind for cut in plan.cuts].index("axis")
        for cut, sizes in zip(plan.cuts[:at], table.tiles, strict=False):
            assert cut.kind != "tile" or ((sizes % 2 == 0) | (sizes == extent)).all()
