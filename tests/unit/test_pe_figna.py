"""FIGNA's PE: alignment from exact fractions, sums with one rounding; efficiency beside what was published."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError
from tests.support.exact import round_fraction

FP16, FP32 = parse_format("fp16"), parse_format("fp32")


def twin(pairs, lanes, extra):
    total = 0.0
    for start in range(0, len(pairs), lanes):
        step = pairs[start : start + lanes]
        values = [Fraction(float(FP16.decode(np.array([code]))[0])) for _, code in step]
        largest = max(max(abs(v) for v in values), Fraction(2) ** -14)
        unit = Fraction(2) ** (int(np.floor(np.log2(float(largest)))) - 10 - extra)
        total = round_fraction(
            Fraction(total) + sum(w * round(v / unit) * unit for (w, _), v in zip(step, values, strict=True)), FP32
        )
    return total


codes = st.one_of(st.integers(0, 0x7BFF), st.integers(0x8000, 0xFBFF))


@given(st.lists(st.tuples(st.integers(-8, 7), codes), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 11))
def test_blocks_are_aligned_rounded_and_added(pairs, lanes, extra):
    pe = make_pe({"family": "figna", "lanes": lanes, "extra_bits": extra})
    w, a = (np.array(side) for side in zip(*pairs, strict=True))
    assert pe.dot(w & 15, a, pe.w_format, pe.a_format) == twin(pairs, lanes, extra)


def test_activations_of_like_size_lose_nothing():
    rng = np.random.default_rng(3)
    pe = make_pe({"family": "figna", "accumulator": "fp32"})
    a = FP16.encode(rng.uniform(1, 2, 16) * 2.0 ** rng.integers(-11, 1, 16))
    w = rng.integers(0, 16, 16)
    assert pe.align(FP16.decode(a))[0].tolist() == (FP16.decode(a) / 2.0 ** pe.align(FP16.decode(a))[1]).tolist()
    exact = (pe.w_format.element.integers(w) * FP16.decode(a)).sum()
    assert pe.dot(w, a, pe.w_format, pe.a_format) == FP32.quantize(np.array(exact))


def test_efficiency_over_float_macs():
    # Published: 6.34x TOPS/mm2 and 2.19x TOPS/W of FP16-INT4 over FP16 units (FIGNA, abstract), with
    # baselines and clocks that are not known. Found are 2.7 and 4.5, a miss: ours aligns to 24 bits to lose
    # nothing, which costs area, and its baseline adds into FP32 with all of its glitches, which costs
    # energy. Direction, and within a factor of 2.5, which is no agreement.
    tech = load_technology("28nm")
    figna, fp16 = (pipelined_price(make_pe(o), tech, 5e8)[0] for o in (
        pairing("figna_w4").pe_spec, {"family": "float_mac", "format": "fp16"}))  # fmt: skip
    area = fp16.area_um2 * 16 / figna.area_um2
    energy = (fp16.energy_fj + fp16.clock_fj) * 16 / (figna.energy_fj + figna.clock_fj)
    assert 6.34 / 2.5 < area < 6.34
    assert 2.19 < energy < 2.19 * 2.5


def test_the_aligner_is_shared_and_wider_alignment_costs_more():
    tech = load_technology("7nm")
    areas = [price_pe(make_pe({"family": "figna", "shared": shared}), tech).area_um2 for shared in (64, 16, 4, 1)]
    assert areas == sorted(areas)
    extra = [price_pe(make_pe({"family": "figna", "extra_bits": bits}), tech).area_um2 for bits in (0, 3, 11)]
    assert extra == sorted(extra)


@pytest.mark.parametrize("options", [{"w_format": "nf4"}, {"w_format": "int4_asym_g128"}, {"a_format": "int8"},
                                     {"extra_bits": 99}, {"shared": 0}, {"accumulator": "int32"}])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "figna", **options})
