"""Scores all rows of the tables of an order at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.nest.cases import DIMS_OF, Case, Cases, Tables, Tile
from hwsim.simulate.nest.count import Counter, input_bits, sum_bits
from hwsim.simulate.nest.hierarchy import READ, WRITE, Hierarchy, Widths
from hwsim.simulate.nest.orders import Order
from hwsim.simulate.nest.tiles import Floats

Objective = Literal["energy", "latency", "edp"]
#: Takes the values of chosen rows of a dimension, as they lie in the grid.
Take = Callable[[int, Any], Any]


@dataclass(frozen=True)
class Best:
    """Best rows of an order; ``key`` is the objective and its tie-break."""

    key: tuple[float, float]
    order: Order
    rows: tuple[int, int, int]
    tables: Tables


@dataclass(frozen=True)
class _Costs:
    """Per row energy in pJ and bits of every port (rows, 1 + ports); ``falls``: none grows from row to row."""

    priced: Floats
    energy: Floats
    falls: bool


@dataclass(frozen=True)
class _Asked:
    """An order with the rows that can fit: how many of each table, the limited stores with their tiles, the costs."""

    case: Case
    kept: list[int]
    stores: list[tuple[int, list[tuple[int, Tile]]]]
    costs: list[_Costs]


@lru_cache(maxsize=256)
def weights(hierarchy: Hierarchy, widths: Widths, operand: str, levels: tuple[int, ...]) -> Floats:
    """Return pJ and bits per port of one element (visits, 1 + ports): counting is linear in visits."""
    basis = np.eye(1 + 3 * len(levels))
    one = basis[0]
    reads, fills, ends = ([basis[1 + 3 * i + j] for i in range(len(levels))] for j in range(3))
    bits: dict[Counter, Any]
    if operand == "o":
        bits = sum_bits(levels, hierarchy.result_level, reads, fills, ends, 1, widths, one=one)
    else:
        bits = input_bits(operand, levels, reads, fills[:-1], widths.kept(operand))
    energy = np.zeros(len(basis))
    for (level, _, direction), value in bits.items():
        prices = hierarchy.levels[level]
        energy += value * (prices.read_pj_per_bit if direction == READ else prices.write_pj_per_bit)
    columns = [energy]
    for at, level_ in enumerate(hierarchy.levels):
        for port in level_.ports:
            moves = port.directions if operand in port.operands else ()
            columns.append(sum((bits.get((at, operand, d), 0.0 * one) for d in moves), 0.0 * one))
    return np.stack(columns, axis=1)


class Grid:
    """One GEMM on one hierarchy: prices its tables and finds the best rows of an order."""

    def __init__(
        self,
        hierarchy: Hierarchy,
        dims: tuple[int, int, int],
        widths: Widths,
        objective: Objective,
        prune: bool,
        cases: Cases,
    ) -> None:
        self.objective, self.prune = objective, prune
        self.widths, self.dims = widths, dims
        self.mac_pj = dims[0] * dims[1] * dims[2] * hierarchy.mac_pj
        self.limits = [
            (level, store.holds, store.capacity_bits, store.copies)
            for level, at in enumerate(hierarchy.levels)
            for store in at.stores
            if level > 0 and store.capacity_bits is not None
        ]
        ports = [(level, port) for level, at in enumerate(hierarchy.levels) for port in at.ports]
        self.port_bits = np.array([float(port.bits_per_cycle) for _, port in ports])
        self.port_levels = np.array([level for level, _ in ports], dtype=np.int64)
        self.cases = cases
        self.costs = self._priced(hierarchy, dims, cases)

    def _priced(self, hierarchy: Hierarchy, dims: tuple[int, int, int], cases: Cases) -> list[_Costs]:
        pools = []
        for pool in cases.pools:
            i, j = DIMS_OF[pool.operand]
            pools.append(dims[i] * dims[j] * (pool.visits @ weights(hierarchy, self.widths, pool.operand, pool.levels)))
        steps: list[NDArray[np.bool]] = [np.all(pool[1:] <= pool[:-1], axis=1) for pool in pools]
        return [
            _Costs(
                pools[slot.pool][slot.start : slot.stop],
                pools[slot.pool][slot.start : slot.stop, 0],
                bool(steps[slot.pool][slot.start : slot.stop - 1].all()),
            )
            for slot in cases.slots
        ]

    def _asked(self, case: Case) -> _Asked | None:
        """Return what of an order can fit, with the smallest tiles of the other dimensions; None if nothing can."""
        kept = [rows.rows for rows in case.tables]
        stores = []
        for level, holds, capacity, copies in self.limits:
            tiles = [
                (self.widths.kept(tile.operand) * copies, tile)
                for tile in case.tiles
                if tile.level == level and tile.operand in holds
            ]
            room = capacity - sum(width * tile.least[0] * tile.least[1] for width, tile in tiles)
            if room < 0:
                return None
            if any(tile.grows[0] or tile.grows[1] for _, tile in tiles):
                stores.append((capacity, tiles))
            if self.prune:
                _cut(case.tables, kept, room, tiles)
        return _Asked(case, kept, stores, [self.costs[slot] for slot in case.slots])

    def orders(self) -> list[tuple[float, int, _Asked]]:
        """Return the orders that can fit, by a bound of their objective, with their place in the list."""
        found = []
        for at, case in enumerate(self.cases.cases):
            asked = self._asked(case)
            if asked is not None:
                found.append((self._least(asked), at, asked))
        return sorted(found, key=lambda entry: entry[:2]) if self.prune else found

    def _least(self, asked: _Asked) -> float:
        energy, cycles = self.mac_pj, 1.0
        for rows, cost, number in zip(asked.case.tables, asked.costs, asked.kept, strict=True):
            energy += float(cost.energy[number - 1] if cost.falls else cost.energy[:number].min())
            if self.objective != "energy":
                cycles *= float(rows.cycles[:number].min())
        return self._key(energy, cycles)[0]

    def floor(self, hierarchy: Hierarchy) -> float:
        """Return cycles below which no nest can be: of the array, and of moving everything once at level 0."""
        m, k, n = self.dims
        whole = {"a": m * k * self.widths.a, "w": k * n * self.widths.w, "o": m * n * self.widths.result}
        way = {"a": READ, "w": READ, "o": WRITE}
        cycles = self.cases.least_cycles
        for port in hierarchy.levels[0].ports:
            bits = sum(whole[x] for x in port.operands if way[x] in port.directions)
            cycles = max(cycles, bits / float(port.bits_per_cycle))
        return cycles

    def bound(self, asked: _Asked) -> tuple[float, float]:
        """Return a bound of an order's objective and tie-break."""
        priced: Any = 0.0
        cycles = 1.0
        wide: Any = self.port_bits
        for rows, cost, number in zip(asked.case.tables, asked.costs, asked.kept, strict=True):
            priced = priced + cost.priced[:number].min(axis=0)
            cycles *= float(rows.cycles[:number].min())
            if rows.axis_below is not None:
                wide = wide * np.where(self.port_levels > rows.axis_below, int(rows.instances[:number].max()), 1)
        if len(self.port_bits):
            cycles = max(cycles, float((priced[1:] / wide).max()))
        return self._key(self.mac_pj + float(priced[0]), cycles)

    def _key(self, energy: float, cycles: float) -> tuple[float, float]:
        if self.objective == "energy":
            return energy, cycles
        return (cycles, energy) if self.objective == "latency" else (energy * cycles, cycles)

    def solve(self, asked: _Asked, known: float = inf) -> Best | None:
        """Return the best rows of an order, or nothing where no tile fits or the objective is above ``known``."""
        case, kept, costs = asked.case, asked.kept, asked.costs
        falls = [self.prune and c.falls and t.column is not None for c, t in zip(costs, case.tables, strict=True)]
        last = max(range(3), key=lambda i: (falls[i], kept[i])) if any(falls) else None
        free = [i for i in range(3) if i != last]
        views = {i: tuple(kept[i] if j == at else 1 for j in range(len(free))) for at, i in enumerate(free)}
        largest: Any = None

        def take(which: int, values: Any) -> Any:
            if which == last:
                return values[largest]
            found = values[: kept[which]]
            return found.reshape(views[which] + found.shape[1:])

        if last is not None:
            largest = self._largest(asked, last, take, kept[last] - 1)
            fits = largest >= 0
        else:
            fits = self._fits(asked, take)
        shape = tuple(kept[i] for i in free)
        third = last if last is not None else free[2]
        energy = (take(free[0], costs[free[0]].energy) + self.mac_pj) + take(free[1], costs[free[1]].energy)
        energy = energy + take(third, costs[third].energy)
        if energy.shape != shape:
            energy = np.broadcast_to(energy, shape)
        if not fits.all():
            energy = np.where(fits, energy, inf)
        picked = self._pick(energy, case, costs, take, free, last, known)
        if picked is None:
            return None
        key, at = picked
        rows = dict(zip(free, at, strict=True))
        if last is not None:
            rows[last] = int(np.broadcast_to(largest, shape)[at])
        return Best(key, case.order, (rows[0], rows[1], rows[2]), case.tables)

    def _fits(self, asked: _Asked, take: Take) -> Any:
        fits: Any = np.True_
        for capacity, tiles in asked.stores:
            need: Any = 0
            for width, tile in tiles:
                need = need + _area(width, tile, take)
            fits = fits & (need <= capacity)
        return fits

    def _largest(self, asked: _Asked, last: int, take: Take, most: int) -> Any:
        """Return the last row of dimension ``last`` that fits, up to ``most``; -1 where none does."""
        column = asked.case.tables[last].column
        assert column is not None
        best: Any = np.int64(most)
        for capacity, tiles in asked.stores:
            fixed: Any = 0
            slope: Any = 0
            for width, tile in tiles:
                where = tile.dims.index(last) if last in tile.dims else None
                if where is not None and tile.grows[where]:
                    other = 1 - where
                    slope = slope + width * _size(tile, other, take)
                else:
                    fixed = fixed + _area(width, tile, take)
            room = capacity - fixed
            if isinstance(slope, int) and slope == 0:
                if np.any(room < 0):
                    best = np.where(room < 0, -1, best)
            else:
                best = np.minimum(best, np.searchsorted(column, room // slope, side="right") - 1)
        return best

    def _pick(
        self,
        energy: Floats,
        case: Case,
        costs: list[_Costs],
        take: Take,
        free: list[int],
        last: int | None,
        known: float,
    ) -> tuple[tuple[float, float], tuple[int, ...]] | None:
        """Return the objective with its tie-break and where in the grid they are the least, unless above ``known``."""
        if self.objective != "energy":
            cycles = np.where(energy < inf, self._cycles(case, costs, take), inf)
            primary, other = (cycles, energy) if self.objective == "latency" else (energy * cycles, cycles)
            low = float(primary.min())
            if low == inf or low > known:
                return None
            at = np.unravel_index(int(np.where(primary == low, other, inf).argmin()), primary.shape)
            return (low, float(other[at])), tuple(int(i) for i in at)
        low = float(energy.min())
        if low == inf or low > known:
            return None
        where = np.nonzero(energy == low)
        by = dict(zip(free, where, strict=True))

        def chosen(which: int, values: Any) -> Any:
            if which != last:
                return values[by[which]]
            found = take(which, values)
            return np.broadcast_to(found, energy.shape + found.shape[found.ndim - values.ndim + 1 :])[where]

        cycles = np.broadcast_to(self._cycles(case, costs, chosen), where[0].shape)
        first = int(cycles.argmin())
        return (low, float(cycles[first])), tuple(int(axis[first]) for axis in where)

    def _cycles(self, case: Case, costs: list[_Costs], take: Take) -> Any:
        """Return the least cycles: of the array and of every port."""
        cycles: Any = 1.0
        bits: Any = 0.0
        wide: Any = self.port_bits
        for which, rows in enumerate(case.tables):
            cycles = cycles * take(which, rows.cycles)
            bits = bits + take(which, costs[which].priced)[..., 1:]
            if rows.axis_below is not None:
                used = take(which, rows.instances)[..., None]
                wide = wide * np.where(self.port_levels > rows.axis_below, used, 1)
        if not len(self.port_bits):
            return cycles
        return np.maximum(cycles, (bits / wide).max(axis=-1))


def _cut(tables: Tables, kept: list[int], room: int, tiles: list[tuple[int, Tile]]) -> None:
    """Leave the rows out that need more than ``room`` above the smallest, where rows are sorted by their sizes."""
    slopes = [0, 0, 0]
    for width, tile in tiles:
        for which, other in ((0, 1), (1, 0)):
            dim = tile.dims[which]
            if tile.grows[which] and tables[dim].ascending:
                slope = width * tile.least[other]
                slopes[dim] += slope
                # Tiles of one column grow together; of others each has all the room at most.
                most = tile.least[which] + room // (slopes[dim] if tables[dim].column is not None else slope)
                kept[dim] = min(kept[dim], int(tile.sizes[which].searchsorted(most, side="right")))  # type: ignore[union-attr]


def _size(tile: Tile, which: int, take: Take) -> Any:
    size = tile.sizes[which]
    return size if isinstance(size, int) else take(tile.dims[which], size)


def _area(width: int, tile: Tile, take: Take) -> Any:
    return width * _size(tile, 0, take) * _size(tile, 1, take)
