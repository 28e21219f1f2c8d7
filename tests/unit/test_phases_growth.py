"""Few lengths stand for many: sums against the lengths one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwsim.workload.phase import triangle
from hwsim.workload.phases.growth import LISTED, representatives
from hwsim.workload.phases.passes import spans

BLOCKS = (1, 16, 32, 64, 128)


def assert_same_sums(first: int, stride: int, count: int) -> list[tuple[int, int]]:
    found = representatives(first, stride, count)
    lengths = [first + stride * i for i in range(count)]
    assert sum(times for _, times in found) == count
    for block in BLOCKS:
        blocks = sum(-(-length // block) for length in lengths)
        assert sum(-(-length // block) * times for length, times in found) == blocks, block
    assert all(times >= 1 and lengths[0] <= length <= lengths[-1] for length, times in found)
    assert [length for length, _ in found] == sorted({length for length, _ in found})
    return found


@given(st.integers(1, 5000), st.integers(1, 3000))
def test_one_more_per_pass(first: int, count: int) -> None:
    assert len(assert_same_sums(first, 1, count)) <= 20


@given(st.integers(1, 3000), st.integers(0, 700), st.integers(1, 300))
def test_any_stride(first: int, stride: int, count: int) -> None:
    assert len(assert_same_sums(first, stride, count)) <= 256


@given(st.integers(1, 3000), st.sampled_from([128, 256, 512, 2048]), st.integers(LISTED + 1, 300))
def test_strides_of_whole_blocks_need_two(first: int, stride: int, count: int) -> None:
    assert len(assert_same_sums(first, stride, count)) <= 2


def test_few_lengths_stand_for_themselves() -> None:
    assert representatives(5, 3, LISTED) == [(5 + 3 * i, 1) for i in range(LISTED)]
    assert representatives(5, 3, 0) == []
    assert representatives(5, 0, 9) == [(5, 9)]


@given(st.integers(0, 2000), st.integers(1, 400), st.one_of(st.none(), st.integers(1, 1500)))
def test_spans_count_what_the_mask_keeps(context: int, new: int, window: int | None) -> None:
    keys = [min(context + i + 1, window or context + new) for i in range(new)]
    half = spans(keys[0], keys[-1], new, "half")
    assert sum(queries * seen for queries, seen in half) == sum(keys)
    assert all(queries > 0 and seen > 0 for queries, seen in half)
    cached = min(context, (window or context + 1) - 1)
    assert spans(keys[0], keys[-1], new, "full") == [(new, cached + new)]


@given(st.integers(2, 3000))
def test_a_prompt_is_a_triangle(tokens: int) -> None:
    assert spans(1, tokens, tokens, "half") == list(triangle(tokens))
