"""Interpolation on a lattice with holes: exact on its rows, and on planes everywhere."""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim.hardware.memory.figures import NAMES, Answer, Story, alike
from hwsim.hardware.memory.table import COLUMNS, Table, corners, grown, linear

SIZES, WIDTHS = [2**i for i in range(10, 16)], [8, 16, 32, 64]
EXPONENTS = {"read_pJ": (0.5, 0.6), "write_pJ": (0.4, 0.7), "leak_mW_total": (1, 0), "area_mm2": (1, 0.1), "access_ns": (0.3, -0.1), "cycle_ns": (0.1, 0.2)}  # fmt: skip


def law(column, size, width):
    """A power law is a plane in the logarithms."""
    a, b = EXPONENTS[column]
    return 1e-3 * size**a * width**b


def rows(keep):
    return [
        {"size_bytes": str(s), "word_bits": str(w), **{c: repr(law(c, s, w)) for c in COLUMNS}}
        for i, s in enumerate(SIZES)
        for j, w in enumerate(WIDTHS)
        if keep(i, j)
    ]


@pytest.fixture(scope="module")
def table():
    return Table(rows(lambda i, j: (i + j) % 3 != 2), "a law", "exact")


@given(st.floats(SIZES[0], SIZES[-1]), st.floats(WIDTHS[0], WIDTHS[-1]))
def test_a_power_law_is_found_everywhere_even_in_holes_and_corners(size, width):
    for table in (Table(rows(lambda i, j: True), "", ""), Table(rows(lambda i, j: (i + j) % 3 != 2), "", "")):
        found = table.at(size, width).figures
        # the least squares solution of a few dozen cells is exact to rounding
        assert found == pytest.approx([law(c, size, width) for c in COLUMNS], rel=1e-9)


def test_rows_answer_exactly_and_say_so(table):
    for row in rows(lambda i, j: (i + j) % 3 != 2):
        found = table.at(int(row["size_bytes"]), int(row["word_bits"]))
        assert found.figures == tuple(float(row[c]) for c in COLUMNS)
        assert found.tell() == ("table", ("a law",) * 6, (False,) * 6)


@pytest.mark.parametrize(("size", "width"), [(SIZES[0], WIDTHS[2]), (SIZES[0] + 0.5, WIDTHS[0]), (SIZES[1], 8.5)])
def test_all_else_is_interpolated_and_says_so(table, size, width):
    found = table.at(size, width)
    assert found.tell() == ("interpolation", ("a law; interpolated between rows, exact",) * 6, (True,) * 6)


START = Answer([0.0] * 6, partial(Story.of, "table", "s", False))


def test_factors_state_reasons_only_where_given():
    logs = [math.log(2), *[0.0] * 5]
    found = START.plus(logs, lambda: ("doubled", ["why", *[""] * 5]))
    assert found.figures == (2, 1, 1, 1, 1, 1)
    assert found.tell() == ("table, doubled", ("s; × 2: why", *["s"] * 5), (True, *[False] * 5))


def test_what_is_only_said_moves_no_figure_and_makes_estimates():
    row = Answer([0.0] * 6, START.tell, (1.0,) * 6)
    found = row.said(lambda: alike("as it is", "why"))
    assert found.figures is row.figures
    assert found.tell() == ("table, as it is", ("s; × 1: why",) * 6, (True,) * 6)


def test_growth_multiplies_by_powers_of_the_ratio_and_leaves_the_table_alone():
    assert grown(START, "sram", "size_bytes", 1) is START
    once, twice = (grown(START, "sram", "port_bits", r).figures for r in (2, 4))
    assert twice == pytest.approx([f**2 for f in once], rel=1e-12)
    assert dict(zip(NAMES, once, strict=True))["read_pj"] == pytest.approx(2**1.45)
    assert math.prod(once) > 1


@given(arrays(float, (3, 4, 2, 6), elements=st.floats(-5, 5)), st.floats(0, 2), st.floats(0, 3), st.floats(0, 1))
def test_the_cells_around_a_place_are_what_linear_interpolation_takes(cells, size, width, banks):
    place = size, width, banks
    found = linear(cells.reshape(-1, 6).tolist(), corners(cells.shape[:3], *place))
    slow = cells
    for p in place:
        low = min(int(p), len(slow) - 2)
        slow = (1 - (p - low)) * slow[low] + (p - low) * slow[low + 1]
    assert found == pytest.approx(slow, abs=1e-12)
