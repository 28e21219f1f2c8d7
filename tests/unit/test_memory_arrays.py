"""Many buffers at once: the same figures and the same refusals as one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_sram, sram_figures
from hwsim.hardware.memory.figures import NAMES
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError

shapes = st.tuples(st.floats(10, 28), st.floats(0, 13), st.integers(1, 64)).map(
    lambda s: (round(2 ** s[0]), round(2 ** s[1]), s[2])
)
nodes = st.floats(7, 90) | st.sampled_from([7, 14, 22, 28, 32, 45, 65, 90])
devices = st.sampled_from(["hp", "lstp", "lop"])


@example([(524288, 2048, 33)], 7.0, "hp")  # banks shallower than any of the factors
@given(st.lists(shapes, max_size=8), nodes, devices)
def test_many_are_as_one_by_one(drawn, node, device):
    built = [s for s in drawn if s[0] * 8 >= 32 * s[1] * s[2]]
    found = sram_figures(*np.array(built, float).reshape(-1, 3).T, node, device)
    assert tuple(found) == NAMES
    for place, shape in enumerate(built):
        one = build_sram(*shape, node, device)
        for name in NAMES:
            assert math.isclose(found[name][place], getattr(one, name), rel_tol=1e-12), name


def test_sizes_widths_and_banks_broadcast():
    found = sram_figures([[2**15], [2**16]], [32, 64, 100], 4, 28)
    assert {figures.shape for figures in found.values()} == {(2, 3)}
    assert found["area_mm2"][1, 2] == pytest.approx(build_sram(2**16, 100, 4, 28).area_mm2, rel=1e-12)
    assert sram_figures(2**15, 64, 1, 28)["read_pj"].shape == ()


@pytest.mark.parametrize(
    ("shape", "node", "device", "error"),
    [
        ((2**10, 512, 1), 28, "hp", InfeasibleError),
        ((1023, 8, 1), 28, "hp", InfeasibleError),
        ((2**28 + 1, 64, 1), 28, "hp", InfeasibleError),
        ((2**15, 64, 0), 28, "hp", UsageError),
        ((-1, 64, 1), 28, "hp", UsageError),
        ((2**15, 64, 1), 3, "hp", MissingFigureError),
        ((2**15, 64, 1), 130, "hp", MissingFigureError),
        ((2**15, 64, 1), 22, "lst", UsageError),
    ],
)
def test_one_that_is_refused_is_refused_among_many_with_the_same_words(shape, node, device, error):
    with pytest.raises(error) as alone:
        build_sram(*shape, node, device)
    size, width, banks = ([good, bad] for good, bad in zip((2**15, 64, 1), shape, strict=True))
    with pytest.raises(error) as among:
        sram_figures(size, width, banks, node, device)
    assert str(among.value) == str(alone.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1.5])
def test_what_is_no_whole_number_is_refused(bad):
    for place in range(3):
        shape = [2.0**15, 64.0, 1.0]
        shape[place] = bad
        with pytest.raises(UsageError, match="must be a whole number"):
            sram_figures(*shape, 28)
