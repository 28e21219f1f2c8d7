"""OliVe's PE: pairs decoded as the format decodes them, products against values; areas of decoders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing
from hwsim.hardware.pe.families.olive import decode, decoder
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError


def scalar(bits, code, partner):
    """One code from the definition."""
    identifier = 2 ** (bits - 1)
    if code == identifier:
        return 0
    if partner != identifier:
        return code - 2**bits if code > identifier else code
    sign, rest = divmod(code, identifier)
    if rest == 0:
        return 0
    exponent, mantissa = divmod(rest, 2 ** (bits - 3))
    size = 2 ** (exponent + bits - 1) * (1 + mantissa / 2 ** (bits - 3))
    return -size if sign else size


def values(bits, codes):
    return [scalar(bits, code, codes[i ^ 1] if i ^ 1 < len(codes) else None) for i, code in enumerate(codes)]


@given(st.sampled_from([4, 8]), st.data())
def test_products_of_pairs_are_those_of_their_values(bits, data):
    pe = make_pe(pairing(f"olive{bits}_tensor").pe_spec)
    code = st.one_of(st.just(2 ** (bits - 1)), st.integers(0, 2**bits - 1))
    w = data.draw(st.lists(code, min_size=1, max_size=16))
    a = data.draw(st.lists(code, min_size=len(w), max_size=len(w)))
    wanted = sum(x * y for x, y in zip(values(bits, w), values(bits, a), strict=True))
    assert pe.dot(np.array(w), np.array(a), pe.w_format, pe.a_format) == wanted


def test_a_tensor_with_outliers_is_computed_exactly():
    fmt, pe = parse_format("olive4_g128"), make_pe({"family": "olive", "a_format": "int4"})
    x = np.random.default_rng(1).standard_normal((1, 128))
    x[0, ::16] *= 12
    encoded = fmt.encode(x)
    base, shift = decode(fmt, encoded.codes.codes[0])
    assert shift.any()  # there are outliers
    assert np.array_equal(
        base << shift, np.rint(fmt.quantize(x)[0] / parse_format("fp16").decode(encoded.scales.codes)[0])
    )
    ones = np.ones(128, dtype=np.uint32)
    assert pe.dot(encoded.codes.codes[0], ones, pe.w_format, pe.a_format) == (base << shift).sum()


@pytest.mark.parametrize(("bits", "published"), [(4, 13.53), (8, 18.00)])
def test_areas_of_published_decoders(bits, published):
    # 22 nm, from notes of the paper; ours at 28 nm, scaled by the square of the nodes. The paper's split
    # between decoder and PE is not known; found are 0.89 and 1.29: within 35 %.
    parts = decoder("weight", bits)
    area = load_technology("28nm").price_parts(parts, "integer_mac").area_um2 * (22 / 28) ** 2
    assert area == pytest.approx(published, rel=0.35)


@pytest.mark.parametrize("options", [{"w_format": "int4"}, {"a_format": "fp16"}, {"lanes": 3}, {"accumulator": "int8"}])
def test_what_does_not_fit_is_refused_with_the_valid_choices(options):
    with pytest.raises(UsageError, match="valid"):
        make_pe({"family": "olive", **options})
