"""Scores all rows of the tables of an order at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import numpy as np

from hwsim.simulate.nest.cases import Case, Cases, Tables, Tile
from hwsim.simulate.nest.hierarchy import OPERANDS, READ, WRITE, Hierarchy, Widths
from hwsim.simulate.nest.orders import Order
from hwsim.simulate.nest.prices import Costs, priced
from hwsim.simulate.nest.tiles import Floats

Objective = Literal["energy", "latency", "edp"]
#: Rows of a grid whose ports are asked at once.
CHUNK = 1 << 16
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
class _Asked:
    """An order with the rows that can fit: how many of each table, the limited stores with their tiles, the costs."""

    case: Case
    kept: list[int]
    stores: list[tuple[int, list[tuple[int, Tile]]]]
    costs: list[Costs]


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
        self.costs = priced(hierarchy, dims, widths, cases)
        self.bits = {x: widths.kept(x) for x in OPERANDS}

    def _asked(self, case: Case) -> _Asked | None:
        """Return what of an order can fit, with the smallest tiles of the other dimensions; None if nothing can."""
        kept = [rows.rows for rows in case.tables]
        stores = []
        for level, holds, capacity, copies in self.limits:
            room, grows, tiles = capacity, False, []
            for tile in case.at_level.get(level, ()):
                if tile.operand in holds:
                    width = self.bits[tile.operand] * copies
                    room -= width * tile.least[0] * tile.least[1]
                    grows = grows or tile.grows[0] or tile.grows[1]
                    tiles.append((width, tile))
            if room < 0:
                return None
            if grows:
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
        energy, cycles = self.mac_pj, 1.0
        bits: Any = 0.0
        wide: Any = self.port_bits
        for rows, cost, number in zip(asked.case.tables, asked.costs, asked.kept, strict=True):
            energy += float(cost.energy[:number].min())
            bits = bits + cost.ports[:number].min(axis=0)
            cycles *= float(rows.cycles[:number].min())
            if rows.axis_below is not None:
                wide = wide * np.where(self.port_levels > rows.axis_below, int(rows.instances[:number].max()), 1)
        if len(self.port_bits):
            cycles = max(cycles, float((bits / wide).max()))
        return self._key(energy, cycles)

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
        picked = self._pick(energy, asked, take, free, last, largest, known)
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
        self, energy: Floats, asked: _Asked, take: Take, free: list[int], last: int | None, largest: Any, known: float
    ) -> tuple[tuple[float, float], tuple[int, ...]] | None:
        """Return the objective with its tie-break and where in the grid they are the least, unless above ``known``."""
        if self.objective != "energy":
            return self._pick_fast(energy, asked, take, free, last, largest, known)
        low = float(energy.min())
        if low == inf or low > known:
            return None
        where = np.nonzero(energy == low)
        rows = dict(zip(free, where, strict=True))
        if last is not None:
            rows[last] = np.broadcast_to(largest, energy.shape)[where]
        bits = sum(cost.ports_at(rows[i]) for i, cost in enumerate(asked.costs))
        cycles = self._cycles(asked, bits, lambda which, values: values[rows[which]])
        first = int(cycles.argmin())
        return (low, float(cycles[first])), tuple(int(axis[first]) for axis in where)

    def _pick_fast(
        self, energy: Floats, asked: _Asked, take: Take, free: list[int], last: int | None, largest: Any, known: float
    ) -> tuple[tuple[float, float], tuple[int, ...]] | None:
        """Return what :meth:`_pick` does where cycles count: ports of those rows alone whose array is fast enough."""
        array: Any = 1.0
        for which, rows in enumerate(asked.case.tables):
            array = array * take(which, rows.cycles)
        least = np.where(energy < inf, energy * array if self.objective == "edp" else array, inf).ravel()
        start = int(least.argmin())
        if least[start] == inf or least[start] > known:
            return None
        shape, flat = energy.shape, energy.ravel()
        column = np.broadcast_to(largest, shape).ravel() if last is not None else None
        best: tuple[float, float] = (inf, inf)
        at = start

        def keys(cells: Any) -> tuple[Any, Any]:
            rows = dict(zip(free, np.unravel_index(cells, shape), strict=True))
            if column is not None and last is not None:
                rows[last] = column[cells]
            bits = sum(cost.ports[rows[i]] for i, cost in enumerate(asked.costs))
            cycles = self._cycles(asked, bits, lambda which, values: values[rows[which]])
            return (cycles, flat[cells]) if self.objective == "latency" else (flat[cells] * cycles, cycles)

        most = min(known, float(keys(np.array([start]))[0][0]))
        for first in range(0, least.size, CHUNK):
            cells = first + np.flatnonzero(least[first : first + CHUNK] <= most)
            if not cells.size:
                continue
            primary, other = keys(cells)
            low = float(primary.min())
            ties = np.where(primary == low, other, inf)
            here = int(ties.argmin())
            if (low, float(ties[here])) < best:
                best, at = (low, float(ties[here])), int(cells[here])
                most = min(most, low)
        if best[0] == inf or best[0] > known:
            return None
        return best, tuple(int(i) for i in np.unravel_index(at, shape))

    def _cycles(self, asked: _Asked, bits: Any, take: Take) -> Any:
        """Return the least cycles of rows whose ports move ``bits``: of the array and of every port."""
        cycles: Any = 1.0
        wide: Any = self.port_bits
        for which, rows in enumerate(asked.case.tables):
            cycles = cycles * take(which, rows.cycles)
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
