"""DRAM presets, what they refuse to guess, and the sheets that explain memories."""

from __future__ import annotations

import math

import pytest

from hwsim.hardware.accelerator_spec import DramSpec
from hwsim.hardware.memory import (
    Access,
    build_register_file,
    build_sram,
    dram_names,
    dram_sheet,
    load_dram,
    load_preset,
    memory_sheet,
)
from hwsim.hardware.memory.dram import SEQUENTIAL, dram_candidates, peak_gb_s
from hwsim.hardware.off_chip import make_dram
from hwsim.spec.errors import MissingFigureError, UsageError

# The figures of the notes: peak GB/s, pJ/bit
PRESETS = {
    "ddr4_2400": (19.2, 20.3), "ddr4_3200": (25.6, 20.3), "ddr4_bitmod": (32, 18.75), "gddr6": (64, 7.5),
    "gddr6x": (84, 7.25), "hbm2": (256, 3.92), "hbm2e": (461, 6.0), "lpddr4": (8.5, 8),
}  # fmt: skip
MISSING = {"ddr5_4800": "energy", "gddr5": "bandwidth", "hbm3": "energy", "lpddr4x": "bandwidth", "lpddr5": "energy"}


@pytest.mark.parametrize(("name", "figures"), PRESETS.items())
def test_presets_carry_bandwidth_energy_and_source(name, figures):
    found = load_dram(name)
    assert (found.bandwidth_gb_s, found.read_pj_per_bit, found.write_pj_per_bit) == (*figures, figures[1])
    assert load_dram(name, access=None).effective_bandwidth_bits_per_s == figures[0] * 8e9
    timed = found.preset.timing is not None
    assert (found.effective_gb_s < found.bandwidth_gb_s) == timed
    assert ("no timing is sourced" in found.bandwidth_how) != timed
    assert found.source == f"bandwidth: {found.bandwidth_source}; energy: {found.energy_source}"
    assert found.scope


STANDARDS = {
    "DDR3", "DDR4", "DDR5", "LPDDR3", "LPDDR4", "LPDDR4X", "LPDDR5", "LPDDR6", "GDDR5", "GDDR5X", "GDDR6", "GDDR6X",
    "GDDR7", "HBM1", "HBM2", "HBM2E", "HBM3", "HBM4",
}  # fmt: skip


def test_presets_of_every_standard():
    assert {*PRESETS, *MISSING} < set(dram_names())
    assert {load_preset(name).standard for name in dram_names()} == STANDARDS


@pytest.mark.parametrize("name", dram_names())
def test_a_preset_says_what_it_lacks_and_where_the_rest_is_from(name):
    preset = load_preset(name)
    has = (preset.timing, preset.bandwidth, preset.energy or preset.currents)
    assert all(has) or preset.lacks
    for group in (preset.bandwidth, preset.energy, preset.organisation, preset.timing, preset.currents):
        assert group is None or len(group.source) > 10
    assert (preset.timing is None) == (preset.organisation is None)
    if preset.timing is not None:
        o, t = preset.timed
        assert preset.bandwidth.value == pytest.approx(peak_gb_s(preset), rel=0.003)
        assert o.row_bytes % o.burst_bytes == 0
        assert (t.rc, t.ccd_l, t.rrd_l, t.faw) >= (t.ras, t.ccd_s, t.rrd_s, 4)
        assert t.refi > t.rfc


@pytest.mark.parametrize("name", ["lpddr4_8gb_x16_2400", "gddr6_8gb_x16", "gddr5_8gb_x32"])
def test_copied_currents_are_no_energy(name):
    assert load_preset(name).currents is None
    with pytest.raises(MissingFigureError, match=f"dram.energy: no source gives the energy of {name}; give it"):
        load_dram(name)


def test_a_pattern_needs_timing():
    with pytest.raises(MissingFigureError, match="gddr6x has no sourced timing.*ddr4_2400"):
        load_dram("gddr6x", access=Access("random"))


def test_channels_scale_the_peak_and_exclude_a_bandwidth():
    one, two = load_dram("ddr4_2400"), load_dram("ddr4_2400", channels=2)
    assert (two.bandwidth_gb_s, two.effective_gb_s) == (38.4, pytest.approx(2 * one.effective_gb_s, abs=2e-3))
    assert "2 channel(s) instead of 1" in two.bandwidth_source
    with pytest.raises(UsageError, match="bandwidth or channels, not both"):
        load_dram("ddr4_2400", bandwidth_gb_s=10, channels=2)
    with pytest.raises(UsageError, match="at least 1"):
        load_dram("ddr4_2400", channels=0)


def test_a_given_bandwidth_is_a_peak():
    whole, half = load_dram("ddr4_2400"), load_dram("ddr4_2400", bandwidth_gb_s=9.6)
    assert half.effective_gb_s == pytest.approx(whole.effective_gb_s / 2, abs=1e-3)


def test_patterns_cost_bandwidth_and_by_currents_energy():
    name = "ddr4_8gb_x8_2400"
    stream, scattered = load_dram(name), load_dram(name, access=Access("random", 64))
    assert scattered.effective_gb_s < stream.effective_gb_s
    # mW over Gb/s are pJ/bit. DRAMsim3's run of this stream takes 12.33 with standby and refresh.
    whole = [d.read_pj_per_bit + d.background_mw / (8 * d.effective_gb_s) for d in (stream, scattered)]
    assert whole[0] == pytest.approx(12.33, rel=0.03)
    assert whole[1] > 1.3 * whole[0]
    assert stream.background_mw == scattered.background_mw > 0
    mixed = load_dram(name, access=Access(read_share=0.5))
    assert mixed.effective_gb_s < stream.effective_gb_s
    assert "50% reads" in mixed.bandwidth_how


@pytest.mark.parametrize(("name", "figure"), MISSING.items())
def test_what_no_source_gives_must_be_given(name, figure):
    with pytest.raises(MissingFigureError, match=f"^dram.{figure}: no source gives the {figure} of {name}; give it"):
        load_dram(name)
    own = load_dram(name, bandwidth_gb_s=10, energy_pj_per_bit=4.0)
    assert (own.bandwidth_gb_s, own.read_pj_per_bit, own.write_pj_per_bit) == (10, 4.0, 4.0)
    assert own.source == "bandwidth: given by the user; energy: given by the user"


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_overrides_must_be_positive_numbers(value):
    with pytest.raises(UsageError, match="dram.energy: must be a positive number"):
        load_dram("hbm2", energy_pj_per_bit=value)
    with pytest.raises(UsageError, match="dram.bandwidth: must be a positive number"):
        load_dram("hbm2", bandwidth_gb_s=value)


def test_unknown_preset_suggests_a_name():
    with pytest.raises(UsageError, match="did you mean 'hbm2'"):
        load_dram("hmb2")


def test_sheet_of_a_preset():
    sheet = memory_sheet(load_dram("hbm2", energy_pj_per_bit=5))
    assert sheet.title == "DRAM hbm2"
    assert [(r.quantity, r.value, r.unit) for r in sheet.rows[:4]] == [
        ("bandwidth_gb_s", 256, "GB/s"), ("effective_bandwidth_gb_s", 243.331, "GB/s"),
        ("read_pj_per_bit", 5, "pJ/bit"), ("write_pj_per_bit", 5, "pJ/bit"),
    ]  # fmt: skip
    assert sheet.rows[2].source == "given by the user"
    assert sheet.notes[0] == "scope: device and I/O, one stack at 2 Gb/s/pin, energy as given by the user"
    assert {"burst_bytes", "faw", "refi", "clock_ns", "random_read_latency_ns"} < {r.quantity for r in sheet.rows}
    assert all(row.source for row in sheet.rows)


def test_sheet_of_what_lacks_energy_shows_the_rest():
    sheet = dram_sheet(load_preset("hbm3"))
    assert [r.quantity for r in sheet.rows[:2]] == ["bandwidth_gb_s", "channels"]
    assert "lacks energy: no authoritative figure found" in sheet.notes
    bare = dram_sheet(load_preset("gddr6x"))
    assert [r.quantity for r in bare.rows] == ["bandwidth_gb_s", "read_pj_per_bit"]


def test_a_write_costs_a_read_and_says_that_this_is_an_estimate():
    read, write = memory_sheet(load_dram("hbm2")).rows[2:4]
    assert (read.estimated, write.estimated) == (False, True)
    assert write.source == f"as a read: {read.source}"


def test_sheets_of_memories_on_chip():
    sram = build_sram(2**19, 128, 8, 28)
    sheet = memory_sheet(sram)
    assert sheet.title == "SRAM 524288 B, 128 bit port, 8 bank(s), 28 nm hp"
    assert sheet.rows[:-1] == sram.rows()
    assert sheet.rows[-1][:3] == ("vdd_v", 0.86, "V")
    assert f"answered by: {sram.answered_by}" in sheet.notes
    assert all(row.source and row.unit for row in sheet.rows)
    files = memory_sheet(build_register_file(64, 32, 2, 1, 40))
    assert files.title == "register file 64 words of 32 bits, 2 read, 1 write, 0 shared ports, 40 nm hp"
    assert "no supply voltage is stated for this node and device" in files.notes


def test_flat_figures_are_of_whole_bursts_and_hold_the_background():
    name = "ddr4_2400"
    whole, eighth = (load_dram(name, access=Access("random", size)) for size in (64, 8))
    assert eighth.read_pj_per_bit == pytest.approx(8 * whole.read_pj_per_bit)
    assert "whole bursts, of which 0.125 are asked for" in eighth.energy_source
    assert whole.background_mw == 0
    given = load_dram(name, energy_pj_per_bit=5.0, access=Access("random", 8))
    assert given.read_pj_per_bit == 5.0


def test_channels_bring_their_own_background():
    one, two = (load_dram("ddr4_8gb_x8_2400", channels=n) for n in (1, 2))
    assert two.background_mw == pytest.approx(2 * one.background_mw)


@pytest.mark.parametrize("name", ["ddr4_2400", "ddr4_8gb_x8_2400", "gddr6x", "hbm2"])
@pytest.mark.parametrize("given", [None, 5.0])
@pytest.mark.parametrize("access", [None, SEQUENTIAL])
def test_what_candidates_choose_is_what_answers(name, given, access):
    dram = load_dram(name, energy_pj_per_bit=given, access=access)
    chosen = {c.figure: c for c in dram_candidates(dram, access) if c.chosen}
    assert set(chosen) == {"bandwidth_gb_s", "read_pj_per_bit"}
    assert chosen["bandwidth_gb_s"].value == pytest.approx(dram.effective_gb_s, rel=1e-3)  # whole MB/s
    assert chosen["read_pj_per_bit"].value == pytest.approx(dram.read_pj_per_bit)
    assert all(c.why for c in dram_candidates(dram, access))


def test_writes_and_standby_of_ones_own():
    given = {"preset": "ddr4_bitmod", "energy": "2 pJ/bit", "write_energy": "3 pJ/bit", "background": "484.615 mW"}
    found = make_dram(DramSpec.model_validate(given))
    assert (found.read_pj_per_bit, found.write_pj_per_bit, found.background_mw) == (2, 3, pytest.approx(484.615))
    assert (found.write_source, found.background_source) == ("given by the user",) * 2
    plain = make_dram(DramSpec.model_validate({"preset": "ddr4_bitmod"}))
    assert plain.background_mw == 0
    assert plain.write_pj_per_bit == plain.read_pj_per_bit == 18.75
