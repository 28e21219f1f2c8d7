"""In which order operands are kept, and which loops can matter then.

An :class:`Order` lists the places (level, operand) below the outermost level from the outside inwards.
Between two of them loops of every dimension may stand. Few need to:

- A loop right outside of a place that does not depend on it can move inside: nobody's tile changes, and
  the operand is loaded less often.
- Of loops of one dimension outside of successive places that do depend on it, only the first needs to
  stand: what counts for a later place that does not depend on it is the last tile, and a larger tile
  before takes room for nothing.
- Where no such place follows, the tile is the smallest there is.

So a dimension has one tile to choose per run of places that depend on it and are followed by one that
does not (:class:`Cut`). Loops within the array (below an axis) stay there, and no loop of an axis' dimension
stands where it would split a tile above the axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from typing import Literal

from hwsim.simulate.nest.hierarchy import DIMS, FREE, OPERANDS, Axis, Hierarchy
from hwsim.spec.errors import UsageError

#: (level, operand), below the outermost level.
Place = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Cut:
    """A loop of one dimension, outside of place ``before``.

    ``tile``: of a size to choose; ``unit``: as much as the axis takes at once; ``axis``: spatial;
    ``one``: single elements.
    """

    before: int
    kind: Literal["tile", "unit", "axis", "one"]


@dataclass(frozen=True, slots=True)
class Visit:
    """What is below a place of the operand that does not depend on a dimension; ``at``: a place, or the MACs.

    Cuts before ``at`` are around it. An axis is around it if ``axis_around``, and multiplies what the level above
    reads if ``axis_read``.
    """

    at: int
    axis_around: bool
    axis_read: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The loops of one dimension in an order: cuts from the outside, the axis, and who visits what how often.

    ``sizes`` says for each place whose tile depends on the dimension how many cuts are around it. Two orders with
    the same plan share their tables.
    """

    dim: str
    axis_size: int
    axis_below: int | None
    cuts: tuple[Cut, ...]
    sizes: tuple[tuple[int, int], ...]
    visits: tuple[Visit, ...]

    @property
    def choices(self) -> int:
        """Tiles to choose."""
        return sum(cut.kind == "tile" for cut in self.cuts)


@dataclass(frozen=True, slots=True)
class Order:
    """Places from the outside inwards, the loop of each axis, and the plan of each dimension."""

    places: tuple[Place, ...]
    axes: tuple[tuple[str, str], ...]
    plans: tuple[Plan, ...]

    def levels(self, operand: str) -> tuple[int, ...]:
        """Return the levels that keep an operand, the outermost first."""
        return (0, *(level for level, x in self.places if x == operand))


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a hierarchy decides its orders: what each level holds, and the axes."""

    holds: tuple[tuple[str, ...], ...]
    axes: tuple[Axis, ...]


def shape_of(hierarchy: Hierarchy) -> Shape:
    """Return the shape of a hierarchy; sizes, ports and prices do not matter to it."""
    return Shape(hierarchy.holds, hierarchy.axes)


@lru_cache(maxsize=64)
def orders(shape: Shape, bypass: bool = False) -> tuple[Order, ...]:
    """Return every order of places, with every choice of loops for the axes.

    Each operand is kept in every level that can hold it; with ``bypass`` it may also pass by.

    Raises
    ------
    UsageError
        If two axes run over the same loop.
    """
    found = []
    for dims in product(*(axis.dims for axis in shape.axes)):
        if len(set(dims)) < len(dims):
            continue
        names = tuple((axis.name, dim) for axis, dim in zip(shape.axes, dims, strict=True))
        axis_of = dict(zip(dims, shape.axes, strict=True))
        for places in _sequences(shape, bypass):
            found.append(Order(places, names, tuple(_plan(shape, places, axis_of.get(dim), dim) for dim in DIMS)))
    if not found:
        raise UsageError("two axes run over the same loop: the best nest of such an array is not searched for")
    return tuple(found)


def level_by_level(shape: Shape, orders: tuple[Order, ...]) -> tuple[Order, ...]:
    """Return the orders in which no level keeps anything outside of what an outer one keeps.

    Levels of different operands with no axis between them are one.
    """
    groups, held = [0], set(shape.holds[0])
    for level, holds in enumerate(shape.holds[1:], start=1):
        apart = held & set(holds) or any(axis.below == level - 1 for axis in shape.axes)
        groups.append(groups[-1] + bool(apart))
        held = set(holds) if apart else held | set(holds)
    return tuple(order for order in orders if all(groups[a] <= groups[b] for (a, _), (b, _) in pairwise(order.places)))


def _sequences(shape: Shape, bypass: bool) -> Iterator[tuple[Place, ...]]:
    held = [(level, x) for level, holds in enumerate(shape.holds) for x in holds if level > 0]
    choices = product((True, False), repeat=len(held)) if bypass else [(True,) * len(held)]
    for chosen in choices:
        kept = [place for place, keep in zip(held, chosen, strict=True) if keep]
        yield from _merged(kept)


def _merged(kept: list[Place]) -> Iterator[tuple[Place, ...]]:
    """Yield every sequence in which each operand's levels come from the outside inwards."""
    chains = [[place for place in kept if place[1] == x] for x in FREE]
    for word in _words(tuple(len(chain) for chain in chains)):
        rest = [iter(chain) for chain in chains]
        yield tuple(next(rest[i]) for i in word)


def _words(left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not any(left):
        yield ()
    for i, count in enumerate(left):
        if count:
            yield from ((i, *rest) for rest in _words((*left[:i], count - 1, *left[i + 1 :])))


def _plan(shape: Shape, places: tuple[Place, ...], axis: Axis | None, dim: str) -> Plan:
    below = len(shape.holds) if axis is None else axis.below
    inner = [level > below for level, _ in places]
    free = [FREE[x] == dim for _, x in places]
    count = len(places)
    first_inner = inner.index(True) if any(inner) else count
    last_outer = max((i for i, within in enumerate(inner) if not within), default=-1)

    def allowed(at: int) -> bool:
        return axis is None or not first_inner < at <= last_outer

    cuts = _tiles(free, allowed)
    if axis is not None:
        # It stands right outside of the first place below it, within all loops that are around places above it.
        outside = [Cut(c.before, "unit") if c.kind == "one" else c for c in cuts if c.before <= first_inner]
        cuts = [*outside, Cut(first_inner, "axis"), *(c for c in cuts if c.before > first_inner)]
    sizes = tuple((i, _around(cuts, i, axis is None or inner[i])) for i in range(count) if not free[i])
    size, where = (1, None) if axis is None else (axis.size, axis.below)
    return Plan(dim, size, where, tuple(cuts), sizes, _visits(len(shape.holds), places, axis, dim))


def _tiles(free: list[bool], allowed: Callable[[int], bool]) -> list[Cut]:
    """Return a tile to choose per run of places that depend on a dimension, and single elements after the last."""
    count = len(free)
    last_free = max((i for i in range(count) if free[i]), default=-1)
    cuts = []
    chosen = False
    for at in range(last_free):
        chosen = chosen and not free[at]
        if not free[at] and not chosen and allowed(at):
            cuts.append(Cut(at, "tile"))
            chosen = True
    end = next(at for at in range(last_free + 1, count + 1) if allowed(at))
    return [*cuts, Cut(end, "one")]


def _around(cuts: list[Cut], at: int, with_axis: bool) -> int:
    """Return how many of ``cuts`` are around place ``at``."""
    found = 0
    for cut in cuts:
        if cut.before > at or (cut.kind == "axis" and not with_axis):
            break
        found += 1
    return found


def _visits(levels: int, places: tuple[Place, ...], axis: Axis | None, dim: str) -> tuple[Visit, ...]:
    operand = next(x for x in OPERANDS if FREE[x] == dim)
    children = [(i, level) for i, (level, x) in enumerate(places) if x == operand]
    children.append((len(places), levels))
    found, parent = [], 0
    for at, level in children:
        around = axis is not None and axis.below < level
        found.append(Visit(at, around, axis is not None and around and (axis.below < parent or not axis.shared)))
        parent = level
    return tuple(found)
