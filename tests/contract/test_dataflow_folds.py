"""Folds that overlap, double buffers, ragged folds: never slower, and not a cycle faster than the array can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.simulate.dataflow import DATAFLOWS, ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import TileOperands
from hwsim.spec.errors import ConservationError
from tests.contract.test_dataflow_contract import run_stepped, shapes
from tests.support.machines import IntegerUnit

NAMES = DATAFLOWS.names()
OPTIONS = ("double_buffer", "fold_overlap", "used_only")
dims_of = st.tuples(*[st.integers(1, 9)] * 3)


def run_bounded(stepped, cycles):
    """Step at most so many cycles: a program that is wrong need not end."""
    for _ in range(cycles):
        if next(stepped, True):
            return
    raise AssertionError("it neither ends nor is refused")


def operands(dims, first_k=True):
    m, k, n = dims
    rng = np.random.default_rng(m * k * n)
    a, w = rng.integers(0, 16, (m, k)).astype(np.uint32), rng.integers(0, 16, (k, n)).astype(np.uint32)
    return TileOperands(a, w, None if first_k else rng.integers(0, 999, (m, n)), None, None)


#: The loops that are cut into folds, by what is stationary.
LOOPS = {"w": "kn", "a": "mk", "o": "mn"}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(shapes, st.tuples(*[st.integers(4, 9)] * 3), st.data())
def test_no_fold_could_begin_a_cycle_earlier(name, shape, dims, data):
    flow = get_dataflow(name)
    # Folds of different sizes follow one another by a simpler rule; so do second registers that take sums both ways.
    shape = replace(shape, rows=min(shape.rows, 3), cols=min(shape.cols, 3), used_only=False)
    first_k = flow.stationary == "o" or data.draw(st.booleans())
    unit, sizes = flow.units(shape), dict(zip("mkn", dims, strict=True))
    first, second = (-(-sizes[loop] // unit[loop]) for loop in LOOPS[flow.stationary])
    assume(first * second > 1)
    fold = data.draw(st.integers(1, first * second - 1))
    with pytest.raises(ConservationError, match="stepped array"):
        run_bounded(flow.stepped(shape, IntegerUnit(), operands(dims, first_k), hurry=fold), 20_000)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(shapes, st.tuples(*[st.integers(1, 60)] * 3), st.booleans())
def test_every_option_saves_cycles_or_leaves_them(name, shape, dims, first_k):
    flow = get_dataflow(name)
    cycles = flow.tile_cycles(shape, *dims, first_k)
    for option in OPTIONS:
        if getattr(shape, option):
            assert cycles <= flow.tile_cycles(replace(shape, **{option: False}), *dims, first_k), option


def test_figures_by_hand():
    ws, os_ = get_dataflow("weight_stationary"), get_dataflow("output_stationary")
    plain = ArrayShape(4, 4, 1)
    both = replace(plain, double_buffer=True, fold_overlap=True)
    # Eight folds of four rows and columns, ten vectors each: loads of 4 and skews of 6 beside 10 of work.
    tile = (10, 16, 8)
    found = [ws.tile_cycles(replace(plain, **o), *tile, True) for o in (
        {}, {"double_buffer": True}, {"fold_overlap": True}, {"double_buffer": True, "fold_overlap": True})]  # fmt: skip
    assert found == [8 * 20, 4 + 8 * 16, 8 * 14 + 6, 4 + 8 * 10 + 6]
    # A single vector: four cycles of load are all that is left, and sums are out in time.
    assert ws.tile_cycles(both, 1, 16, 8, True) == 8 * 4 + 1 + 6
    # Six folds of ten steps, drained in four.
    tile = (8, 10, 12)
    found = [os_.tile_cycles(replace(plain, **o), *tile, True) for o in (
        {}, {"double_buffer": True}, {"fold_overlap": True}, {"double_buffer": True, "fold_overlap": True})]  # fmt: skip
    assert found == [6 * 20, 6 * 16 + 4, 6 * 14 + 6, 6 * 10 + 6 + 4]
    # One row and column of sixteen in use: load, ten vectors, no skew.
    assert ws.tile_cycles(replace(plain, used_only=True), 10, 1, 1, True) == 1 + 10
    assert os_.tile_cycles(replace(plain, used_only=True), 1, 10, 1, True) == 10 + 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), dims_of)
def test_scalesims_output_stationary_cycles_step_too(rows, cols, dims):
    flow, shape = get_dataflow("output_stationary"), ArrayShape(rows, cols, 1, drain_interval=0)
    m, k, n = dims
    given_operands = operands(dims)
    cycles, out = run_stepped(flow.stepped(shape, IntegerUnit(), given_operands))
    folds = -(-m // rows) * -(-n // cols)
    assert cycles == flow.tile_cycles(shape, m, k, n, True) == folds * (rows + cols + k - 2)
    assert np.array_equal(out, given_operands.a.astype(np.int64) @ given_operands.w.astype(np.int64))
