"""The cube by hand: cycles, faces, wires; and that it differs from a broadcast array only in how sums move."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.evaluate import evaluate
from hwsim.workload import Gemm, Trace
from tests.contract.test_dataflow_contract import shapes
from tests.support.small import array, small

CUBE = get_dataflow("cube")
INT8 = parse_format("int8")


def test_figures_by_hand():
    shape = ArrayShape(16, 16, 16)
    assert CUBE.tile_cycles(shape, 16, 16, 16, True) == 1 + 1  # a product of 16³, and its face leaves
    assert CUBE.tile_cycles(shape, 1, 1, 1, True) == 1 + 1
    assert CUBE.tile_cycles(shape, 16, 16, 16, False) == 1 + 1 + 1
    # Two by three folds of ten steps and five left over.
    tile = (32, 165, 40)
    assert CUBE.tile_cycles(shape, *tile, True) == 6 * (11 + 1)
    assert CUBE.tile_cycles(replace(shape, double_buffer=True), *tile, True) == 6 * 11 + 1
    assert CUBE.tile_cycles(replace(shape, drain_interval=32, double_buffer=True), *tile, True) == 11 + 6 * 32
    assert CUBE.tile_cycles(replace(shape, fold_overlap=True), *tile, False) == 1 + 6 * (11 + 1)


@settings(max_examples=60)
@given(shapes, st.tuples(*[st.integers(1, 60)] * 3), st.booleans())
def test_no_cycle_depends_on_the_share_of_a_face_in_use(shape, dims, first_k):
    used, padded = replace(shape, used_only=True), replace(shape, used_only=False)
    assert CUBE.tile_cycles(used, *dims, first_k) == CUBE.tile_cycles(padded, *dims, first_k)


@settings(max_examples=60)
@given(shapes, st.tuples(*[st.integers(1, 60)] * 3), st.booleans())
def test_one_row_is_a_broadcast_array(shape, dims, first_k):
    row, broadcast = replace(shape, rows=1), get_dataflow("broadcast")
    assert CUBE.tile_cycles(row, *dims, first_k) == broadcast.tile_cycles(row, *dims, first_k)


def test_depth_is_the_lanes_of_the_pe():
    pe = {"family": "int_mac", "w_format": "int8", "a_format": "int8"}
    flat, deep = (small(pe={**pe, "lanes": lanes}, array=array("cube", 8, 8)).accelerator for lanes in (1, 8))
    assert deep.peak_macs_per_s(INT8, INT8) == 8 * flat.peak_macs_per_s(INT8, INT8) == 8**3 * deep.spec.clock
    # Trees share their accumulators: more than one PE, less than eight.
    for name in ("area_um2", "leakage_nw"):
        assert getattr(flat.pe_price, name) < getattr(deep.pe_price, name) < 8 * getattr(flat.pe_price, name)


def test_sums_go_by_the_face_on_wires_without_registers():
    cube, rows = (small("int8", array=array(name, 8, 8)) for name in ("cube", "broadcast"))
    assert cube.accelerator.srams["o"].width_bits == 8 * rows.accelerator.srams["o"].width_bits
    moved = [m.unit_costs(INT8, INT8).shift_pj_per_bit["o"] for m in (rows, cube)]
    register = cube.accelerator.technology.price(Register(1)).energy_fj * 1e-3
    assert moved[0] - moved[1] == pytest.approx(4.5 * register)
    trace = Trace("t", (Gemm("g", m=64, n=64, k=8),), {})
    cycles = [evaluate(m, trace).layer_rows[0]["compute_cycles"] for m in (rows, cube)]
    assert cycles == [64 * (8 + 8), 64 * (8 + 1)]


def test_a_narrow_port_takes_a_face_in_as_many_cycles_as_it_needs():
    memories = {name: {"size": 8192} for name in ("weights", "activations", "outputs")}
    memories["outputs"] = {"size": 8192, "port_bits": 48}  # a face of 16 sums of 32 bits
    shape = small("int8", array=array("cube"), memories=memories).machine(INT8, INT8, INT8).shape
    assert (shape.interval, shape.drain_interval) == (1, 11)
