"""A loop nest as the steps of a schedule: what crosses the outermost level's port, and how long the levels inside take.

A step is one iteration of the temporal loops around the innermost place at which an operand comes from the
outermost level. Between the loops of a step and that level an operand may be kept for longer; then a step
brings what of it is used for the first time, and takes away what is used for the last time. So nothing moves
twice, and all counters, summed over the steps, are those of :func:`hwsim.simulate.nest.count.count` (tested). A
step lasts as long as its array or the busiest port of a level inside: transfers there overlap with computation.

Loops are run-length coded, also where tiles are uneven and instances of an axis run out of work at different
iterations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, prod

from hwsim.simulate.nest.count import Counter, pieces, sum_pairs
from hwsim.simulate.nest.hierarchy import DIMS, FREE, NEEDS, READ, WRITE, Hierarchy, Widths
from hwsim.simulate.nest.loops import Kept, Loop, Nest, axis_levels
from hwsim.simulate.schedule import Node, Repeat, Step
from hwsim.spec.errors import UsageError


@dataclass(frozen=True, slots=True)
class Span:
    """What loops leave of one dimension: pieces ``(count, size)`` side by side on an axis, the largest first.

    ``below`` and ``shared`` are those of the axis, -1 without one. ``past_first`` counts the loops down to the
    innermost one that is past its first iteration, ``before_last`` to that which is before its last.
    """

    pieces: tuple[tuple[int, int], ...]
    below: int = -1
    shared: bool = True
    past_first: int = 0
    before_last: int = 0

    @property
    def size(self) -> int:
        """All elements."""
        return sum(count * size for count, size in self.pieces)

    @property
    def longest(self) -> int:
        """Elements of the first instance, which has the most."""
        return self.pieces[0][1]


#: The spans of m, k and n.
Region = Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class _Pair:
    """What is below a level of a chain: where its tiles are loaded, the cuts of its visits in a step and from outside.

    A cut is (loop, counted as the level above sees it, as the instances below hold it).
    """

    level: int
    below: int
    load_at: int
    cuts: tuple[tuple[Loop, bool, bool], ...]


@dataclass
class Steps:
    """The steps of a nest; ``interval`` is the number of cycles per MAC of a PE, ports have bits per such interval.

    Bits are in units of 1 / ``denominator``; those of a step are whole.
    """

    hierarchy: Hierarchy
    nest: Nest
    widths: Widths
    interval: int = 1
    denominator: int = 1
    _leaves: dict[tuple[Span, ...], Step] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        spatial = [loop.dim for loop in self.nest.loops if loop.axis is not None]
        if len(set(spatial)) < len(spatial):
            raise UsageError(f"{self.hierarchy.name}: two loops of one dimension are spatial: no steps of such a nest")
        self.axes = axis_levels(self.hierarchy, self.nest)
        self.chains = {x: tuple(self._pairs(x)) for x in FREE}
        self.depth = max(pairs[0].load_at for pairs in self.chains.values())
        for x, pairs in self.chains.items():
            self.chains[x] = tuple(replace(p, cuts=tuple(self._cuts(x, p))) for p in pairs)
        self.inside = {
            dim: [(loop.tile, loop.axis is None) for loop in self.nest.loops[self.depth :] if loop.dim == dim]
            for dim in DIMS
        }

    def _pairs(self, operand: str) -> Iterator[_Pair]:
        chain, end = self.nest.chain(operand), len(self.nest.loops)
        macs = Kept(len(self.hierarchy.levels), operand, end)
        for parent, child in zip(chain, (*chain[1:], macs), strict=True):
            at = end if child is macs else self.nest.load_point(operand, child.outside)
            yield _Pair(parent.level, child.level, at, ())

    def _cuts(self, operand: str, pair: _Pair) -> Iterator[tuple[Loop, bool, bool]]:
        """Yield the cuts of a step's span by the loops inside of it, as ``chain_visits`` counts them."""
        for at in range(self.depth, len(self.nest.loops)):
            loop, below = self.nest.loops[at], self.axes[at]
            if loop.dim != FREE[operand]:
                continue
            if below < 0 and at < pair.load_at:
                yield loop, True, True
            elif 0 <= below < pair.below:
                shared = self.hierarchy.axis(loop.axis or "").shared
                yield loop, below < pair.level or not shared, True

    def body(self) -> tuple[Node, ...]:
        """Return the run-length-coded steps of one instance."""
        whole = {dim: Span(((1, getattr(self.nest, dim)),)) for dim in DIMS}
        return self._nodes(0, whole)

    def regions(self) -> Iterator[tuple[int, Region]]:
        """Yield how often each kind of step happens, in program order."""
        whole = {dim: Span(((1, getattr(self.nest, dim)),)) for dim in DIMS}

        def within(at: int, region: Region) -> Iterator[tuple[int, Region]]:
            if at == self.depth:
                yield 1, region
                return
            for count, span in self._split(at, region[self.nest.loops[at].dim]):
                for times, inner in within(at + 1, {**region, self.nest.loops[at].dim: span}):
                    yield count * times, inner

        yield from within(0, whole)

    def _nodes(self, at: int, region: Region) -> tuple[Node, ...]:
        if at == self.depth:
            return (self._step(region),)
        nodes: list[Node] = []
        for count, span in self._split(at, region[self.nest.loops[at].dim]):
            body = self._nodes(at + 1, {**region, self.nest.loops[at].dim: span})
            nodes.extend(body if count == 1 else (Repeat(count, body),))
        return tuple(nodes)

    def _split(self, at: int, span: Span) -> list[tuple[int, Span]]:
        """Return what loop ``at`` makes of its dimension: alike iterations with their number, first and last apart."""
        loop = self.nest.loops[at]
        if loop.axis is not None:
            whole, edge = divmod(span.longest, loop.tile)
            cut = ((whole, loop.tile), (1, edge)) if whole else ((1, edge),)
            shared = self.hierarchy.axis(loop.axis).shared
            return [(1, replace(span, pieces=tuple(p for p in cut if p[1]), below=self.axes[at], shared=shared))]
        trips = -(-span.longest // loop.tile)
        if trips == 1:
            return [(1, span)]
        full = [size // loop.tile for _, size in span.pieces]
        bounds = sorted({0, 1, trips - 1, trips, *full, *(i + 1 for i in full)})
        found = []
        for start, stop in pairwise(bounds):
            if stop > trips:
                break
            left = [(count, min(loop.tile, size - start * loop.tile)) for count, size in span.pieces]
            changed: dict[str, int] = {} if start == 0 else {"past_first": at + 1}
            if start < trips - 1:
                changed["before_last"] = at + 1
            kept = tuple(piece for piece in left if piece[1] > 0)
            found.append((stop - start, replace(span, pieces=kept, **changed)))  # type: ignore[arg-type]
        return found

    def _visits(self, operand: str, pair: _Pair, region: Region, first: bool) -> tuple[int, int]:
        """Return how often each element of a step comes to what is below a level: as it sees it, as these hold it.

        What is kept over several steps comes in its first one, or goes in its last one; but from instances of an axis
        it goes in the first one too: in the last one those with less to do are done.
        """
        span = region[FREE[operand]]

        def times(counted: bool, cuts: list[tuple[int, bool]]) -> int:
            apart = 0 <= span.below < pair.below and counted
            if (span.past_first if first or apart else span.before_last) > pair.load_at:
                return 0
            if apart:
                return sum(count * pieces(size, cuts) for count, size in span.pieces)
            return pieces(span.longest, cuts)

        above = span.below < pair.level or not span.shared
        return (
            times(above, [(loop.tile, seen) for loop, seen, _ in pair.cuts]),
            times(True, [(loop.tile, held) for loop, _, held in pair.cuts]),
        )

    def bits(self, region: Region) -> dict[Counter, int]:
        """Return what one step moves."""
        found: dict[Counter, int] = {}
        for x in ("a", "w"):
            elements = prod(region[dim].size for dim in NEEDS[x]) * self.widths.kept(x)
            for pair in self.chains[x]:
                seen, held = self._visits(x, pair, region, first=True)
                _add(found, (pair.level, x, READ), elements * seen)
                if pair.below < len(self.hierarchy.levels):
                    _add(found, (pair.below, x, WRITE), elements * held)
        self._sums(region, found)
        return found

    def _sums(self, region: Region, found: dict[Counter, int]) -> None:
        """Add partial sums and results: down with what is visited first, up with what is visited last."""
        outputs, k = prod(region[dim].size for dim in NEEDS["o"]), region["k"]
        pairs, levels = self.chains["o"], [pair.level for pair in self.chains["o"]]
        down, up = ([self._visits("o", pair, region, first) for pair in pairs] for first in (True, False))
        begins, ends = int(k.past_first == 0), int(k.before_last == 0)
        given = self.hierarchy.result_level, self.widths
        for visits, one, is_down in ((down, begins, True), (up, ends, False)):
            reads, fills = [seen for seen, _ in visits], [held for _, held in visits]
            over = [held * ends for held in fills]
            for pair in sum_pairs(levels, given[0], reads, fills, over, given[1], one=one):
                above, below = (READ, WRITE) if is_down else (WRITE, READ)
                _add(found, (pair.level, "o", above), outputs * (pair.down if is_down else pair.up))
                if pair.below is not None:
                    _add(found, (pair.below, "o", below), outputs * (pair.down if is_down else pair.drained))

    def compute_cycles(self, region: Region) -> int:
        """Return the cycles of the array in one step, at one MAC per cycle and instance."""
        return prod(pieces(region[dim].longest, self.inside[dim]) for dim in DIMS)

    def instances(self, region: Region) -> tuple[int, ...]:
        """Return how many instances of each level a step uses."""
        found = [1] * len(self.hierarchy.levels)
        for dim in DIMS:
            span, size = region[dim], region[dim].longest
            used = [(span.below, sum(count for count, _ in span.pieces))] if span.below >= 0 else []
            for at in range(self.depth, len(self.nest.loops)):
                loop = self.nest.loops[at]
                if loop.dim == dim:
                    used += [(self.axes[at], -(-size // loop.tile))] if loop.axis is not None else []
                    size = min(size, loop.tile)
            for below, count in used:
                for level in range(below + 1, len(found)):
                    found[level] *= count
        return tuple(found)

    def port_cycles(self, region: Region, bits: Mapping[Counter, int]) -> Fraction:
        """Return the cycles, in intervals of a MAC, of the busiest port inside of the outermost level."""
        busiest, used = Fraction(0), self.instances(region)
        for i, level in enumerate(self.hierarchy.levels[1:], start=1):
            for port in level.ports:
                moved = sum(bits.get((i, x, d), 0) for x in port.operands for d in port.directions)
                rate = port.bits_per_cycle * used[i]
                busiest = max(busiest, Fraction(moved * rate.denominator, rate.numerator))
        return busiest

    def _step(self, region: Region) -> Step:
        key = tuple(region[dim] for dim in DIMS)
        if key not in self._leaves:
            bits = self.bits(region)
            array = self.compute_cycles(region)
            self._leaves[key] = Step(
                load_bits=sum(-(-bits.get((0, x, READ), 0) // self.denominator) for x in FREE),
                compute_cycles=ceil(max(Fraction(array), self.port_cycles(region, bits)) * self.interval),
                store_bits=-(-bits.get((0, "o", WRITE), 0) // self.denominator),
                opens=region["k"].past_first <= self.chains["o"][0].load_at,
                reloads=bits.get((0, "o", READ), 0) > 0,
            )
        return self._leaves[key]


def _add(bits: dict[Counter, int], key: Counter, value: int) -> None:
    if value:
        bits[key] = bits.get(key, 0) + value
