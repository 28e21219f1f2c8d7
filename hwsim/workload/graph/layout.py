"""Which extents of a tensor hold the same values again: what ``expand`` and ``repeat_kv`` leave behind.

A dimension is a row-major list of factors ``(size, repeated)``; along a repeated factor the tensor does
not change. Grouped-query attention repeats each KV head for its group: ``(B, kv, 1, S, d)`` expanded and
reshaped to ``(B, kv·g, S, d)`` has the factors ``(kv, False), (g, True)`` in its second dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

Factor = tuple[int, bool]
Dim = tuple[Factor, ...]
Layout = tuple[Dim, ...]


def fresh(shape: Iterable[int]) -> Layout:
    """Return the layout of a tensor of which nothing is known but its shape."""
    return tuple(((size, False),) for size in shape)


def size_of(dim: Iterable[Factor]) -> int:
    """Return the extent of a dimension."""
    return prod(size for size, _ in dim)


def shape_of(layout: Layout) -> tuple[int, ...]:
    """Return the extents of all dimensions."""
    return tuple(size_of(dim) for dim in layout)


def expanded(layout: Layout, shape: Sequence[int]) -> Layout:
    """Return ``layout`` broadcast to ``shape``, which has at least as many dimensions."""
    padded = (((1, False),),) * (len(shape) - len(layout)) + layout
    return tuple(
        ((size, True),) if size_of(dim) == 1 and size != 1 else dim for dim, size in zip(padded, shape, strict=True)
    )


def permuted(layout: Layout, order: Sequence[int]) -> Layout:
    """Return ``layout`` with its dimensions in the order ``order``."""
    return tuple(layout[axis] for axis in order)


def reshaped(layout: Layout, shape: Sequence[int]) -> Layout:
    """Return ``layout`` regrouped row-major to ``shape``; where its factors cannot be cut, nothing is known."""
    factors = [factor for dim in layout for factor in dim if factor[0] != 1]
    dims: list[Dim] = []
    for size in shape:
        taken = _take(factors, size)
        if taken is None:
            return fresh(shape)
        dims.append(taken)
    return tuple(dims) if not factors else fresh(shape)


def _take(factors: list[Factor], size: int) -> Dim | None:
    """Take factors of product ``size`` from the front, cutting the last one; None where that is impossible."""
    taken: list[Factor] = []
    while size > 1 and factors:
        extent, repeated = factors.pop(0)
        if extent <= size:
            if extent == 0 or size % extent:
                return None
            taken.append((extent, repeated))
            size //= extent
        else:
            if extent % size:
                return None
            taken.append((size, repeated))
            factors.insert(0, (extent // size, repeated))
            size = 1
    return (tuple(taken) or ((1, False),)) if size == 1 else None


def aligned(a: Dim, b: Dim) -> list[tuple[int, bool, bool]]:
    """Return common factors of two dimensions of one extent: size, repeated in ``a``, repeated in ``b``."""
    left, right = ([factor for factor in dim if factor[0] != 1] for dim in (a, b))
    found: list[tuple[int, bool, bool]] = []
    while left and right:
        (x, x_repeated), (y, y_repeated) = left.pop(), right.pop()
        small, large = min(x, y), max(x, y)
        if large % small:
            return [(size_of(a), _all_repeated(a), _all_repeated(b))]
        found.append((small, x_repeated, y_repeated))
        if large != small:
            (left if x > y else right).append((large // small, x_repeated if x > y else y_repeated))
    return found[::-1]


def _all_repeated(dim: Dim) -> bool:
    return all(repeated for size, repeated in dim if size != 1)
