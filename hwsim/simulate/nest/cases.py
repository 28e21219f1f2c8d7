"""What of a search does not depend on sizes of memories and prices: orders with their tables, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from hwsim.simulate.nest.hierarchy import DIMS, FREE, NEEDS, OPERANDS
from hwsim.simulate.nest.orders import Order, Shape, level_by_level, orders
from hwsim.simulate.nest.tiles import Array, Floats, Grain, Table, grains, table

#: Choices of tiles that all orders of a quick search may list together, per dimension, before they are thinned.
QUICK_ROWS = 100_000
QUICK_ORDERS = 120

Tables = tuple[Table, Table, Table]
#: The operand that does not depend on each dimension, in the order of DIMS.
OF_DIM = tuple(next(x for x in OPERANDS if FREE[x] == dim) for dim in DIMS)
#: The two dimensions of each operand, as places in DIMS.
DIMS_OF = {x: (DIMS.index(NEEDS[x][0]), DIMS.index(NEEDS[x][1])) for x in OPERANDS}


@dataclass(frozen=True)
class Tile:
    """The tile of a place: level and operand, its two dimensions, sizes by row, the least, whether these differ."""

    level: int
    operand: str
    dims: tuple[int, int]
    sizes: tuple[int | Array, int | Array]
    least: tuple[int, int]
    grows: tuple[bool, bool]


@dataclass(frozen=True)
class Case:
    """An order with a table per dimension; ``exact`` is false where one of them is only a bound.

    ``at_level`` has the tiles of each level; ``slots`` says where in the list of costs each dimension is.
    """

    order: Order
    tables: Tables
    exact: bool
    at_level: dict[int, tuple[Tile, ...]]
    slots: tuple[int, int, int]


@dataclass(frozen=True)
class Pool:
    """Visits of all tables of an operand with the same levels, below each other: they are priced at once.

    ``axis`` is the one that has the loop which the operand does not depend on.
    """

    operand: str
    levels: tuple[int, ...]
    axis: str | None
    visits: Floats


@dataclass(frozen=True)
class Slot:
    """A table and where its rows lie in a pool."""

    pool: int
    start: int
    stop: int
    table: Table


@dataclass(frozen=True)
class Cases:
    """All orders of a shape for one GEMM; how many mappings they stand for, whether none is missing.

    ``least_cycles`` is the least that the array takes in any of them.
    """

    cases: tuple[Case, ...]
    pools: tuple[Pool, ...]
    slots: tuple[Slot, ...]
    mappings: int
    complete: bool
    least_cycles: float


@lru_cache(maxsize=1024)
def cases_of(shape: Shape, bypass: bool, dims: tuple[int, int, int], quick: bool = False) -> Cases:
    """Return every order with its tables: exact ones where these are short, else bounds.

    Where it shall be ``quick``, tables of many orders are short: of many tiles a few are tried. And of more than
    :data:`QUICK_ORDERS` those alone that go level by level.
    """
    listed = []
    complete = True
    known = orders(shape, bypass)
    if quick and len(known) > QUICK_ORDERS:
        known, complete = level_by_level(shape, known), False
    most = QUICK_ROWS // len(known) if quick else None
    for order in known:
        kinds = [grains(plan, extent, most) for plan, extent in zip(order.plans, dims, strict=True)]
        complete = complete and all(last is Grain.ALL for _, last in kinds)
        listed.append((order, _tables(order, dims, [first for first, _ in kinds]), all(a is b for a, b in kinds)))
    return _pooled(listed, complete)


@lru_cache(maxsize=1024)
def finer_case(order: Order, dims: tuple[int, int, int]) -> Cases:
    """Return one order with tables of every tile that cuts evenly, of up to two in one another."""
    by_choices = (Grain.ALL, Grain.ALL, Grain.EVEN)
    kinds = [by_choices[plan.choices] if plan.choices < len(by_choices) else Grain.FEW for plan in order.plans]
    return _pooled([(order, _tables(order, dims, kinds), True)], False)


@lru_cache(maxsize=64)
def exact_case(order: Order, dims: tuple[int, int, int]) -> Cases:
    """Return one order with the tables that solve it."""
    kinds = [grains(plan, extent)[1] for plan, extent in zip(order.plans, dims, strict=True)]
    return _pooled([(order, _tables(order, dims, kinds), True)], True)


def _tables(order: Order, dims: tuple[int, int, int], kinds: Sequence[Grain]) -> Tables:
    m, k, n = (table(plan, extent, grain) for plan, extent, grain in zip(order.plans, dims, kinds, strict=True))
    return m, k, n


#: Operand, levels and axis of a :class:`Pool`.
_PoolKey = tuple[str, tuple[int, ...], str | None]


def _pool_key(order: Order, operand: str) -> _PoolKey:
    return operand, order.levels(operand), next((a for a, dim in order.axes if dim == FREE[operand]), None)


def _pooled(listed: Sequence[tuple[Order, Tables, bool]], complete: bool) -> Cases:
    members: dict[_PoolKey, dict[int, Table]] = {}
    for order, tables, _ in listed:
        for operand, rows in zip(OF_DIM, tables, strict=True):
            members.setdefault(_pool_key(order, operand), {})[id(rows)] = rows
    pools: list[Pool] = []
    slots: list[Slot] = []
    number: dict[tuple[_PoolKey, int], int] = {}
    for pool, group in members.items():
        start = 0
        for key, rows in group.items():
            number[pool, key] = len(slots)
            slots.append(Slot(len(pools), start, start + rows.rows, rows))
            start += rows.rows
        pools.append(Pool(*pool, np.concatenate([rows.visits for rows in group.values()])))
    cases = []
    for order, tables, exact in listed:
        m, k, n = (number[_pool_key(order, x), id(rows)] for x, rows in zip(OF_DIM, tables, strict=True))
        tiles = _tiles(order, tables)
        at_level = {level: tuple(t for t in tiles if t.level == level) for level in {t.level for t in tiles}}
        cases.append(Case(order, tables, exact, at_level, (m, k, n)))
    total = sum(a.rows * b.rows * c.rows for _, (a, b, c), _ in listed)
    least = min(prod(float(rows.cycles.min()) for rows in tables) for _, tables, _ in listed)
    return Cases(tuple(cases), tuple(pools), tuple(slots), total, complete, least)


def _tiles(order: Order, tables: Tables) -> tuple[Tile, ...]:
    found = []
    for place, (level, x) in enumerate(order.places):
        i, j = DIMS_OF[x]
        sizes = (tables[i].sizes[place], tables[j].sizes[place])
        found.append(Tile(level, x, (i, j), sizes, (_least(sizes[0]), _least(sizes[1])), _grows(sizes)))
    return tuple(found)


def _grows(sizes: tuple[int | Array, int | Array]) -> tuple[bool, bool]:
    return not isinstance(sizes[0], int), not isinstance(sizes[1], int)


def _least(size: int | Array) -> int:
    return size if isinstance(size, int) else int(size.min())
