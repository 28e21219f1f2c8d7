"""SRAM against CACTI's own rows, its growth, and what DRAM presets refuse to guess."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_sram, dram_names, load_dram, sram_nodes
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError

# CACTI 7 read energy of 64-bit words, 1 bank, hp, pJ: 8 KiB, 32 KiB, 1 MiB (memory note A1)
READS = {90: (15.90, 43.31, 259.6), 65: (8.81, 24.91, 125.4), 45: (5.29, 14.92, 67.7), 32: (2.91, 8.51, 38.4),
         28: (2.30, 5.38, 31.7), 22: (1.50, 3.50, 18.4)}  # fmt: skip


@pytest.mark.parametrize(("node", "published"), READS.items())
def test_read_energy_is_cactis(node, published):
    small, middle, large = (build_sram(size, 64, 1, node) for size in (2**13, 2**15, 2**20))
    assert (small.read_pj, large.read_pj) == pytest.approx((published[0], published[2]), rel=0.005)  # printed digits
    assert small.answered_by == large.answered_by == "table"
    # This cell is not in the shipped rows. Interpolation has a 90th percentile of 23 % (note A1).
    assert middle.read_pj == pytest.approx(published[1], rel=0.23)
    assert middle.answered_by == "interpolation"


@given(st.integers(12, 20), st.sampled_from([32, 64, 96, 128]), st.sampled_from(sram_nodes()))
def test_sixteen_times_the_size_costs_more(power, width, node):
    # CACTI's own read energy jumps where it changes the column multiplexing, sometimes downwards
    # over a factor of four (90 nm, 16 bits: 64 KiB 73.1 pJ, 256 KiB 62.9 pJ); over sixteen it grows.
    small, large = build_sram(2**power, width, 1, node), build_sram(2 ** (power + 4), width, 1, node)
    assert large.read_pj > small.read_pj
    assert large.area_mm2 > 8 * small.area_mm2
    assert large.leakage_mw > 8 * small.leakage_mw


@given(st.integers(14, 22), st.sampled_from([16, 32, 64, 128]), st.sampled_from(sram_nodes()))
def test_four_times_the_width_costs_more(power, width, node):
    narrow, wide = build_sram(2**power, width, 1, node), build_sram(2**power, 4 * width, 1, node)
    assert wide.read_pj > narrow.read_pj
    assert wide.write_pj > narrow.write_pj


def test_banks_cost_area_and_leakage_but_an_access_costs_less():
    one, four = build_sram(2**20, 64, 1, 28), build_sram(2**20, 64, 4, 28)
    assert four.area_mm2 > one.area_mm2 * 0.9
    assert four.read_pj < one.read_pj
    assert four.macros == 4


def test_wide_ports_are_built_from_parallel_macros():
    wide = build_sram(2**18, 2048, 1, 28)
    assert wide.macros >= 2
    assert wide.read_pj > build_sram(2**18, 1024, 1, 28).read_pj


def test_what_cannot_be_built_or_is_unknown_says_so():
    with pytest.raises(InfeasibleError, match="too wide"):
        build_sram(1024, 1024, 1, 28)
    with pytest.raises(MissingFigureError, match="valid nodes"):
        build_sram(2**15, 64, 1, 3)
    with pytest.raises(UsageError, match="did you mean 'lstp'"):
        build_sram(2**15, 64, 1, 22, "lst")


def test_interpolated_cells_lie_between_their_neighbours():
    low, mid, high = (build_sram(s, 64, 1, 28).write_pj for s in (2**15, 3 * 2**14, 2**16))
    assert min(low, high) <= mid <= max(low, high)


def test_dram_presets_carry_bandwidth_energy_and_source():
    hbm = load_dram("hbm2")
    assert hbm.effective_bandwidth_bits_per_s == 256 * 8e9
    assert hbm.read_pj_per_bit == 3.92
    assert "FGDRAM" in hbm.source
    assert load_dram("ddr4_bitmod").read_pj_per_bit == 18.75


def test_unsourced_energy_must_be_given():
    with pytest.raises(MissingFigureError, match="dram.energy"):
        load_dram("lpddr5")
    own = load_dram("lpddr5", energy_pj_per_bit=4.0)
    assert own.write_pj_per_bit == 4.0
    assert "given by the user" in own.source


def test_unknown_preset_suggests_a_name():
    with pytest.raises(UsageError, match="did you mean 'hbm2'"):
        load_dram("hmb2")
    assert np.all([load_dram(n, energy_pj_per_bit=1).bandwidth_gb_s > 0 for n in dram_names()])
