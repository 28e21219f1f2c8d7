"""PEs whose cycles depend on data: what is expected of those that wait, against codes that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.formats import parse_format
from hwsim.formats.digits import digit_table
from hwsim.formats.operand import OperandStats
from hwsim.formats.statistics import expected_maximum
from hwsim.hardware.pe import make_pe
from hwsim.hardware.pe.digit_cycles import code_shares, gaussian_histogram
from hwsim.hardware.pe.families.bitlet import searched_cycles
from hwsim.hardware.pe.lockstep import Lockstep, as_lockstep, at_least, largest_of
from hwsim.hardware.pe.operands import Operands, data_factors
from hwsim.hardware.pe.pipeline import pipelined_price, step_energy_fj
from hwsim.hardware.technology import load_technology

INT8 = parse_format("int8")
GAUSSIAN = (OperandStats(distribution="gaussian"),) * 2
PES = {
    "laconic": {"family": "laconic", "lanes": 4},
    "naf": {"family": "laconic", "lanes": 2, "encoding": "naf"},
    "bitlet": {"family": "bitlet", "lanes": 16},
    "opt3": {"family": "bit_weight", "engine": "opt3", "k_tile": 64},
    "opt4c": {"family": "bit_weight", "engine": "opt4c", "encoding": "ent", "k_tile": 64},
    "opt4e": {"family": "bit_weight", "engine": "opt4e", "k_tile": 64},
    "olaccel": {"family": "olaccel", "w_format": "int8", "a_format": "int8", "lanes": 8},
    "multi": {"family": "multi", "modes": [{"family": "laconic", "lanes": 2}, "fp16"]},
}
FIXED = [{"family": "int_mac", "format": "int8"}, {"family": "bit_weight", "engine": "opt1"}, {"family": "stripes"},
         {"family": "multi", "modes": ["int8", "fp16"]}, {"family": "bitmod"}]  # fmt: skip


@pytest.fixture(params=PES)
def pe(request):
    return make_pe(PES[request.param])


def drawn(pe, step, steps, data=GAUSSIAN):
    """Return codes of so many steps of the PEs of ``step``, drawn from ``data``."""
    rng = np.random.default_rng(11)
    w, a = (
        rng.choice(2**fmt.bits, p=code_shares(fmt, one), size=(steps, step.groups, vectors, pe.lanes))
        for fmt, one, vectors in zip((pe.w_format, pe.a_format), data, (step.weights, step.activations), strict=True)
    )
    return w, a


@pytest.mark.parametrize("step", [Lockstep(), Lockstep(weights=3, activations=4), Lockstep(groups=3, weights=2)])
@pytest.mark.parametrize("least", [1, 3])
def test_expected_cycles_are_those_of_drawn_codes(pe, step, least):
    steps = 64 * 60
    w, a = drawn(pe, step, steps)
    spent = np.maximum(pe.measured_cycles(w, a, pe.w_format, pe.a_format), least if pe.family != "bit_weight" else 1)
    assert len(spent) == steps
    given = Lockstep(step.groups, step.weights, step.activations, least=least if pe.family != "bit_weight" else 1)
    found = pe.expected_cycles_per_step(pe.w_format, pe.a_format, lockstep=given, data=GAUSSIAN)
    # Bits of a weight, of bitlet, and PEs with operands in common, of olaccel, are taken to be independent.
    assert found == pytest.approx(spent.mean(), rel={"bitlet": 0.02, "olaccel": 0.02}.get(pe.family, 0.012))


def test_more_pes_take_longer_up_to_the_worst_case(pe):
    w, a = pe.w_format, pe.a_format
    assert pe.data_dependent(w, a)
    counts = [Lockstep(n, m, k) for n, m, k in ((1, 1, 1), (1, 2, 1), (1, 2, 2), (1, 8, 8), (8, 8, 8), (64, 32, 32))]
    found = [pe.expected_cycles_per_step(w, a, lockstep=one) for one in counts]
    assert found == sorted(found)
    assert pe.work_cycles_per_step(w, a) <= found[0] <= found[-1] <= pe.cycles_per_step(w, a) * (1 + 1e-9)
    assert pe.work_cycles_per_step(w, a) < pe.cycles_per_step(w, a)
    # PEs with operands in common are more alike than others, a number stands for PEs without.
    assert found[3] <= pe.expected_cycles_per_step(w, a, lockstep=64) * (1 + 1e-12)
    assert pe.expected_cycles_per_step(w, a, lockstep=Lockstep(least=99)) == 99


def test_zeros_save_cycles_and_work(pe):
    w, a = pe.w_format, pe.a_format
    sparse = (OperandStats(zeros=0.9, distribution="gaussian"),) * 2
    assert pe.work_cycles_per_step(w, a, sparse) < pe.work_cycles_per_step(w, a, GAUSSIAN)
    assert pe.expected_cycles_per_step(w, a, data=sparse) < pe.expected_cycles_per_step(w, a, data=GAUSSIAN)
    fewest = pe.measured_cycles(np.zeros((8, 1, 1, pe.lanes), int), np.zeros((8, 1, 1, pe.lanes), int), w, a)
    assert (fewest <= pe.expected_cycles_per_step(w, a, data=sparse)).all()


def test_the_distribution_is_named(pe):
    named = pe.data_text((OperandStats(distribution="laplace"),) * 2)
    assert "laplace" in named
    assert "assumed" not in named
    assert "assumed" in pe.data_text()


@pytest.mark.parametrize("options", FIXED)
def test_other_pes_take_what_they_always_take(options):
    pe = make_pe(options)
    w, a = pe.w_format, pe.a_format
    assert not pe.data_dependent(w, a)
    assert pe.work_cycles_per_step(w, a) == pe.cycles_per_step(w, a)
    assert pe.expected_cycles_per_step(w, a, lockstep=Lockstep(4, 5, 6)) == pe.cycles_per_step(w, a)
    assert pe.measured_cycles(*drawn(pe, Lockstep(), 3), w, a).tolist() == [pe.cycles_per_step(w, a)] * 3
    price, _ = pipelined_price(pe, load_technology("28nm"), 5e8)
    assert step_energy_fj(pe, price, w, a) == (price.energy_fj + price.clock_fj) * pe.cycles_per_step(w, a)


@pytest.mark.parametrize("name", ["opt3", "opt4c", "opt4e"])
def test_stationary_weights_share_no_slots(name):
    # Digits share a slot with those of other elements of the same sum: none, where each step has another sum.
    pe = make_pe(PES[name])
    step = Lockstep(groups=2, weights=2, sum_steps=1)
    assert pe.expected_cycles_per_step(INT8, INT8, lockstep=step) == pytest.approx(4)
    assert pe.measured_cycles(*drawn(pe, step, 20), INT8, INT8, sum_steps=1).tolist() == [4] * 20
    few = pe.expected_cycles_per_step(INT8, INT8, lockstep=Lockstep(weights=16, sum_steps=8))
    assert few > pe.expected_cycles_per_step(INT8, INT8, lockstep=Lockstep(weights=16))  # columns wait more often


def test_mean_digits_of_the_published_matrix():
    # TPE (arXiv 2503.06342) as in the facts on ASIC PEs: a normal 1024 × 1024 matrix has 2.41 non-zero Booth digits
    # and 2.22 EN-T digits per INT8 weight. Its scale is not stated: here the largest magnitude is 127.
    x = np.random.default_rng(0).standard_normal((1024, 1024))
    codes = INT8.encode(np.rint(x / np.abs(x).max() * 127))
    for encoding, published in (("booth", 2.41), ("ent", 2.22)):
        assert digit_table(INT8, encoding).counts()[codes].mean() == pytest.approx(published, rel=0.03)


def test_energy_of_a_step_counts_work_and_clock():
    pe = make_pe(PES["laconic"])
    price, _ = pipelined_price(pe, load_technology("28nm"), 5e8)
    found = step_energy_fj(pe, price, INT8, INT8)
    work, alone = pe.work_cycles_per_step(INT8, INT8), pe.expected_cycles_per_step(INT8, INT8)
    assert found == pytest.approx(price.energy_fj * work + price.clock_fj * alone)
    assert found < 16 * (price.energy_fj + price.clock_fj)


def test_skipped_zeros_are_not_counted_twice():
    sparse = Operands(OperandStats(zeros=0.5), OperandStats(zeros=0.5))
    skipping, gating = (make_pe(options) for options in (PES["laconic"], FIXED[0]))
    assert data_factors(skipping, INT8, INT8, sparse).zeros == 1.0
    assert data_factors(gating, INT8, INT8, sparse).zeros < 1.0
    weights_only = data_factors(make_pe(PES["bitlet"]), INT8, INT8, sparse)
    assert 1.0 > weights_only.zeros > data_factors(gating, INT8, INT8, sparse).zeros


def test_shares_of_codes():
    assert code_shares(INT8, OperandStats()) is gaussian_histogram(INT8)
    half = code_shares(INT8, OperandStats(zeros=0.5))
    assert half[0] == 0.5
    assert half.sum() == pytest.approx(1)
    assert half[3] / half[5] == pytest.approx(gaussian_histogram(INT8)[3] / gaussian_histogram(INT8)[5])
    assert code_shares(INT8, OperandStats(zeros=1.0)).sum() == 1
    assert not np.array_equal(code_shares(INT8, OperandStats(distribution="student_t3")), gaussian_histogram(INT8))


def test_largest_and_least():
    dice = np.array([0, 1, 1, 1, 1, 1, 1]) / 6
    assert largest_of(dice, 1) is not None
    assert (largest_of(dice, 3) * np.arange(7)).sum() == pytest.approx(expected_maximum(dice, 3))
    assert at_least(dice, 3).tolist() == pytest.approx([0, 0, 0, 0.5, 1 / 6, 1 / 6, 1 / 6])
    assert at_least(dice, 8).tolist() == pytest.approx([0] * 8 + [1])
    assert as_lockstep(7) == Lockstep(groups=7)
    assert Lockstep(2, 3, 4).pes == 24


@pytest.mark.parametrize("window", [2, 3, 8, 20])
def test_searched_windows(window):
    rng = np.random.default_rng(window)
    bits = rng.random((200, 12)) < rng.random((200, 1))

    def walk(row):
        at = cycles = 0
        while at < len(row):
            ones = np.flatnonzero(row[at : at + window])
            at += int(ones[1]) if len(ones) > 1 else window
            cycles += 1
        return cycles

    assert searched_cycles(bits, window).tolist() == [walk(row) for row in bits]
