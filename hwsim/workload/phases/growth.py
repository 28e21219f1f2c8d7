"""Few lengths that stand for many: sums over a growing context stay exact.

A context grows from pass to pass, and every length would be a shape of its own. :func:`representatives`
names a few lengths with how often each counts, such that over all passes

* the number of passes,
* the sum of the lengths (hence multiply-accumulates, and bytes of formats without blocks), and
* the sum of ``ceil(length / g)`` for g = 16, 32, 64, 128 (hence scales of blocks, and folds on arrays
  with such edges)

are those of the lengths one by one. Where lengths grow by one, it rests on symmetry: in a run of lengths
``1 … L`` after a multiple of g, v and L + 1 - v together have ``L/g + 1`` blocks of g if g divides L, as
the whole run has on average; the two in the middle do for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.workload.ops import ceil_div

#: Sums over blocks of this size and of its halves down to the smallest are exact.
LARGEST_BLOCK, SMALLEST_BLOCK = 128, 16

#: So many lengths are listed one by one.
LISTED = 8


def representatives(first: int, stride: int, count: int) -> list[tuple[int, int]]:
    """Return ``(length, times)`` for the lengths ``first + stride · i``, i < ``count``; lengths ascend and are > 0.

    Up to :data:`LISTED` lengths, and equal ones, stand for themselves. Else there are at most 20 entries
    for stride 1 and 256 for any.
    """
    if count < 1:
        return []
    if stride == 0:
        return [(first, count)]
    if count <= LISTED:
        return [(first + stride * i, 1) for i in range(count)]
    pairs = _runs(first, first + count - 1) if stride == 1 else _classes(first, stride, count)
    merged: dict[int, int] = {}
    for length, times in pairs:
        merged[length] = merged.get(length, 0) + times
    return sorted(merged.items())


def _runs(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the representatives of consecutive lengths: the largest aligned run in the middle, the ends in halves."""
    yield from _aligned(first, last, LARGEST_BLOCK)


def _aligned(first: int, last: int, block: int) -> Iterator[tuple[int, int]]:
    if first > last:
        return
    if block < SMALLEST_BLOCK:
        yield from _middle(first, last)
        return
    start, end = ceil_div(first - 1, block) * block, last // block * block
    if start >= end:  # no whole block; a boundary may still lie between, and splits it
        if first <= start < last:
            yield from _aligned(first, start, block // 2)
            yield from _aligned(start + 1, last, block // 2)
        else:
            yield from _aligned(first, last, block // 2)
        return
    yield from _aligned(first, start, block // 2)
    yield from _middle(start + 1, end)
    yield from _aligned(end + 1, last, block // 2)


def _middle(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the one or two lengths in the middle of a run."""
    count = last - first + 1
    low = (first + last) // 2
    if count % 2:
        yield low, count
    else:
        yield low, count // 2
        yield low + 1, count // 2


def _classes(first: int, stride: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the representatives of each class of lengths that differ by multiples of the largest block."""
    period = next(p for p in range(1, LARGEST_BLOCK + 1) if p * stride % LARGEST_BLOCK == 0)
    for residue in range(min(period, count)):
        members = ceil_div(count - residue, period)
        for index, times in _middle(0, members - 1):
            yield first + stride * (residue + period * index), times
