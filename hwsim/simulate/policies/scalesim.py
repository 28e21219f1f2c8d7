"""Folds in the order of SCALE-Sim 3.0.0: one tile per fold, column folds outside, row folds inside.

A tile is what the array holds at a time, and the whole of what streams past it, whatever the buffers
hold: SCALE-Sim streams operands through its SRAM line by line. An operand that fits its part of the
buffer is loaded once; one that does not is loaded as often as the array reads it, which is what the tool's
flushed buffer comes to on walks that return to the start. Its DRAM counts near the capacity are not
followed, nor are its stalls. Partial sums stay on chip: SCALE-Sim writes every one of them to DRAM and
never reads one back.
"""

from __future__ import annotations

from hwsim.simulate.mapping import POLICIES, Machine, build_schedule
from hwsim.simulate.schedule import Schedule, Tiling
from hwsim.workload.ops import Gemm

#: Column folds outside, row folds inside, the streamed loop last, by what is stationary.
ORDERS = {"w": "nkm", "a": "mkn", "o": "nmk"}


def scalesim_tiling(gemm: Gemm, machine: Machine) -> Tiling:
    """Return one tile per fold, and which operands stay on chip."""
    order, bits = ORDERS[machine.dataflow.stationary], machine.bits
    unit = machine.dataflow.units(machine.shape)
    extents = {"m": gemm.m, "k": gemm.k, "n": gemm.n}
    tiles = {loop: min(extents[loop], unit[loop]) for loop in order[:2]} | {order[2]: extents[order[2]]}

    def fits(elements: int, operand: str, capacity_bits: int) -> bool:
        return bits.move(elements, operand) <= capacity_bits

    return Tiling(
        tile_m=tiles["m"],
        tile_k=tiles["k"],
        tile_n=tiles["n"],
        order=order,
        hold_a=tiles["n"] == gemm.n or fits(gemm.m * gemm.k, "a", machine.capacity_a_bits),
        hold_w=tiles["m"] == gemm.m or fits(gemm.k * gemm.n, "w", machine.capacity_w_bits),
        hold_o=True,
    )


@POLICIES.register("scalesim")
def scalesim(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the folds of ``gemm`` as SCALE-Sim walks them."""
    return build_schedule(gemm, scalesim_tiling(gemm, machine), machine)
