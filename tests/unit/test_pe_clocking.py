"""The fastest clocks of a PE, and the loop through its accumulator."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.hardware.circuits import Adder, Register, path_levels
from hwsim.hardware.pe import make_pe, pairing
from hwsim.hardware.pe.clocking import clocking
from hwsim.hardware.pe.pipeline import staging
from hwsim.hardware.technology import factor, load_technology
from tests.contract.test_pe_contract import LABELS

NODE = load_technology("28nm")


@pytest.mark.parametrize("label", LABELS)
def test_every_sum_feeds_back(label):
    for mode in make_pe(pairing(label).pe_spec).modes:
        loop = [
            levels
            for part, levels in zip(mode.built, path_levels(mode.built), strict=True)
            if part.feeds_back and part.on_path
        ]
        assert loop or mode.family in ("laconic", "bitlet", "stripes"), label  # these add up in their own time
        assert sum(loop) <= sum(path_levels(mode.built))


@pytest.mark.parametrize("label", ["fp16", "int8", "bitmod4_g128", "mxfp4", "lmul_e4m3", "lut_w2a8"])
def test_stages_change_at_the_clocks_that_are_named(label):
    pe = make_pe(pairing(label).pe_spec)
    found = clocking(pe, NODE, 1e9)
    stages, _ = staging(pe.built, NODE, 1e9)
    assert staging(pe.built, NODE, found.unpipelined_hz * 0.9999)[0] == 1
    assert staging(pe.built, NODE, found.unpipelined_hz * 1.0001)[0] == 2
    assert staging(pe.built, NODE, found.fastest_hz * 0.9999)[0] == stages
    assert staging(pe.built, NODE, found.fastest_hz * 1.0001)[0] == stages + 1
    assert found.unpipelined_hz <= found.fastest_hz
    assert found.unpipelined_hz <= found.loop_hz


@pytest.mark.parametrize("label", ["fp16", "int8", "bitmod4_g128"])
def test_a_stage_has_the_delay_of_one_register(label):
    pe = make_pe(pairing(label).pe_spec)
    rows = NODE.price_parts(pe.built, pe.glitch_family).rows
    logic_ps = sum(row.delay_ps for row in rows if row.part.on_path and not isinstance(row.part.circuit, Register))
    period_ps = logic_ps * factor("speed", "delay") + NODE.price(Register(1)).delay_ps
    assert 1e12 / clocking(pe, NODE, 1e9).unpipelined_hz == pytest.approx(period_ps, rel=1e-12)


def test_a_loop_takes_as_many_cycles_as_it_is_cut_into():
    pe = make_pe(pairing("fp16").pe_spec)
    assert [clocking(pe, NODE, clock).loop_cycles for clock in (1e8, 3e8, 1e9)] == [1, 1, 4]
    assert [clocking(make_pe(pairing("int8").pe_spec), NODE, clock).loop_cycles for clock in (9e8, 1e9)] == [1, 2]
    # carry-save words close their loop in a compressor, a rippling accumulator in an adder
    at = 1.6e9
    opt1, mac = (
        clocking(make_pe({"family": "bit_weight", "engine": engine, "format": "int8"}), NODE, at)
        for engine in ("opt1", "mac")
    )
    assert opt1.loop_hz > 1.5 * mac.loop_hz
    assert (opt1.loop_cycles, mac.loop_cycles) == (1, 2)


@pytest.mark.parametrize("label", LABELS)
def test_a_sum_is_back_after_one_cycle_up_to_the_clock_that_is_named(label):
    pe = make_pe(pairing(label).pe_spec)
    named = min(clocking(pe, NODE, 1e9).loop_hz, 2e9)
    assert clocking(pe, NODE, named * 0.9999).loop_cycles == 1
    assert named == 2e9 or clocking(pe, NODE, named * 1.0001).loop_cycles == 2


def test_the_same_adder_loops_as_fast_behind_any_multiplier():
    pes = [make_pe({"family": "int_mac", "format": f"int{bits}"}) for bits in (4, 8, 12)]
    pes += [make_pe({"family": "ant", "format": "flint4"}), make_pe({"family": "bit_weight", "format": "int8"})]
    adder, register = (NODE.price(circuit).delay_ps for circuit in (Adder(32), Register(32)))
    for pe in pes:
        assert clocking(pe, NODE, 1e9).loop_hz == pytest.approx(1e12 / (adder * factor("speed", "delay") + register))


@pytest.mark.parametrize("clock", [0.76e9, 1e9])  # at the first, the integer MAC alone would be one stage
def test_of_several_modes_the_slowest_counts(clock):
    both, float_one = (clocking(make_pe(pairing(label).pe_spec), NODE, clock) for label in ("fp16+int8", "fp16"))
    assert both == float_one


def test_a_run_says_how_sums_take_turns():
    arch = "systolic_32x32_28nm"
    settings = {"pe": {"family": "float_mac", "format": "fp16"}, "clock": "1 GHz"}
    staying = hwsim.run(arch, "vit-base-16", settings={**settings, "array.dataflow": "output_stationary"})
    assert any("4 sums per PE take turns" in note for note in staying.notes)
    moving = hwsim.run(arch, "vit-base-16", settings={**settings, "array.dataflow": "weight_stationary"})
    assert not any("take turns" in note for note in moving.notes)
