"""Tile programs: run-length-coded steps say exactly what a walk over all tiles says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.schedule import (
    LOOP_ORDERS,
    OperandBits,
    Repeat,
    Step,
    Tiling,
    classes,
    expand,
    loop_visits,
    moved_bits,
    tile_program,
)
from tests.support.machines import gemm, schedules

WHOLE = OperandBits(8, 8, 16, 32)


def leaves(nodes):
    return sum(1 if isinstance(node, Step) else leaves(node.body) for node in nodes)


@given(st.integers(1, 200), st.integers(1, 200))
def test_classes_cover_a_loop_exactly(extent, tile):
    tile = min(tile, extent)
    found = classes(extent, tile)
    assert sum(count * size for count, size, _, _ in found) == extent
    assert sum(count for count, *_ in found) == -(-extent // tile)
    assert [first for *_, first, _ in found] == [True] + [False] * (len(found) - 1)
    assert [last for *_, last in found] == [False] * (len(found) - 1) + [True]


@settings(max_examples=80)
@given(schedules())
def test_a_program_has_one_step_per_tile_and_few_of_its_own(case):
    schedule, of = case
    visits = loop_visits(schedule.gemm, schedule.tiling)
    steps = expand(schedule.body)
    assert len(steps) == len(visits)
    assert leaves(schedule.body) <= 27
    for step, visit in zip(steps, visits, strict=True):
        (_, m), (k0, k), (_, n) = visit["m"], visit["k"], visit["n"]
        assert step.compute_cycles == of.dataflow.tile_cycles(of.shape, m, k, n, k0 == 0)
    assert sum(step.compute_cycles for step in steps) == schedule.compute_cycles
    assert moved_bits(schedule.body) == (sum(s.load_bits for s in steps), sum(s.store_bits for s in steps))


@settings(max_examples=80)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 9)] * 3), st.sampled_from(LOOP_ORDERS),
       st.tuples(*[st.booleans()] * 3))  # fmt: skip
def test_what_is_held_moves_once_and_everything_else_every_time(dims, tiles, order, holds):
    m, k, n = dims
    tiles = tuple(min(pair) for pair in zip(dims, tiles, strict=True))
    trips = [-(-d // t) for d, t in zip(dims, tiles, strict=True)]
    hold_a, hold_w, hold_o = holds
    body = tile_program(gemm(m, n, k), Tiling(*tiles, order, *holds), WHOLE, lambda *tile: 1)
    load, store = moved_bits(body)
    spilled = 0 if hold_o else m * n * (trips[1] - 1)
    a_loads, w_loads = (1 if hold_a else trips[2]), (1 if hold_w else trips[0])
    assert load == 8 * m * k * a_loads + 8 * k * n * w_loads + 32 * spilled
    assert store == 16 * m * n + 32 * spilled


def test_elements_move_in_whole_bits():
    bits = OperandBits(w=33, a=64, o=64, psum=256, denominator=8)
    assert [bits.move(e, "w") for e in (0, 1, 2, 8)] == [0, 5, 9, 33]
    assert bits.move(3, "psum") == 96


def test_steps_of_a_small_program_by_hand():
    # M = 3 in tiles of 2, K = 4 in tiles of 2, N = 1: sums are spilled between the two tiles of K.
    tiling = Tiling(2, 2, 1, "kmn", hold_a=False, hold_w=True, hold_o=False)
    steps = expand(tile_program(gemm(3, 1, 4), tiling, WHOLE, lambda m, k, n, first: m))
    assert steps == [
        Step(8 * 4 + 8 * 2, 2, 32 * 2, opens=True, reloads=False),
        Step(8 * 2, 1, 32 * 1, opens=True, reloads=False),
        Step(8 * 4 + 8 * 2 + 32 * 2, 2, 16 * 2, opens=True, reloads=True),
        Step(8 * 2 + 32 * 1, 1, 16 * 1, opens=True, reloads=True),
    ]


def test_long_loops_are_repeats():
    body = tile_program(gemm(1000, 1, 1), Tiling(1, 1, 1, "mkn", True, True, True), WHOLE, lambda *tile: 1)
    assert [node.count for node in body if isinstance(node, Repeat)] == [998]
