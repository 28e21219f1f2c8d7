"""From an architecture to a machine: formats of a run, widths, intervals, what cannot be built."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.accelerator_build import scale_group
from hwsim.hardware.pe.pipeline import SCALED_SUM_BITS
from hwsim.simulate.architecture import ArchSpec
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.spec.bind import validate_mapping
from hwsim.spec.errors import InfeasibleError, SpecError
from hwsim.workload import Gemm, Trace
from tests.support.machines import ANY_PE
from tests.support.small import BASE, array, small


def own_machine(simulated):
    """The machine for weights of the run's policy."""
    policy = simulated.policy
    return simulated.machine(*(parse_format(name) for name in (policy.w_format, policy.a_format, policy.o_format)))


@pytest.mark.parametrize(
    ("label", "formats"),
    [
        ("int8", ("int8", "int8", "int8", "int8")),
        ("int4_g128", ("int4_g128", "int8", "int8", "int8")),
        ("fp8_e5m2", ("fp8_e5m2", "fp8_e5m2", "fp8_e5m2", "fp8_e5m2")),
        ("bitmod3_g128", ("bitmod3_g128", "fp16", "int8", "fp16")),
        ("w4a16_g128", ("int4_g128", "fp16", "int4_g128", "fp16")),
    ],
)
def test_formats_that_are_left_out_follow_from_the_pe(label, formats):
    policy = small(label).policy
    assert (policy.w_format, policy.a_format, policy.kv_format, policy.o_format) == formats


def test_formats_that_are_given_are_taken():
    given = {"weights": "int4", "activations": "int6", "kv_cache": "int5", "outputs": "fp16"}
    policy = small("int8", formats=given).policy
    assert [policy.w_format, policy.a_format, policy.kv_format, policy.o_format] == list(given.values())
    follows = small("int8", formats={"activations": "int6"}).policy
    assert (follows.w_format, follows.kv_format, follows.o_format) == ("int8", "int6", "int6")


@pytest.mark.parametrize(
    "label", ["int8", "int4_g128", "int4_asym_g128", "mxfp4", "nvfp4", "bitmod3_g128", "w4a16_g128"]
)
def test_widths_are_those_of_the_formats_with_their_metadata(label):
    simulated = small(label)
    bits, policy = own_machine(simulated).bits, simulated.policy
    for width, name in ((bits.w, policy.w_format), (bits.a, policy.a_format), (bits.o, policy.o_format)):
        assert Fraction(width, bits.denominator) == parse_format(name).bits_per_element


@pytest.mark.parametrize("label", ["int8", "bf16", "mxfp4", "lmul_e4m3"])
def test_partial_sums_are_as_wide_as_the_accumulator(label):
    simulated = small(label)
    bits = own_machine(simulated).bits
    assert Fraction(bits.psum, bits.denominator) == simulated.accelerator.pe.psum_bits


@pytest.mark.parametrize("pe", [
    {"family": "int_mac", "w_format": "int4_g128", "a_format": "int8", "accumulator": "int20"},
    {"family": "bitmod"},
])  # fmt: skip
def test_scaled_sums_are_fp32_whatever_the_accumulator(pe):
    simulated = small(pe=pe)
    bits = own_machine(simulated).bits
    assert simulated.accelerator.pe.psum_bits != SCALED_SUM_BITS
    assert Fraction(bits.psum, bits.denominator) == SCALED_SUM_BITS


def test_only_scaled_sums_bound_a_fold():
    for label, group in (("int4_g128", 128), ("int3_g32", 32), ("mxfp4", None), ("nvfp4", None), ("int8", None)):
        machine = own_machine(small(label))
        assert (machine.group_k, machine.shape.k_limit) == (group, group)
    assert scale_group(parse_format("int4_g128"), parse_format("mxint8")) == 32


@pytest.mark.parametrize("flow", ANY_PE)
@pytest.mark.parametrize("label", ["int4_g128", "mxfp4", "nvfp4", "bitmod4_g128", "mxint8"])
def test_lanes_that_straddle_scale_groups_are_refused(label, flow):
    options = dict(small(label).spec.pe)
    for lanes, legal in ((4, True), (3, False), (12, False)):
        simulated = small(pe={**options, "lanes": lanes}, array=array(flow))
        if legal:
            assert own_machine(simulated).shape.lanes == lanes
            continue
        with pytest.raises(InfeasibleError, match=f"pe.lanes: {lanes} does not divide the scale group"):
            own_machine(simulated)


def test_a_step_takes_its_passes_or_terms():
    int4, int8, fp16 = (parse_format(name) for name in ("int4", "int8", "fp16"))
    narrow = small(pe={"family": "int_mac", "w_format": "int4", "a_format": "int8"})
    assert [narrow.machine(w, int8, int8).shape.interval for w in (int4, int8, parse_format("int16"))] == [1, 2, 4]
    serial = small("bitmod4_g128", array=array("broadcast"))
    assert [serial.machine(w, fp16, fp16).shape.interval for w in (parse_format("bitmod4_g128"), int8)] == [2, 4]


def test_the_dequantizer_is_built_for_the_formats_of_the_run():
    pe = {"family": "int_mac", "w_format": "int4_g128", "a_format": "int8"}
    plain = small(pe=pe).accelerator.dequant_price
    shifted = small(pe=pe, formats={"weights": "int4_asym_g128"}).accelerator.dequant_price
    assert "zero point" not in {row.part.role for row in plain.rows}
    assert "zero point" in {row.part.role for row in shifted.rows}
    assert shifted.energy_fj > plain.energy_fj


def test_sums_are_scaled_once_per_group_in_place_and_whenever_they_leave_the_array():
    g = Gemm("g", m=3, n=5, k=300)  # groups of 128: 3; folds of 4 rows: 32 + 32 + 11
    scaled = {flow: map_gemm(g, own_machine(small("int4_g128", array=array(flow)))) for flow in ANY_PE}
    assert {flow: s.dequant_ops for flow, s in scaled.items()} == {
        "weight_stationary": 15 * 75, "input_stationary": 15 * 75, "output_stationary": 15 * 3, "broadcast": 15 * 3,
        "cube": 15 * 3, "outer_product": 15 * 3, "simd": 15 * 3,
        "row_stationary": 15 * 10,  # blocks of 8, folds of 32: 4 + 4 + 2
    }  # fmt: skip
    assert map_gemm(g, own_machine(small("int8"))).dequant_ops == 0
    # As many rows as a group has elements: every column's sum is a group's.
    whole = small("int4_g128", array=array(rows=128))
    assert map_gemm(g, own_machine(whole)).dequant_ops == 15 * 3


def test_buffers_offer_half_of_their_size_unless_they_are_in_one_part():
    memories = {
        "weights": {"size": 8192},
        "activations": {"size": 4096, "double_buffered": False},
        "outputs": {"size": 2048},
    }
    machine = own_machine(small(memories=memories))
    assert (machine.capacity_w_bits, machine.capacity_a_bits, machine.capacity_o_bits) == (32768, 32768, 8192)
    assert machine.parts == (2, 1, 2)
    assert not machine.overlap
    assert own_machine(small()).overlap


def test_the_mapper_sees_the_prices_of_the_machine():
    simulated = small(array=array("output_stationary"))
    machine, unit = own_machine(simulated), simulated.unit_costs(parse_format("int8"), parse_format("int8"))
    prices = machine.prices
    assert prices.sram_w_pj_per_bit == unit.sram_read_pj_per_bit["w"] + unit.network_pj_per_bit
    mean = (unit.sram_read_pj_per_bit["o"] + unit.sram_write_pj_per_bit["o"]) / 2
    assert prices.sram_o_pj_per_bit == mean + unit.network_pj_per_bit + unit.shift_pj_per_bit["o"]
    assert unit.shift_pj_per_bit["w"] == unit.shift_pj_per_bit["a"] == 0 < unit.shift_pj_per_bit["o"]
    assert prices.clock_pj_per_cycle == unit.array_clock_pj_per_cycle > 0
    assert prices.static_pj_per_cycle == pytest.approx(simulated.accelerator.leakage_w * 2e3)


@pytest.mark.parametrize("objective", ["edp", "latency", "energy"])
def test_the_objective_reaches_the_mapper(objective):
    assert own_machine(small(mapper={"objective": objective})).objective == objective


def test_more_rows_make_the_way_of_the_weights_longer():
    near, far = (small(array=array(rows=rows)).unit_costs(*[parse_format("int8")] * 2) for rows in (4, 64))
    assert far.shift_pj_per_bit["w"] == pytest.approx(near.shift_pj_per_bit["w"] * 65 / 5)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("array", {"rows": 4, "cols": 4, "dataflow": "weight_stationery"}, "did you mean 'weight_stationary'"),
        ("pe", {"family": "int_mak"}, "did you mean 'int_mac'"),
        ("dram", {"preset": "ddr4"}, "dram.preset"),
        ("formats", {"weights": "int44"}, "formats.weights"),
        ("mapper", {"objective": "speed"}, "mapper.objective"),
        ("mapper", {"policy": "scalesin"}, "mapper.policy"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_one(field, value, words):
    with pytest.raises(SpecError, match=words):
        validate_mapping({**BASE, field: value}, ArchSpec)


def test_results_do_not_depend_on_what_ran_before():
    trace = Trace("t", (Gemm("g", m=9, n=10, k=33),), {})
    used = small("int4_g128")
    evaluate(used, Trace("other", (Gemm("h", m=5, n=6, k=7),), {}))
    assert evaluate(used, trace).layer_rows == evaluate(small("int4_g128"), trace).layer_rows
