"""Small pieces that the cycle-stepped arrays share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import ArrayShape, DotUnit, TileOperands
from hwsim.spec.errors import ConservationError


def lane_groups(k: int, lanes: int) -> list[tuple[int, int]]:
    """Cut ``k`` reduction elements into ``(start, width)`` groups of at most ``lanes``."""
    return [(start, min(lanes, k - start)) for start in range(0, k, lanes)]


def padded_lanes(codes: NDArray[Any], lanes: int) -> NDArray[Any]:
    """Return codes (K, …) as (steps, lanes, …), the last step filled up with code 0."""
    steps = -(-len(codes) // lanes)
    filled = np.zeros((steps * lanes, *codes.shape[1:]), dtype=codes.dtype)
    filled[: len(codes)] = codes
    return filled.reshape(steps, lanes, *codes.shape[1:])


def step_starts(
    shape: ArrayShape,
    pe: DotUnit,
    operands: TileOperands,
    w: NDArray[Any],
    a: NDArray[Any],
    sum_steps: int | None = None,
) -> NDArray[np.int64]:
    """Return the cycles at which a fold's steps enter the array, and at the end that of one more.

    ``w`` (steps, groups, operands, lanes) and ``a`` likewise are the codes of the PEs that wait for the slowest;
    ``sum_steps`` successive steps of a PE go into one sum, by default all.
    """
    if shape.data_cycles:
        found = pe.measured_cycles(w, a, operands.w_format, operands.a_format, sum_steps)
        spent = np.maximum(found, shape.least)
    else:
        spent = np.full(len(w), int(shape.interval))
    return np.concatenate([[0], np.cumsum(spent)])


def refuse(broken: bool, what: str) -> None:
    """Refuse what hardware could not do."""
    if broken:
        raise ConservationError(f"stepped array: {what}")


def outputs(pe: DotUnit, operands: TileOperands) -> NDArray[Any]:
    """Return the accumulators (m, n) that a tile starts from: cleared, or its partial sums."""
    if operands.partial is not None:
        return operands.partial.copy()
    return pe.initial((operands.a.shape[0], operands.w.shape[1]))
