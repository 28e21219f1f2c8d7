"""T-MAC on CPUs: counts by enumeration, published speeds of one thread, energies per token."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.cpu import Cpu, joules_per_token, lookup_rate, mac_operations, seconds, tmac_work
from hwsim.spec.errors import UsageError

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "tmac_speed.csv").open()))
SPEED = {(r["device"], r["model"]): float(r["tmac_tok_s"]) for r in ROWS}
DEVICES = sorted({r["device"] for r in ROWS})
#: Adds per second while tables are made, one thread of M2-Ultra: 1024 tables of 24 adds in 2.410875 us
#: (microsoft/T-MAC, data/m2-ultra/results.csv, preprocessor 12288 × 4096).
TABLE_ADDS = 1024 * 24 / 2.410875e-6
#: Nothing waits for memory.
UNLIMITED = 1e15


def token(bits):
    """The linear layers of Llama-2-7B for one token: 32 blocks of 4 d × d and 3 d × f."""
    shapes = [(4096, 4096)] * 4 + [(11008, 4096)] * 2 + [(4096, 11008)]
    return [tmac_work(m, 1, k, bits) for m, k in shapes] * 32


@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 20), st.integers(1, 8), st.integers(1, 5))
def test_counts_are_those_of_the_loops(m, n, k, bits, group):
    lookups = adds = words = 0
    for _ in range(n):
        for start in range(0, k, group):
            words += 2**group
            assert start < k
            for _ in product(range(m), range(bits)):
                lookups += 1
    for signs in product((1, -1), repeat=group):  # one sign fixed, the others added one after the other
        adds += (len(signs) - 1) * (signs[0] == 1)
    work = tmac_work(m, n, k, bits, group, activation_group=group)
    assert work.lookups == work.adds == lookups
    assert work.table_bytes == work.table_multiplications == words
    assert work.table_adds == adds * n * -(-k // group)
    assert work.table_negations * 2 == words
    assert work.scalings == bits * m * n * -(-k // group)


def test_adds_drop_by_the_group_over_the_bits_and_there_is_no_multiplication():
    work, (multiplications, adds) = tmac_work(4096, 1, 4096, 2), mac_operations(4096, 1, 4096)
    assert multiplications / work.lookups == adds / work.adds == 4 / 2
    assert work.table_multiplications < multiplications / 1000
    assert work.weight_bytes == 4096 * 4096 * 2 // 8 + 4096 * 32 * 2
    # More columns share the weights, each with tables of its own.
    wide = tmac_work(4096, 8, 4096, 2)
    assert (wide.lookups, wide.table_adds, wide.weight_bytes) == (
        8 * work.lookups,
        8 * work.table_adds,
        work.weight_bytes,
    )
    assert tmac_work(4096, 1, 4096, 2, scale_group=None).weight_bytes == 4096 * 4096 * 2 // 8


@pytest.mark.parametrize("device", DEVICES)
def test_two_bits_against_four_on_one_thread(device):
    # Published 1.77 to 1.86. Linear in bits but for the tables; attention and the output layer, which are
    # not in the counts, take the rest.
    published = SPEED[device, "llama-2-7b-w2"] / SPEED[device, "llama-2-7b-w4"]
    cpu = Cpu(lookup_rate(token(2), 1 / SPEED[device, "llama-2-7b-w2"]), TABLE_ADDS, UNLIMITED)
    modelled = seconds(token(4), cpu) / seconds(token(2), cpu)
    assert 1.7 <= published <= 1.9
    assert modelled == pytest.approx(published, rel=0.15)
    assert 1 / seconds(token(4), cpu) == pytest.approx(SPEED[device, "llama-2-7b-w4"], rel=0.15)


def test_tables_are_a_small_part_and_longer_reductions_take_longer():
    # 11008 activations: 5.794542 us measured; the rate is that of 4096.
    assert tmac_work(4096, 1, 11008, 2).table_adds / TABLE_ADDS == pytest.approx(5.794542e-6, rel=0.15)
    assert sum(w.table_adds for w in token(2)) / TABLE_ADDS < 0.02 / SPEED["M2-Ultra", "llama-2-7b-w2"]


def test_memory_is_the_limit_where_it_is_slower():
    work = tmac_work(4096, 1, 4096, 4)
    slow = Cpu(1e15, 1e15, 1e9)
    assert seconds([work], slow) == pytest.approx(work.dram_bytes / 1e9, rel=1e-6)
    fast = Cpu(1e9, 1e15, 1e15)
    assert seconds([work, work], fast) == pytest.approx(2 * work.lookups / 1e9, rel=1e-6)
    # Scales of 128 weights: bandwidth-bound speed falls by 4.125 / 2.125, not by 2.
    both = [tmac_work(8192, 1, 8192, bits).weight_bytes for bits in (4, 2)]
    assert both[0] / both[1] == 4.125 / 2.125


@pytest.mark.parametrize(
    ("watts", "speed", "joules", "printed"),
    [(10.4, 15.62, 0.666, 0.66), (15.0, 7.08, 2.12, 2.12), (30.8, 20.03, 1.54, 1.54)],
)
def test_energy_of_a_token_is_power_over_speed(watts, speed, joules, printed):
    found = joules_per_token(watts, speed)
    assert float(f"{found:.3g}") == joules
    assert found == pytest.approx(printed, abs=0.01)  # the README cuts the first one off


@pytest.mark.parametrize(
    ("call", "named"),
    [(lambda: tmac_work(0, 1, 4, 2), "m=0"), (lambda: tmac_work(4, 1, 4, 9), "up to 8"),
     (lambda: tmac_work(4, 1, 4, 2, activation_group=6), "multiples"), (lambda: tmac_work(4, 1, 4, 2, scale_group=0), "None"),
     (lambda: Cpu(1.0, 0.0, 1.0), "table_adds_per_s"), (lambda: lookup_rate([], 0.0), "above 0"),
     (lambda: joules_per_token(1.0, 0.0), "speed above 0")],
)  # fmt: skip
def test_impossible_inputs_are_refused(call, named):
    with pytest.raises(UsageError, match=named):
        call()
