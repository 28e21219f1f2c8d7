"""The accelerator: areas, leakage, clock, dequantizers, ports, all from their parts."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.accelerator import SUM_REGISTER
from hwsim.hardware.circuits import Register
from hwsim.hardware.memory import build_buffer, build_sram
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import factor, load_technology
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


def buffers(acc):
    return {key: sram.figures for key, sram in acc.srams.items()}


def test_buffers_leak_as_their_temperature_says():
    usual, cool, warm = (
        small(memories={**BASE["memories"], **more}).accelerator
        for more in ({}, {"temperature": "300 K"}, {"temperature": "106.85 degC"})
    )
    factors = {f: factor_at(f, usual, cool) for f in ("leakage_mw", "read_pj", "area_mm2", "cycle_ns")}
    assert factors == pytest.approx({"leakage_mw": 0.305, "read_pj": 1, "area_mm2": 1, "cycle_ns": 1}, rel=0.02)
    assert warm.srams["w"].kelvin == 380
    assert cool.leakage_w < usual.leakage_w < warm.leakage_w
    assert "leakage at 300 K" in cool.srams["w"].answered_by


def factor_at(figure, usual, cool):
    (found,) = {round(getattr(cool.srams[k], figure) / getattr(usual.srams[k], figure), 9) for k in usual.srams}
    return found


def test_ports_and_check_bits_of_one_buffer_are_its_own():
    weights = {**BASE["memories"]["weights"], "ecc": "secded", "ports": "1r1w"}
    usual, other = small().accelerator, small(memories={**BASE["memories"], "weights": weights}).accelerator
    assert buffers(usual)["a"] == buffers(other)["a"]
    assert other.srams["w"].area_mm2 > 2 * usual.srams["w"].area_mm2
    assert (other.srams["w"].ports, other.srams["w"].ecc) == ("1r1w", "secded")


def test_published_figures_of_a_buffer_go_before_the_models():
    weights = {**BASE["memories"]["weights"], "figures": {"source": "a chip", "read_energy": "10 pJ", "area": "2 mm2"}}
    acc = small(memories={**BASE["memories"], "weights": weights}).accelerator
    assert acc.srams["w"].read_pj == 10
    assert acc.area_breakdown_mm2["weights"] == 2
    assert acc.srams["w"].sources[0] == "given by the user: a chip"
    assert acc.srams["w"].write_pj == small().accelerator.srams["w"].write_pj


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("temperature", "500 K", "no leakage figures at 500 K; valid: 298.15 to 380 K"),
        ("temperature", 85, "85 has no unit and would be in K"),
        ("temperature", "85 F", "valid: K, degC, °C"),
        ("weights", {"size": "64 KiB", "ports": "2rw"}, "1r1w"),
        ("weights", {"size": "64 KiB", "ecc": "parity"}, "secded"),
        ("weights", {"size": "64 KiB", "figures": {"area": "1 mm2"}}, "source"),
    ],
)
def test_what_buffers_cannot_be_is_refused(path, value, said):
    with pytest.raises((SpecError, MissingFigureError), match=said):
        small(memories={**BASE["memories"], path: value})


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


@pytest.mark.parametrize(("label", "clock"), [("int8", 1e8), ("int8", 1e9), ("bf16", 5e8), ("bitmod4_g128", 1e9)])
def test_stages_are_cuts_at_the_width_of_the_sum(label, clock):
    acc = small(label, clock=clock).accelerator
    whole = price_pe(acc.pe, acc.technology)
    usable_ps = 1e12 / clock - acc.technology.price(Register(1)).delay_ps
    fastest = factor("speed", "delay")  # gates sized for speed may save a stage
    stages = max(1, math.ceil(whole.delay_ps * fastest / usable_ps))
    assert acc.pipeline_stages == stages
    hurry = max(0.0, 1 - stages * usable_ps / whole.delay_ps) / (1 - fastest)
    assert 0 <= hurry <= 1
    cuts = [row.part for row in acc.pe_price.rows if row.part.role == "pipeline stage"]
    assert [part.count for part in cuts] == ([stages - 1] if stages > 1 else [])
    assert all(part.circuit.bits == acc.pe.cut_bits >= acc.pe.psum_bits for part in cuts)
    added = sum(acc.technology.price(part.circuit).area_um2 * part.count for part in cuts)
    logic = sum(row.area_um2 for row in whole.rows if row.part.group != "register")
    larger = logic * hurry * (factor("speed", "area") - 1)
    assert acc.pe_price.area_um2 == pytest.approx(whole.area_um2 + added + larger)
    assert acc.pe_price.delay_ps <= stages * usable_ps * (1 + 1e-9) or stages > 1
    # Every stage's register stops the glitches of the one before.
    assert acc.pe_price.glitch_factor == pytest.approx(1 + (whole.glitch_factor - 1) / stages)


def test_a_cut_is_as_wide_as_what_is_live_on_average():
    one, many = (make_pe({"family": "block_dot", "format": "mxint8", "lanes": n}) for n in (2, 32))
    # 32 products of 16 bits, and the levels of the tree over them, are narrower on average: most of the path is a sum.
    assert one.cut_bits < many.cut_bits < 32 * 16
    assert make_pe({"family": "int_mac", "format": "int8"}).cut_bits >= 32


@pytest.mark.parametrize("label", ["int4", "int8", "fp8_e4m3", "fp16", "fp32", "bitmod4_g128", "figna_w4", "mxfp4"])
def test_area_rises_with_the_clock(label):
    pe, technology = make_pe(pairing(label).pe_spec), load_technology("28nm")
    areas = [pipelined_price(pe, technology, 1e8 * 1.05**step)[0].area_um2 for step in range(56)]
    assert all(later >= before * (1 - 1e-12) for before, later in pairwise(areas))


def test_dequantizers_are_cut_into_stages_too():
    slow, fast = (small("int4_g128", clock=clock).accelerator.dequant_price for clock in (1e8, 1e9))
    assert "pipeline stage" not in {row.part.role for row in slow.rows}
    assert "pipeline stage" in {row.part.role for row in fast.rows}


def test_rates_and_distances_by_hand():
    acc = small(array=array(rows=4, cols=8)).accelerator
    # 18.228 GB/s of 19.2 at 500 MHz: refresh takes (9 + 16 + 433 + 16) of every 9364 cycles.
    assert acc.dram.effective_gb_s == pytest.approx(19.2 * (1 - (9 + 16 + 433 + 16) / 9364), abs=1e-3)
    assert acc.dram_bits_per_cycle == Fraction(acc.dram.effective_bandwidth_bits_per_s) / Fraction(5 * 10**8)
    peak = small(array=array(rows=4, cols=8), dram={"preset": "ddr4_2400", "access": "peak"}).accelerator
    assert peak.dram_bits_per_cycle == Fraction(1536, 5)  # 19.2 GB/s at 500 MHz
    assert acc.period_ns == 2.0
    int8 = parse_format("int8")
    assert acc.peak_macs_per_s(int8, int8) == 32 * 5e8
    srams = sum(sram.area_mm2 for sram in acc.srams.values())
    edges = math.sqrt(32 * acc.pe_price.area_um2 * 1e-6), math.sqrt(srams)
    assert acc.buffer_distance_mm == pytest.approx(sum(edges) / 2)


def test_the_vector_unit_has_lanes_of_its_format():
    wide, narrow = (small(vector_unit={"lanes": 64, "format": name}).accelerator for name in ("fp32", "bf16"))
    assert narrow.area_breakdown_mm2["vector_unit"] < wide.area_breakdown_mm2["vector_unit"]
    assert wide.area_breakdown_mm2["vector_unit"] == pytest.approx(64 * wide.vector_lane.area_um2 * 1e-6)
    assert wide.vector_lane.clock_fj == wide.technology.price(Register(4 * 32)).clock_fj


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
    acc = small(dram={"preset": "lpddr5", "energy": "4 pJ/bit"}).accelerator
    assert acc.dram.read_pj_per_bit == 4.0


def test_area_and_energy_grow_towards_the_clock_that_a_stage_can_just_keep():
    from hwsim.hardware.circuits import Adder, Part
    from hwsim.hardware.pe.pipeline import pipelined
    from hwsim.hardware.technology import load_technology

    technology = load_technology("7nm")
    parts = [Part("adder", "accumulator", Adder(32))]
    delay, setup = technology.delay_ps(parts), technology.price(Register(1)).delay_ps

    def at(share):
        return pipelined(parts, "integer_mac", 32, technology, 1e12 / (delay * share + setup))

    relaxed, (tight, stages), (cut, more) = at(1.2)[0], at(0.94), at(0.93)
    assert (stages, more) == (1, 2)
    assert relaxed.area_um2 == pytest.approx(technology.price(Adder(32)).area_um2)
    middle = at(0.97)[0]
    assert relaxed.area_um2 < middle.area_um2 < tight.area_um2 < cut.area_um2
    assert relaxed.energy_fj < middle.energy_fj < tight.energy_fj
    assert tight.area_um2 / relaxed.area_um2 == pytest.approx(factor("speed", "area"), abs=0.003)
    assert tight.delay_ps == pytest.approx(0.94 * delay)  # just what the clock leaves


def test_speed_factors_are_those_of_the_calibration():
    from math import exp

    from hwsim.hardware.synthesis import load_calibration

    calibration = load_calibration()
    scalars = calibration.cells.scalars

    def ratio(figure):
        effects = calibration.laws[figure].effects
        cells = scalars["asap7 speed"] / scalars["asap7 area"] if figure == "area_um2" else 1.0
        return cells * exp(effects["library", "asap7 speed"] - effects["library", "asap7 area"])

    assert factor("speed", "delay") == pytest.approx(ratio("crit_ps"), abs=0.001)
    assert factor("speed", "area") == pytest.approx(ratio("area_um2"), abs=0.001)
    assert factor("speed", "energy") == pytest.approx(ratio("area_um2") * ratio("E_rand_noglitch_fJ"), abs=0.001)
