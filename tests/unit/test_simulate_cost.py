"""The cost model: counts by hand, energies by hand, and sums that are exact in any order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.simulate.cost import (
    ENERGY_PARTS,
    Counts,
    UnitCosts,
    array_bits,
    gemm_counts,
    gemm_energy,
    moved_bytes,
    settle,
)
from hwsim.simulate.schedule import OperandBits, Schedule, Tiling, Timing, Traffic
from hwsim.spec.errors import ConservationError
from tests.support.machines import gemm

#: Two instances of 4 × 2 × 3 with spilled sums; every count is a different small number.
SCHEDULE = Schedule(
    gemm=gemm(4, 2, 3, batch=2),
    tiling=Tiling(4, 1, 2, "kmn", True, True, False),
    bits=OperandBits(w=4, a=8, o=16, psum=32),
    body=(),
    traffic=Traffic(
        dram_w=6, dram_a=12, dram_psum_read=16, dram_psum_write=16, dram_o=8,
        sram_w_read=7, sram_a_read=13, sram_psum_read=17, sram_psum_write=25,
    ),
    compute_cycles=50,
    pe_steps=24,
    dequant_ops=5,
)  # fmt: skip
UNIT = UnitCosts(
    pe_pj_per_step=2.0,
    pe_register_pj_per_step=0.5,
    wire_pj_per_step=0.25,
    shift_pj_per_bit={"w": 0.125, "a": 0.0, "o": 0.0},
    bus_pj_per_bit={"w": 0.0, "a": 0.375, "o": 0.0},
    array_clock_pj_per_cycle=3.0,
    dequant_pj=7.0,
    sram_read_pj_per_bit={"w": 0.5, "a": 1.0, "o": 2.0},
    sram_write_pj_per_bit={"w": 1.5, "a": 3.0, "o": 4.0},
    dram_read_pj_per_bit=10.0,
    dram_write_pj_per_bit=20.0,
    dram_background_mw=0.25,
    network_pj_per_bit=0.0625,
    leakage_w=0.5,
    period_ns=2.0,
)
LOAD, STORE = 6 * 4 + 12 * 8 + 16 * 32, 16 * 32 + 8 * 16


def test_counts_by_hand():
    counts = gemm_counts(SCHEDULE, LOAD, STORE)
    assert (counts.dram_read_bits, counts.dram_write_bits) == (2 * 632, 2 * 640)
    # The array's reads, and from the output buffer the drains: sums leave it as wide as they lie there.
    assert counts.sram_read_bits == {"w": 2 * 28, "a": 2 * 104, "o": 2 * (17 * 32 + (8 + 16) * 32)}
    # What DRAM delivers, and into the output buffer the array's results.
    assert counts.sram_write_bits == {"w": 2 * 24, "a": 2 * 96, "o": 2 * (25 * 32 + 16 * 32)}
    assert array_bits(SCHEDULE) == {"w": 56, "a": 208, "o": 2 * 42 * 32}


def test_energy_by_hand():
    counts = gemm_counts(SCHEDULE, LOAD, STORE)
    parts = gemm_energy(SCHEDULE, Timing(cycles=130, compute_cycles=100), counts, UNIT)
    reads, writes = counts.sram_read_bits, counts.sram_write_bits
    assert parts == {
        "energy_pe_pj": 48 * 2.0 + 10 * 7.0,
        "energy_rf_pj": 48 * 0.75
        + 56 * 0.125
        + 208 * 0.375
        + 100 * 3.0,  # the clock stands still for 30 cycles of stall
        "energy_sram_pj": (56 * 0.5 + 208 * 1.0 + reads["o"] * 2.0) + (48 * 1.5 + 192 * 3.0 + writes["o"] * 4.0),
        "energy_dram_pj": 1264 * 10.0 + 1280 * 20.0 + 130 * 2.0 * 0.25,
        "energy_network_pj": (56 + 208 + reads["o"] + 48 + 192 + writes["o"]) * 0.0625,
        "energy_vector_pj": 0.0,
        "energy_leakage_pj": 130 * 2.0 * 0.5 * 1000,
    }
    assert tuple(parts) == ENERGY_PARTS


def test_bytes_are_rounded_up():
    counts = Counts(9, 8, {"w": 1, "a": 2, "o": 6}, {"w": 0, "a": 0, "o": 0})
    assert moved_bytes(counts) == {
        "dram_read_bytes": 2, "dram_write_bytes": 1, "sram_read_bytes": 2, "sram_write_bytes": 0,
    }  # fmt: skip


energies = st.one_of(st.just(0.0), st.floats(1e-6, 1e15))


@given(st.lists(st.lists(energies, min_size=7, max_size=7), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_settled_parts_add_up_exactly_whatever_the_order(table, random):
    rows = [dict(zip(ENERGY_PARTS, values, strict=True)) for values in table]
    before = [dict(row) for row in rows]
    settle(rows)
    parts = [(row, name) for row in rows for name in ENERGY_PARTS]
    exact = math.fsum(row[name] for row, name in parts)
    random.shuffle(parts)
    assert sum(row[name] for row, name in parts) == exact
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert sum(row["energy_pj"] for row in shuffled) == exact
    total = math.fsum(value for values in table for value in values)
    for row, old in zip(rows, before, strict=True):  # half a quantum: 2^-46 of the total
        assert row["energy_pj"] == sum(row[name] for name in reversed(ENERGY_PARTS))
        assert all(abs(row[name] - old[name]) <= total * 2.0**-46 for name in ENERGY_PARTS)


@pytest.mark.parametrize("value", [-1e-12, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ENERGY_PARTS)
def test_impossible_energies_are_refused(part, value):
    with pytest.raises(ConservationError, match="negative or not finite"):
        settle([dict.fromkeys(ENERGY_PARTS, 1.0), {**dict.fromkeys(ENERGY_PARTS, 1.0), part: value}])
