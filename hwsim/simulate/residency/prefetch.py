"""Loads ahead: the first load of a product moves while the port has nothing else to do before it.

**What may move.** Of the first tile's load: weights; values of attention, which the cache holds long before the
softmax in front of them; activations that do not come from the operation before, which a trace implies only where a
product reads what the product before it read, or DRAM. Partial sums never are in a first load.

**When.** From the end of the last but one tile of the product before, when one half of the buffers is free, until
the product's own begin: what the port has left then beside that product's last transfers, and beside those of
vector operations in between. Loads ahead give way: nothing else is later for them, at any cycle. Buffers that are
not divided have no other half, and the tile must fit in the part that the product before leaves.

**What follows.** Every row ends where the next one begins, so that rows add up; a product's row is shorter by what
its first load need not wait for, never longer. Its timing depends on its head start alone, and what it leaves to the
next one on that: rows of equal ``repeat`` are a layer, layers are walked until a head start comes back, and the
rest of them is jumped over. Several products never share an idle cycle, as there is one first load at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, dram_energy, leakage_energy
from hwsim.simulate.engine import LINKED_ENGINES, Context, Linked
from hwsim.simulate.figures import refuse_broken
from hwsim.simulate.residency.chain import Fused
from hwsim.simulate.residency.flow import shares_input
from hwsim.simulate.schedule import Schedule, Step
from hwsim.workload.ops import Gemm, Op, ceil_div

Row = dict[str, Any]

_NOTHING = Counts(0, 0, {}, {})


@dataclass(frozen=True)
class Timed:
    """How a product was timed: its schedule, the cycles that the vector unit needs, room for tiles of (w, a)."""

    schedule: Schedule
    context: Context
    vector_cycles: int
    room_bits: tuple[int, int]


@dataclass(frozen=True)
class _Before:
    """What an operation finds: cycles of the port that were left, and the last product, if it is known."""

    idle: int = 0
    room_bits: tuple[int, int] | None = None


def prefetched(simulated: Simulated, pairs: Sequence[tuple[Any, Row]], engine: str) -> tuple[list[int], str]:
    """Return by how many cycles each row gets shorter, over all its repeats, and the note that says so.

    ``pairs`` are operations and the rows of one instance, those of products with a :class:`Timed` as ``timed``.
    """
    if engine not in LINKED_ENGINES:
        return [0] * len(pairs), f"residency.prefetch: engine {engine} has no loads to wait for"
    run = _Run(pairs, engine)
    saved = run.walk()
    total, gone = sum(row["cycles"] * op.repeat for op, row in pairs), sum(saved)
    _check(simulated, pairs, total - gone)
    what = "first loads of products move while the port is idle"
    return saved, f"residency.prefetch: {what}: {gone:,} cycles less of {total:,}"


def shorten(simulated: Simulated, row: Row, saved: int) -> None:
    """Take ``saved`` cycles off a finished ``row``, with what leaks and is refreshed in them."""
    if not saved:
        return
    acc, before = simulated.accelerator, row["cycles"]
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    for key in ("cycles", "stall_cycles"):
        row[key] -= saved
    row["time_us"] = row["cycles"] * acc.period_ns * 1e-3
    row["utilization"] *= before / row["cycles"] if row["cycles"] else 0.0
    row["energy_leakage_pj"] = max(row["energy_leakage_pj"] - leakage_energy(saved, unit), 0.0)
    standby = dram_energy(_NOTHING, saved, unit)
    row["energy_dram_pj"] = max(row["energy_dram_pj"] - standby, 0.0)


class _Run:
    """Walks over all layers, with the head start of each product."""

    def __init__(self, pairs: Sequence[tuple[Any, Row]], engine: str) -> None:
        self._pairs, self._engine = pairs, LINKED_ENGINES.get(engine)
        self._saved = [0] * len(pairs)
        self._linked: dict[tuple[int, int], Linked] = {}

    def walk(self) -> list[int]:
        before = _Before()
        for places in _layers(self._pairs):
            before = self._repeated(places, before)
        return self._saved

    def _repeated(self, places: range, before: _Before) -> _Before:
        left, seen = self._pairs[places[0]][0].repeat, dict[_Before, tuple[int, list[int]]]()
        while left:
            if before in seen:
                then, saved = seen.pop(before)
                rounds, left = divmod(left, then - left)
                for place, old in zip(places, saved, strict=True):
                    self._saved[place] += rounds * (self._saved[place] - old)
                seen.clear()
                continue
            seen[before] = left, [self._saved[place] for place in places]
            for place in places:
                before = self._one(place, before)
            left -= 1
        return before

    def _one(self, place: int, before: _Before) -> _Before:
        op, row = self._pairs[place]
        timed: Timed | None = row.get("timed")
        if timed is None:
            return _Before(before.idle + row["cycles"] - row["port_cycles"], before.room_bits)
        if not timed.schedule.overlap:
            return _Before()
        last = self._pairs[place - 1][0] if place else None
        head_start = min(before.idle, first_load(op, last, timed, before.room_bits))
        key = place, head_start
        if key not in self._linked:
            self._linked[key] = self._engine(timed.schedule, timed.context, head_start)
        found = self._linked[key]
        port = ceil(found.timing.cycles)
        cycles = max(port, timed.vector_cycles)
        self._saved[place] += row["cycles"] - cycles
        return _Before(floor(found.idle_cycles) + cycles - port, timed.room_bits)


def _layers(pairs: Sequence[tuple[Any, Row]]) -> Iterator[range]:
    """Yield the places of each layer: rows in a row of one ``repeat``."""
    begin = 0
    for place in range(1, len(pairs) + 1):
        if place == len(pairs) or pairs[place][0].repeat != pairs[begin][0].repeat:
            yield range(begin, place)
            begin = place


def first_load(op: Op | Fused, last: Op | Fused | None, timed: Timed, room_bits: tuple[int, int] | None) -> int:
    """Return the port cycles of what may move early of the first load; ``last`` is the operation before.

    ``room_bits`` are those that the product before leaves, None for all.
    """
    if not isinstance(op, Gemm):  # fused attention reads what was just computed
        return 0
    schedule, bits = timed.schedule, timed.schedule.bits
    tiling, gemm = schedule.tiling, schedule.gemm
    m, k, n = (min(extent, tile) for extent, tile in zip((gemm.m, gemm.k, gemm.n), _tiles(schedule), strict=True))
    weights = 0 if tiling.resident_w else bits.move(k * n, "w")
    activations = 0 if tiling.resident_a else bits.move(m * k, "a")
    softmax = last is not None and last.op == "softmax"
    early_w = op.w_source == "dram" or (op.role == "value" and softmax)
    early_a = op.a_source == "dram" or (last is not None and shares_input(last, op))
    room_w, room_a = room_bits or (weights, activations)
    moved = weights if early_w and weights <= room_w else 0
    moved += activations if early_a and activations <= room_a else 0
    assert moved <= _first(schedule.body[0]).load_bits
    rate = timed.context.dram_bits_per_cycle
    return int(ceil_div(moved * rate.denominator, rate.numerator))


def _tiles(schedule: Schedule) -> tuple[int, int, int]:
    return schedule.tiling.tile_m, schedule.tiling.tile_k, schedule.tiling.tile_n


def _first(node: Any) -> Step:
    return node if isinstance(node, Step) else _first(node.body[0])


def _check(simulated: Simulated, pairs: Sequence[tuple[Any, Row]], cycles: int) -> None:
    """Refuse a run that is faster than its port, its array or its vector unit; rows alone may move bits before."""
    acc = simulated.accelerator
    moved = sum(row["dram_bits"] * op.repeat for op, row in pairs)
    laws = {
        "cycles of all rows >= bits of all rows / bandwidth": cycles >= moved / acc.dram_bits_per_cycle,
        "cycles of all rows >= compute cycles": cycles >= sum(row["compute_cycles"] * op.repeat for op, row in pairs),
    }
    refuse_broken(simulated, "all layers", laws)
