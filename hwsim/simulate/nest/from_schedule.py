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
    units, own = dataflow.units(shape), dataflow.per_pe(shape)
    single = {"m": 1, "k": shape.lanes, "n": 1}
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
        if dim != stream and size[dim] > own[dim]:
            cut(dim, own[dim], f"PEs along {dim}")
    if dataflow.deals_stream and size[stream] > 1 and shape.cols > 1:
        cut(stream, -(-size[stream] // shape.cols), f"PEs along {stream}")
    streaming = len(loops)
    if not dataflow.deals_stream and size[stream] > units[stream]:
        cut(stream, units[stream])
    for dim in (stream, *(dim for dim in "kmn" if dim != stream)):  # and what a PE goes through by itself
        if size[dim] > single[dim]:
            cut(dim, single[dim])
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
