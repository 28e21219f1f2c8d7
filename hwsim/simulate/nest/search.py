"""The best loop nest: every order of places, every placement, every size of tile that can matter, all scored.

What an operand moves depends on the tiles of one dimension alone, the one it does not depend on. So
energy is a sum over dimensions, and so are the bits of a port; only the room of a store joins them. For each
order the rows of two dimensions span a grid, and of the third, whose costs fall as its tile grows, the
largest tile that still fits is the best. Tiles that do not fit with the smallest of all others go first, and so
do orders whose least energy, without regard to room, is more than what was found. Nothing is left out that
could be better; ``prune=False`` scores the whole grid of all orders.

An axis is used as far as a tile reaches: never fewer instances than there is work for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

from hwsim.simulate.cost import hierarchy_energy
from hwsim.simulate.nest.cases import Cases, cases_of, exact_case, finer_case
from hwsim.simulate.nest.count import Moved, count, lower_bound
from hwsim.simulate.nest.grid import Best, Grid, Objective
from hwsim.simulate.nest.hierarchy import DIMS, FREE, Hierarchy, Widths
from hwsim.simulate.nest.loops import Kept, Loop, Nest, check_nest
from hwsim.simulate.nest.orders import Order, shape_of
from hwsim.spec.errors import InfeasibleError

#: Sums of a few floats in different orders differ by less.
ROUNDING = 1e-12
#: Orders of a quick search that are searched again with more tiles, and rows that this may join.
FINER, MOST_CELLS = 3, 3_000_000


@dataclass(frozen=True)
class Found:
    """The best nest, what it moves, its energy, the least cycles, and among how many mappings it is the best.

    ``complete`` is false where tiles of some dimension were cut evenly only, or a few were tried: there are too many.
    """

    nest: Nest
    moved: Moved
    energy_pj: float
    cycles: float
    mappings: int
    complete: bool


def search(
    hierarchy: Hierarchy,
    dims: tuple[int, int, int],
    widths: Widths,
    objective: Objective = "energy",
    bypass: bool = False,
    prune: bool = True,
    quick: bool = False,
) -> Found:
    """Return the best nest of a GEMM ``(m, k, n)``; ties go to the other figure, then to the first order.

    With ``bypass`` an operand may pass by any level but the outermost. Where it shall be ``quick``, orders with many
    choices of tiles try a few of them first, and only the best orders all that cut evenly; of very many orders only
    those that go level by level are tried. What small GEMMs have is all tried.

    Raises
    ------
    InfeasibleError
        If no tile fits.
    UsageError
        If two axes run over the same loop.
    """
    cases = cases_of(shape_of(hierarchy), bypass, dims, quick)
    best, others = _best(hierarchy, dims, widths, objective, prune, cases)
    if quick and not cases.complete:
        best = _finer(hierarchy, dims, widths, objective, [best, *others])
    if best is None:
        raise InfeasibleError(f"{hierarchy.name}: no tile of {dims[0]} × {dims[1]} × {dims[2]} fits; enlarge a level")
    nest = build_nest(dims, best)
    check_nest(hierarchy, nest, widths)
    moved = count(hierarchy, nest, widths)
    energy = sum(hierarchy_energy(hierarchy, moved).values())
    return Found(nest, moved, energy, float(lower_bound(hierarchy, moved).cycles), cases.mappings, cases.complete)


def _best(
    hierarchy: Hierarchy, dims: tuple[int, int, int], widths: Widths, objective: Objective, prune: bool, cases: Cases
) -> tuple[Best | None, list[Best]]:
    """Return the best of all orders, and those that were the best until then, the last one first."""
    grid = Grid(hierarchy, dims, widths, objective, prune, cases)
    # Of orders with the same energy none can be faster than this.
    floor = grid.floor(hierarchy) if objective == "energy" else 0.0
    best: Best | None = None
    before: list[Best] = []
    bounds: list[tuple[tuple[float, float], int]] = []
    for least, at, asked in grid.orders():
        if best is not None and prune and least >= best.key[0] * (1 - ROUNDING):
            if least > best.key[0] * (1 + ROUNDING):
                break
            if best.key[1] <= floor or not _less(grid.bound(asked), best.key):
                continue
        if best is not None and prune and objective != "energy" and not _less(grid.bound(asked), best.key):
            continue
        found = grid.solve(asked, inf if best is None or not prune else best.key[0])
        if found is not None and not asked.case.exact:
            bounds.append((found.key, at))
        elif found is not None and (best is None or found.key < best.key):
            before = [best, *before] if best is not None else []
            best = found
    for key, at in sorted(bounds):
        if best is None or not prune or _less(key, best.key):
            found = _exact(hierarchy, dims, widths, objective, prune, cases.cases[at].order)
            best = found if found is not None and (best is None or found.key < best.key) else best
    return best, before


def _finer(
    hierarchy: Hierarchy, dims: tuple[int, int, int], widths: Widths, objective: Objective, known: list[Best | None]
) -> Best | None:
    """Return the best of the first few known ones and of all tiles that cut evenly in their orders."""
    best = known[0]
    for old in known[:FINER]:
        cases = None if old is None else finer_case(old.order, dims)
        if cases is None or prod(table.rows for table in cases.cases[0].tables) > MOST_CELLS:
            continue
        grid = Grid(hierarchy, dims, widths, objective, True, cases)
        found = next((grid.solve(asked) for _, _, asked in grid.orders()), None)
        best = found if found is not None and (best is None or found.key < best.key) else best
    return best


def _exact(
    hierarchy: Hierarchy, dims: tuple[int, int, int], widths: Widths, objective: Objective, prune: bool, order: Order
) -> Best | None:
    """Return the best of one order with the tables that solve it."""
    grid = Grid(hierarchy, dims, widths, objective, prune, exact_case(order, dims))
    return next((grid.solve(asked) for _, _, asked in grid.orders()), None)


def _less(key: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a bound is below what was found, by more than the rounding of sums of floats."""
    if abs(key[0] - other[0]) > ROUNDING * other[0]:
        return key[0] < other[0]
    return key[1] < other[1] * (1 - ROUNDING)


def build_nest(dims: tuple[int, int, int], best: Best) -> Nest:
    """Return the nest of one row per dimension; loops that do not cut anything are left out."""
    loops: list[Loop] = []
    outside = []
    axis_of = {dim: axis for axis, dim in best.order.axes}
    size = dict(zip(DIMS, dims, strict=True))
    for at in range(len(best.order.places) + 1):
        for plan, rows, row in zip(best.order.plans, best.tables, best.rows, strict=True):
            for cut, tiles in zip(plan.cuts, rows.tiles, strict=True):
                if cut.before != at:
                    continue
                tile = int(tiles[row])
                if tile < size[plan.dim] or cut.kind == "axis":
                    loops.append(Loop(plan.dim, tile, axis_of[plan.dim] if cut.kind == "axis" else None))
                    size[plan.dim] = min(size[plan.dim], tile)
        outside.append(len(loops))
    kept = [Kept(0, x, 0) for x in FREE]
    kept += [Kept(level, x, outside[at]) for at, (level, x) in enumerate(best.order.places)]
    return Nest(*dims, tuple(loops), tuple(kept))
