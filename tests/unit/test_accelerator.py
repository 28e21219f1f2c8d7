"""The accelerator: areas, leakage, clock, dequantizers, ports, all from their parts."""

from __future__ import annotations

import math

import pytest

from hwsim.hardware.accelerator import SUM_REGISTER
from hwsim.hardware.memory import build_buffer, build_sram
from hwsim.spec.errors import InfeasibleError, MissingFigureError, SpecError
from tests.support.small import BASE, array, small


def test_areas_are_the_blocks():
    acc = small().accelerator
    blocks = acc.area_breakdown_mm2
    assert acc.area_mm2 == sum(blocks.values())
    assert blocks["array"] == pytest.approx(16 * acc.pe_price.area_um2 * 1e-6)
    assert blocks["weights"] == acc.srams["w"].area_mm2
    assert set(blocks) == {"array", "weights", "activations", "outputs", "vector_unit"}
    assert acc.pe_pitch_mm == pytest.approx(math.sqrt(acc.pe_price.area_um2) * 1e-3)


def test_leakage_and_clock_are_sums():
    acc = small().accelerator
    logic = 16 * acc.pe_price.leakage_nw + 4 * acc.vector_lane.leakage_nw
    assert acc.leakage_w == pytest.approx(logic * 1e-9 + sum(s.leakage_mw for s in acc.srams.values()) * 1e-3)
    assert acc.array_clock_pj_per_cycle == pytest.approx(16 * acc.pe_price.clock_fj * 1e-3)


def test_dequantizers_stand_below_columns_or_are_shared_in_place():
    edge = small("int4_g128").accelerator
    assert (edge.dequantizers, edge.sum_registers) == (4, 0)
    place = small("int4_g128", array=array("output_stationary", rows=64)).accelerator
    # 64 PEs of a column finish a sum every 128 cycles: one dequantizer keeps up.
    assert (place.dequantizers, place.sum_registers) == (4, 256)
    small_groups = small("int4_g16", array=array("output_stationary", rows=64)).accelerator
    assert small_groups.dequantizers == 4 * 64 // 16
    own = small("bitmod4_g128", array=array("broadcast", rows=8)).accelerator
    assert (own.dequantizers, own.sum_registers) == (32, 0)
    serial = small("bitmod4_g128").accelerator  # eight cycles per sum, one sum every two cycles
    assert serial.dequantizers == 4 * 4
    assert small("mxfp4").accelerator.dequant_price is None


def test_dequantizers_have_their_price():
    acc = small("int4_g128", array=array("output_stationary")).accelerator
    sums = 16 * acc.technology.price(SUM_REGISTER).area_um2
    expected = (acc.dequantizers * acc.dequant_price.area_um2 + sums) * 1e-6
    assert acc.area_breakdown_mm2["dequantizers"] == pytest.approx(expected)
    assert acc.array_clock_pj_per_cycle > 16 * acc.pe_price.clock_fj * 1e-3


def test_ports_are_as_wide_as_the_edge_needs():
    acc = small(array=array(rows=4, cols=8)).accelerator
    assert {k: s.width_bits for k, s in acc.srams.items()} == {"w": 64, "a": 32, "o": 256}
    wide = small("bitmod4_g128", array=array(rows=4, cols=8)).accelerator
    assert wide.srams["a"].width_bits == 4 * 4 * 16  # rows · lanes · 16 bits


def test_wide_ports_are_macros_side_by_side():
    one, four = build_sram(65536, 256, 1, 28), build_buffer(4 * 65536, 1024, 1, 28)
    assert four.read_pj == pytest.approx(4 * one.read_pj)
    assert four.area_mm2 == pytest.approx(4 * one.area_mm2)
    assert four.access_ns == one.access_ns
    assert (four.width_bits, four.size_bytes) == (1024, 4 * 65536)
    assert "4 macros of 256 bits" in four.answered_by
    assert build_buffer(65536, 256, 1, 28) == one


def test_faster_clocks_need_stages():
    slow, fast = small(clock=1e8).accelerator, small(clock=1e9).accelerator
    assert slow.pipeline_stages < fast.pipeline_stages
    assert slow.pe_price.area_um2 < fast.pe_price.area_um2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"clock": 1e13}, "faster than one register"),
        ({"memories": {**BASE["memories"], "weights": {"size": 64}}}, "memories.weights.size: no SRAM of 64 B"),
        ({"dram": {"preset": "lpddr5"}}, "no source gives the energy"),
        ({"technology": {"name": "28nm", "vdd": 0.3}}, "valid: 0.72 to 1.08 V"),
    ],
)
def test_what_cannot_be_built(fields, words):
    with pytest.raises((InfeasibleError, MissingFigureError, SpecError, ValueError), match=words):
        small(**fields)


def test_an_energy_can_be_given():
    acc = small(dram={"preset": "lpddr5", "energy": 4.0}).accelerator
    assert acc.dram.read_pj_per_bit == 4.0
