"""Interpolation on a lattice with holes: exact on its rows, and on planes everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory.figures import NAMES, Answer
from hwsim.hardware.memory.table import COLUMNS, Table, grown

SIZES, WIDTHS = [2**i for i in range(10, 16)], [8, 16, 32, 64]
EXPONENTS = {"read_pJ": (0.5, 0.6), "write_pJ": (0.4, 0.7), "leak_mW_total": (1, 0), "area_mm2": (1, 0.1), "access_ns": (0.3, -0.1)}  # fmt: skip


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
        assert found == Answer(found.figures, "table", ("a law",) * 5, (False,) * 5)


@pytest.mark.parametrize(("size", "width"), [(SIZES[0], WIDTHS[2]), (SIZES[0] + 0.5, WIDTHS[0]), (SIZES[1], 8.5)])
def test_all_else_is_interpolated_and_says_so(table, size, width):
    found = table.at(size, width)
    assert found.how == "interpolation"
    assert found.sources == ("a law; interpolated between rows, exact",) * 5
    assert all(found.estimates)


def test_times_states_reasons_only_where_given():
    start = Answer((1.0, 2.0, 3.0, 4.0, 5.0), "table", ("s",) * 5, (False,) * 5)
    found = start.times((2, 1, 1, 1, 1), ("why", "", "", "", ""), "doubled")
    assert found == Answer((2, 2, 3, 4, 5), "table, doubled", ("s; × 2: why", *("s",) * 4), (True, *(False,) * 4))


def test_growth_multiplies_by_powers_of_the_ratio_and_leaves_the_table_alone():
    start = Answer((1.0,) * 5, "table", ("s",) * 5, (False,) * 5)
    assert grown(start, "sram", "size_bytes", 1) is start
    once, twice = (grown(start, "sram", "port_bits", r).figures for r in (2, 4))
    assert twice == pytest.approx([f**2 for f in once], rel=1e-12)
    assert dict(zip(NAMES, once, strict=True))["read_pj"] == pytest.approx(2**1.45)
    assert math.prod(once) > 1
