"""A nest as people write it: loops from the outermost to the innermost, and what each level keeps where."""

from __future__ import annotations

from hwsim.simulate.nest.hierarchy import NEEDS, Hierarchy
from hwsim.simulate.nest.loops import Kept, Nest, around, axis_levels

NAMES = {"a": "A", "w": "W", "o": "O"}


def notation(hierarchy: Hierarchy, nest: Nest) -> list[tuple[str, str]]:
    """Return the lines of a nest, indented, each with the size of a piece or of the tiles that are kept.

    Loops are numbered per dimension from the innermost one, spatial ones are marked; loops of a single
    iteration are left out.
    """
    numbers = _numbers(nest)
    lines: list[tuple[str, str]] = []
    depth = 0
    for at in range(len(nest.loops) + 1):
        for level, where in enumerate(hierarchy.levels):
            here = [kept for kept in nest.kept if kept.level == level and kept.outside == at]
            if here:
                tiles = ", ".join(f"{NAMES[k.operand]} {_tile(hierarchy, nest, k)}" for k in here)
                lines.append(("  " * depth + f"{where.name} keeps {', '.join(NAMES[k.operand] for k in here)}", tiles))
        if at == len(nest.loops) or nest.trips(at) == 1:
            continue
        loop, trips = nest.loops[at], nest.trips(at)
        word = "for" if loop.axis is None else "parallel for"
        on = "" if loop.axis is None else f" on {loop.axis}"
        lines.append(("  " * depth + f"{word} {loop.dim}{numbers[at]} in [0:{trips}){on}", _piece(nest, at)))
        depth += 1
    lines.append(("  " * depth + "O += A · W", ""))
    return lines


def _numbers(nest: Nest) -> dict[int, int]:
    seen = {"m": 0, "k": 0, "n": 0}
    found = {}
    for at in range(len(nest.loops) - 1, -1, -1):
        if nest.trips(at) > 1:
            dim = nest.loops[at].dim
            found[at] = seen[dim]
            seen[dim] += 1
    return found


def _piece(nest: Nest, at: int) -> str:
    loop = nest.loops[at]
    last = nest.extents[at][loop.dim] % loop.tile
    return f"{loop.dim}: {loop.tile} each" + (f", the last {last}" if last else "")


def _tile(hierarchy: Hierarchy, nest: Nest, kept: Kept) -> str:
    size = {"m": nest.m, "k": nest.k, "n": nest.n}
    outer = around(axis_levels(hierarchy, nest), kept.level, kept.outside)
    for loop, is_outer in zip(nest.loops, outer, strict=True):
        if is_outer:
            size[loop.dim] = min(size[loop.dim], loop.tile)
    return "×".join(str(size[dim]) for dim in NEEDS[kept.operand])
