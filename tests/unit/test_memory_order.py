"""What never costs less: the order of a lattice, and that buffers keep it inside the grid's range."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim.hardware.memory import build_sram, sram_figures
from hwsim.hardware.memory.figures import NAMES
from hwsim.hardware.memory.grid import key, shipped_grid
from hwsim.hardware.memory.order import STEPS, between, least_change, ordered
from hwsim.hardware.memory.table import COLUMNS
from hwsim.spec.data import read_csv_rows

SHAPE = (4, 3, 2)
lattices = arrays(float, (*SHAPE, len(NAMES)), elements=st.integers(-40, 40).map(lambda n: n / 8))
masks = arrays(bool, SHAPE)
SLACK = 1 - 1e-12  # rounding of logarithms


def below(name, a, b):
    """Whether a figure at place ``a`` may not be above that at ``b``, straight from the words of the module."""
    (i, j, k), (m, n, o) = a, b
    fewer_bits = j <= n and (name != "leakage_mw" or i - j <= m - n)
    return i <= m and fewer_bits and (k == o or (k <= o and name in ("area_mm2", "leakage_mw")))


def in_order(name, values, places):
    return all(values[a] <= values[b] for a in places for b in places if below(name, a, b))


@settings(max_examples=20, deadline=None)
@given(lattices, masks)
def test_all_is_in_order_and_what_is_in_order_stays(cells, known):
    found = between(ordered(cells, known), known)
    for f, name in enumerate(NAMES):
        assert in_order(name, found[..., f], list(np.ndindex(SHAPE)))
    assert np.array_equal(ordered(found, known), found)
    assert np.array_equal(between(found, known), found)


@given(lattices, masks)
def test_only_what_is_known_is_put_in_order_and_the_rest_between(cells, known):
    kept = ordered(cells, known)
    assert np.array_equal(kept[~known], cells[~known])
    assert np.array_equal(between(kept, known)[known], kept[known])


def least_by_levels(values, places, name):
    """The least sum of absolute changes, by a minimum cut per level: an oracle that shares nothing with the solver.

    An order by levels: cells above each threshold are a closed set; its best is found by trying all of them.
    """
    levels = sorted({values[p] for p in places})
    upper = [
        frozenset(s)
        for r in range(len(places) + 1)
        for s in combinations(places, r)
        if all(b in s for a in s for b in places if below(name, a, b))
    ]
    total = 0.0
    for low, high in pairwise(levels):
        wrong = min(sum((p in s) != (values[p] > low) for p in places) for s in upper)
        total += wrong * (high - low)
    return total


@settings(max_examples=30, deadline=None)
@given(lattices, st.sets(st.sampled_from(list(np.ndindex(SHAPE))), min_size=2, max_size=8))
def test_no_other_order_changes_less(cells, places):
    known = np.zeros(SHAPE, bool)
    for place in places:
        known[place] = True
    for f, name in enumerate(NAMES):
        moved = least_change(cells[..., f], known, STEPS[name]) - cells[..., f][known]
        assert np.abs(moved).sum() == pytest.approx(least_by_levels(cells[..., f], sorted(places), name), abs=1e-6)


def test_the_order_that_ships_is_that_of_the_rows_that_ship():
    # One node and device by the solver; the others take as long again. Rounded to the digits of the rows.
    shipped, solved = shipped_grid(), shipped_grid().without(lambda _: False, (45, "hp"))
    known = np.zeros(shipped.table(45, "hp").cells.shape[:3], bool)
    rows = np.full((*known.shape, len(NAMES)), np.nan)
    for row in (*read_csv_rows("memory", "sram_grid.csv"), *read_csv_rows("memory", "sram_banks.csv")):
        node, device, size, width, count = key(row)
        if (node, device) == (45, "hp"):
            place = (size // 1024).bit_length() - 1, (width // 8).bit_length() - 1, count.bit_length() - 1
            known[place], rows[place] = True, [math.log(float(row[column])) for column in COLUMNS]
    for f, name in enumerate(NAMES):
        ours, theirs = (grid.table(45, "hp").cells[..., f] for grid in (shipped, solved))
        assert in_order(name, ours, list(np.ndindex(known.shape))), name
        changes = [np.abs(cells[known] - rows[..., f][known]).sum() for cells in (ours, theirs)]
        assert changes[0] == pytest.approx(changes[1], abs=1e-4), name


@pytest.mark.parametrize("device", ["hp", "lstp", "lop"])
def test_every_table_that_ships_is_in_order(device):
    for node in shipped_grid().nodes(device):
        cells = shipped_grid().table(node, device).cells
        for f, name in enumerate(NAMES):
            for step in STEPS[name]:
                rest = tuple(slice(None, -s or None) for s in step)
                assert (cells[(*(slice(s, None) for s in step), f)] >= cells[(*rest, f)]).all(), (node, name, step)


# Inside the grid's range: its nodes, sizes, widths and banks.
nodes = st.sampled_from([22, 28, 32, 45, 65, 90]) | st.floats(22, 90)
devices = st.sampled_from(["hp", "lstp", "lop"])
octaves = st.floats(10, 24)
widths = st.floats(3, 10).map(lambda power: round(2**power))
banks = st.integers(1, 8)


def is_built(size, width, count):
    return size * 8 >= 32 * width * count


@given(octaves, octaves, widths, banks, nodes, devices)
def test_more_capacity_never_costs_less(one, other, width, count, node, device):
    small, large = sorted((round(2**one), round(2**other)))
    if is_built(small, width, count):
        less, more = build_sram(small, width, count, node, device), build_sram(large, width, count, node, device)
        for name in NAMES:
            assert getattr(more, name) >= getattr(less, name) * SLACK, name


WIDER = [name for name in NAMES if name != "leakage_mw"]


@given(octaves, widths, widths, banks, nodes, devices)
def test_a_wider_port_never_costs_less(size, one, other, count, node, device):
    narrow, wide, size = min(one, other), max(one, other), round(2**size)
    if is_built(size, wide, count):
        less, more = build_sram(size, narrow, count, node, device), build_sram(size, wide, count, node, device)
        for name in WIDER:
            assert getattr(more, name) >= getattr(less, name) * SLACK, name


@given(
    octaves, octaves, widths, widths, banks, st.sampled_from([300.0, 333.0, 380.0]), st.sampled_from(["1rw", "1r1w"])
)
def test_many_at_once_keep_the_order_too(one, other, first, second, count, kelvin, ports):
    sizes, bits = np.sort(np.round(np.exp2([one, other]))), np.sort([first, second])
    if is_built(sizes[0], bits[1], count):
        found = sram_figures(sizes[:, None], bits, count, 28, "lstp", kelvin, ports)
        for name in NAMES:
            assert (found[name][1] >= found[name][0] * SLACK).all(), name
        for name in WIDER:
            assert (found[name][:, 1] >= found[name][:, 0] * SLACK).all(), name


@given(st.floats(10, 23), st.floats(3, 9), banks, nodes, devices)
def test_words_of_twice_the_bits_never_cost_less(size, width, count, node, device):
    size, width = round(2**size), round(2**width)
    if is_built(size, width, count):
        less, more = build_sram(size, width, count, node, device), build_sram(2 * size, 2 * width, count, node, device)
        for name in NAMES:
            assert getattr(more, name) >= getattr(less, name) * SLACK, name


@given(octaves, widths, banks, banks, nodes, devices)
def test_more_banks_never_take_less_area_or_leakage(size, width, one, other, node, device):
    few, many, size = min(one, other), max(one, other), round(2**size)
    if is_built(size, width, many):
        less, more = build_sram(size, width, few, node, device), build_sram(size, width, many, node, device)
        assert more.area_mm2 >= less.area_mm2 * SLACK
        assert more.leakage_mw >= less.leakage_mw * SLACK


@pytest.mark.parametrize("device", ["hp", "lstp", "lop"])
@pytest.mark.parametrize("node", [7, 12, 22, 28, 40, 65, 90])
def test_no_figure_is_negative_or_not_a_number_anywhere(node, device):
    octave, bits, count = np.meshgrid(np.linspace(10, 28, 73), np.linspace(0, 13, 53), [1, 2, 3, 4, 8, 9, 64])
    size, width = np.round(2**octave), np.round(2**bits)
    built = size * 8 >= 32 * width * count
    for name, found in sram_figures(size[built], width[built], count[built], node, device).items():
        assert np.isfinite(found).all(), name
        assert (found > 0).all(), name


def test_rows_of_cacti_that_are_out_of_order_meet():
    # 73.1 and 62.9 pJ in CACTI's rows
    small, large = build_sram(2**16, 16, 1, 90), build_sram(2**18, 16, 1, 90)
    assert math.isclose(large.read_pj, small.read_pj)
    assert 62.9 < large.read_pj < 73.2
    assert "put in order of size" in large.answered_by + small.answered_by
    moved = [row for sram in (small, large) for row in sram.rows() if "moved least such that" in row.source]
    assert all(row.estimated for row in moved)
    assert "read_pj" in {row.quantity for row in moved}
