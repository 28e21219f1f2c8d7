"""Small pieces that the cycle-stepped arrays share."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import DotUnit, TileOperands


def lane_groups(k: int, lanes: int) -> list[tuple[int, int]]:
    """Cut ``k`` reduction elements into ``(start, width)`` groups of at most ``lanes``."""
    return [(start, min(lanes, k - start)) for start in range(0, k, lanes)]


def accumulate_one(pe: DotUnit, operands: TileOperands, acc: Any, w: NDArray[Any], a: NDArray[Any]) -> Any:
    """Return the accumulator after one PE step on ``w`` and ``a``, both of shape (lanes,)."""
    start = pe.initial((1,))
    start[0] = acc
    return pe.accumulate(start, w[None, :], a[None, :], operands.w_format, operands.a_format)[0]


def fire(
    pe: DotUnit,
    operands: TileOperands,
    above: Any,
    held: NDArray[Any] | None,
    a: NDArray[Any],
    lanes: list[tuple[int, int]],
    row: int,
    col: int,
    m_index: int,
) -> Any:
    """Return what one weight-stationary PE adds to the partial sum from above."""
    if held is None:
        return above
    start, width = lanes[row]
    return accumulate_one(pe, operands, above, held[:, col], a[m_index, start : start + width])
