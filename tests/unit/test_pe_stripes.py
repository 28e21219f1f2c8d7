"""Stripes and Loom: cycles as published, bit-serial sums against whole products, area against synthesised rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim
from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.integers import slices
from hwsim.hardware.synthesis import read_rows
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

INT8 = parse_format("int8")
ROWS = Path(hwsim.__file__).parent / "data" / "synthesis" / "rows.csv"


def stripes(**options):
    return make_pe({"family": "stripes", **options})


@pytest.mark.parametrize("bits", range(2, 17))
def test_a_design_of_p_bits_is_16_over_p_as_fast_as_one_of_16(bits):
    # Stripes, MICRO 2016, abstract: time is about proportional to the width of the numbers
    pe, wide, narrow = stripes(w_format="int8", a_format="int16"), parse_format("int16"), parse_format(f"int{bits}")
    assert pe.cycles_per_step(INT8, wide) / pe.cycles_per_step(INT8, narrow) == 16 / bits
    assert pe.expected_cycles_per_step(INT8, narrow, lockstep=64) == bits


@pytest.mark.parametrize(("w", "a", "cycles"), [(8, 8, 64), (4, 8, 32), (8, 4, 32), (2, 3, 6), (1, 1, 1)])
def test_loom_scales_with_both_precisions(w, a, cycles):
    # arXiv 1706.07853, abstract: speed of convolutions is inversely proportional to the widths of both operands
    pe = stripes(serial="both")
    assert pe.cycles_per_step(parse_format(f"int{w}"), parse_format(f"int{a}")) == cycles


@pytest.mark.parametrize(("serial", "taken", "cycles"), [("activation", 1, 8), ("activation", 2, 4), ("activation", 3, 3),
                                                         ("both", 2, 32), ("both", 4, 16)])  # fmt: skip
def test_more_bits_per_cycle_take_fewer_cycles_and_more_area(serial, taken, cycles):
    pe, one = stripes(serial=serial, bits_per_cycle=taken), stripes(serial=serial)
    assert pe.cycles_per_step(INT8, INT8) == cycles
    if taken > 1:
        assert price_pe(pe, load_technology("28nm")).area_um2 > price_pe(one, load_technology("28nm")).area_um2


@given(
    st.sampled_from(["activation", "both"]), st.integers(1, 4), st.integers(2, 8), st.integers(2, 8),
    st.booleans(), st.integers(1, 5), st.data(),
)  # fmt: skip
def test_sums_over_bits_are_those_of_whole_products(serial, taken, wb, ab, unsigned, lanes, data):
    sign = "u" if unsigned else ""
    pe = stripes(
        serial=serial, bits_per_cycle=min(taken, ab), w_format=f"int{wb}", a_format=f"{sign}int{ab}", lanes=lanes
    )
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, 2**wb - 1), st.integers(0, 2**ab - 1)), min_size=1, max_size=20)
    )
    w, a = np.array(pairs).T
    ws = [int(x) - 2**wb * (x >= 2 ** (wb - 1)) for x in w]
    as_ = [int(y) - 2**ab * (y >= 2 ** (ab - 1) and not unsigned) for y in a]
    assert pe.dot(w, a, pe.w_format, pe.a_format) == sum(x * y for x, y in zip(ws, as_, strict=True))


@given(st.integers(-128, 127), st.integers(1, 4))
def test_slices_add_up(value, bits):
    count = -(-8 // bits)
    found = slices(np.array([value]), bits, count)
    assert sum(int(x[0]) << bits * i for i, x in enumerate(found)) == value
    assert all(0 <= x[0] < 2**bits for x in found[:-1])


def test_narrow_accumulators_wrap():
    codes = np.full(3, 0x80, dtype=np.uint32)
    assert stripes(accumulator="int16", lanes=1).dot(codes, codes, INT8, INT8) == -16384


SHARED = ("bit products", "lane sum", "sign of activations", "accumulator adder", "accumulator")


@pytest.mark.parametrize("name", ["bs_i8_k4", "bs_i8_k8", "bs_i4_k8", "bs_i16_k4"])
def test_area_of_a_synthesised_bit_serial_unit(name):
    # Those units (parallel operands of n bits, K lanes, AND rows, tree, one 24-bit sum) keep neither operands nor a
    # sum over bits apart from the accumulator: what both have is compared. ASAP7, area mode, within 10 %.
    row = next(r for r in read_rows(ROWS) if (r.lib, r.mode, r.name) == ("asap7", "area", name))
    n, lanes = row.params["n"], row.params["K"]
    pe = stripes(w_format=f"int{n}", a_format="int4", lanes=lanes, accumulator="int24")
    price = price_pe(pe, load_technology("7nm"))
    assert sum(r.area_um2 for r in price.rows if r.part.role in SHARED) == pytest.approx(
        row.figures["area_um2"], rel=0.10
    )


@pytest.mark.parametrize("serial", ["activation", "both"])
def test_wider_operands_cost_more(serial):
    def area(w, a):
        return price_pe(stripes(serial=serial, w_format=f"int{w}", a_format=f"int{a}"), load_technology("7nm")).area_um2

    for w, a in ((2, 2), (4, 4), (7, 8)):
        assert area(w, a) < area(w + 1, a) < area(w + 1, a + 1)


def test_a_loom_is_smaller_than_a_stripes_and_that_than_a_parallel_unit():
    t28 = load_technology("28nm")
    sizes = [price_pe(pe, t28).area_um2 for pe in (stripes(serial="both"), stripes(),
             make_pe({"family": "int_mac", "format": "int8", "lanes": 16}))]  # fmt: skip
    assert sizes == sorted(sizes)


def test_labels_and_what_does_not_fit():
    assert make_pe(pairing("loom_w4a8_g128").pe_spec).serial == "both"
    assert make_pe(pairing("stripes_w4a8").pe_spec).cycles_per_step(parse_format("int4"), INT8) == 8
    pe = stripes(w_format="int4", a_format="int4")
    assert "int8" in str(pe.supports(INT8, parse_format("int4")))
    assert "fp16" in str(pe.supports(parse_format("int4"), parse_format("fp16")))
    assert pe.supports(parse_format("int4"), parse_format("uint4")) is None  # no sign bit to subtract
    assert pe.supports(parse_format("uint4"), parse_format("int4")) is not None  # rows of four bits with sign


@pytest.mark.parametrize(("options", "message"), [
    ({"serial": "activations"}, "did you mean.*activation"), ({"bits_per_cycle": 9}, "valid: 1 to 8"),
    ({"format": "fp16"}, "valid: int2"), ({"a_format": "int8_asym_g128"}, "valid"), ({"lane": 4}, "lanes"),
    ({"format": "int16"}, "a signed integer of 36 to 53 bits"), ({"accumulator": "int8"}, "valid: a signed integer of 20"),
])  # fmt: skip
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        stripes(**options)
