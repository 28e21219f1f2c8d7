"""Row-stationary arrays by hand: blocks, slots, folds; and what scratchpads cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Mux, Register
from hwsim.hardware.memory.register_file import build_register_file
from hwsim.hardware.scratchpads import build_pad
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Block, Extents, Pads
from hwsim.simulate.dataflow.row_stationary import blocks
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import example_path
from hwsim.spec.errors import InfeasibleError, SpecError, UsageError
from hwsim.workload import Gemm, Trace, load_workload
from tests.support.small import array, small

ROWS = get_dataflow("row_stationary")
INT8 = parse_format("int8")
#: Three rows of four PEs, blocks of two activations and five sums.
SHAPE = ArrayShape(3, 4, 1, pads=Pads(10, 2, 5))


def test_blocks_are_what_fits_all_three_pads():
    eyeriss = blocks(Pads(224, 12, 24), 1, None)
    assert eyeriss[0] == Block(10, 22)  # 220 of 224 words; as many as 11 × 20, and an activation is used more often
    assert {block.k: block.n for block in eyeriss}[12] == 18
    assert {block.k: block.n for block in eyeriss}[1] == 24
    assert {block.k for block in blocks(Pads(224, 12, 24), 4, None)} == {4, 8, 12}  # whole steps
    assert {block.k for block in blocks(Pads(224, 12, 24), 1, 32)} == {1, 2, 4, 8}  # whole parts of a scale group
    with pytest.raises(InfeasibleError, match="array.scratchpads: .* at least the PE's 16 lanes"):
        blocks(Pads(224, 12, 24), 16, None)


@given(st.tuples(*[st.integers(1, 40)] * 3), st.sampled_from([1, 2, 4]))
def test_no_block_is_larger_than_its_pads(sizes, lanes):
    pads = Pads(sizes[0] * lanes, sizes[1] * lanes, sizes[2])
    found = blocks(pads, lanes, None)
    for block in found:
        assert block.k * block.n <= pads.weights
        assert block.k <= pads.activations
        assert 1 <= block.n <= pads.sums
        assert (
            block.k == pads.activations
            or block.n == 1
            or block.k * (block.n + 1) > pads.weights
            or block.n == pads.sums
        )
    best = max(
        k * n for k in range(lanes, pads.activations + 1, lanes) for n in range(pads.sums + 1) if k * n <= pads.weights
    )
    assert found[0].k * found[0].n == best


def test_figures_by_hand():
    # One fold of 6 × 5 weights, three vectors per column: ten steps each. A load of ten, a row begins six later.
    assert ROWS.tile_cycles(SHAPE, 12, 6, 5, True) == 10 + 3 * 10 + 2 * 6
    # Two folds of N alone, and with what overlaps: the last row's ten steps, its load, or neither.
    assert ROWS.tile_cycles(SHAPE, 12, 6, 10, True) == 2 * (10 + 30 + 12)
    assert ROWS.tile_cycles(replace(SHAPE, fold_overlap=True), 12, 6, 10, True) == 2 * (10 + 30) + 12
    assert ROWS.tile_cycles(replace(SHAPE, double_buffer=True), 12, 6, 10, True) == 10 + 2 * (30 + 12)
    both = replace(SHAPE, double_buffer=True, fold_overlap=True)
    assert ROWS.tile_cycles(both, 12, 6, 10, True) == 10 + 2 * 30 + 12
    # Two folds of K, one vector per column: the second waits for the first's sums, three rows of six later.
    assert ROWS.tile_cycles(both, 4, 12, 5, True) == 10 + 3 * 6 + 10 + 2 * 6
    # A slow port for activations: one of two steps along K per nine cycles instead of five.
    assert ROWS.tile_cycles(replace(SHAPE, feed_interval=9), 12, 6, 5, True) == 10 + 2 * 18 + (9 + 5) + 2 * (9 + 1)
    # A slow port for sums: five of them leave in twenty cycles.
    assert ROWS.tile_cycles(replace(SHAPE, drain_interval=4), 12, 6, 5, True) == 10 + 2 * 20 + 10 + 2 * 6
    # One row, one step, two sums in use.
    assert ROWS.tile_cycles(replace(SHAPE, used_only=True), 12, 1, 2, True) == 2 + 3 * 2


def test_an_activation_is_fetched_once_per_fold_of_n_and_a_weight_once_per_tile():
    loops = Extents(24, 12, 2), Extents(12, 12, 1), Extents(10, 10, 1)
    found = ROWS.totals(SHAPE, *loops)
    assert found.sram_a_read == 24 * 12 * 2
    assert found.sram_w_read == 12 * 10 * 2
    assert (found.sram_psum_write, found.sram_psum_read) == (2 * 240, 240)


@settings(max_examples=60)
@given(st.tuples(*[st.integers(1, 60)] * 3), st.integers(1, 6), st.integers(1, 6))
def test_a_pe_without_pads_holds_one_weight(dims, rows, cols):
    shape = ArrayShape(rows, cols, 1)
    m, k, n = dims
    vectors, folds = -(-m // cols), -(-k // rows) * n
    assert ROWS.tile_cycles(shape, m, k, n, True) == folds * (1 + vectors + rows - 1)


def test_the_mapper_takes_the_block_that_suits_the_gemm():
    machine = small(
        array={**array("row_stationary", 4, 4), "scratchpads": {"weights": 48, "activations": 12, "sums": 24}}
    )
    chosen = {n: machine.machine(INT8, INT8, INT8, Gemm("g", m=64, n=n, k=96)).shape.block for n in (2, 24, 25)}
    assert all(block.k * block.n <= 48 for block in chosen.values())
    assert chosen[2].n <= 2
    assert chosen[25].n < 25
    for n, block in chosen.items():
        assert -(-n // block.n) * (block.n - 1) < n  # as even as that many folds can be


def test_small_pads_are_registers_and_large_ones_register_files():
    technology = small("int8").accelerator.technology
    few, many = build_pad(12, 16, technology), build_pad(224, 16, technology, "lstp")
    held, select, word = (technology.price(part) for part in (Register(192), Mux(16, 12), Register(16)))
    assert few.area_um2 == pytest.approx(held.area_um2 + select.area_um2)
    assert few.read_pj == pytest.approx(select.energy_fj * 1e-3)
    assert few.write_pj == pytest.approx((word.energy_fj + word.clock_fj) * 1e-3)
    file = build_register_file(224, 16, 1, 1, 28, "lstp")
    assert (many.read_pj, many.write_pj) == (file.read_pj, file.write_pj)
    assert many.area_um2 == pytest.approx(file.area_mm2 * 1e6)
    with pytest.raises(InfeasibleError, match="above that it is SRAM"):
        build_pad(65_536, 16, technology)


def test_scratchpads_have_area_leakage_and_energy():
    machine, plain = small(array=array("row_stationary", 4, 3)), small(array=array("weight_stationary", 4, 3))
    pads, acc = machine.accelerator.scratchpads, machine.accelerator
    assert acc.area_breakdown_mm2["scratchpads"] == pytest.approx(12 * pads.area_um2 * 1e-6)
    assert acc.leakage_w > plain.accelerator.leakage_w
    assert acc.pe_pitch_mm > plain.accelerator.pe_pitch_mm
    new, old = (m.unit_costs(INT8, INT8) for m in (machine, plain))
    assert new.pe_register_pj_per_step == pytest.approx(old.pe_register_pj_per_step + pads.step_pj)
    assert new.pad_pj_per_bit["w"] == pytest.approx(3 * pads.weights.write_pj / 8)  # into all PEs of a row
    assert new.shift_pj_per_bit["w"] == 0 < new.bus_pj_per_bit["w"]
    double = small(array={**array("row_stationary", 4, 3), "weight_double_buffer": True}).accelerator
    assert double.second_register is None
    second = double.area_breakdown_mm2["scratchpads"] - acc.area_breakdown_mm2["scratchpads"]
    assert second == pytest.approx(12 * pads.weights.area_um2 * 1e-6)


def test_energy_of_a_gemm_counts_every_access_of_the_pads():
    machine = small(array=array("row_stationary", 4, 3), costs={"leave_out": ["array_wires"]})
    gemm = Gemm("g", m=12, n=8, k=16)
    row = evaluate(machine, Trace("t", (gemm,), {})).layer_rows[0]
    pads, unit = machine.accelerator.scratchpads, machine.unit_costs(INT8, INT8)
    found = machine.machine(INT8, INT8, INT8, gemm)
    traffic = ROWS.totals(found.shape, *(Extents(extent, extent, 1) for extent in (12, 16, 8)))
    written = traffic.sram_w_read * 3 * pads.weights.write_pj
    fetched = traffic.sram_a_read * (pads.activations.write_pj + pads.activations.read_pj)
    steps = 12 * 8 * 16 * unit.pe_register_pj_per_step
    clock = row["compute_cycles"] * unit.array_clock_pj_per_cycle
    assert row["energy_rf_pj"] == pytest.approx(written + fetched + steps + clock)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"dataflow": "row_stationary"}, "array.scratchpads: is missing: a row_stationary array needs it"),
     ({"scratchpads": {"weights": 8, "activations": 2, "sums": 2}}, "has no meaning for a weight_stationary array"),
     ({"dataflow": "row_stationary", "scratchpads": {"weights": 0, "activations": 2, "sums": 2}}, "must be at least 1, not 0")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(changed, message):
    with pytest.raises((SpecError, ValueError), match=message):
        small("int8", array={**array(), **changed})


def test_pes_whose_cycles_depend_on_data_are_refused():
    machine = small(pe={"family": "laconic", "lanes": 2}, array=array("row_stationary"))
    with pytest.raises(UsageError, match="keeps time by counting, and cycles of pe laconic"):
        machine.machine(INT8, INT8, INT8)


def test_the_example_runs_alexnet_close_to_what_its_pes_can():
    machine = open_arch(example_path("arch_configs", "eyeriss_like_65nm"))
    rows = [row for row in evaluate(machine, load_workload("alexnet")).layer_rows if row["layer"].endswith(".conv")]
    assert len(rows) == 5
    assert sum(row["macs"] for row in rows) == 655_566_528  # the single-tower AlexNet of torchvision
    # Published: 35 frames/s on the convolutions of the two-tower AlexNet (666 M MACs), 28.6 ms each (JSSC 2017, abstract).
    assert 655_566_528 / (12 * 14 * 200e6) * 1e6 <= sum(row["time_us"] for row in rows) < 28.6e3
    assert all(0.8 < row["utilization"] < 1 for row in rows)


def test_engines_agree_on_the_example():
    machine = open_arch(example_path("arch_configs", "eyeriss_like_65nm"))
    trace = Trace("t", (Gemm("a", m=29, n=33, k=150), Gemm("b", m=1, n=40, k=130)), {})
    fast, event, stepped = (evaluate(machine, trace, engine).layer_rows for engine in ("fast", "event", "pe"))
    assert fast == event == stepped
    assert np.isfinite(fast[0]["energy_pj"])
