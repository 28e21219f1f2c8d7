"""TPE's engines: exact dots, digit counts, cycles, column waiting, areas and clocks against published figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.digits import digit_table
from hwsim.formats.statistics import digit_histogram, expected_maximum, mean_digits
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.digit_cycles import code_patterns, normal_histogram, spread_patterns, sum_distribution
from hwsim.hardware.pe.families.bit_weight import ARRAYS, ENCODINGS, ENGINES, SERIAL
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

INT8 = parse_format("int8")
T28 = load_technology("28nm")


def engine(name, **options):
    return make_pe({"family": "bit_weight", "engine": name, **options})


# Scalar twins ------------------------------------------------------------------------------


def booth_digits(value, bits):
    """Return radix-4 Booth digits by the textbook: -2 x[2i+1] + x[2i] + x[2i-1]."""
    bit = (
        [(value >> i) & 1 for i in range(bits + bits % 2)]
        if bits % 2 == 0
        else [(value >> i) & 1 for i in range(bits + 1)]
    )
    low = [0, *bit]
    return [-2 * bit[i + 1] + bit[i] + low[i] for i in range(0, len(bit), 2)]


def ent_digits(value):
    found, left = [], abs(value)
    while left:
        digit = {0: 0, 1: 1, 2: 2, 3: -1}[left & 3]
        found.append(digit if value > 0 else -digit)
        left = (left - digit) >> 2
    return found


def carry_save(words, rows, bits):
    """Add rows to a sum and a carry word with 3:2 compressors, as the hardware does: no carry runs."""
    mask = (1 << bits) - 1
    s, c = words
    for row in rows:
        x = row & mask
        s, c = (s ^ c ^ x) & mask, (((s & c) | (s & x) | (c & x)) << 1) & mask
    return s, c


def resolved(words, bits):
    total = sum(words) & ((1 << bits) - 1)
    return total - (1 << bits) if total >> (bits - 1) else total


def twin(pe, w, a):
    """Return the dot product from carry-save words: one pair for all digits, or one per digit weight."""
    acc = pe.psum_bits
    taken = [booth_digits(v, pe.w_format.bits) if pe.encoding == "mbe" else ent_digits(v) for v in w]
    if pe.engine in ("mac", "opt1"):
        rows = [digit * x << 2 * i for digits, x in zip(taken, a, strict=True) for i, digit in enumerate(digits)]
        return resolved(carry_save((0, 0), rows, acc), acc)
    total = 0
    for i in range(max(map(len, taken), default=0)):
        rows = [digits[i] * x for digits, x in zip(taken, a, strict=True) if i < len(digits) and digits[i]]
        narrow = resolved(carry_save((0, 0), rows, pe.digit_sum_bits), pe.digit_sum_bits)
        total += narrow << 2 * i
    return resolved((total, 0), acc)


@settings(max_examples=150)
@given(
    st.sampled_from(ENGINES), st.sampled_from(list(ENCODINGS)), st.integers(2, 8), st.integers(2, 12),
    st.integers(1, 5), st.lists(st.tuples(st.integers(-128, 127), st.integers(-2048, 2047)), max_size=40),
)  # fmt: skip
def test_dots_are_those_of_carry_save_words(name, encoding, w_bits, a_bits, lanes, pairs):
    pe = engine(name, encoding=encoding, w_format=f"int{w_bits}", a_format=f"int{a_bits}", lanes=lanes)
    w = [x >> (8 - w_bits) for x, _ in pairs]
    a = [x >> (12 - a_bits) for _, x in pairs]
    codes = [np.array(v, dtype=np.int64) & (2**b - 1) for v, b in ((w, w_bits), (a, a_bits))]
    expected = sum(x * y for x, y in zip(w, a, strict=True))
    assert pe.dot(*codes, pe.w_format, pe.a_format) == expected == twin(pe, w, a)


def test_a_digit_sum_never_overflows_its_narrow_accumulator():
    pe = engine("opt4c", k_tile=64)
    k = np.full(64, 0x80, dtype=np.uint32)  # -128 × -128: the largest digit product, 64 times
    assert pe.digit_sum_bits == 16
    assert 2 ** (pe.digit_sum_bits - 1) > 2 * 128 * 64
    assert pe.dot(k, k, INT8, INT8) == 64 * 128 * 128
    assert engine("opt2").digit_sum_bits == 20  # the 20-bit result of the public RTL


def test_narrow_accumulators_wrap():
    pe = engine("opt1", accumulator="int16")
    codes = np.full(3, 0x80, dtype=np.uint32)
    assert pe.dot(codes, codes, INT8, INT8) == -16384


# Digits and cycles -------------------------------------------------------------------------


@pytest.mark.parametrize(("encoding", "mean", "up_to_three"), [("mbe", 3.000, 0.6836), ("ent", 2.918, 0.7188)])
def test_digits_of_all_int8_codes(encoding, mean, up_to_three):
    # asic-pe facts, section 4, exhaustive; the paper quotes 68.4 % for Booth. Exact to the digits given.
    counts = digit_histogram(np.ones(256), INT8, ENCODINGS[encoding])
    assert float(mean_digits(counts)) == pytest.approx(mean, abs=5e-4)
    assert counts[:4].sum() / 256 == pytest.approx(up_to_three, abs=5e-5)


ROWS = [(10, 1.75, 1.760, 1.923, 2.076), (20, 2.10, 2.113, 2.292, 2.340), (30, 2.32, 2.335, 2.529, 2.466),
        (40, 2.48, 2.489, 2.672, 2.558), (50, 2.60, 2.604, 2.768, 2.642)]  # fmt: skip


@pytest.mark.parametrize(("std", "readme", "ent", "mbe", "cycles"), ROWS)
def test_digits_and_cycles_of_normal_data(std, readme, ent, mbe, cycles):
    shares = normal_histogram(INT8, std)
    found = float(mean_digits(digit_histogram(shares, INT8, "ent")))
    assert found == pytest.approx(readme, rel=0.03)  # README of TPE, K = 128, one random draw
    assert found == pytest.approx(ent, rel=0.005)  # measured on samples
    assert float(mean_digits(digit_histogram(shares, INT8, "booth"))) == pytest.approx(mbe, rel=0.005)
    pe = engine("opt4c", encoding="ent")
    assert pe.expected_cycles(code_patterns(INT8, "ent", shares)) == pytest.approx(cycles, rel=0.01)


@pytest.mark.parametrize(("k", "slowest"), [(32, 1.136), (128, 1.068), (512, 1.035), (2048, 1.017)])
def test_columns_wait_for_the_slowest(k, slowest):
    # asic-pe facts: slowest of 32 columns over their mean, std 20, EN-T, measured on samples: 3 decimals are given.
    # They are those of non-zero digits; the schedule's one cycle per empty slot evens columns out, by up to 2 %.
    shares = normal_histogram(INT8, 20)
    digits = digit_histogram(shares, INT8, "ent")
    digits /= digits.sum()
    found = expected_maximum(sum_distribution(digits, k), 32) / (k * mean_digits(digits))
    assert float(found) == pytest.approx(slowest, abs=0.0015)
    pe = engine("opt4c", encoding="ent", k_tile=k)
    patterns = code_patterns(INT8, "ent", shares)
    schedule = pe.expected_cycles(patterns, 32) / pe.expected_cycles(patterns)
    assert slowest * 0.98 <= schedule < slowest


@pytest.mark.parametrize(("slot", "lockstep", "lanes"), [(4, 1, 1), (4, 8, 1), (2, 3, 2), (1, 4, 1)])
def test_expected_cycles_against_a_simulation_of_the_schedule(slot, lockstep, lanes):
    pe = engine("opt4c", encoding="mbe", slot=slot, lanes=lanes, k_tile=64)
    shares = normal_histogram(INT8, 30)
    nonzero = digit_table(INT8, "booth").digits != 0
    codes = np.random.default_rng(5).choice(256, p=shares, size=(1500, lockstep * lanes, 64 // lanes))
    slots = nonzero[:, codes].reshape(4, 1500, lockstep * lanes, -1, slot).sum(axis=-1)
    spent = np.maximum(slots, 1).sum(axis=(0, 3)).max(axis=1).mean() / (64 // lanes)
    assert pe.expected_cycles(code_patterns(INT8, "booth", shares), lockstep) == pytest.approx(spent, rel=0.01)


def test_cycles_lie_between_one_digit_slot_and_the_worst_case():
    for name in SERIAL:
        pe = engine(name)
        assert pe.cycles_per_step(INT8, INT8) == 4
        assert pe.cycles_per_step(parse_format("int4"), INT8) == 2
        means = [pe.expected_cycles_per_step(INT8, INT8, lockstep=n) for n in (1, 8, 64)]
        assert 1 <= means[0] < means[1] < means[2] < 4
    assert engine("opt1").expected_cycles_per_step(INT8, INT8) == 1


def test_given_digits_count():
    pe = engine("opt4c")
    assert pe.expected_cycles_per_step(INT8, INT8, np.array([0, 0, 0, 0, 1.0])) == pytest.approx(4)
    assert pe.expected_cycles_per_step(INT8, INT8, np.array([1.0])) == pytest.approx(1)  # a slot takes one cycle
    with pytest.raises(UsageError, match="valid"):
        pe.expected_cycles_per_step(INT8, INT8, np.array([0, 0, 0, 0, 0, 1.0]))
    assert spread_patterns([0, 1], 2) == pytest.approx([0, 0.5, 0.5, 0])


def test_sums_of_draws():
    dice = np.array([0, 1, 1, 1, 1, 1, 1]) / 6
    assert sum_distribution(dice, 2)[7] == pytest.approx(6 / 36)
    assert sum_distribution(dice, 300).sum() == pytest.approx(1)


# Costs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [e for e in ENGINES if e != "mac"])
def test_clock_does_not_depend_on_the_accumulator_s_width(name):
    narrow, wide = (price_pe(engine(name, accumulator=f"int{bits}"), T28) for bits in (24, 32))
    assert narrow.delay_ps == wide.delay_ps
    assert narrow.area_um2 < wide.area_um2


def test_a_mac_slows_down_with_its_accumulator():
    narrow, wide = (price_pe(engine("mac", accumulator=f"int{bits}"), T28) for bits in (24, 32))
    assert narrow.delay_ps < wide.delay_ps


def delay(name, **options):
    return price_pe(engine(name, **options), T28).delay_ps / 1e3


@pytest.mark.parametrize(("name", "published"), [("mac", 1.95), ("opt1", 0.92), ("opt3", 0.40), ("opt4c", 0.29), ("opt4e", 0.40)])  # fmt: skip
def test_critical_paths(name, published):
    # SMIC 28 nm, as readers quote the paper; opt3 from its peak of 2.5 GHz. The node's delay is the geometric mean of
    # these five; one delay per level, no sizing of gates and no margin leave 0.66 (mac) to 1.33 (opt4e).
    assert delay(name) == pytest.approx(published, rel=0.35)


def gain_at_published_clocks(array, lanes=1):
    """Return area efficiency of opt1 at 1.5 GHz over that of the MAC at 1.0 GHz, both with their stage registers."""
    mac, opt1 = (
        pipelined_price(engine(e, array=array, lanes=lanes), T28, clock)[0].area_um2
        for e, clock in (("mac", 1.0e9), ("opt1", 1.5e9))
    )
    return 1.5 * mac / opt1


@pytest.mark.parametrize("published", [1.27, 1.28])
def test_gain_of_carry_save_accumulators_in_a_systolic_array(published):
    # arXiv 2503.06342, abstract: the first two of four gains (the others are quoted inconsistently). Assumed: they are
    # at the clocks of its PE synthesis, 1.0 GHz for the MAC and 1.5 GHz for opt1. Which array has which gain is not
    # in the sources read; a cube of 8 lanes has 1.57 here, which neither confirms nor refutes.
    assert gain_at_published_clocks("systolic_os") == pytest.approx(published, rel=0.15)


def gain_at_own_clocks(array, lanes):
    """Return the gain of area efficiency, each design at its own highest clock without stage registers."""
    mac, opt1 = (price_pe(engine(e, array=array, lanes=lanes), T28) for e in ("mac", "opt1"))
    return mac.delay_ps * mac.area_um2 / (opt1.delay_ps * opt1.area_um2)


@pytest.mark.parametrize(
    ("array", "lanes", "reported", "deviation"),
    [("systolic_os", 1, 2.17, 0.80), ("systolic_ws", 1, 1.32, 1.316), ("cube", 8, 1.42, 1.027)],
)
def test_gain_at_own_clocks_is_above_that_of_whole_arrays(array, lanes, reported, deviation):
    # Public SAED32 reports of 16x16 and 8^3 arrays. Their clocks (154 to 322 MHz) are a quarter of a PE's alone:
    # wires and fan-out, which a PE does not have, slow both designs. A PE's gain is an upper bound; this records by
    # how much it misses, it does not validate the arrays.
    assert gain_at_own_clocks(array, lanes) == pytest.approx(reported * deviation, rel=0.03)


def test_area_of_an_opt4c_pe_over_a_mac():
    ratio = price_pe(engine("opt4c", encoding="ent"), T28).area_um2 / price_pe(engine("mac"), T28).area_um2
    # Paper (readers' notes): 81.27 / 246 um2 = 0.330 without the shared encoder. Public SAED32 reports at relaxed
    # clocks, shared encoder included: 740 / 1288 um2 = 0.574. The two disagree by 1.7; ours must lie between.
    assert 81.27 / 246 < ratio < 740 / 1288
    assert ratio == pytest.approx(740 / 1288, rel=0.25)
    assert ratio == pytest.approx(81.27 / 246, rel=0.45)


def test_flip_flops_of_an_opt4c_pe():
    # (1939 - 979) / 16 = 60 per PE in the public reports of columns of 32 and 16 PEs (20 % for hand-over registers)
    parts = [p for p in engine("opt4c", encoding="ent").parts() if p.group == "register"]
    assert sum(p.circuit.bits * p.count for p in parts) == pytest.approx(60, rel=0.2)


def test_flip_flops_of_mac_and_opt1():
    # 48 in the reports of the MAC, 83 to 85 in those of opt1
    for name, reported in (("mac", 48), ("opt1", 84)):
        parts = [p for p in engine(name).parts() if p.group == "register"]
        assert sum(p.circuit.bits * p.count for p in parts) == pytest.approx(reported, rel=0.06)


@pytest.mark.parametrize("name", ENGINES)
def test_wider_operands_and_fewer_sharers_cost_more(name):
    def area(**options):
        return price_pe(engine(name, **options), T28).area_um2

    assert (
        area(format="int4") < area(w_format="int4", a_format="int8") < area() < area(w_format="int8", a_format="int12")
    )
    if name not in ("mac", "opt1", "opt3"):  # these have their own encoders
        assert area(columns=64) < area(columns=4)


@pytest.mark.parametrize("array", list(ARRAYS))
def test_arrays_share_operand_registers(array):
    shared = price_pe(engine("opt1", array=array), T28).area_um2
    own = price_pe(engine("opt1"), T28).area_um2
    assert (shared < own) == any(ARRAYS[array])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "opt5"}, "opt1"),
        ({"engine": "opt4c", "encoding": "naf"}, "mbe"),
        ({"engine": "opt4c", "array": "cube"}, "systolic_os"),
        ({"engine": "opt2", "k_tile": 8}, "from 64"),
        ({"engine": "opt1", "slot": 0}, "valid"),
        ({"engine": "opt1", "format": "fp16"}, "int2"),
        ({"engine": "opt1", "w_format": "int12", "a_format": "int8"}, "int2 … int8"),
        ({"engine": "opt1", "accumulator": "int8"}, "valid"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make_pe({"family": "bit_weight", **options})


def test_labels():
    assert pairing("tpe_opt4e").pe_spec["engine"] == "opt4e"
    assert make_pe(pairing("tpe_opt4e").pe_spec).lanes == 4
    assert pairing("tpe_opt3_w4a8").w_format == parse_format("int4")
    assert pairing("tpe_opt1_int4").a_format == parse_format("int4")
    for wrong in ("tpe_opt9", "tpe_opt1_nothing"):
        with pytest.raises(UsageError):
            pairing(wrong)
