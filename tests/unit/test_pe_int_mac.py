"""The integer MAC: exact dots, wrap-around, passes, and its area against synthesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Multiplier
from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import find_example
from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload


@given(st.integers(2, 8), st.integers(2, 8), st.integers(1, 4), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_dot_is_the_integer_dot_product(w_bits, a_bits, lanes, k, seed):
    pe = make_pe({"family": "int_mac", "w_format": f"int{w_bits}", "a_format": f"int{a_bits}", "lanes": lanes})
    rng = np.random.default_rng(seed)
    w = rng.integers(-(2 ** (w_bits - 1)), 2 ** (w_bits - 1), k)
    a = rng.integers(-(2 ** (a_bits - 1)), 2 ** (a_bits - 1), k)
    codes = (w & (2**w_bits - 1)).astype(np.uint32), (a & (2**a_bits - 1)).astype(np.uint32)
    assert pe.dot(*codes, pe.w_format, pe.a_format) == w @ a


def test_a_narrow_accumulator_wraps_as_twos_complement():
    pe = make_pe({"family": "int_mac", "format": "int8", "accumulator": "int16"})
    codes = np.full(3, 0x80, dtype=np.uint32)  # (-128)^2 three times: 49152 is -16384 in 16 bits
    assert pe.dot(codes, codes, pe.w_format, pe.a_format) == -16384


@pytest.mark.parametrize(("bits", "held"), [(48, True), (40, True), (33, False)])
def test_accumulators_may_be_wider_than_numbers_in_memory(bits, held):
    pe = make_pe({"family": "int_mac", "format": "int16", "accumulator": f"int{bits}", "lanes": 2})
    least = np.full(100, 0x8000, dtype=np.uint32)  # (-32768)^2 a hundred times is more than 36 bits
    exact = 100 * 32768**2
    assert (pe.dot(least, least, pe.w_format, pe.a_format) == exact) == held
    assert pe.dot(least, least, pe.w_format, pe.a_format) % 2**bits == exact % 2**bits
    assert pe.psum_bits == bits


def test_wider_weights_take_passes():
    pe = make_pe({"family": "int_mac", "w_format": "int4_g128", "a_format": "int8"})
    assert pe.cycles_per_step(parse_format("int8"), parse_format("int8")) == 2
    assert pe.cycles_per_step(pe.w_format, pe.a_format) == 1
    assert pe.scaling(pe.w_format, pe.a_format) == "sum"
    assert pe.scaling(parse_format("int8"), parse_format("int8")) == "none"
    assert pe.dequant_parts(pe.w_format, pe.a_format)


def test_what_it_cannot_compute_it_says():
    pe = make_pe({"family": "int_mac", "format": "int8"})
    assert "integers" in str(pe.supports(parse_format("fp16"), parse_format("int8")))
    assert "wider" in str(pe.supports(parse_format("int8"), parse_format("int16")))
    assert pe.supports(parse_format("int4_g128"), parse_format("int8")) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "int_mca", "format": "int8"}, "did you mean 'int_mac'"),
        ({"family": "int_mac", "format": "fp16"}, "integer formats"),
        ({"family": "int_mac", "format": "int8", "acumulator": "int32"}, "did you mean 'accumulator'"),
        ({"family": "int_mac", "format": "int8", "accumulator": "int8"}, "16 to 53"),
        ({"family": "int_mac", "format": "int8", "accumulator": "int54"}, "wider than 53 bits"),
        ({"family": "int_mac", "format": "int8", "accumulator": "uint32"}, "uint32 does not hold .*signed integer"),
        ({"family": "int_mac", "format": "int8", "accumulator": "int048"}, "int048"),
        ({"family": "int_mac", "format": "int32"}, "fewer bits or lanes"),
        ({"family": "int_mac", "format": "int8", "lanes": 0}, "lanes"),
        ({"family": "int_mac", "w_format": "int8"}, "a_format"),
        ({"format": "int8"}, "family"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        make_pe(options)


# ASAP7 area in um2 of MACs without operand registers ; the fit's p90 is 15 %.
@pytest.mark.parametrize(("w", "a", "acc", "area"), [("int4", "int4", "int16", 21), ("int8", "int8", "int32", 62)])
def test_area_is_the_synthesised_one(w, a, acc, area):
    pe = make_pe({"family": "int_mac", "w_format": w, "a_format": a, "accumulator": acc})
    price = price_pe(pe, load_technology("7nm"))
    mac = sum(r.area_um2 for r in price.rows if r.part.role in ("multiplier", "accumulator adder", "accumulator"))
    assert mac == pytest.approx(area, rel=0.15)
    assert price.area_um2 > mac
    assert price.energy_fj == pytest.approx(sum(r.energy_fj for r in price.rows))


# Operand ranges


def mac(w, a, **more):
    return make_pe({"family": "int_mac", "w_format": w, "a_format": a, **more})


@pytest.mark.parametrize("bits", [2, 4, 7, 8, 12, 16])
def test_unsigned_activations_need_a_bit_more_of_a_signed_datapath(bits):
    own, unsigned, narrower = f"int{bits}", f"uint{bits}", f"uint{bits - 1}"
    reason = mac(own, own).supports(parse_format(own), parse_format(unsigned))
    said = f"activations of {unsigned} are unsigned and need {bits + 1} bits of the signed datapath's {bits} ({own})"
    assert str(reason).startswith(said)
    assert mac(own, own).supports(parse_format(own), parse_format(narrower)) is None
    assert mac(own, f"int{bits + 1}", accumulator="int40").supports(parse_format(own), parse_format(unsigned)) is None
    assert mac(own, unsigned, accumulator="int40").supports(parse_format(own), parse_format(unsigned)) is None


def test_unsigned_weights_take_a_pass_more():
    pe, int8, uint8 = mac("int8", "int8"), parse_format("int8"), parse_format("uint8")
    assert pe.cycles_per_step(int8, int8) == 1
    assert pe.cycles_per_step(uint8, int8) == 2  # nine bits
    assert pe.cycles_per_step(parse_format("uint7"), int8) == 1
    assert mac("uint8", "int8").cycles_per_step(uint8, int8) == 1


def test_an_unsigned_datapath_takes_no_signs():
    pe, int4, uint8 = mac("uint8", "uint8"), parse_format("int4"), parse_format("uint8")
    assert str(pe.supports(int4, uint8)) == "weights of int4 are signed, the datapath's uint8 is not"
    assert str(pe.supports(uint8, int4)) == "activations of int4 are signed, the datapath's uint8 is not"
    assert pe.supports(parse_format("int4_asym_g128"), uint8) is not None  # centred, so signed
    assert pe.supports(uint8, uint8) is None


def test_zero_points_centre_elements():
    """(u - z) = (u - 8) - (z - 8): four bits of either kind fit where int4 does."""
    pe = mac("int4_g128", "int8")
    assert pe.supports(parse_format("int4_asym_g128"), parse_format("int8")) is None
    assert pe.cycles_per_step(parse_format("int4_asym_g128"), parse_format("int8")) == 1
    assert pe.cycles_per_step(parse_format("uint4"), parse_format("int8")) == 2


@pytest.mark.parametrize(
    ("w", "a", "circuit"),
    [
        ("int8", "int8", Multiplier(8, 8, signed=True)),
        ("uint8", "uint8", Multiplier(8, 8, signed=False)),
        ("uint8", "int8", Multiplier(8, 9, signed=True)),
        ("int4", "uint8", Multiplier(9, 4, signed=True)),
        ("int4_asym_g128", "int8", Multiplier(8, 4, signed=True)),
    ],
)
def test_multipliers_are_as_wide_as_both_ranges(w, a, circuit):
    assert next(part.circuit for part in mac(w, a).parts() if part.role == "multiplier") == circuit


def test_the_accumulator_of_unsigned_products_has_room_for_their_sign_bit():
    with pytest.raises(UsageError, match="uint|signed integer of 17"):
        mac("uint8", "uint8", accumulator="int16")
    codes = np.array([255], dtype=np.uint32)
    pe = mac("uint8", "uint8", accumulator="int17")
    assert pe.dot(codes, codes, pe.w_format, pe.a_format) == 255 * 255


def test_float_macs_multiply_unsigned_integers_of_their_significand_alone():
    pe = make_pe({"family": "float_mac", "format": "int8"})
    assert pe.supports(parse_format("int8"), parse_format("uint8")) is not None
    assert pe.supports(parse_format("int8"), parse_format("uint7")) is None


def test_homomorphic_encryption_is_refused_by_signed_bytes_and_runs_on_unsigned_ones():
    path, trace = find_example("arch_configs", "edge_16x16_45nm"), load_workload("cross-ntt")
    with pytest.raises(UsageError, match="activations of uint8 are unsigned and need 9 bits") as caught:
        evaluate(open_arch(path), trace)
    assert "--set 'pe={family: int_mac, w_format: uint8, a_format: uint8}'" in str(caught.value)
    pe = {"family": "int_mac", "w_format": "uint8", "a_format": "uint8"}
    assert evaluate(open_arch(path, {"pe": pe}), trace).design_row["status"] == "ok"
