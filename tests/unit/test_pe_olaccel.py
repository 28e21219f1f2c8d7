"""OLAccel's PE: exact sums, and cycles from the number of outliers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

pairs_of_integers = st.lists(st.tuples(st.integers(-128, 127), st.integers(-32768, 32767)), min_size=1, max_size=20)


@given(pairs_of_integers, st.integers(2, 6))
def test_sums_are_exact_wherever_the_products_are_made(pairs, normal):
    pe = make_pe({"family": "olaccel", "normal_bits": normal, "lanes": 4})
    w, a = np.array(pairs).T
    wanted = (sum(x * y for x, y in pairs) + 2**31) % 2**32 - 2**31
    assert pe.dot(w & 255, a & 65535, pe.w_format, pe.a_format) == wanted


def test_narrow_multipliers_take_what_fits_and_nothing_else():
    pe = make_pe(pairing("olaccel_w8a16").pe_spec)
    assert pe.is_outlier(np.array([-9, -8, 0, 7, 8])).tolist() == [True, False, False, False, True]
    made = pe.products(np.array([7, 8, 249]), np.array([5, 5, 65527]), pe.w_format, pe.a_format)
    assert made.tolist() == [35, 0, 0, 0, 40, 63]  # narrow, then wide; the last pair is -7 x -9


@pytest.mark.parametrize(("lanes", "wide", "lockstep"), [(16, 1, 1), (16, 2, 1), (8, 1, 4), (4, 4, 3)])
def test_expected_cycles_are_those_of_a_simulation(lanes, wide, lockstep):
    pe = make_pe({"family": "olaccel", "lanes": lanes, "outlier_macs": wide})
    rng = np.random.default_rng(5)
    w, a = (rng.random((40000, lockstep, lanes)) < 0.1 for _ in range(2))
    cycles = np.maximum(1, np.ceil((w | a).sum(axis=-1) / wide)).max(axis=-1).mean()
    digits = np.array([0.0, 0.9, 0.1])
    found = pe.expected_cycles_per_step(pe.w_format, pe.a_format, digits, lockstep)
    assert found == pytest.approx(cycles, rel=0.02)


def test_expected_cycles_lie_between_one_and_the_worst_case_and_grow_with_lockstep():
    pe = make_pe({"family": "olaccel"})
    w, a = pe.w_format, pe.a_format
    found = [pe.expected_cycles_per_step(w, a, lockstep=n) for n in (1, 2, 8, 64)]
    assert found == sorted(found)
    assert 1 < found[0] < found[-1] < pe.cycles_per_step(w, a) == 16
    int4 = parse_format("int4")
    assert pe.cycles_per_step(int4, int4) == pe.expected_cycles_per_step(int4, int4, lockstep=64) == 1


def test_it_is_cheaper_than_as_many_wide_macs():
    tech = load_technology("7nm")
    ours = price_pe(make_pe({"family": "olaccel"}), tech).area_um2
    wide = price_pe(make_pe({"family": "int_mac", "w_format": "int8", "a_format": "int16", "lanes": 16}), tech)
    narrow = price_pe(make_pe({"family": "int_mac", "format": "int4", "lanes": 16}), tech)
    assert narrow.area_um2 < ours < wide.area_um2
    areas = [price_pe(make_pe({"family": "olaccel", "outlier_macs": n}), tech).area_um2 for n in (1, 2, 4)]
    assert areas == sorted(areas)


@pytest.mark.parametrize("options", [{"w_format": "nf4"}, {"normal_bits": 1}, {"outlier_macs": 17},
                                     {"format": "int16"}, {"a_format": "fp16"}])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "olaccel", **options})
