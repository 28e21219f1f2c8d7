"""SRAM: growth over size, width and banks, and what its answers say of themselves."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_sram, sram_devices, sram_nodes
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError

FIGURES = ("read_pj", "write_pj", "leakage_mw", "area_mm2", "access_ns", "cycle_ns")
KIB, MIB = 2**10, 2**20


def doublings(low, high):
    """Draw integers with every octave as likely as the next."""
    return st.floats(math.log2(low), math.log2(high)).map(lambda power: round(2**power))


sizes = doublings(KIB, 64 * MIB)
widths = doublings(8, 8192)
nodes = st.floats(7, 90) | st.sampled_from([7, 14, 22, 28, 32, 45, 65, 90])
devices = st.sampled_from(["hp", "lstp", "lop"])


def ratios(more, less):
    return {name: getattr(more, name) / getattr(less, name) for name in FIGURES}


def is_built(size, width, banks):
    """CACTI builds every array of at least 32 words in each bank, and none of fewer."""
    return size * 8 >= 32 * width * banks


def test_devices_and_nodes():
    assert sram_devices() == ["hp", "lop", "lstp"]
    assert sram_nodes() == [7, 10, 14, 16, 22, 28, 32, 45, 65, 90]
    assert 28 not in sram_nodes("lop")


@given(sizes, widths, st.integers(1, 64), nodes, devices)
def test_every_buffer_is_built_or_refused_with_what_is_valid(size, width, banks, node, device):
    try:
        found = build_sram(size, width, banks, node, device)
    except InfeasibleError as error:
        assert not is_built(size, width, banks)
        least = int(str(error).split("at least ")[2].split(" B")[0])
        assert is_built(least, width, banks)
        assert not is_built(least - 1, width, banks)
        return
    assert is_built(size, width, banks)
    for row in found.rows():
        assert math.isfinite(row.value)
        assert row.value > 0
        assert row.source.startswith("CACTI 7")
        assert row.estimated == ("× " in row.source or "interpol" in row.source)
    assert found.estimated or found.answered_by == "table"


@given(doublings(KIB, 4 * MIB), widths, st.sampled_from([1, 2, 4, 8]), nodes, devices)
def test_sixteen_times_the_size_costs_more(size, width, banks, node, device):
    # Over factors below eight CACTI's own read energy sometimes falls: 90 nm hp, 16 bits, 64 KiB
    # 73.1 pJ, 256 KiB 62.9 pJ.
    if is_built(size, width, banks):
        larger = build_sram(16 * size, width, banks, node, device)
        found = ratios(larger, build_sram(size, width, banks, node, device))
        assert min(found["write_pj"], found["area_mm2"]) > 1
        assert found["leakage_mw"] > 4
        # Banks of 32 wide words cost several times the one array, deep ones nothing, so a read of
        # the small buffer can cost a little more.
        assert found["read_pj"] > (1 if banks == 1 else 0.8)
        if banks == 1:
            assert found["access_ns"] > 1
            assert found["leakage_mw"] > 8


@given(sizes, doublings(32, 2048), nodes, devices)
def test_four_times_the_width_costs_more_energy(size, width, node, device):
    # From 32 bits: below, CACTI's own can fall (65 nm lstp, 2 KiB: 32 bits cost 0.88 times 8 bits).
    # Area and leakage of one capacity hardly depend on the width.
    if is_built(size, 4 * width, 1):
        found = ratios(build_sram(size, 4 * width, 1, node, device), build_sram(size, width, 1, node, device))
        assert found["read_pj"] > 1
        assert found["write_pj"] > 1
        assert found["area_mm2"] > 0.75
        assert found["leakage_mw"] > 0.75


@given(sizes, widths, st.integers(1, 32), st.integers(1, 32), nodes, devices)
def test_more_banks_never_take_less_area_or_leakage(size, width, banks, added, node, device):
    if is_built(size, width, banks + added):
        found = ratios(
            build_sram(size, width, banks + added, node, device), build_sram(size, width, banks, node, device)
        )
        # equal beyond the shapes that CACTI's rows have, within rounding
        assert found["area_mm2"] >= 1 - 1e-12
        assert found["leakage_mw"] >= 1 - 1e-12


def test_a_deep_buffer_pays_little_for_its_banks_and_a_shallow_one_much():
    deep = ratios(build_sram(MIB, 64, 8, 28), build_sram(MIB, 64, 1, 28))
    shallow = ratios(build_sram(16 * KIB, 512, 8, 28), build_sram(16 * KIB, 512, 1, 28))
    assert 1.0 < deep["area_mm2"] < 1.15
    assert 0.85 < deep["read_pj"] < 1.0
    assert shallow["area_mm2"] > 4  # CACTI 22 and 45 nm: 5.8 times (median of 32 words per bank)
    assert shallow["read_pj"] > 2.5


@pytest.mark.parametrize(("below", "above"), [((MIB, 1024), (MIB, 1025)), ((16 * MIB, 64), (16 * MIB + 1, 64))])
def test_no_jump_where_the_table_ends(below, above):
    inside, outside = build_sram(*below, 1, 28), build_sram(*above, 1, 28)
    for ratio in ratios(outside, inside).values():
        assert ratio == pytest.approx(1, abs=0.002)
    assert outside.answered_by.endswith("(estimated)")
    assert all("the table's largest" in source for source in outside.sources)


def test_33_bits_of_32_words_side_by_side_cost_more_than_32():
    assert build_sram(MIB, 32 * 33, 1, 28).read_pj > build_sram(MIB, 32 * 32, 1, 28).read_pj


@pytest.mark.parametrize("device", ["hp", "lstp", "lop"])
def test_growth_beyond_the_table_continues_what_it_shows(device):
    # The law over the size, from the table's 1 MiB to its 16 MiB: exponents scatter by 0.08.
    for row in sram_nodes(device)[4:]:
        found = ratios(build_sram(16 * MIB, 128, 1, row, device), build_sram(MIB, 128, 1, row, device))
        beyond = ratios(build_sram(256 * MIB, 128, 1, row, device), build_sram(16 * MIB, 128, 1, row, device))
        for name in FIGURES[:5]:
            assert math.log(beyond[name] / found[name], 16) == pytest.approx(0, abs=0.16), (row, name)
        # cycle time jumps between none and a factor of three; beyond the table it stays nearly as it is
        assert 1 < beyond["cycle_ns"] < 1.05


def test_interpolated_cells_lie_between_their_neighbours():
    low, mid, high = (build_sram(s, 64, 1, 28) for s in (2**16, 3 * 2**15, 2**17))
    for name in FIGURES:
        assert getattr(low, name) <= getattr(mid, name) <= getattr(high, name)
    assert mid.answered_by == "interpolation"
    assert all("interpolated between rows" in source for source in mid.sources)
    assert all(mid.estimates)


@pytest.mark.parametrize(
    ("args", "answered_by"),
    [
        ((2**13, 64, 1, 28), "table"),
        ((2**15, 64, 1, 28), "interpolation"),
        ((KIB, 256, 1, 28), "interpolation"),
        ((2**13, 64, 4, 28), "table, times the factor of 4 banks (estimated)"),
        ((2**13, 64, 1, 7), "table, extrapolated from 22 nm (estimated)"),
        ((2**13, 64, 1, 40), "table, between 32 and 45 nm (estimated)"),
        ((2**14, 128, 1, 28, "lop"), "interpolation, between 22 and 32 nm (estimated)"),
        ((2**15, 2048, 1, 28), "interpolation, extrapolated beyond a port of 1024 bits (estimated)"),
        ((2**26, 16, 1, 28), "table, put in order of size (estimated), extrapolated beyond 16 MiB (estimated)"),
        ((2**13, 4, 1, 28), "table, put in order of size (estimated), as 8 bits (estimated)"),
    ],
)
def test_an_answer_says_how_it_came_about(args, answered_by):
    found = build_sram(*args)
    assert found.answered_by == answered_by
    assert found.estimated == (answered_by != "table")
    assert [r.quantity for r in found.rows()] == list(FIGURES)
    assert set(found.source.split("; ")) == {part for s in found.sources for part in s.split("; ")}


def test_interpolation_says_how_far_it_is_off_and_many_banks_say_that_they_are_not_measured():
    assert "8 % in read and 7 % in write" in build_sram(2**15, 64, 1, 28).sources[0]
    assert "no rows beyond 8 banks" not in build_sram(2**15, 64, 8, 28).source
    assert "no rows beyond 8 banks" in build_sram(2**15, 64, 16, 28).source


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((KIB, 512, 1, 28), InfeasibleError, "too wide.*at least 2048 B, or a port of at most 256 bits$"),
        ((8 * KIB, 1024, 4, 28), InfeasibleError, "at least 16384 B, or at most 2 bank.s., or a port of at most 512"),
        ((1023, 8, 1, 28), InfeasibleError, "valid: 1024 B to 256 MiB; below that it is a register file"),
        ((2**28 + 1, 64, 1, 28), InfeasibleError, "valid: 1024 B to 256 MiB; use several"),
        ((2**15, 64, 1, 3), MissingFigureError, "no memory figures at 3 nm; valid nodes: 7 to 90 nm"),
        ((2**15, 64, 1, 130), MissingFigureError, "valid nodes"),
        ((2**15, 64, 1, math.nan), MissingFigureError, "valid nodes"),
        ((2**15, 64, 1, 22, "lst"), UsageError, "did you mean 'lstp'"),
        ((2**15, 64, 0, 22), UsageError, "banks must be positive, not 0"),
        ((-1, 64, 1, 22), UsageError, "size must be positive, not -1"),
        ((2**15, 0, 1, 22), UsageError, "port_bits must be positive"),
    ],
)
def test_what_cannot_be_built_or_is_unknown_says_so(args, error, message):
    with pytest.raises(error, match=message):
        build_sram(*args)


def test_pricing_imports_neither_scipy_nor_pandas():
    code = (
        "import sys; from hwsim.hardware.memory import build_sram, memory_deviations; "
        "build_sram(3 * 2**14, 100, 4, 40); memory_deviations(); print({'scipy', 'pandas'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
