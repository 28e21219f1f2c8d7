"""What never costs less: the order of a lattice, and that buffers keep it inside the grid's range."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim.hardware.memory import build_sram, sram_figures
from hwsim.hardware.memory.figures import NAMES
from hwsim.hardware.memory.order import rising

SHAPE = (4, 3, 2)
lattices = arrays(float, (*SHAPE, len(NAMES)), elements=st.floats(-5, 5))
masks = arrays(bool, SHAPE)
ENERGIES = ("read_pj", "write_pj")
SLACK = 1 - 1e-12  # rounding of logarithms


def below(name, a, b):
    """Whether a figure at place ``a`` may not be above that at ``b``, straight from the words of the module."""
    (i, j, k), (m, n, o) = a, b
    fewer_bits = j <= n and (name in ENERGIES or i - j <= m - n)
    return i <= m and fewer_bits and (k == o or (k <= o and name in ("area_mm2", "leakage_mw")))


@given(lattices, masks)
def test_a_raised_lattice_is_in_order_and_raising_it_again_changes_nothing(cells, known):
    found = rising(cells, known)
    assert np.array_equal(rising(found, known), found)
    for f, name in enumerate(NAMES):
        for a, b in product(np.ndindex(SHAPE), repeat=2):
            if below(name, a, b):
                assert found[(*a, f)] <= found[(*b, f)], (name, a, b)


@given(lattices, masks)
def test_known_cells_are_raised_to_known_cells_and_no_further(cells, known):
    found = rising(cells, known)
    places = [place for place in np.ndindex(SHAPE) if known[place]]
    for f, name in enumerate(NAMES):
        for b in places:
            assert found[(*b, f)] == max(cells[(*a, f)] for a in places if below(name, a, b))


@given(lattices)
def test_what_is_in_order_stays(cells):
    everything = np.ones(SHAPE, bool)
    ordered = rising(cells, everything)
    assert np.array_equal(rising(ordered, everything), ordered)
    assert (ordered >= cells).all()


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


@given(octaves, widths, widths, banks, nodes, devices)
def test_a_wider_port_never_costs_less_energy(size, one, other, count, node, device):
    narrow, wide, size = min(one, other), max(one, other), round(2**size)
    if is_built(size, wide, count):
        less, more = build_sram(size, narrow, count, node, device), build_sram(size, wide, count, node, device)
        for name in ENERGIES:
            assert getattr(more, name) >= getattr(less, name) * SLACK, name


@given(st.floats(10, 23), st.floats(3, 9), banks, nodes, devices)
def test_words_of_twice_the_bits_never_cost_less(size, width, count, node, device):
    # At equal capacity a wider array is a shallower one, and CACTI's are then often smaller and faster.
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


def test_the_row_of_cacti_that_undercuts_a_smaller_array_says_so():
    small, large = build_sram(2**16, 16, 1, 90), build_sram(2**18, 16, 1, 90)
    assert math.isclose(large.read_pj, small.read_pj)
    assert large.answered_by == "table, at least what smaller arrays take (estimated)"
    assert "a smaller array, which CACTI's optimum undercuts" in large.sources[0]
    assert large.estimates == (True, False, False, False, False)
