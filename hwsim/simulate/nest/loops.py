"""A loop nest over a hierarchy: loops from the outermost to the innermost, and where each operand is kept.

A :class:`Loop` cuts what is left of its dimension into pieces of ``tile``; the last piece may be
smaller, so tiles need not divide anything. A loop on an axis is spatial: its pieces lie side by side.
Where an operand is kept (:class:`Kept`) is a number of loops: those ``outside`` visit one tile after the
other, and what the loops inside touch of the operand stays in the level. Operands need not be kept
at the same place of the nest (uneven placement), also not on the same side of a spatial loop: a level
above an axis holds the tiles of all its instances, a level below it one, wherever the loop stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from hwsim.simulate.nest.hierarchy import DIMS, FREE, NEEDS, Hierarchy, Widths
from hwsim.spec.errors import InfeasibleError, UsageError


@dataclass(frozen=True, slots=True)
class Loop:
    """``for dim in pieces of tile``; on an axis its pieces are side by side."""

    dim: str
    tile: int
    axis: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """``operand`` is kept in level ``level`` with so many loops outside."""

    level: int
    operand: str
    outside: int


@dataclass(frozen=True)
class Nest:
    """The loops of one GEMM instance ``m × k × n`` and what is kept where."""

    m: int
    k: int
    n: int
    loops: tuple[Loop, ...]
    kept: tuple[Kept, ...]

    @cached_property
    def extents(self) -> tuple[dict[str, int], ...]:
        """Full size of each dimension with so many loops outside; the first entry is the GEMM."""
        sizes = {"m": self.m, "k": self.k, "n": self.n}
        found = [dict(sizes)]
        for loop in self.loops:
            sizes[loop.dim] = min(sizes[loop.dim], loop.tile)
            found.append(dict(sizes))
        return tuple(found)

    def trips(self, at: int) -> int:
        """Return the iterations of loop ``at`` within one whole piece of the loops around it."""
        return self._trips[at]

    @cached_property
    def _chains(self) -> dict[str, tuple[Kept, ...]]:
        ordered = sorted(self.kept, key=lambda k: k.level)
        return {x: tuple(k for k in ordered if k.operand == x) for x in FREE}

    def chain(self, operand: str) -> tuple[Kept, ...]:
        """Return where an operand is kept, from the outermost level inwards."""
        return self._chains[operand]

    @cached_property
    def _trips(self) -> tuple[int, ...]:
        return tuple(-(-self.extents[at][loop.dim] // loop.tile) for at, loop in enumerate(self.loops))

    def load_point(self, operand: str, outside: int) -> int:
        """Return how many loops stand around the load of a tile that is kept with ``outside`` loops outside.

        Loops next to it that the operand does not depend on are no reason to load again.
        """
        for at in range(outside, 0, -1):
            loop = self.loops[at - 1]
            if loop.axis is None and loop.dim != FREE[operand] and self.trips(at - 1) > 1:
                return at
        return 0


def axis_levels(hierarchy: Hierarchy, nest: Nest) -> tuple[int, ...]:
    """Return the level that each loop stands below if it is on an axis, -1 if it is temporal."""
    return tuple(-1 if loop.axis is None else hierarchy.axis(loop.axis).below for loop in nest.loops)


def around(levels: Sequence[int], level: int, outside: int) -> list[bool]:
    """Return which loops are around a tile in ``level`` with ``outside`` loops outside: axes by their level.

    ``levels`` are the :func:`axis_levels`.
    """
    return [at < outside if below < 0 else below < level for at, below in enumerate(levels)]


def tile_elements(nest: Nest, outer: Sequence[bool], operand: str) -> int:
    """Return the elements of one tile, per instance of its level, from the loops that are :func:`around` it."""
    size = {"m": nest.m, "k": nest.k, "n": nest.n}
    for loop, is_outer in zip(nest.loops, outer, strict=True):
        if is_outer and loop.tile < size[loop.dim]:
            size[loop.dim] = loop.tile
    first, second = NEEDS[operand]
    return size[first] * size[second]


def is_one_piece(nest: Nest, outer: Sequence[bool]) -> bool:
    """Whether the loops around a tile come, in each dimension, before those inside: otherwise it has holes."""
    inside = set()
    for loop, is_outer in zip(nest.loops, outer, strict=True):
        if not is_outer:
            inside.add(loop.dim)
        elif loop.dim in inside:
            return False
    return True


def check_nest(hierarchy: Hierarchy, nest: Nest, widths: Widths) -> None:
    """Refuse a nest that the hierarchy cannot run.

    Raises
    ------
    UsageError
        If it does not end in single MACs, leaves out an operand, or stands in the wrong order.
    InfeasibleError
        If a tile does not fit its store, or a loop its axis.
    """
    if set(nest.extents[-1].values()) != {1}:
        left = ", ".join(f"{dim} {size}" for dim, size in nest.extents[-1].items() if size > 1)
        raise UsageError(f"{hierarchy.name}: the loops must end in single MACs; left over: {left}")
    for operand in FREE:
        chain = nest.chain(operand)
        if not chain or chain[0].level != 0 or chain[0].outside != 0:
            raise UsageError(f"{hierarchy.name}: {operand} must be kept whole in {hierarchy.levels[0].name}")
        for kept in chain:
            if operand not in hierarchy.holds[kept.level]:
                raise UsageError(f"{hierarchy.name}: {hierarchy.levels[kept.level].name} does not hold {operand}")
        if any(outer.outside > inner.outside for outer, inner in pairwise(chain)):
            raise UsageError(f"{hierarchy.name}: {operand} is kept in an outer level inside of an inner one")
    levels = axis_levels(hierarchy, nest)
    _check_axes(hierarchy, nest, levels)
    for (level, number), (need, have) in store_bits(hierarchy, nest, widths).items():
        if have is not None and need > have:
            where = hierarchy.levels[level]
            what = ", ".join(where.stores[number].holds)
            raise InfeasibleError(f"{hierarchy.name}: {where.name}: tiles of {what} need {need} bits; it has {have}")


def _check_axes(hierarchy: Hierarchy, nest: Nest, levels: Sequence[int]) -> None:
    used: dict[str, int] = {}
    for at, loop in enumerate(nest.loops):
        if loop.dim not in DIMS or loop.tile < 1:
            raise UsageError(f"{hierarchy.name}: loop {at}: needs m, k or n and a tile of at least 1, not {loop}")
        if loop.axis is None:
            continue
        axis = hierarchy.axis(loop.axis)
        if loop.dim not in axis.dims:
            raise UsageError(f"{hierarchy.name}: axis {axis.name} runs over {', '.join(axis.dims)}, not {loop.dim}")
        used[axis.name] = used.get(axis.name, 1) * nest.trips(at)
    for kept in nest.kept:
        if not is_one_piece(nest, around(levels, kept.level, kept.outside)):
            where = hierarchy.levels[kept.level].name
            raise UsageError(f"{hierarchy.name}: the tile of {kept.operand} in {where} has holes: an axis splits it")
    for name, count in used.items():
        if count > hierarchy.axis(name).size:
            raise InfeasibleError(
                f"{hierarchy.name}: axis {name} has {hierarchy.axis(name).size} instances, not {count}"
            )


def store_bits(hierarchy: Hierarchy, nest: Nest, widths: Widths) -> dict[tuple[int, int], tuple[int, int | None]]:
    """Return the bits that tiles need in each (level, store) and the bits it has."""
    found: dict[tuple[int, int], tuple[int, int | None]] = {}
    levels = axis_levels(hierarchy, nest)
    for i, level in enumerate(hierarchy.levels):
        for number, store in enumerate(level.stores):
            need = sum(
                tile_elements(nest, around(levels, i, k.outside), k.operand) * widths.kept(k.operand)
                for k in nest.kept
                if k.level == i and k.operand in store.holds
            )
            found[i, number] = (store.copies * need, store.capacity_bits)
    return found


def from_trips(
    dims: tuple[int, int, int],
    inner_to_outer: Sequence[tuple[str, int]],
    inside: Mapping[tuple[int, str], int],
    spatial: Iterable[tuple[str, str, int]] = (),
    spatial_inside: int = 0,
) -> Nest:
    """Build a nest from trip counts, innermost loop first, as ZigZag and Timeloop write it.

    Parameters
    ----------
    dims
        ``(m, k, n)``.
    inner_to_outer
        ``(dim, trips)`` of the temporal loops.
    inside
        Temporal loops inside of each (level, operand); the outermost level is left out.
    spatial
        ``(axis, dim, instances)``, cut to the size that is left of a dimension.
    spatial_inside
        Temporal loops inside of the spatial ones.

    Raises
    ------
    UsageError
        If the loops do not cover the GEMM.
    """
    extent = dict(zip(DIMS, dims, strict=True))
    size = dict.fromkeys(DIMS, 1)
    loops: list[Loop] = []
    for at in range(len(inner_to_outer) + 1):
        if at == spatial_inside:
            for axis, dim, count in spatial:
                loops.append(Loop(dim, size[dim], axis))
                size[dim] = min(size[dim] * count, extent[dim])
        if at < len(inner_to_outer):
            dim, trips = inner_to_outer[at]
            loops.append(Loop(dim, size[dim]))
            size[dim] *= trips
    short = [f"{dim}: {size[dim]} of {extent[dim]}" for dim in DIMS if size[dim] < extent[dim]]
    if short:
        raise UsageError(f"the loops do not cover the GEMM: {'; '.join(short)}")
    loops.reverse()
    kept = [Kept(0, operand, 0) for operand in FREE]
    temporal = [at for at, loop in enumerate(loops) if loop.axis is None]
    for (level, operand), count in inside.items():
        # Right inside of the last temporal loop outside; no loop at all outside: at the top.
        outside = len(temporal) - count
        kept.append(Kept(level, operand, temporal[outside - 1] + 1 if outside else 0))
    return Nest(*dims, tuple(loops), tuple(kept))
