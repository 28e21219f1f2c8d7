"""Bitlet: channels against the public RTL's search, sums against whole products, waiting channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.digits import digit_table
from hwsim.hardware.circuits import StaggeredTree
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.digit_cycles import gaussian_histogram
from hwsim.hardware.pe.families.bitlet import channel_cycles
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

INT8, INT4 = parse_format("int8"), parse_format("int4")


def bitlet(**options):
    return make_pe({"family": "bitlet", **options})


def search(bits, window):
    """Return the cycles and the selected places of a channel, as the window of the public RTL moves."""
    at, selected, cycles = 0, [], 0
    while at < len(bits):
        ones = [i for i in range(at, min(at + window, len(bits))) if bits[i]]
        selected += ones[:1]
        at = ones[1] if len(ones) > 1 else at + window
        cycles += 1
    return cycles, selected


@given(st.lists(st.integers(0, 1), min_size=1, max_size=80), st.integers(2, 16))
def test_the_search_selects_every_one_once(bits, window):
    cycles, selected = search(bits, window)
    assert selected == [i for i, bit in enumerate(bits) if bit]
    assert max(sum(bits), -(-len(bits) // window)) <= cycles <= len(bits)


@pytest.mark.parametrize(("ones", "lanes", "window"), [(0.5, 64, 8), (0.1, 64, 8), (0.02, 30, 8), (0.3, 12, 4)])
def test_cycles_of_a_channel_are_those_of_the_search(ones, lanes, window):
    rng = np.random.default_rng(11)
    found = np.bincount([search(rng.random(lanes) < ones, window)[0] for _ in range(6000)], minlength=lanes + 1)
    assert np.abs(np.cumsum(found) / 6000 - np.cumsum(channel_cycles(ones, lanes, window))).max() < 0.03


def test_cycles_of_empty_and_full_channels():
    # The public RTL: 64 weights, a window of 8: 8 cycles see that there is nothing, 64 take everything.
    assert channel_cycles(0.0, 64, 8)[8] == 1
    assert channel_cycles(1.0, 64, 8)[64] == pytest.approx(1)
    assert bitlet().cycles_per_step(INT8, INT8) == 64


@pytest.mark.parametrize("ones", [0.05, 0.5])
def test_a_window_of_all_lanes_takes_as_many_cycles_as_there_are_ones(ones):
    from scipy.stats import binom

    wanted = binom.pmf(np.arange(33), 32, ones)
    wanted[1] += wanted[0]  # a cycle sees that there is none
    wanted[0] = 0
    assert channel_cycles(ones, 32, 32) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("window", "lockstep", "lanes"), [(8, 1, 64), (64, 1, 64), (8, 8, 64), (4, 1, 16)])
def test_expected_cycles_are_those_of_a_simulation_of_the_slowest_channel(window, lockstep, lanes):
    # Bits of one weight are not independent, as is assumed: within 1.5 %.
    pe, rng = bitlet(window=window, lanes=lanes), np.random.default_rng(5)
    bits = digit_table(INT8, "sign_magnitude").digits != 0
    codes = rng.choice(256, p=gaussian_histogram(INT8), size=(400, lockstep, lanes))
    spent = [max(search(column, window)[0] for one in step for column in bits[:, one]) for step in codes]
    assert pe.expected_cycles_per_step(INT8, INT8, lockstep=lockstep) == pytest.approx(np.mean(spent), rel=0.015)


def test_expected_cycles_are_above_the_mean_channel_and_grow_with_lockstep():
    pe = bitlet()
    found = [pe.expected_cycles_per_step(INT8, INT8, lockstep=n) for n in (1, 8, 64)]
    assert found == sorted(found)
    assert found[0] > (channel_cycles(0.5, 64, 8) * np.arange(65)).sum()
    assert found[-1] < pe.cycles_per_step(INT8, INT8)


def test_given_digits_count():
    pe = bitlet(window=64)
    assert pe.expected_cycles_per_step(INT8, INT8, np.array([1.0])) == 1
    assert pe.expected_cycles_per_step(INT8, INT8, np.array([0] * 8 + [1.0])) == pytest.approx(64)
    few = pe.expected_cycles_per_step(INT8, INT8, np.array([0, 1.0]))
    assert 64 / 8 < few < 64 / 2  # above the mean of its eight positions


@given(st.integers(2, 8), st.integers(2, 12), st.booleans(), st.integers(1, 5), st.data())
def test_sums_over_positions_are_those_of_whole_products(wb, ab, unsigned, lanes, data):
    sign = "u" if unsigned else ""
    pe = bitlet(w_format=f"int{wb}", a_format=f"{sign}int{ab}", lanes=lanes)
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, 2**wb - 1), st.integers(0, 2**ab - 1)), min_size=1, max_size=20)
    )
    w, a = np.array(pairs).T
    ws = [int(x) - 2**wb * (x >= 2 ** (wb - 1)) for x in w]
    as_ = [int(y) - 2**ab * (y >= 2 ** (ab - 1) and not unsigned) for y in a]
    assert pe.dot(w, a, pe.w_format, pe.a_format) == sum(x * y for x, y in zip(ws, as_, strict=True))


def test_a_staggered_tree_is_as_wide_as_its_numbers_overlap():
    assert StaggeredTree(2, 9).cells() == {"ha": 1, "cpa": 8}
    assert StaggeredTree(4, 9).cells() == {"ha": 3, "cpa": 8 + 8 + 10}
    assert StaggeredTree(1, 9).levels() == 0


def test_wider_operands_more_lanes_and_windows_cost_more():
    def area(**options):
        return price_pe(bitlet(**options), load_technology("7nm")).area_um2

    for w, a in ((2, 2), (4, 4), (7, 8)):
        sizes = [area(w_format=f"int{x}", a_format=f"int{y}") for x, y in ((w, a), (w + 1, a), (w + 1, a + 1))]
        assert sizes == sorted(set(sizes))
    assert area(lanes=16) < area(lanes=32)
    assert area(window=4) < area(window=8) < area(window=16)


def test_labels_and_what_does_not_fit():
    pe = make_pe(pairing("bitlet_w4a8_g128").pe_spec)
    assert (pe.lanes, pe.window) == (64, 8)
    assert pe.supports(INT4, INT8) is None
    assert "int8" in str(pe.supports(INT8, INT8))
    assert "no integers" in str(pe.supports(INT4, parse_format("bf16")))


@pytest.mark.parametrize(("options", "message"), [
    ({"window": 1}, "valid: 2 to"), ({"w_format": "int16"}, "valid: int2"), ({"format": "fp16"}, "valid: int2"),
    ({"windows": 8}, "did you mean.*window"), ({"accumulator": "fp32"}, "valid: a signed integer"),
])  # fmt: skip
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        bitlet(**options)
