"""The closed form of a loop nest against the walk, on any hierarchy and any nest."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.nest.count import Rules, bounds, count, lower_bound, pieces
from hwsim.simulate.nest.hierarchy import DIMS, OPERANDS, Axis, Hierarchy, Level, Port, Store, Widths
from hwsim.simulate.nest.loops import Kept, Loop, Nest, around, axis_levels, check_nest, from_trips, is_one_piece
from hwsim.simulate.nest.walk import walk
from hwsim.spec.errors import InfeasibleError, UsageError


def level(name, holds="awo", capacity=None):
    return Level(name, (Store(tuple(holds), capacity),), (Port(OPERANDS, ("read", "write"), Fraction(8)),), 1.0, 2.0)


@st.composite
def cases(draw):
    """Any hierarchy of up to four levels with axes anywhere, and any legal nest on it."""
    depth = draw(st.integers(1, 4))
    holds = ["awo"] + [draw(st.sampled_from(["awo", "aw", "o", "w", "ao", "wo", "a"])) for _ in range(depth - 1)]
    axes = []
    for number in range(draw(st.integers(0, 2))):
        dim = draw(st.sampled_from("mkn"))
        axes.append(Axis(f"x{number}", (dim,), 3, draw(st.integers(0, depth - 1)), dim == "k" or draw(st.booleans())))
    deepest_k = min((a.below for a in axes if "k" in a.dims), default=depth - 1)
    hierarchy = Hierarchy(
        "any", tuple(level(f"L{i}", h) for i, h in enumerate(holds)), tuple(axes), 0.5,
        draw(st.integers(0, deepest_k)),
    )  # fmt: skip
    sizes = {dim: draw(st.integers(1, 6)) for dim in DIMS}
    left, loops = dict(sizes), []
    for segment in range(depth + 1):
        for _ in range(draw(st.integers(0, 3))):
            dim = draw(st.sampled_from(DIMS))
            left[dim] = draw(st.integers(1, left[dim]))
            loops.append(Loop(dim, left[dim]))
        for axis in axes:
            if axis.below == segment:
                dim = axis.dims[0]
                left[dim] = draw(st.integers(-(-left[dim] // axis.size), left[dim]))
                loops.append(Loop(dim, left[dim], axis.name))
    loops += [Loop(dim, 1) for dim in draw(st.permutations(DIMS)) if left[dim] > 1]
    bare = Nest(sizes["m"], sizes["k"], sizes["n"], tuple(loops), ())
    kept = [Kept(0, x, 0) for x in OPERANDS]
    for x in OPERANDS:
        outside = 0
        for i in range(1, depth):
            places = [
                at
                for at in range(outside, len(loops) + 1)
                if is_one_piece(bare, around(axis_levels(hierarchy, bare), i, at))
            ]
            if x in holds[i] and places and draw(st.booleans()):
                outside = draw(st.sampled_from(places))
                kept.append(Kept(i, x, outside))
    return hierarchy, replace(bare, kept=tuple(kept))


WIDTHS = Widths(a=3, w=5, psum=11, result=7)


@settings(max_examples=400, deadline=None)
@given(cases())
def test_closed_form_is_the_walk(case):
    hierarchy, nest = case
    check_nest(hierarchy, nest, WIDTHS)
    moved = count(hierarchy, nest, WIDTHS)
    bits, cycles = walk(hierarchy, nest, WIDTHS)
    assert {key: value for key, value in moved.bits.items() if value} == bits
    assert moved.compute_cycles == cycles


def test_pieces_of_uneven_cuts_by_hand():
    assert pieces(10, []) == 1
    assert pieces(10, [(4, True)]) == 3
    assert pieces(10, [(4, True), (3, True)]) == 2 + 2 + 1
    assert pieces(10, [(4, False), (3, True)]) == 2
    assert pieces(3, [(4, True), (3, True)]) == 1


def sram(bits=None, copies=1):
    return Hierarchy(
        "h", (level("DRAM"), Level("SRAM", (Store(("a", "w", "o"), bits, copies),), (), 1.0, 1.0)), (), 0.0
    )


def whole(m=4, k=4, n=4, loops=(), kept=()):
    rest = tuple(Loop(d, 1) for d in DIMS)
    return Nest(m, k, n, (*loops, *rest), (*(Kept(0, x, 0) for x in OPERANDS), *kept))


def test_a_tile_that_does_not_fit_is_refused_with_its_bits():
    nest = whole(kept=[Kept(1, "a", 0)])
    check_nest(sram(16 * 3), nest, WIDTHS)
    with pytest.raises(InfeasibleError, match=r"SRAM: tiles of a, w, o need 48 bits; it has 47"):
        check_nest(sram(47), nest, WIDTHS)
    with pytest.raises(InfeasibleError, match=r"need 96 bits; it has 95"):
        check_nest(sram(95, copies=2), nest, WIDTHS)


def test_nests_that_cannot_run_are_refused():
    deep = Hierarchy("h", (level("A"), level("B"), level("C", "a")), (Axis("rows", ("m",), 2, 1),), 0.0)
    everywhere = tuple(Kept(0, x, 0) for x in OPERANDS)
    loops = tuple(Loop(d, 1) for d in DIMS)
    for nest, message in (
        (Nest(2, 2, 2, (Loop("m", 1),), everywhere), "left over: k 2, n 2"),
        (Nest(2, 2, 2, loops, everywhere[1:]), "a must be kept whole in A"),
        (Nest(2, 2, 2, loops, (*everywhere, Kept(2, "w", 0))), "C does not hold w"),
        (Nest(2, 2, 2, loops, (*everywhere, Kept(1, "a", 2), Kept(2, "a", 1))), "outer level inside of an inner"),
        (Nest(2, 2, 2, (Loop("k", 1, "rows"), *loops), everywhere), "axis rows runs over m, not k"),
        (Nest(4, 1, 1, (Loop("m", 1, "rows"),), everywhere), "axis rows has 2 instances, not 4"),
        (Nest(4, 1, 1, (Loop("m", 2, "rows"), Loop("m", 1)), (*everywhere, Kept(1, "a", 2))), "tile of a in B has holes"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            check_nest(deep, nest, WIDTHS)


def test_trips_must_cover_the_gemm():
    with pytest.raises(UsageError, match=r"m: 6 of 7"):
        from_trips((7, 1, 1), [("m", 3), ("m", 2)], {})


def test_bounds_by_hand():
    """Everything once through SRAM: A 12 elements of 3 bits, W 20 of 5, results 15 of 7, at 8 bits per cycle."""
    moved = count(sram(), whole(3, 4, 5, kept=[Kept(1, x, 0) for x in OPERANDS]), WIDTHS)
    dram, compute = Fraction(12 * 3 + 20 * 5 + 15 * 7, 8), 3 * 4 * 5
    assert [bound.cycles for bound in bounds(sram(), moved)] == [compute, dram]
    assert lower_bound(sram(), moved).what == "compute"


def test_rules_by_hand():
    """One output of three MACs, held in a register: what the tools count differently, in reads."""
    hierarchy = Hierarchy("h", (level("DRAM"), level("Reg", "o")), (), 0.0)
    nest = whole(1, 3, 1, kept=[Kept(1, "o", 0)])
    reads = lambda rules: count(hierarchy, nest, WIDTHS, rules).at(1, "o", "read") // WIDTHS.psum  # noqa: E731
    assert reads(Rules()) == 2 + 1  # two sums and the result
    assert reads(Rules(reads_missing_sums=True)) == 3 + 1
    assert reads(Rules(free_drain=True)) == 2
    still = whole(3, 1, 1)
    assert count(hierarchy, still, WIDTHS).at(0, "w", "read") == 3 * WIDTHS.w
    assert count(hierarchy, still, WIDTHS, Rules(holds_inputs=True)).at(0, "w", "read") == WIDTHS.w
    assert count(hierarchy, still, WIDTHS, Rules(whole_words=True)).at(0, "w", "read") == 8  # 15 bits, words of 8


def test_wires_of_axes_by_hand():
    """A is multicast along n, O meets along k; a bit crosses an axis of its level once, clusters have their own."""
    store = Store(OPERANDS, None)
    levels = (Level("L0", (store,), (), 1.0, 1.0), Level("L1", (store,), (), 1.0, 1.0))
    axes = (Axis("cols", ("n",), 4, 1), Axis("rows", ("k",), 2, 1))
    hierarchy = Hierarchy("h", levels, axes, 0.0, wire_pj_per_bit=(1.0, 1.0))
    loops = (Loop("m", 1), Loop("n", 1, "cols"), Loop("k", 1, "rows"))
    kept = (*(Kept(0, x, 0) for x in OPERANDS), *(Kept(1, x, 0) for x in OPERANDS))
    nest = Nest(3, 2, 4, loops, kept)
    widths = Widths(a=1, w=1, psum=1, result=1)
    # Each cycle 2 elements of A, 8 of W, and 4 sums (none comes down: K is done at once).
    assert count(hierarchy, nest, widths).wire_bits == {"cols": 3 * (2 + 8 + 4), "rows": 3 * (2 + 8 + 4)}
    clusters = replace(hierarchy, axes=(replace(axes[0], below=0), axes[1]))
    inner = Nest(3, 2, 4, loops, (*(Kept(0, x, 0) for x in OPERANDS), Kept(1, "o", 0)))
    # A goes to every cluster, then along the rows of each.
    assert count(clusters, inner, widths).wire_bits == {
        "cols": 3 * 2 + 3 * 8 + 3 * 4,
        "rows": 3 * 2 * 4 + 3 * 8 + 3 * 4,
    }
