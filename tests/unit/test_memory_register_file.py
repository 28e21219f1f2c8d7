"""Register files: growth over words, width and ports, and their borders with registers and SRAM."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_register_file
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError

FIGURES = ("read_pj", "write_pj", "leakage_mw", "area_mm2", "access_ns")
nodes = st.floats(7, 90) | st.sampled_from([7, 22, 28, 45, 90])
devices = st.sampled_from(["hp", "lstp"])
MIXES = [(0, 0, 1), (1, 1, 0), (1, 0, 1), (2, 1, 0), (2, 2, 0), (4, 2, 1), (5, 3, 0)]


def build(words, width, mix, node, device="hp"):
    read, write, shared = mix
    return build_register_file(words, width, read, write, node, device, shared)


def is_built(words, width):
    return words >= 32 and 8 <= width <= 2048 and 64 <= words * min(width, 128) / 8 <= 2048


@given(st.integers(1, 4096), st.integers(1, 3000), st.sampled_from(MIXES), nodes, devices)
def test_every_file_is_built_or_refused_with_what_is_valid(words, width, mix, node, device):
    if not is_built(words, width):
        with pytest.raises(InfeasibleError, match="valid: at (least|most)"):
            build(words, width, mix, node, device)
        return
    found = build(words, width, mix, node, device)
    assert found.size_bytes == words * width / 8
    for row in found.rows():
        assert math.isfinite(row.value)
        assert row.value > 0
        assert row.source.startswith("CACTI 7 register file rows")
        assert row.estimated == ("× " in row.source or "interpol" in row.source)


@given(st.integers(32, 1024), st.integers(8, 128), st.integers(3, 7), nodes, devices)
def test_more_ports_never_cost_less(words, width, ports, node, device):
    if is_built(words, width):
        fewer, more = (build(words, width, (p - 1, 1, 0), node, device) for p in (ports, ports + 1))
        assert all(getattr(more, name) >= getattr(fewer, name) for name in FIGURES)
        assert more.area_mm2 > fewer.area_mm2


@given(st.integers(32, 512), st.integers(8, 32), st.sampled_from(MIXES), nodes, devices)
def test_four_times_the_words_or_width_cost_more(words, width, mix, node, device):
    if is_built(words, width) and is_built(4 * words, width):
        small, large = (build(w, width, mix, node, device) for w in (words, 4 * words))
        # CACTI's optimum trades access time now and then; it is no property that more words take longer.
        assert all(getattr(large, name) > getattr(small, name) for name in FIGURES[:4])
    if is_built(words, width) and is_built(words, 4 * width):
        small, wide = (build(words, w, mix, node, device) for w in (width, 4 * width))
        assert all(getattr(wide, name) > getattr(small, name) for name in FIGURES[:4])


def test_area_grows_with_the_square_of_the_ports():
    sides = [math.sqrt(build(128, 32, (p - 1, 1, 0), 32).area_mm2) for p in (3, 4, 5, 8)]
    assert sides[1] - sides[0] == pytest.approx(sides[2] - sides[1])
    assert sides[3] - sides[0] == pytest.approx(5 * (sides[1] - sides[0]))


def test_no_jump_where_the_table_ends():
    inside, outside = (build(64, width, (1, 1, 0), 22) for width in (128, 129))
    for name in FIGURES:
        assert getattr(outside, name) == pytest.approx(getattr(inside, name), rel=0.011)
    assert outside.answered_by == "table, extrapolated beyond words of 128 bits (estimated)"


@pytest.mark.parametrize(
    ("mix", "node", "answered_by"),
    [
        ((2, 1, 0), 22, "table"),
        ((3, 1, 0), 22, "table, extrapolated in ports (estimated)"),
        ((1, 0, 1), 22, "table, other port mix (estimated)"),
        ((2, 1, 0), 28, "table, between 22 and 32 nm (estimated)"),
        ((2, 1, 0), 7, "table, extrapolated from 22 nm (estimated)"),
    ],
)
def test_an_answer_says_how_it_came_about(mix, node, answered_by):
    found = build(64, 16, mix, node)
    assert found.answered_by == answered_by
    assert found.estimated == (answered_by != "table")


def test_another_port_mix_costs_what_the_rows_with_as_many_ports_do():
    other, known = build(64, 16, (1, 0, 1), 22), build(64, 16, (1, 1, 0), 22)
    assert [getattr(other, n) for n in FIGURES] == [getattr(known, n) for n in FIGURES]
    assert "0 shared, 1 read, 1 write" in other.source


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((16, 32, 1, 1, 28), InfeasibleError, "at least 32 words, 8 bits and 64 B; below that it is registers"),
        ((4096, 64, 1, 1, 28), InfeasibleError, "above that it is SRAM"),
        ((64, 32, 0, 1, 28), UsageError, "ports to read and to write, not 0 read, 1 write, 0 shared"),
        ((64, 32, 2, -1, 28), UsageError, "ports to read and to write"),
        ((64, 0, 1, 1, 28), UsageError, "width must be positive"),
        ((64, 32, 8, 1, 28), MissingFigureError, "9 ports; valid: 1 to 8"),
        ((64, 32, 1, 1, 5), MissingFigureError, "valid nodes: 7 to 90"),
        ((64, 32, 1, 1, 28, "lop"), MissingFigureError, "no register files of device type 'lop'.*lstp"),
        ((64, 32, 1, 1, 28, "hp", 0, 1.2), MissingFigureError, "figures hold at 0.86 V"),
    ],
)
def test_what_cannot_be_built_or_is_unknown_says_so(args, error, message):
    with pytest.raises(error, match=message):
        build_register_file(*args)
