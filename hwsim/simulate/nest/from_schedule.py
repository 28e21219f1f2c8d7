"""A schedule of the three-buffer accelerators as a loop nest: the tile loops, then the loops of the array."""

from __future__ import annotations

from hwsim.simulate.dataflow import ArrayShape, Dataflow
from hwsim.simulate.nest.hierarchy import DIMS, FREE, OPERANDS, Axis, Hierarchy, Level, Store
from hwsim.simulate.nest.loops import Kept, Loop, Nest
from hwsim.simulate.schedule import Schedule

LANES = "lanes"


def nest_of(schedule: Schedule, dataflow: Dataflow, shape: ArrayShape) -> tuple[Hierarchy, Nest]:
    """Return the hierarchy's form, without prices, and the nest of one GEMM instance.

    An operand that is held stays in its buffer over the tile loop that it does not depend on; the stationary one
    waits in the PEs while the loop that it does not depend on streams.
    """
    gemm, tiling = schedule.gemm, schedule.tiling
    waiting = dataflow.stationary
    stream = FREE[waiting]
    units = dataflow.units(shape)
    loops = [Loop(dim, tiling.tile(dim)) for dim in tiling.order]
    size = {dim: tiling.tile(dim) for dim in DIMS}
    axes: list[Axis] = []

    def cut(dim: str, tile: int, axis: str = "") -> None:
        if axis:
            # Lanes are within a PE.
            axes.append(Axis(axis, (dim,), -(-size[dim] // tile), 2 if axis == LANES else 1))
        loops.append(Loop(dim, tile, axis or None))
        size[dim] = min(size[dim], tile)

    several = any(size[dim] > units[dim] for dim in DIMS if dim != stream)
    if dataflow.streams_outside and several and size[stream] > units[stream]:
        cut(stream, units[stream])
    for dim in DIMS:
        if dim != stream and size[dim] > units[dim]:
            cut(dim, units[dim])
    for dim in DIMS:
        step = shape.lanes if dim == "k" else 1
        if dim != stream and size[dim] > step:
            cut(dim, step, f"PEs along {dim}")
    streaming = len(loops)
    for step in (units[stream], shape.lanes if stream == "k" else 1):
        if size[stream] > step:
            cut(stream, step)
    if size["k"] > 1:
        cut("k", 1, LANES)
    held = {"a": tiling.hold_a, "w": tiling.hold_w, "o": tiling.hold_o}
    kept = [Kept(0, x, 0) for x in OPERANDS]
    kept += [Kept(1, x, tiling.order.index(FREE[x]) if held[x] else len(tiling.order)) for x in OPERANDS]
    kept.append(Kept(2, waiting, streaming))
    levels = (
        Level("DRAM", (Store(OPERANDS, None),), (), 0.0, 0.0),
        Level("buffers", tuple(Store((x,), None) for x in OPERANDS), (), 0.0, 0.0),
        Level("PEs", (Store((waiting,), None),), (), 0.0, 0.0),
    )
    nest = Nest(gemm.m, gemm.k, gemm.n, tuple(loops), tuple(kept))
    return Hierarchy(dataflow.name, levels, tuple(axes), 0.0), nest
