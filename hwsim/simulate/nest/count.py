"""Bits moved by a loop nest, exactly and in closed form: per level, operand and direction; cycles and bounds.

Every tile has one place in the nest where it is loaded, as in a program: right inside the innermost
loop that changes it. So a tile is loaded once per iteration of the loops around that place. Of an
operand's own dimensions the loops visit every piece once per sweep; what multiplies its elements is
the number of pieces into which the loops around cut the one dimension that it does not depend on.
:func:`pieces` counts these with uneven tiles.

Partial sums go down and up: a visit of a tile reads what is there already (a sum that does not exist
yet is not read) and writes back; the last write of an element is its result. A MAC reads its operands
from the innermost level that holds them. :class:`Rules` switch to how other tools count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, prod
from typing import Any

from hwsim.simulate.nest.hierarchy import DIMS, DIRECTIONS, FREE, READ, WRITE, Hierarchy, Widths
from hwsim.simulate.nest.loops import Kept, Nest, around, axis_levels

#: (level, operand, direction).
Counter = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """How tools differ in what they count; all off is AccelForge's way.

    ``reads_missing_sums``: the first read of a partial sum is counted where K is split (ZigZag).
    ``holds_inputs``: what stays the same from MAC to MAC is read once (ZigZag).
    ``whole_words``: transfers are rounded down to whole words of the port (ZigZag).
    ``free_drain``: finished results leave a level without a read (Timeloop).
    """

    reads_missing_sums: bool = False
    holds_inputs: bool = False
    whole_words: bool = False
    free_drain: bool = False


ACCELFORGE = Rules()
ZIGZAG = Rules(reads_missing_sums=True, holds_inputs=True, whole_words=True)
TIMELOOP = Rules(free_drain=True)


@dataclass(frozen=True)
class Moved:
    """What a nest moves and takes: ``bits`` by (level, operand, direction), MACs, cycles of the array."""

    bits: Mapping[Counter, int]
    macs: int
    compute_cycles: int
    instances: tuple[int, ...]

    def at(self, level: int, operand: str, direction: str) -> int:
        """Return the bits of one counter, 0 where nothing moves."""
        return self.bits.get((level, operand, direction), 0)


def pieces(extent: int, cuts: Sequence[tuple[int, bool]]) -> int:
    """Return into how many pieces ``cuts`` divide ``extent``, one cut inside the other.

    A cut is ``(tile, counted)``; the pieces of one that is not counted lie side by side, and the first,
    which is a whole one, takes as long as any.
    """
    if not cuts:
        return 1
    (tile, counted), rest = cuts[0], cuts[1:]
    if not counted:
        return pieces(min(extent, tile), rest)
    whole, edge = divmod(extent, tile)
    return (whole * pieces(tile, rest) if whole else 0) + (pieces(edge, rest) if edge else 0)


@dataclass(frozen=True, slots=True)
class Axes:
    """Of each loop: the level it stands below if it is on an axis, else -1, and whether what it feeds is shared."""

    levels: tuple[int, ...]
    shared: tuple[bool, ...]


def _axes(hierarchy: Hierarchy, nest: Nest) -> Axes:
    shared = tuple(loop.axis is None or hierarchy.axis(loop.axis).shared for loop in nest.loops)
    return Axes(axis_levels(hierarchy, nest), shared)


def _visits(at_axes: Axes, nest: Nest, operand: str, place: tuple[int, int], loaded_at: int, counted_above: int) -> int:
    """Return how often each element comes to a place, which is a level and its loops outside.

    Temporal loops count as far as ``loaded_at``; axes count above level ``counted_above`` or where they are not
    shared.
    """
    free = FREE[operand]
    cuts = []
    for at, (loop, outer) in enumerate(zip(nest.loops, around(at_axes.levels, *place), strict=True)):
        if loop.dim != free or not outer:
            continue
        below = at_axes.levels[at]
        cuts.append((loop.tile, at < loaded_at if below < 0 else below < counted_above or not at_axes.shared[at]))
    return pieces(getattr(nest, free), cuts)


def _elements(nest: Nest, operand: str) -> int:
    return prod(getattr(nest, dim) for dim in DIMS if dim != FREE[operand])


def count(hierarchy: Hierarchy, nest: Nest, widths: Widths, rules: Rules = ACCELFORGE) -> Moved:
    """Return what ``nest`` moves on ``hierarchy``; both must have passed :func:`check_nest`."""
    bits: dict[Counter, int] = {}
    axes = _axes(hierarchy, nest)
    _count_input(hierarchy, nest, axes, "a", widths.a, rules, bits)
    _count_input(hierarchy, nest, axes, "w", widths.w, rules, bits)
    _count_sums(hierarchy, nest, axes, widths, rules, bits)
    if rules.whole_words:
        bits = {key: _whole_words(hierarchy, key, value) for key, value in bits.items()}
    return Moved(bits, nest.m * nest.k * nest.n, compute_cycles(nest), instances(hierarchy, nest))


def _count_input(
    hierarchy: Hierarchy, nest: Nest, axes: Axes, operand: str, width: int, rules: Rules, bits: dict[Counter, int]
) -> None:
    chain, end = nest.chain(operand), len(nest.loops)
    reads, fills = [], []
    for parent, child in pairwise(chain):
        at, place = nest.load_point(operand, child.outside), (child.level, child.outside)
        reads.append(_visits(axes, nest, operand, place, at, parent.level))
        fills.append(_visits(axes, nest, operand, place, at, child.level))
    at = nest.load_point(operand, end) if rules.holds_inputs else end
    reads.append(_visits(axes, nest, operand, (len(hierarchy.levels), end), at, chain[-1].level))
    bits.update(input_bits(operand, [k.level for k in chain], reads, fills, _elements(nest, operand) * width))


def loads(hierarchy: Hierarchy, nest: Nest) -> dict[tuple[int, str], int]:
    """Return the elements that enter each level below the outermost, or leave it, in the case of outputs."""
    axes = _axes(hierarchy, nest)
    found = {}
    for kept in nest.kept:
        if kept.level > 0:
            at = nest.load_point(kept.operand, kept.outside)
            times = _visits(axes, nest, kept.operand, (kept.level, kept.outside), at, kept.level)
            found[kept.level, kept.operand] = _elements(nest, kept.operand) * times
    return found


def input_bits(
    operand: str, levels: Sequence[int], reads: Sequence[Any], fills: Sequence[Any], whole_bits: int
) -> dict[Counter, Any]:
    """Return the counters of an input: ``reads`` of each level by what is below it, ``fills`` of all but the first.

    Both count how often the whole operand, of ``whole_bits``, comes by; numbers or arrays.
    """
    found: dict[Counter, Any] = {}
    for level, times in zip(levels, reads, strict=True):
        found[level, operand, READ] = whole_bits * times
    for level, times in zip(levels[1:], fills, strict=True):
        found[level, operand, WRITE] = whole_bits * times
    return found


def _count_sums(
    hierarchy: Hierarchy, nest: Nest, axes: Axes, widths: Widths, rules: Rules, bits: dict[Counter, int]
) -> None:
    chain, end = nest.chain("o"), len(nest.loops)
    visits, resident, finished = [], [], []
    for parent, child in zip(chain, (*chain[1:], Kept(len(hierarchy.levels), "o", end)), strict=True):
        at = end if child.level == len(hierarchy.levels) else nest.load_point("o", child.outside)
        place = (child.level, child.outside)
        visits.append(_visits(axes, nest, "o", place, at, parent.level))
        resident.append(_visits(axes, nest, "o", place, at, child.level))
        finished.append(_visits(axes, nest, "o", place, 0, child.level))
    levels = [k.level for k in chain]
    found = sum_bits(levels, hierarchy.result_level, visits, resident, finished, nest.m * nest.n, widths, rules)
    bits.update(found)


def sum_bits(
    levels: Sequence[int],
    result_level: int,
    visits: Sequence[Any],
    resident: Sequence[Any],
    finished: Sequence[Any],
    outputs: int,
    widths: Widths,
    rules: Rules = ACCELFORGE,
    one: Any = 1,
) -> dict[Counter, Any]:
    """Return the counters of partial sums and results.

    For what is below each level, the MACs last: how often every output visits it as the level sees it, how
    often as the instances below hold it, and how many of these hold a result. Numbers or arrays, in units of ``one``.
    """
    found: dict[Counter, Any] = {}
    # Visits of a level by outputs without a partial sum: they start from zero there.
    cold: Any = one
    for level, below, seen, held, ended in zip(levels, (*levels[1:], None), visits, resident, finished, strict=True):
        reads = seen - cold
        counted = seen if rules.reads_missing_sums and reads else reads
        _add(found, (level, "o", READ), outputs * widths.psum * counted)
        _add(found, (level, "o", WRITE), outputs * _written(level <= result_level, seen, one, widths))
        if below is not None:
            results = below <= result_level
            _add(found, (below, "o", WRITE), outputs * widths.psum * counted)
            _add(found, (below, "o", READ), outputs * _written(results, held, ended, widths))
            if rules.free_drain:
                _add(found, (below, "o", READ), -outputs * ended * (widths.result if results else widths.psum))
        cold = held - reads
    return found


def _written(results: bool, visits: Any, finished: Any, widths: Widths) -> Any:
    """Return the bits per output of so many visits, of which some leave a result."""
    return (visits - finished) * widths.psum + finished * (widths.result if results else widths.psum)


def _add(bits: dict[Counter, Any], key: Counter, value: Any) -> None:
    bits[key] = bits.get(key, 0) + value


def compute_cycles(nest: Nest) -> int:
    """Return the cycles of the array at one MAC per cycle and instance."""
    return prod(
        pieces(getattr(nest, dim), [(loop.tile, loop.axis is None) for loop in nest.loops if loop.dim == dim])
        for dim in DIMS
    )


def instances(hierarchy: Hierarchy, nest: Nest) -> tuple[int, ...]:
    """Return how many instances of each level the nest uses."""
    used = [
        (hierarchy.axis(loop.axis).below, nest.trips(at)) for at, loop in enumerate(nest.loops) if loop.axis is not None
    ]
    return tuple(prod(count for below, count in used if below < level) for level in range(len(hierarchy.levels)))


def _port_words(hierarchy: Hierarchy, level: int, operand: str, direction: str) -> int:
    fitting = [p for p in hierarchy.levels[level].ports if operand in p.operands and direction in p.directions]
    return ceil(fitting[0].bits_per_cycle) if fitting else 1


def _whole_words(hierarchy: Hierarchy, key: Counter, bits: int) -> int:
    word = _port_words(hierarchy, *key)
    return bits // word * word


@dataclass(frozen=True, slots=True)
class Bound:
    """What takes the most cycles at least: the array or a port."""

    cycles: Fraction
    what: str


def bounds(hierarchy: Hierarchy, moved: Moved) -> list[Bound]:
    """Return the least cycles that the array and each port need by themselves, in order of the levels."""
    found = [Bound(Fraction(moved.compute_cycles), "compute")]
    for i, level in enumerate(hierarchy.levels):
        for port in level.ports:
            bits = sum(moved.at(i, x, d) for x in port.operands for d in port.directions)
            rate = port.bits_per_cycle
            cycles = Fraction(bits * rate.denominator, rate.numerator * moved.instances[i])
            ways = "" if set(port.directions) == set(DIRECTIONS) else f" {port.directions[0]}"
            found.append(Bound(cycles, f"{level.name} {'+'.join(port.operands)}{ways}"))
    return found


def lower_bound(hierarchy: Hierarchy, moved: Moved) -> Bound:
    """Return the tightest of :func:`bounds`; the first of equal ones."""
    return max(bounds(hierarchy, moved), key=lambda bound: bound.cycles)
