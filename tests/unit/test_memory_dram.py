"""DRAM presets, what they refuse to guess, and the sheets that explain memories."""

from __future__ import annotations

import math

import pytest

from hwsim.hardware.memory import build_register_file, build_sram, dram_names, load_dram, memory_sheet
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
    assert found.effective_bandwidth_bits_per_s == figures[0] * 8e9
    assert found.source == f"bandwidth: {found.bandwidth_source}; energy: {found.energy_source}"
    assert found.scope


def test_no_other_presets():
    assert dram_names() == sorted([*PRESETS, *MISSING])


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
    assert [(r.quantity, r.value, r.unit) for r in sheet.rows] == [
        ("bandwidth_gb_s", 256, "GB/s"), ("read_pj_per_bit", 5, "pJ/bit"), ("write_pj_per_bit", 5, "pJ/bit")
    ]  # fmt: skip
    assert sheet.rows[1].source == "given by the user"
    assert sheet.notes[0] == "scope: device and I/O, one stack at 2 Gb/s/pin, energy as given by the user"


def test_a_write_costs_a_read_and_says_that_this_is_an_estimate():
    read, write = memory_sheet(load_dram("hbm2")).rows[1:]
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
