"""Check bits: Hamming's bound, and arrays as wide as their words with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_buffer, build_sram, sram_figures
from hwsim.hardware.memory.ecc import check_bits, stored_bytes
from hwsim.hardware.memory.figures import NAMES
from hwsim.spec.errors import UsageError


@pytest.mark.parametrize(("data", "checks"), [(1, 3), (4, 4), (8, 5), (11, 5), (12, 6), (16, 6), (26, 6), (32, 7), (57, 7), (64, 8), (128, 9), (256, 10)])  # fmt: skip
def test_check_bits_are_those_of_the_textbook(data, checks):
    assert check_bits("secded", data) == checks
    assert check_bits("none", data) == 0


@given(st.integers(1, 1 << 20))
def test_they_are_the_fewest_that_tell_every_single_error_apart(data):
    hamming = check_bits("secded", data) - 1
    assert 2**hamming >= data + hamming + 1
    assert hamming == 2 or 2 ** (hamming - 1) < data + hamming


@given(st.integers(2**10, 2**24), st.sampled_from([8, 32, 64, 100, 256]), st.sampled_from([7, 28, 40]))
def test_a_protected_array_is_one_of_wider_words(size, width, node):
    if size * 8 < 32 * width:
        return
    wide = width + check_bits("secded", width)
    stored = stored_bytes(size, width, wide)
    assert stored * 8 * width >= size * 8 * wide > (stored - 1) * 8 * width
    found, same = build_sram(size, width, 1, node, ecc="secded"), build_sram(stored, wide, 1, node)
    assert found.figures == pytest.approx(same.figures, rel=1e-12)
    assert (found.size_bytes, found.width_bits, found.stored_bits) == (size, width, wide)
    assert found.estimated
    assert "encoder and decoder not priced" in found.source
    plain = build_sram(size, width, 1, node)
    for name in NAMES:
        assert getattr(found, name) >= getattr(plain, name) * (1 - 1e-12), name


def test_many_at_once_are_as_one_by_one():
    sizes, widths = np.array([2**12, 2**15, 99_999])[:, None], np.array([8, 64, 100, 1000])
    built = sizes * 8 >= 32 * widths * 2
    sizes, widths = (a[built] for a in np.broadcast_arrays(sizes, widths))
    found = sram_figures(sizes, widths, 2, 28, "hp", 320.0, "1r1w", "secded")
    for place, (size, width) in enumerate(zip(sizes.tolist(), widths.tolist(), strict=True)):
        one = build_sram(size, width, 2, 28, "hp", None, 320.0, "1r1w", "secded")
        assert {n: f[place] for n, f in found.items()} == pytest.approx(one.figures, rel=1e-12)


def test_each_macro_of_a_wide_buffer_protects_its_own_word():
    one, four = build_sram(2**16, 256, 1, 28, ecc="secded"), build_buffer(2**18, 1024, 1, 28, ecc="secded")
    assert four.read_pj == 4 * one.read_pj
    assert "10 check bits per word" in four.answered_by


def test_an_unknown_scheme_is_refused():
    for build in (build_sram, sram_figures):
        with pytest.raises(UsageError, match="ecc: unknown 'sedced'; valid: none, secded .did you mean 'secded'"):
            build(2**15, 64, 1, 28, ecc="sedced")
