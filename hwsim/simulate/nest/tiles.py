"""Sizes of tiles of one dimension: every one that can be the best, with what it costs in visits.

A :class:`Table` has one row per choice of the tiles of a :class:`~hwsim.simulate.nest.orders.Plan`: the size of
the dimension at each place, how often the operand that does not depend on it is visited, cycles, and
instances. A row that another one beats or equals everywhere is left out; nothing else is. Tiles above an
axis are multiples of its size, or everything; apart from that tiles may be of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.nest.orders import Plan

Array = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Numbers of tiles that ``Grain.FEW`` tries.
TRIPS = tuple(1 << power for power in range(15))

#: Rows of a table that is listed without ado, and of the largest one.
CHEAP, MOST_ROWS = 40_000, 6_000_000


@dataclass(frozen=True)
class Table:
    """Rows of choices.

    ``sizes`` by place: one number where all rows agree, else (rows,). ``visits`` (rows, 1 + 3 v): ones, then for
    each of v visits how often the level above sees it, how often the instances below hold it, and how often that
    ends an output. ``cycles`` and ``instances`` (rows,), ``tiles`` (rows,) by cut; ``axis_below`` is the level above
    the axis. ``column`` is the one size that is chosen, growing from row to row while nothing else grows; None
    where it is not so simple. ``ascending``: no size falls from row to row; ``varies``: columns
    of visits in which rows differ.
    """

    sizes: dict[int, int | Array]
    visits: Floats
    cycles: Array
    instances: Array
    tiles: tuple[Array, ...]
    column: Array | None
    ascending: bool
    axis_below: int | None
    varies: NDArray[np.bool]
    rows: int


def pieces(extent: Any, cuts: Sequence[tuple[Any, bool]]) -> Any:
    """Return what :func:`hwsim.simulate.nest.count.pieces` returns, of arrays; 0 of nothing."""
    if not cuts:
        return np.minimum(extent, 1)
    (tile, counted), rest = cuts[0], cuts[1:]
    if not counted:
        return pieces(np.minimum(extent, tile), rest)
    whole = extent // tile
    return whole * pieces(tile, rest) + pieces(extent - whole * tile, rest)


def _least_pieces(extent: Any, cuts: Sequence[tuple[Any, bool]]) -> Any:
    """Return the least that :func:`pieces` can be with the last counted tile, whatever the ones around it are."""
    last = [tile for tile, counted in cuts if counted][-1:]
    return -(-extent // last[0]) if last else np.int64(1)


class Grain(Enum):
    """Which rows a table has."""

    #: Every one that can be the best.
    ALL = "all"
    #: No row of ``ALL`` costs less than one of these, which may not exist: their visits are bounds.
    BOUND = "bound"
    #: Tiles that cut the tile around them evenly, and no others.
    EVEN = "even"
    #: Of these, those that cut it into one of a few numbers of tiles, and single units.
    FEW = "few"


@lru_cache(maxsize=4096)
def table(plan: Plan, extent: int, grain: Grain = Grain.ALL) -> Table:
    """Return the rows of a plan for a dimension of ``extent``."""
    chosen = _choices(plan, extent, grain)
    return _thinned(_costed(plan, extent, chosen, grain is Grain.BOUND), plan.choices)


@lru_cache(maxsize=4096)
def grains(plan: Plan, extent: int, most: int | None = None) -> tuple[Grain, Grain]:
    """Return the grain that bounds a plan and the one that solves it: one and the same where that is cheap.

    With more than ``most`` choices, if given, only a few are tried.
    """
    units = -(-extent // plan.axis_size) if plan.cuts[0].kind == "tile" else extent
    if most is not None:
        grain = Grain.ALL if plan.choices <= 1 or units**plan.choices <= most else Grain.FEW
        return grain, grain
    if plan.choices <= 1 or units**plan.choices <= CHEAP:
        return Grain.ALL, Grain.ALL
    if plan.choices == 2 and not any(cut.kind == "axis" for cut in plan.cuts):
        return Grain.BOUND, Grain.ALL
    grain = Grain.ALL if units**plan.choices <= MOST_ROWS else Grain.EVEN
    return grain, grain


def _choices(plan: Plan, extent: int, grain: Grain) -> tuple[Array, ...]:
    """Return sizes for every tile to choose, each (rows,)."""
    kinds = [cut.kind for cut in plan.cuts]
    axis_at = kinds.index("axis") if "axis" in kinds else -1
    columns: tuple[Array, ...] = ()
    outer: Array = np.array([extent], dtype=np.int64)
    above_before = True
    for at, kind in enumerate(kinds):
        if kind != "tile":
            continue
        above = at < axis_at
        if axis_at >= 0 and above_before and not above:
            outer = -(-outer // plan.axis_size)
        above_before = above
        step = plan.axis_size if above else 1
        # Where a count changes is known of two cuts without an axis; :func:`grains` asks for no more of others.
        if grain is Grain.ALL and len(columns) == 1 and axis_at < 0 and outer.size * int(outer.max()) > MOST_ROWS:
            source, size = _breaks(extent, outer)
        elif grain is Grain.ALL:
            source, size = _every(outer, step)
        elif grain is Grain.FEW:
            source, size = _few(outer, step)
        else:
            source, size = _even(outer, step)
        columns = (*(column[source] for column in columns), size)
        outer = size
    return columns


def _every(outer: Array, step: int) -> tuple[Array, Array]:
    """Return all multiples of ``step`` up to each of ``outer``, and whose they are."""
    counts = -(-outer // step)
    source = np.repeat(np.arange(outer.size), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return source, np.minimum((np.arange(source.size) - first + 1) * step, outer[source])


@lru_cache(maxsize=65536)
def _cuts_of(size: int) -> Array:
    """Return the least size of a piece for each number of pieces of ``size``."""
    every = np.arange(1, size + 1)
    return np.unique(-(-size // every))


def _even(outer: Array, step: int) -> tuple[Array, Array]:
    """Return the sizes that cut each of ``outer`` into so many pieces at least, in multiples of ``step``."""
    found = [np.minimum(_cuts_of(-(-int(size) // step)) * step, size) for size in outer]
    return np.repeat(np.arange(outer.size), [f.size for f in found]), np.concatenate(found)


def _few(outer: Array, step: int) -> tuple[Array, Array]:
    """Return the sizes of :func:`_even` that give a number of tiles in :data:`TRIPS`, and one unit."""
    found = []
    for size in outer.tolist():
        units = -(-size // step)
        cut = np.array([1, *(-(-units // trips) for trips in TRIPS if trips < units)])
        found.append(np.minimum(np.unique(cut) * step, size))
    return np.repeat(np.arange(outer.size), [f.size for f in found]), np.concatenate(found)


def _breaks(extent: int, outer: Array) -> tuple[Array, Array]:
    """Return sizes below which a tile in each of ``outer`` needs more pieces, in a whole one or in the last."""
    found = []
    for size in outer.tolist():
        edge = extent % size
        sizes = _cuts_of(size)
        found.append(np.union1d(sizes, _cuts_of(edge)) if edge else sizes)
    return np.repeat(np.arange(outer.size), [f.size for f in found]), np.concatenate(found)


def _costed(plan: Plan, extent: int, chosen: tuple[Array, ...], bound: bool) -> Table:
    rows = chosen[0].size if chosen else 1
    tiles: list[Any] = []
    size: Any = np.int64(extent)
    instances: Any = np.int64(1)
    picks = iter(chosen)
    for cut in plan.cuts:
        if cut.kind == "tile":
            tile: Any = next(picks)
        elif cut.kind == "axis":
            tile = -(-size // plan.axis_size)
            instances = -(-size // tile)
        else:
            tile = np.int64(plan.axis_size if cut.kind == "unit" else 1)
        tiles.append(tile)
        size = np.minimum(size, tile)
    visited = _least_pieces if bound else pieces
    temporal = [cut.kind != "axis" for cut in plan.cuts]
    counts: list[Any] = []
    for visit in plan.visits:
        around = [
            (tile, moves)
            for cut, tile, moves in zip(plan.cuts, tiles, temporal, strict=True)
            if cut.before <= visit.at and (moves or visit.axis_around)
        ]
        counts.append(visited(extent, [(tile, moves or visit.axis_read) for tile, moves in around]))
        counts.append(visited(extent, [(tile, True) for tile, _ in around]))
        counts.append(visited(extent, [(tile, not moves) for tile, moves in around]))

    def full(value: Any) -> Array:
        return np.broadcast_to(np.asarray(value), (rows,))

    sizes: dict[int, int | Array] = {}
    for place, count in plan.sizes:
        found: Any = np.int64(extent)
        for tile in tiles[:count]:
            found = np.minimum(found, tile)
        sizes[place] = full(found)
    matrix = np.stack([full(value).astype(np.float64) for value in (1, *counts)], axis=1)
    cycles = full(visited(extent, list(zip(tiles, temporal, strict=True))))
    return Table(
        sizes,
        matrix,
        cycles,
        full(instances),
        tuple(full(tile) for tile in tiles),
        None,
        False,
        plan.axis_below,
        np.zeros(matrix.shape[1], dtype=np.bool),
        rows,
    )


def _thinned(whole: Table, choices: int) -> Table:
    """Return the rows that no other row beats or equals everywhere."""
    fall = [*whole.visits.T[1:], whole.cycles, -whole.instances]
    keep, simple = _front([np.asarray(size) for size in whole.sizes.values()], fall, choices)
    sizes = {place: _one_or_all(np.asarray(size)[keep]) for place, size in whole.sizes.items()}
    chosen = [size for size in sizes.values() if not isinstance(size, int)]
    same = bool(chosen) and all((size == chosen[0]).all() for size in chosen)
    return Table(
        sizes,
        whole.visits[keep],
        whole.cycles[keep],
        whole.instances[keep],
        tuple(tile[keep] for tile in whole.tiles),
        chosen[0] if simple and same else None,
        all(bool((np.diff(size) >= 0).all()) for size in chosen),
        whole.axis_below,
        (whole.visits[keep] != whole.visits[keep[0]]).any(axis=0),
        keep.size,
    )


def _one_or_all(values: Array) -> int | Array:
    return int(values[0]) if (values == values[0]).all() else values


def _front(grow: list[Array], fall: list[Any], choices: int) -> tuple[Array, bool]:
    """Return rows to keep, and whether their sizes grow and everything else falls from one to the next.

    With one choice rows are in order of its size: a row that changes nothing but the size is worse than the one
    before. With several, rows that agree in all costs and all sizes but one are compared.
    """
    if choices == 0:
        return np.zeros(1, dtype=np.int64), False
    if choices == 1 and all((np.diff(c) <= 0).all() for c in fall) and all((np.diff(c) >= 0).all() for c in grow):
        changes = np.any([np.diff(c) != 0 for c in fall], axis=0)
        return np.flatnonzero(np.concatenate(([True], changes))), True
    keep = np.arange(fall[0].size)
    for at in range(len(grow)):
        same = [*fall, *(c for i, c in enumerate(grow) if i != at)]
        same = [c for c in same if c[0] != c[-1] or (c != c[0]).any()]
        if same:
            keep = keep[np.lexsort((grow[at][keep], *(c[keep] for c in same)))]
            changes = np.any([np.diff(c[keep]) != 0 for c in same], axis=0)
            keep = keep[np.concatenate(([True], changes))]
    return np.sort(keep), False
