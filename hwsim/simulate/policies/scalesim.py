"""Folds in the order of SCALE-Sim 3.0.0: one tile per fold, column folds outside, row folds inside.

A tile is what the array holds at a time, and the whole of what streams past it, whatever the buffers
hold: SCALE-Sim streams operands through its SRAM line by line. An operand that fits its part of the
buffer is loaded once; one that does not is loaded as often as the array reads it, which is what the tool's
flushed buffer comes to on walks that return to the start. Its DRAM counts near the capacity are not
followed, nor are its stalls. Partial sums stay on chip: SCALE-Sim writes every one of them to DRAM and
never reads one back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.simulate.dataflow import ArrayShape, Dataflow
from hwsim.simulate.mapping import POLICIES, Machine, build_schedule
from hwsim.simulate.schedule import OperandBits, Schedule, Tiling
from hwsim.workload.ops import Gemm

#: Column folds outside, row folds inside, the streamed loop last, by what is stationary.
ORDERS = {"w": "nkm", "a": "mkn", "o": "nmk"}


def fold_tiles(extents: Mapping[str, Any], dataflow: Dataflow, shape: ArrayShape) -> dict[str, Any]:
    """Return the tile of each loop, for numbers or arrays: a fold, and all that streams past it."""
    order, unit = ORDERS[dataflow.stationary], dataflow.units(shape)
    held = {loop: np.minimum(extents[loop], unit[loop]) for loop in order[:2]}
    return {**held, order[2]: extents[order[2]]}


def fits_whole(
    extents: Mapping[str, Any], tiles: Mapping[str, Any], bits: OperandBits, a_bits: Any, w_bits: Any
) -> tuple[Any, Any]:
    """Return whether activations and weights are loaded once: all of them fit, or nothing comes back to them."""
    hold_a = (tiles["n"] == extents["n"]) | (bits.move(extents["m"] * extents["k"], "a") <= a_bits)
    hold_w = (tiles["m"] == extents["m"]) | (bits.move(extents["k"] * extents["n"], "w") <= w_bits)
    return hold_a, hold_w


def scalesim_tiling(gemm: Gemm, machine: Machine) -> Tiling:
    """Return one tile per fold, and which operands stay on chip."""
    extents = {"m": gemm.m, "k": gemm.k, "n": gemm.n}
    tiles = {loop: int(size) for loop, size in fold_tiles(extents, machine.dataflow, machine.shape).items()}
    holds = fits_whole(extents, tiles, machine.bits, machine.capacity_a_bits, machine.capacity_w_bits)
    order = ORDERS[machine.dataflow.stationary]
    return Tiling(tiles["m"], tiles["k"], tiles["n"], order, bool(holds[0]), bool(holds[1]), hold_o=True)


@POLICIES.register("scalesim")
def scalesim(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the folds of ``gemm`` as SCALE-Sim walks them."""
    return build_schedule(gemm, scalesim_tiling(gemm, machine), machine)
