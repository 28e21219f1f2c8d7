"""One-bit planes: counts of plane products, and sums of them against whole products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.families.bit_plane import place_values
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError


@pytest.mark.parametrize(("label", "planes"), [("bitplane_w6a6", 36), ("bitplane_w6a8", 48), ("bipolar2", 4)])
def test_plane_products_of_flexq_and_bipolar_int(label, planes):
    run = pairing(label)
    pe = make_pe(run.pe_spec)
    assert pe.plane_products(run.w_format, run.a_format) == pe.cycles_per_step(run.w_format, run.a_format) == planes
    half = make_pe({**run.pe_spec, "planes": planes // 2})
    assert half.cycles_per_step(run.w_format, run.a_format) == 2


def test_narrower_operands_have_fewer_planes():
    pe = make_pe({"family": "bit_plane", "w_format": "int8", "a_format": "int8"})
    assert pe.cycles_per_step(parse_format("int3"), parse_format("int5")) == 15


@given(st.integers(2, 8), st.integers(2, 8), st.booleans(), st.data())
def test_planes_add_up_to_products_of_integers(wb, ab, unsigned, data):
    sign = "u" if unsigned else ""
    pe = make_pe({"family": "bit_plane", "w_format": f"int{wb}", "a_format": f"{sign}int{ab}", "lanes": 5})
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, 2**wb - 1), st.integers(0, 2**ab - 1)), min_size=1, max_size=20)
    )
    w, a = np.array(pairs).T
    signed = (
        [x - 2**wb * (x >= 2 ** (wb - 1)) for x in w],
        [y - 2**ab * (y >= 2 ** (ab - 1) and not unsigned) for y in a],
    )
    assert pe.dot(w, a, pe.w_format, pe.a_format) == sum(int(x) * int(y) for x, y in zip(*signed, strict=True))


@given(st.integers(2, 4), st.integers(2, 4), st.data())
def test_bipolar_planes_add_up_to_products_of_odd_numbers(wb, ab, data):
    pe = make_pe({"family": "bit_plane", "w_format": f"bipolar{wb}", "a_format": f"bipolar{ab}"})
    w = data.draw(st.lists(st.integers(0, 2**wb - 1), min_size=1, max_size=40))
    a = data.draw(st.lists(st.integers(0, 2**ab - 1), min_size=len(w), max_size=len(w)))
    values = [sum((2 * (c >> i & 1) - 1) * 2**i for i in range(n)) for n, cs in ((wb, w), (ab, a)) for c in cs]
    wanted = sum(x * y for x, y in zip(values[: len(w)], values[len(w) :], strict=True))
    assert pe.dot(np.array(w), np.array(a), pe.w_format, pe.a_format) == wanted


def test_place_values():
    assert place_values(parse_format("int4")) == [1, 2, 4, -8]
    assert place_values(parse_format("uint4")) == [1, 2, 4, 8]
    assert place_values(parse_format("bipolar3")) == [1, 2, 4]


def test_more_planes_per_cycle_cost_more_area_and_less_time():
    tech = load_technology("7nm")
    some = [make_pe({"family": "bit_plane", "planes": planes}) for planes in (1, 2, 4, 36)]
    areas = [price_pe(pe, tech).area_um2 for pe in some]
    assert areas == sorted(areas)
    assert [pe.cycles_per_step(pe.w_format, pe.a_format) for pe in some] == [36, 18, 9, 1]


@pytest.mark.parametrize("options", [{"w_format": "bipolar2"}, {"format": "fp16"}, {"planes": 37}, {"planes": 0},
                                     {"format": "int32"}, {"a_format": "int8_asym_g128"}])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "bit_plane", **options})
