"""Many GEMMs on many designs at once, by the fixed policy ``scalesim``: the fast engine over arrays.

The policy needs no search and its tile programs are alike: two nested loops, sums that stay on chip. So
the recurrence of :mod:`hwsim.simulate.engine.port` is advanced for all pairs together, loops jumped over
where a pair's state returns after one round. The few pairs whose state takes longer go the ordinary way. Equal
to ``map_gemm`` and the fast engine, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import Extents, ceil_div
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.engine.port import State, Tile, advance, finish
from hwsim.simulate.mapping import Machine, map_gemm
from hwsim.simulate.policies.scalesim import ORDERS, fits_whole, fold_tiles
from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Gemm

Ints = NDArray[np.int64]

#: Rounds of a loop that are walked before a pair is left to the ordinary way.
ROUNDS = 12


@dataclass(frozen=True)
class PairTimings:
    """Arrays (GEMMs, designs) of one instance with its batch.

    ``settled`` says which pairs were timed together; the others were timed one by one.
    """

    cycles: Ints
    compute_cycles: Ints
    load_bits: Ints
    store_bits: Ints
    settled: NDArray[np.bool_]


Advance = Callable[[State], tuple[State, Ints]]


def time_pairs(gemms: Sequence[Gemm], machines: Sequence[Machine]) -> PairTimings:
    """Return the timings of every GEMM on every machine.

    Raises
    ------
    UsageError
        If the machines differ in dataflow, formats or array options, or follow another policy.
    """
    first = machines[0]
    for machine in machines:
        if _kind(machine) != _kind(first) or machine.policy != "scalesim" or not machine.overlap:
            raise UsageError("time_pairs: machines of one dataflow, one set of formats, policy scalesim, split buffers")
        if machine.shape.data_cycles or machine.shape.k_limit is not None or not machine.shape.plain:
            raise UsageError("time_pairs: machines of plain folds, without scaled sums or cycles that depend on data")
    table = _Table(gemms, machines)
    found, settled = table.time()
    cycles, compute, load, store = (x.reshape(len(gemms), len(machines)) for x in found)
    result = PairTimings(cycles, compute, load, store, settled.reshape(cycles.shape))
    for g, d in np.argwhere(~result.settled):
        timing = recur(map_gemm(gemms[g], machines[d]), machines[d].dram_bits_per_cycle)
        result.cycles[g, d] = timing.cycles
    return result


def _kind(machine: Machine) -> tuple[Any, ...]:
    shape = machine.shape
    return machine.dataflow.name, machine.bits, shape.lanes, shape.pads, shape.block, shape.tables, shape.issue


class _Table:
    """All pairs as flat arrays: extents, tiles, what stays on chip."""

    def __init__(self, gemms: Sequence[Gemm], machines: Sequence[Machine]) -> None:
        def of_gemms(name: str) -> Ints:
            return np.repeat(np.array([getattr(g, name) for g in gemms], dtype=np.int64), len(machines))

        def of_machines(take: Callable[[Machine], int]) -> Ints:
            return np.tile(np.array([take(machine) for machine in machines], dtype=np.int64), len(gemms))

        self.dataflow = machines[0].dataflow
        self.bits: Any = machines[0].bits  # its sums are those of numbers and of arrays
        shape: dict[str, Any] = {
            name: of_machines(lambda machine, name=name: getattr(machine.shape, name))  # type: ignore[misc]
            for name in ("rows", "cols", "interval", "load_interval", "drain_interval", "feed_interval")
        }
        self.shape = replace(machines[0].shape, **shape)
        self.numerator = of_machines(lambda machine: machine.dram_bits_per_cycle.numerator)
        self.denominator = of_machines(lambda machine: machine.dram_bits_per_cycle.denominator)
        self.extents = {loop: of_gemms(loop) for loop in "mkn"}
        self.batch = of_gemms("batch")
        self.order = ORDERS[self.dataflow.stationary]
        self.tiles = fold_tiles(self.extents, self.dataflow, self.shape)
        self.trips = {loop: ceil_div(self.extents[loop], self.tiles[loop]) for loop in "mkn"}
        capacities = (of_machines(lambda machine: machine.capacity_a_bits), of_machines(lambda m: m.capacity_w_bits))
        self.hold_a, self.hold_w = fits_whole(self.extents, self.tiles, self.bits, *capacities)
        self.unsettled = np.zeros(len(self.batch), dtype=bool)
        self.moved = [np.zeros(len(self.batch), dtype=np.int64) for _ in range(2)]

    def time(self) -> tuple[tuple[Ints, ...], NDArray[np.bool_]]:
        """Return cycles, compute cycles, bits loaded and stored, and which pairs settled."""
        m, k, n = (Extents(self.extents[loop], self.tiles[loop], self.trips[loop]) for loop in "mkn")
        compute = self.dataflow.totals(self.shape, m, k, n).compute_cycles * self.batch
        loads, stores = (sum(self._all_bits(kind)) * self.batch for kind in ("load", "store"))
        zero = np.zeros_like(self.batch)
        steps: dict[tuple[int, int], Advance] = {}
        for outer in range(3):
            for inner in range(3):
                steps[outer, inner] = self._step(outer, inner)

        def inside(outer: int) -> Advance:
            return self._loop(self.trips[self.order[1]], [steps[outer, inner] for inner in range(3)])

        body = self._loop(self.trips[self.order[0]], [inside(outer) for outer in range(3)])
        state, cycles = self._repeat(body, self.batch, State(zero, zero, zero, zero, zero))
        return (cycles + finish(state, np.maximum), compute, loads, stores), ~self.unsettled

    def _sizes(self, outer: int, inner: int) -> tuple[dict[str, Ints], dict[str, Any], dict[str, Any]]:
        """Return the tile sizes of a kind of step, and which loops are at their first and last iteration.

        Kinds of iteration are 0 (first), 1 (in between) and 2 (last, of more than one).
        """
        sizes, first, last = dict(self.tiles), {}, {}
        for loop, kind in zip(self.order, (outer, inner, 0), strict=True):
            trips = self.trips[loop]
            edge = self.extents[loop] - (trips - 1) * self.tiles[loop]
            last[loop] = (trips == 1) if kind == 0 else np.full(trips.shape, kind == 2)
            sizes[loop] = np.where(last[loop], edge, self.tiles[loop])
            first[loop] = kind == 0
        return sizes, first, last

    def _bits_of(self, outer: int, inner: int) -> tuple[Ints, Ints]:
        """Return the bits that a kind of step loads and stores."""
        sizes, first, last = self._sizes(outer, inner)
        m, k, n = (sizes[loop] for loop in "mkn")
        load = np.where(self.hold_a & (not first["n"]), 0, self.bits.move(m * k, "a"))
        load = load + np.where(self.hold_w & (not first["m"]), 0, self.bits.move(k * n, "w"))
        return load, np.where(last["k"], self.bits.move(m * n, "o"), 0)

    def _all_bits(self, kind: str) -> list[Ints]:
        outer, inner = (self.trips[loop] for loop in self.order[:2])
        counts = [(np.ones_like(t), np.maximum(t - 2, 0), (t > 1).astype(np.int64)) for t in (outer, inner)]
        return [counts[0][o] * counts[1][i] * self._bits_of(o, i)[kind == "store"] for o in range(3) for i in range(3)]

    def _step(self, outer: int, inner: int) -> Advance:
        """Return what one kind of step does to the state."""
        sizes, first, _ = self._sizes(outer, inner)
        load, store = (ceil_div(x * self.denominator, self.numerator) for x in self._bits_of(outer, inner))
        cycles = self.dataflow.tile_cycles(self.shape, sizes["m"], sizes["k"], sizes["n"], first["k"])  # type: ignore[arg-type]
        tile = Tile(load, cycles, store, opens=first["k"], reloads=False)
        return lambda state: advance(state, tile, np.maximum)

    def _loop(self, trips: Ints, bodies: list[Advance]) -> Advance:
        """Return a loop of a first, some middle, and a last iteration."""

        def advance(state: State) -> tuple[State, Ints]:
            state, total = bodies[0](state)
            state, cycles = self._repeat(bodies[1], trips - 2, state)
            total = total + cycles
            state, cycles = self._repeat(bodies[2], (trips > 1).astype(np.int64), state)
            return state, total + cycles

        return advance

    def _repeat(self, body: Advance, count: Ints, state: State) -> tuple[State, Ints]:
        """Return the state after ``count`` rounds, jumping over those that change nothing."""
        left, total = np.maximum(count, 0), np.zeros_like(count)
        for _ in range(ROUNDS):
            active = left > 0
            if not active.any():
                break
            after, gain = body(state)
            left = left - active
            same = active.copy()
            for new, old in zip(after, state, strict=True):
                same &= new == old
            total = total + np.where(active, gain, 0) + np.where(same, left * gain, 0)
            left = np.where(same, 0, left)
            state = State(*(np.where(active, new, old) for new, old in zip(after, state, strict=True)))
        self.unsettled |= left > 0
        return state, total
