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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
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
    """What a nest moves and takes: ``bits`` by (level, operand, direction), MACs, cycles of the array.

    ``wire_bits`` cross the wires of each axis, where a hierarchy prices them.
    """

    bits: Mapping[Counter, int]
    macs: int
    compute_cycles: int
    instances: tuple[int, ...]
    wire_bits: Mapping[str, int] = field(default_factory=dict)

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
    wires: dict[str, int] = {}
    for operand, width in (("a", widths.a), ("w", widths.w), ("o", 1)):
        seen, elements = chain_visits(hierarchy, nest, operand, rules), _elements(nest, operand)
        if operand == "o":
            given = seen.levels, hierarchy.result_level, seen.reads, seen.fills, seen.ends
            bits.update(sum_bits(*given, elements, widths, rules))
        else:
            bits.update(input_bits(operand, seen.levels, seen.reads, seen.fills[:-1], elements * width))
        if hierarchy.wire_pj_per_bit:
            free = next((loop.axis for loop in nest.loops if loop.axis and loop.dim == FREE[operand]), None)
            visits = seen.levels, seen.reads, seen.fills, seen.ends
            for name, count_of in crossings(hierarchy, operand, free, *visits, widths).items():
                wires[name] = wires.get(name, 0) + elements * count_of
    if rules.whole_words:
        bits = {key: _whole_words(hierarchy, key, value) for key, value in bits.items()}
    return Moved(bits, nest.m * nest.k * nest.n, compute_cycles(nest), instances(hierarchy, nest), wires)


@dataclass(frozen=True, slots=True)
class ChainVisits:
    """How often every element of an operand comes to what is below each level of its chain, the MACs last.

    ``reads`` as the level above sees it, ``fills`` as the instances below hold it, ``ends``: those that end an output.
    """

    levels: tuple[int, ...]
    reads: tuple[int, ...]
    fills: tuple[int, ...]
    ends: tuple[int, ...]


def chain_visits(hierarchy: Hierarchy, nest: Nest, operand: str, rules: Rules = ACCELFORGE) -> ChainVisits:
    """Return the visits of one operand; only of outputs ``ends`` says anything."""
    axes, chain, end = _axes(hierarchy, nest), nest.chain(operand), len(nest.loops)
    macs = Kept(len(hierarchy.levels), operand, end)
    reads, fills, ends = [], [], []
    for parent, child in zip(chain, (*chain[1:], macs), strict=True):
        stays = child is not macs or (operand != "o" and rules.holds_inputs)
        at, place = nest.load_point(operand, child.outside) if stays else end, (child.level, child.outside)
        reads.append(_visits(axes, nest, operand, place, at, parent.level))
        fills.append(_visits(axes, nest, operand, place, at, child.level))
        if operand == "o":
            ends.append(_visits(axes, nest, operand, place, 0, child.level))
    return ChainVisits(tuple(k.level for k in chain), tuple(reads), tuple(fills), tuple(ends))


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


@dataclass(frozen=True, slots=True)
class SumPair:
    """Partial sums and results between a level and what is below it (None: the MACs), in bits per output.

    ``down``: sums that are read above and written below. ``up``: what is written above, after sums of several
    instances have met; ``drained``: what leaves the instances below. Numbers or arrays.
    """

    level: int
    below: int | None
    down: Any
    up: Any
    drained: Any


def sum_pairs(
    levels: Sequence[int],
    result_level: int,
    visits: Sequence[Any],
    resident: Sequence[Any],
    finished: Sequence[Any],
    widths: Widths,
    rules: Rules = ACCELFORGE,
    one: Any = 1,
) -> Iterator[SumPair]:
    """Yield what goes down and up between neighbouring levels that keep outputs, the MACs last.

    For what is below each level: how often every output visits it as the level sees it, how often as the instances
    below hold it, and how many of these hold a result; in units of ``one``.
    """
    # Visits of a level by outputs without a partial sum: they start from zero there.
    cold: Any = one
    for level, below, seen, held, ended in zip(levels, (*levels[1:], None), visits, resident, finished, strict=True):
        reads = seen - cold
        counted = seen if rules.reads_missing_sums and reads else reads
        results = below is not None and below <= result_level
        drained = _written(results, held, ended, widths)
        if rules.free_drain:
            drained = drained - ended * (widths.result if results else widths.psum)
        yield SumPair(level, below, widths.psum * counted, _written(level <= result_level, seen, one, widths), drained)
        cold = held - reads


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
    """Return the counters of partial sums and results; arguments as :func:`sum_pairs`."""
    found: dict[Counter, Any] = {}
    for pair in sum_pairs(levels, result_level, visits, resident, finished, widths, rules, one):
        _add(found, (pair.level, "o", READ), outputs * pair.down)
        _add(found, (pair.level, "o", WRITE), outputs * pair.up)
        if pair.below is not None:
            _add(found, (pair.below, "o", WRITE), outputs * pair.down)
            _add(found, (pair.below, "o", READ), outputs * pair.drained)
    return found


def crossings(
    hierarchy: Hierarchy,
    operand: str,
    free_axis: str | None,
    levels: Sequence[int],
    reads: Sequence[Any],
    fills: Sequence[Any],
    ends: Sequence[Any],
    widths: Widths,
    one: Any = 1,
) -> dict[str, Any]:
    """Return the bits per element that cross the wires of each axis; ``free_axis`` has the loop it does not depend on.

    An axis' wire runs along all its instances. What all of them need, or what meets on its way up, crosses it once;
    of axes below the same level, each bit crosses every one once (what differs goes along the others first, what is
    common is spread last). An axis below a further level is in every instance of the ones above, and carries what
    came to each.
    """
    found: dict[str, Any] = {}
    free = None if free_axis is None else hierarchy.axis(free_axis)
    sums = list(sum_pairs(levels, hierarchy.result_level, reads, fills, ends, widths, one=one)) if ends else []
    for i, level in enumerate(levels):
        below = levels[i + 1] if i + 1 < len(levels) else len(hierarchy.levels)
        for axis in hierarchy.axes:
            if not level <= axis.below < below:
                continue
            apart = free is not None and level <= free.below < axis.below
            if operand == "o":
                bits = sums[i].down + (sums[i].drained if apart else sums[i].up)
            else:
                bits = widths.kept(operand) * (fills[i] if apart else reads[i])
            found[axis.name] = found.get(axis.name, 0) + bits
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
