"""The loop nest walked iteration by iteration: the slow, obvious reference of :mod:`hwsim.simulate.nest.count`.

Every instance of every level remembers which tile it holds and which of its outputs have a partial
sum. A tile is replaced when the program comes to the place of its load again; what must go up goes
up, what must come down is read where it is. Elements are counted one by one.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass, field
from itertools import product
from typing import TypeAlias

from hwsim.simulate.nest.count import Counter
from hwsim.simulate.nest.hierarchy import FREE, NEEDS, READ, WRITE, Hierarchy, Widths
from hwsim.simulate.nest.loops import Nest, around, axis_levels

#: Index of every loop, temporal and spatial.
Indices: TypeAlias = tuple[int, ...]
Element: TypeAlias = tuple[int, int]


@dataclass
class _Held:
    """What one instance of a level holds of an operand; of outputs also which have a partial sum."""

    tag: Indices | None = None
    indices: Indices = ()
    tile: frozenset[Element] = frozenset()
    sums: set[Element] = field(default_factory=set)


@dataclass
class _Walk:
    hierarchy: Hierarchy
    nest: Nest
    widths: Widths
    bits: Tally[Counter] = field(default_factory=Tally)
    held: dict[tuple[int, str, Indices], _Held] = field(default_factory=dict)
    macs: Tally[Element] = field(default_factory=Tally)
    cycles: int = 0

    def run(self) -> None:
        loops = self.nest.loops
        time = [i for i, loop in enumerate(loops) if loop.axis is None]
        space = [i for i, loop in enumerate(loops) if loop.axis is not None]
        for now in product(*(range(self.nest.trips(i)) for i in time)):
            active = []
            for here in product(*(range(self.nest.trips(i)) for i in space)):
                index = dict(zip(time, now, strict=True)) | dict(zip(space, here, strict=True))
                indices = tuple(index[i] for i in range(len(loops)))
                if self.region(indices, len(self.hierarchy.levels), len(loops)) is not None:
                    active.append(indices)
            if active:
                self.cycles += 1
                self.step(active)
        for place in range(len(self.nest.chain("o")) - 1, 0, -1):
            self.evict(place, None)

    def region(self, indices: Indices, level: int, outside: int) -> dict[str, range] | None:
        """Return what the loops around a tile leave of each dimension, or nothing beyond an edge."""
        found = {dim: range(getattr(self.nest, dim)) for dim in "mkn"}
        outer = around(axis_levels(self.hierarchy, self.nest), level, outside)
        for index, loop, is_outer in zip(indices, self.nest.loops, outer, strict=True):
            if is_outer:
                found[loop.dim] = found[loop.dim][index * loop.tile : (index + 1) * loop.tile]
        return found if all(found.values()) else None

    def tile(self, operand: str, indices: Indices, level: int, outside: int) -> frozenset[Element]:
        region = self.region(indices, level, outside)
        assert region is not None
        first, second = NEEDS[operand]
        return frozenset(product(region[first], region[second]))

    def instance(self, indices: Indices, level: int) -> Indices:
        """Return which instance of a level the indices are in."""
        return tuple(
            index
            for index, loop in zip(indices, self.nest.loops, strict=True)
            if loop.axis is not None and self.hierarchy.axis(loop.axis).below < level
        )

    def source(self, operand: str, indices: Indices, parent: int, child: int) -> tuple[Indices, Indices]:
        """Return the parent's instance, and which of its own reads feeds a child."""
        apart = tuple(
            index
            for index, loop in zip(indices, self.nest.loops, strict=True)
            if loop.axis is not None
            and parent <= self.hierarchy.axis(loop.axis).below < child
            and loop.dim == FREE[operand]
            and not self.hierarchy.axis(loop.axis).shared
        )
        return self.instance(indices, parent), apart

    def step(self, active: list[Indices]) -> None:
        for operand in FREE:
            due = self.due(operand, active)
            if operand == "o":
                for place in sorted(due, reverse=True):
                    self.evict(place, self.tag(place, active[0]))
            for place in sorted(due):
                self.load(operand, place, due[place])
        self.compute(active)

    def tag(self, place: int, indices: Indices, operand: str = "o") -> Indices:
        """Return the iteration of the loops around the load of a tile."""
        at = self.nest.load_point(operand, self.nest.chain(operand)[place].outside)
        return tuple(i for i, loop in zip(indices[:at], self.nest.loops, strict=False) if loop.axis is None)

    def due(self, operand: str, active: list[Indices]) -> dict[int, list[Indices]]:
        """Return, by position in the operand's chain, one index per instance that comes to its load."""
        found: dict[int, list[Indices]] = {}
        for place, kept in enumerate(self.nest.chain(operand)):
            seen = set()
            for indices in active:
                key = (kept.level, operand, self.instance(indices, kept.level))
                held = self.held.setdefault(key, _Held())
                if held.tag == self.tag(place, indices, operand):
                    assert held.tile == self.tile(operand, indices, kept.level, kept.outside), (
                        "a level holds another tile"
                    )
                elif key not in seen:
                    found.setdefault(place, []).append(indices)
                    seen.add(key)
        return found

    def load(self, operand: str, place: int, due: list[Indices]) -> None:
        chain = self.nest.chain(operand)
        kept = chain[place]
        reads: dict[tuple[Indices, Indices], set[Element]] = {}
        for indices in due:
            held = self.held[kept.level, operand, self.instance(indices, kept.level)]
            held.tag, held.indices = self.tag(place, indices, operand), indices
            held.tile, held.sums = self.tile(operand, indices, kept.level, kept.outside), set()
            if place == 0:
                continue
            parent = chain[place - 1].level
            source = self.source(operand, indices, parent, kept.level)
            read = reads.setdefault(source, set())
            above = self.held[parent, operand, source[0]]
            assert held.tile <= above.tile, "a tile is not within the level above"
            if operand == "o":
                new = (held.tile & above.sums) - read
                held.sums = set(new)
            else:
                new = held.tile
            read |= new
            self.bits[kept.level, operand, WRITE] += len(new) * self.widths.kept(operand)
        if place > 0:
            total = sum(len(elements) for elements in reads.values())
            self.bits[chain[place - 1].level, operand, READ] += total * self.widths.kept(operand)

    def evict(self, place: int, tag: Indices | None) -> None:
        """Send old tiles of outputs one level up, also of instances that idle; sums are added on the way."""
        chain = self.nest.chain("o")
        level, parent = chain[place].level, chain[place - 1].level
        up: dict[tuple[Indices, Indices], set[Element]] = {}
        for (at, operand, _), held in self.held.items():
            if place == 0 or (at, operand) != (level, "o") or held.tag in (None, tag):
                continue
            assert held.sums == held.tile, "an output leaves without a sum"
            self.bits[level, "o", READ] += sum(self.bits_of(level, e) for e in held.tile)
            up.setdefault(self.source("o", held.indices, parent, level), set()).update(held.tile)
            held.tag = None
        self.write(parent, up)

    def write(self, parent: int, up: dict[tuple[Indices, Indices], set[Element]]) -> None:
        for (instance, _), elements in up.items():
            self.held[parent, "o", instance].sums |= elements
            self.bits[parent, "o", WRITE] += sum(self.bits_of(parent, e) for e in elements)

    def bits_of(self, level: int, element: Element) -> int:
        finished = self.macs[element] == self.nest.k and level <= self.hierarchy.result_level
        return self.widths.result if finished else self.widths.psum

    def compute(self, active: list[Indices]) -> None:
        end = len(self.nest.loops)
        for operand in FREE:
            last = self.nest.chain(operand)[-1].level
            groups: dict[tuple[Indices, Indices], set[Element]] = {}
            for indices in active:
                element = self.tile(operand, indices, len(self.hierarchy.levels), end)
                source = self.source(operand, indices, last, len(self.hierarchy.levels))
                groups.setdefault(source, set()).update(element)
                if operand == "o":
                    self.macs.update(element)
            for (instance, _), elements in groups.items():
                held = self.held[last, operand, instance]
                read = elements & held.sums if operand == "o" else elements
                self.bits[last, operand, READ] += len(read) * self.widths.kept(operand)
            if operand == "o":
                self.write(last, groups)


def walk(hierarchy: Hierarchy, nest: Nest, widths: Widths) -> tuple[dict[Counter, int], int]:
    """Return the bits moved by (level, operand, direction) and the cycles of the array, iteration by iteration."""
    walker = _Walk(hierarchy, nest, widths)
    walker.run()
    return {key: bits for key, bits in walker.bits.items() if bits}, walker.cycles
