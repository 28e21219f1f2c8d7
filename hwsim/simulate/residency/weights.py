"""Weights that stay: if all of a workload's fit in the weights buffer, they are loaded once, before it runs.

They need no second half to be filled, so that the whole buffer counts; keys, values and other stationary
operands that are no weights share what is left between its parts. Loading is paid once for any number of
runs: it is in no row, and a note says what it costs. Tables that vector operations read (embeddings)
are no weights of GEMMs and stay in DRAM.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hwsim.formats import parse_format
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.residency.room import ALL_FREE, Room
from hwsim.spec.errors import InfeasibleError
from hwsim.workload import Gemm, Trace
from hwsim.workload.ops import ceil_div

Row = dict[str, Any]


#: Returns cycles and traffic of all products that multiply no weights, given the room.
RowsOf = Callable[[Room], Sequence[Row]]


def room_for_weights(simulated: Simulated, trace: Trace, others: RowsOf) -> tuple[Room, str]:
    """Return what is held of the weights of ``trace`` (formats filled), all or nothing, and the note that says so.

    All of them are only if no other operation gets slower or moves more in the room that is left.
    """
    buffer = simulated.spec.memories.buffer("weights")
    need, size = (
        sum(_stored_bits(simulated, gemm) for gemm in trace.gemms if gemm.w_source == "dram"),
        int(buffer.size) * 8,
    )
    if not need:
        return ALL_FREE, "residency.weights: the workload has no weights"
    if need > size:
        return ALL_FREE, (
            f"residency.weights: the weights take {ceil_div(need, 8):,} bytes, memories.weights.size is "
            f"{int(buffer.size):,}: they are read from DRAM"
        )
    room = Room(need, size)
    try:
        crowded = any(_worse(row, free) for row, free in zip(others(room), others(ALL_FREE), strict=True))
    except InfeasibleError:
        crowded = True
    if crowded:
        return ALL_FREE, (
            f"residency.weights: beside the weights ({ceil_div(need, 8):,} bytes) the weights buffer has too little "
            "room for operands that are no weights: weights are read from DRAM"
        )
    return room, _loading(simulated, room)


def _worse(row: Row, free: Row) -> bool:
    return any(row[key] > free[key] for key in ("cycles", "dram_read_bytes", "dram_write_bytes"))


def _stored_bits(simulated: Simulated, gemm: Gemm) -> int:
    """Return the bits of all different weights of ``gemm``, metadata included."""
    w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
    moved = simulated.machine(w, a, o, gemm).bits.move(gemm.stored_elements, "w")
    if simulated.spec.formats.weight_bits is not None:
        return moved
    return max(moved, gemm.stored_bits(w))  # partial blocks have metadata of their own


def _loading(simulated: Simulated, room: Room) -> str:
    acc = simulated.accelerator
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    cycles = -(-room.resident_bits * acc.dram_bits_per_cycle.denominator // acc.dram_bits_per_cycle.numerator)
    bit_pj = unit.dram_read_pj_per_bit + unit.sram_write_pj_per_bit["w"] + unit.network_pj_per_bit
    energy = "" if math.isnan(bit_pj) else f" and {room.resident_bits * bit_pj * 1e-9:.4g} mJ"
    return (
        f"residency.weights: all {ceil_div(room.resident_bits, 8):,} bytes of weights stay in the weights buffer; "
        f"loading them once, before any run, takes {cycles:,} cycles ({cycles * acc.period_ns * 1e-6:.4g} ms)"
        f"{energy}, which no row includes"
    )
