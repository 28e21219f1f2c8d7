"""SIMD cores by hand: instructions of a fold, two pipes, conversions; T-MAC's counts; what cores cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.cpu import tmac_work
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Extents, Issue
from hwsim.simulate.dataflow.simd import Kernel
from hwsim.simulate.dataflow.simd_core import Core, Instruction
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import build_schedule
from hwsim.simulate.nest.from_schedule import nest_of
from hwsim.simulate.schedule import Tiling
from hwsim.spec.data import example_path
from hwsim.spec.errors import ConservationError, MissingFigureError, SpecError, UsageError
from hwsim.workload import Gemm, Trace
from tests.contract.test_dataflow_contract import shapes
from tests.support.machines import machine
from tests.support.small import NEEDS, array, small

SIMD = get_dataflow("simd")
INT4, INT8 = parse_format("int4"), parse_format("int8")
#: One core, one lane, 2 × 2 sums, four elements of K at a time: the inner loop of CMSIS-NN.
CMSIS = Issue(2, 2, 2, 1, 1, 2, 2, 0, 0, 1)


def test_figures_by_hand():
    core = ArrayShape(1, 1, 2, issue=CMSIS)
    # Two weight words loaded and widened, two times two words of activations, eight SMLAD per four elements.
    assert Kernel(core, 2, 2).steps(2) == 2 * (1 + 2) + 2 * 2 + 8
    assert SIMD.tile_cycles(core, 2, 16, 2, True) == 4 * 18 + 4  # and four sums to store
    assert SIMD.tile_cycles(core, 2, 16, 2, False) == 4 * 18 + 8
    # Six elements: two groups of loads, three steps of MACs.
    assert SIMD.tile_cycles(core, 2, 6, 2, True) == 2 * 10 + 3 * 4 + 4
    # One pixel: half of the activations and MACs, all of the weights.
    assert SIMD.tile_cycles(core, 1, 4, 2, True) == (2 * 3 + 2 + 4) + 2
    # Two pixels in two cores take as long as one.
    assert SIMD.tile_cycles(replace(core, rows=2), 2, 4, 2, True) == 12 + 2
    prepared = replace(core, issue=replace(CMSIS, prepare_activations=3))
    assert SIMD.tile_cycles(prepared, 4, 16, 2, True) == 4 * 8 * 3 + 2 * (4 * 18 + 4)


def test_two_pipes_work_side_by_side():
    one = ArrayShape(4, 8, 8, issue=Issue(2, 4, 1, 1, 1, 1, 2, 0, 0, 1))
    two = replace(one, issue=replace(one.issue, separate=True))
    other, mac, groups = 4 * 3 + 2, 8, 10
    assert Kernel(one, 2, 4).steps(groups) == groups * (other + mac)
    assert Kernel(two, 2, 4).steps(groups) == other + 9 * max(other, mac) + mac
    # Operands of the PEs' own format need no conversion: MACs are the longer part.
    plain = replace(two, issue=replace(two.issue, convert_weights=0))
    assert Kernel(plain, 2, 4).steps(groups) == 6 + 9 * 8 + 8


@settings(max_examples=80)
@given(shapes, st.tuples(*[st.integers(1, 40)] * 3), st.booleans())
def test_a_second_pipe_never_costs_and_never_hides_more_than_the_shorter_part(shape, dims, first_k):
    shared, two = (replace(shape, issue=replace(shape.issue, separate=each)) for each in (False, True))
    slow, fast = (SIMD.tile_cycles(each, *dims, first_k) for each in (shared, two))
    assert slow / 2 <= fast <= slow


@settings(max_examples=60)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 16), st.sampled_from([1, 2, 4]))
def test_tmacs_lookups_and_adds_are_issued_16_at_a_time(m, vectors, tables, bits):
    """TBL looks up 16 INT8 entries and an ADD follows, per plane, group of four and vector of outputs."""
    n, k = 16 * vectors, 4 * tables
    work = tmac_work(n, m, k, bits, scale_group=None, activation_group=4)
    made = (work.table_adds + work.table_negations + work.table_multiplications) / (m * tables)
    issue = Issue(1, 2, 1, mac=2, load_weights=0, load_activations=0, store=0, prepare_activations=int(made))
    shape = ArrayShape(1, 16, 4, interval=bits, drain_interval=0, issue=issue)
    cycles = SIMD.tile_cycles(shape, m, k, n, True)
    assert made == int(made) == 48
    assert (
        cycles == (work.lookups + work.adds) // 16 + work.table_adds + work.table_negations + work.table_multiplications
    )
    # Tables are made once per tile, not once per fold along N: reads of activations say the same.
    loops = [Extents(extent, extent, 1) for extent in (m, k, n)]
    assert SIMD.totals(shape, *loops).sram_a_read == m * k * (1 + -(-vectors // 2))


def test_as_many_weight_bits_take_as_many_lookups():
    """T-MAC's time is linear in the bits, but for loads and tables: 1.77 to 1.86 between 4 and 2 (test_tmac_rows)."""
    issue = Issue(1, 8, 1, mac=2, load_weights=0, load_activations=1, store=1, prepare_activations=6)
    cycles = [
        SIMD.tile_cycles(ArrayShape(1, 16, 4, interval=bits, issue=issue), 1, 4096, 4096, True) for bits in (2, 4)
    ]
    assert 1.8 < cycles[1] / cycles[0] < 2


def test_a_narrow_port_makes_loads_longer():
    memories = {name: {"size": 8192} for name in ("weights", "activations", "outputs")}
    memories["weights"] = {"size": 8192, "port_bits": 8}  # four lanes of INT8 weights take four cycles
    shape = small("int8", array=array("simd"), memories=memories).machine(INT8, INT8, INT8).shape
    assert (shape.issue.load_weights, shape.issue.load_activations, shape.interval) == (4, 1, 1)


def test_conversions_are_issued_where_formats_differ():
    own, narrow = (small("int8", array=array("simd")).machine(w, INT8, INT8).shape.issue for w in (INT8, INT4))
    assert (own.convert_weights, narrow.convert_weights, narrow.convert_activations) == (0, 2, 0)
    issue = {key: value for key, value in NEEDS["simd"]["issue"].items() if not key.startswith("convert")}
    bare = small("int8", array={**array("simd"), "issue": issue})
    assert bare.machine(INT8, INT8, INT8).shape.issue.convert_weights == 0
    with pytest.raises(
        MissingFigureError, match="array.issue.convert_weights: is missing, and weights of int4 are not"
    ):
        bare.machine(INT4, INT8, INT8)


def test_stores_wait_for_a_port_that_all_cores_share():
    memories = {name: {"size": 8192} for name in ("weights", "activations", "outputs")}
    wide = small("int8", array=array("simd"), memories=memories)
    assert wide.accelerator.srams["o"].width_bits == 4 * 4 * wide.accelerator.pe.psum_bits
    memories["outputs"] = {"size": 8192, "port_bits": 128}
    assert small("int8", array=array("simd"), memories=memories).machine(INT8, INT8, INT8).shape.drain_interval == 4


#: Tensor cores that multiply FP16, other lanes that make FP16 of what weights are.
GPU = {"pe": {"family": "float_mac", "format": "fp16", "accumulator": "fp32", "lanes": 8},
       "formats": {"weights": "int4_g128", "activations": "fp16"}}  # fmt: skip


def test_operands_that_pes_cannot_take_are_converted_first():
    machine = small(**GPU, array=array("simd"))
    fp16, int4 = parse_format("fp16"), parse_format("int4_g128")
    pe, shape = machine.accelerator.pe, machine.machine(int4, fp16, fp16).shape
    assert (shape.issue.convert_weights, shape.issue.convert_activations, shape.k_limit) == (2, 0, None)
    assert machine.accelerator.dequant_price is None  # the scales act in the conversion
    values, scale = np.arange(-7, 8), np.full(15, 3.0)
    found = pe.dot(int4.element.encode(values), fp16.element.encode(scale), int4, fp16)
    assert found == (values * 3).sum()
    assert pe.parts(int4, fp16) == pe.parts()
    # In the same format as activations nothing is converted, and a PE of another array refuses what it cannot take.
    assert machine.machine(fp16, fp16, fp16).shape.issue.convert_weights == 0
    issue = {key: value for key, value in NEEDS["simd"]["issue"].items() if key != "convert_weights"}
    with pytest.raises(UsageError, match="cannot compute int4_g128"):
        small(**GPU, array={**array("simd"), "issue": issue}).machine(int4, fp16, fp16)


def test_engines_agree_on_converted_operands():
    machine = small(**GPU, array=array("simd"))
    trace = Trace("t", (Gemm("a", m=9, n=7, k=140), Gemm("b", m=1, n=16, k=33)), {})
    fast, event, stepped = (evaluate(machine, trace, engine).layer_rows for engine in ("fast", "event", "pe"))
    assert fast == event == stepped
    # Weights move and lie in buffers as they are stored: 4.125 bits.
    whole = evaluate(small(**{**GPU, "formats": {"weights": "fp16"}}, array=array("simd")), trace).layer_rows
    assert fast[1]["dram_read_bytes"] < whole[1]["dram_read_bytes"] / 2
    assert fast[0]["compute_cycles"] > whole[0]["compute_cycles"] / 2


def test_cores_have_energy_per_cycle_and_area():
    dear, cheap = (
        small("int8", array={**array("simd"), "issue": {**NEEDS["simd"]["issue"], "core_energy": pj, "core_area": mm2}})
        for pj, mm2 in (("70 pJ", "0.02 mm2"), ("20 pJ", "0.01 mm2"))
    )
    assert dear.accelerator.area_mm2 - cheap.accelerator.area_mm2 == pytest.approx(4 * 0.01)
    trace = Trace("t", (Gemm("g", m=9, n=10, k=33),), {})
    rows = [evaluate(each, trace).layer_rows[0] for each in (dear, cheap)]
    assert rows[0]["compute_cycles"] == rows[1]["compute_cycles"]
    assert rows[0]["energy_rf_pj"] - rows[1]["energy_rf_pj"] == pytest.approx(rows[0]["compute_cycles"] * 4 * 50.0)


def test_what_is_not_counted_is_said():
    trace = Trace("t", (Gemm("g", m=1, n=1, k=4),), {})
    notes = {name: "; ".join(evaluate(open_arch(example_path("arch_configs", name)), trace).notes)
             for name in ("mcu_simd_45nm", "gpu_sm_7nm")}  # fmt: skip
    assert all("array.issue.core_area: not given" in note for note in notes.values())
    assert ["array.issue.core_energy: not given" in note for note in notes.values()] == [False, True]


def test_the_example_of_a_gpu_has_the_published_peak_per_multiprocessor():
    machine = open_arch(example_path("arch_configs", "gpu_sm_7nm"))
    fp16 = parse_format("fp16")
    assert 2 * 108 * machine.accelerator.peak_macs_per_s(fp16, fp16) == pytest.approx(312e12, rel=0.001)
    # Conversions of four-bit weights are as long as the MACs of sixteen rows of tiles, and hidden but for the first.
    shape = machine.machine(parse_format("int4_g128"), fp16, fp16).shape
    kernel = Kernel(shape, 4, 16)
    assert (kernel.other, kernel.mac) == (16 * (1 + 2) + 4 * 4, 64)
    # A single row has a quarter of the MACs and nearly all of the conversions.
    assert Kernel(shape, 1, 16).steps(1000) / 1000 == pytest.approx(16 * 3 + 4, rel=0.001)


@pytest.mark.parametrize(
    ("program", "message"),
    [([Instruction("mac", 0, 1, "mac", 0)], "operands that are not there"),
     ([Instruction("other", 0, 3, "load", 0), Instruction("other", 2, 1, "load", 0, 1)], "gets an instruction while"),
     ([Instruction("other", 0, 1, "load", 0), Instruction("other", 1, 1, "load", 0, 1)], "loaded over others"),
     ([Instruction("other", 0, 1, "load", 0), Instruction("mac", 1, 4, "mac", 0), Instruction("other", 3, 1, "store", 0)],
      "not complete"),
     ([Instruction("other", 0, 1, "load", 0), Instruction("mac", 1, 1, "mac", 0), Instruction("other", 2, 1, "load", 1)],
      "not yet stored")],
)  # fmt: skip
def test_a_core_refuses_what_it_cannot_do(program, message):
    with pytest.raises(ConservationError, match=message):
        list(Core(separate=True).run(program))


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"issue": None}, "array.issue: is missing"), ({"fold_overlap": True}, "has no effect on a simd array"),
     ({"weight_double_buffer": True}, "has no effect on a simd array"), ({"ragged": "used"}, "kernels of every size exist"),
     ({"issue": {**NEEDS["simd"]["issue"], "mac": 0}}, "mac: must be at least 1"),
     ({"dataflow": "broadcast"}, "array.issue: has no meaning for a broadcast array")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(changed, message):
    with pytest.raises((SpecError, ValueError), match=message):
        small("int8", array={**array("simd"), **changed})


def test_the_nest_has_the_sums_of_a_core_inside_of_k():
    of = machine("simd", ArrayShape(2, 2, 1, issue=Issue(2, 3)), capacities=(10**6,) * 3)

    schedule = build_schedule(Gemm("g", m=8, n=12, k=5), Tiling(8, 5, 12, "mnk", True, True, True), of)
    _, nest = nest_of(schedule, of.dataflow, of.shape)
    assert [(loop.dim, loop.tile, loop.axis) for loop in nest.loops[3:]] == [
        ("m", 4, None), ("n", 6, None), ("m", 2, "PEs along m"), ("n", 3, "PEs along n"),
        ("k", 1, None), ("m", 1, None), ("n", 1, None),
    ]  # fmt: skip


def test_engines_agree_on_the_example():
    of = open_arch(example_path("arch_configs", "mcu_simd_45nm"))
    trace = Trace("t", (Gemm("a", m=9, n=7, k=30), Gemm("b", m=1, n=16, k=33)), {})
    fast, event, stepped = (evaluate(of, trace, engine).layer_rows for engine in ("fast", "event", "pe"))
    assert fast == event == stepped


def test_a_load_of_several_steps_takes_the_port_once_where_it_is_wide_enough():
    """By hand: 2 x 2 sums, two steps of two INT8 together: 8 MACs, 2 + 2 loads of one slot each, on 32-bit ports."""
    issue = {"pipes": "shared", "rows": 2, "vectors": 2, "unroll": 2, "mac": 1, "load_weights": 1,
             "load_activations": 1, "store": 1}  # fmt: skip

    def cycles(port_bits):
        ports = {name: {"size": 8192, "port_bits": port_bits} for name in ("weights", "activations", "outputs")}
        machine = small(array={"rows": 1, "cols": 1, "dataflow": "simd", "issue": issue}, memories=ports,
                        pe={"family": "int_mac", "format": "int8", "lanes": 2})  # fmt: skip
        rows = [
            evaluate(machine, Trace("t", (Gemm("g", m=2, n=2, k=k),), {})).layer_rows[0]["compute_cycles"]
            for k in (64, 128)
        ]
        return rows[1] - rows[0]  # without stores: 64 / 4 groups of steps

    assert cycles(32) == 16 * (8 + 4)
    assert cycles(16) == 16 * (8 + 8)
