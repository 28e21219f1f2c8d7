"""Noise of a design: what the formats lose, and what the PE's arithmetic loses on top."""

from __future__ import annotations

import math

import pytest

from hwsim.formats import parse_format
from hwsim.formats.accuracy import sqnr_db
from hwsim.formats.gemm import named_gemm_loss
from hwsim.hardware.pe import make_pe, pairing
from hwsim.simulate.accuracy import DESIGN_SOURCE, ROWS, arithmetic_sqnr_db, design_sqnr_db


def of(label, **options):
    pe = make_pe({**pairing(label).pe_spec, **options})
    return pe, pe.w_format, pe.a_format


@pytest.mark.parametrize("label", ["int2", "int8", "int4_g128", "mxint8", "w4a8", "lut_bipolar2"])
def test_integers_lose_nothing(label):
    assert arithmetic_sqnr_db(*of(label)) == math.inf


@pytest.mark.parametrize(
    ("label", "multiplier"),
    [("lmul_e4m3", "lmul_bitfield"), ("lmul_e4m3_formula", "lmul_formula"), ("lmul_bf16", "lmul_bitfield"),
     ("fp8_e4m3", None), ("int8", None), ("int4_g128", None), ("mxfp4", None), ("nvfp4", None)],
)  # fmt: skip
def test_designs_are_as_accurate_as_the_gemm_of_their_formats_and_multiplier(label, multiplier):
    # Here: dots of 128 with three noises added up; there: 4096 with all at once. L-Mul's errors do not
    # depend on the rest, but the largest of 128 values scales a dot otherwise than that of 4096.
    pe, w, a = of(label)
    found = named_gemm_loss(a, w, accumulator=parse_format("fp32") if multiplier else None, multiplier=multiplier)
    assert design_sqnr_db(pe, w, a) == pytest.approx(found.sqnr_db, abs=0.6 if multiplier else 0.2)
    assert DESIGN_SOURCE == "distribution"


def test_noises_add_up():
    pe, w, a = of("fp8_e4m3")
    parts = (sqnr_db(w, rows=ROWS), sqnr_db(a, rows=ROWS), arithmetic_sqnr_db(pe, w, a))
    noise = sum(10 ** (-db / 10) for db in parts)
    assert design_sqnr_db(pe, w, a) == pytest.approx(-10 * math.log10(noise))
    assert design_sqnr_db(pe, w, a) < min(sqnr_db(w), sqnr_db(a))


@pytest.mark.parametrize("label", ["int8", "int4_g128", "mxfp4", "nvfp4", "fp8_e4m3", "fp16"])
def test_part_of_the_sample_judges_as_all_of_it(label):
    fmt = of(label)[1]
    assert sqnr_db(fmt, rows=ROWS) == pytest.approx(sqnr_db(fmt), abs=0.1)  # sampling error of 32 of 128 rows


def test_narrow_accumulators_cost_accuracy():
    found = [arithmetic_sqnr_db(*of("bf16", accumulator=name)) for name in ("fp8_e4m3", "bf16", "fp16", "fp32")]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("label", ["fp32", "tf32", "fp16", "lmul_bf16", "bitmod3_g128", "nvfp4", "w4a16_g128"])
def test_every_kind_of_pe_can_be_judged(label):
    # fp32 has too many codes to list; formats of 16 bits and more keep headroom for their sums.
    assert arithmetic_sqnr_db(*of(label)) > 10


def test_lmul_never_has_the_accuracy_of_a_multiplier():
    for label, float_label in (("lmul_bf16", "bf16"), ("lmul_bf16_formula", "bf16"), ("lmul_e4m3", "fp8_e4m3")):
        assert arithmetic_sqnr_db(*of(label)) < arithmetic_sqnr_db(*of(float_label)) - 60  # dB


def test_the_figure_is_reproducible():
    arguments = of("bf16")
    first = arithmetic_sqnr_db(*arguments)
    arithmetic_sqnr_db.cache_clear()
    assert arithmetic_sqnr_db(*arguments) == first


def test_a_pair_that_fits_into_the_datapath_can_be_judged_too():
    pe, _, a = of("bf16")
    assert arithmetic_sqnr_db(pe, parse_format("fp8_e5m2"), a) > 30
