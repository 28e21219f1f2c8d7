"""The fastest tiling, exactly: candidates in the order of a lower bound, timed until the bound reaches the best time.

The time of a candidate is that of the engine ``fast``, over the batch. The winner is the minimum over all
candidates, so that the best latency never gets worse where candidates are added and none gets slower: with
bandwidth (every time of the recurrence is a maximum of sums of transfers, which get shorter), and with the size of
buffers, where more tiles fit and more is held. **Holding costs no cycle**: activations and weights that are held
leave transfers out, in the same order. Sums that are held leave out stores and reloads, and where a reload had its
store go first, the load now comes earlier; the store behind it may come later, but only a tile that opens an output
waits for it. Where sums spill, the tile in its place waits for a store that every tile makes, and by then the port
has moved all that it has moved with held sums, and more.

The bound is the longest of three: all cycles of the array between the first load and the last store; all transfers
on the port; all loads, and behind them the last tile and its store. Loops of one trip may stand anywhere: of such
orders, which are the same program, one is looked at. Where many candidates are left, bounds are drawn closer by
rounding every transfer to whole cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.dataflow.base import Extents, Totals
from hwsim.simulate.engine.fast import time_program
from hwsim.simulate.machine import Machine
from hwsim.simulate.schedule import LOOP_ORDERS, Cycles, Tiling, tile_program
from hwsim.workload.ops import Gemm

#: Relative slack for sums of floats: a bound must not be above what it bounds.
SLACK = 1 - 2.0**-40

#: Candidates from which on closer bounds pay.
MANY = 12

#: ``_SAME[trips]`` (orders,) is true for orders that are the same program as an earlier one, where only the loops
#: whose bit (m 1, k 2, n 4) is set in ``trips`` have several trips.
_SAME = np.zeros((8, len(LOOP_ORDERS)), dtype=bool)
for _several in range(8):
    _seen: set[str] = set()
    for _at, _order in enumerate(LOOP_ORDERS):
        _program = "".join(loop for loop in _order if _several >> "mkn".index(loop) & 1)
        _SAME[_several, _at] = _program in _seen
        _seen.add(_program)


@dataclass(frozen=True)
class Candidates:
    """Tile sizes (candidates,) that fit, the array's sums for them, what is held (orders, candidates)."""

    m: Extents
    k: Extents
    n: Extents
    totals: Totals
    holds: tuple[Any, Any, Any]

    def some(self, places: NDArray[np.int64]) -> Candidates:
        """Return those at ``places`` of (orders, candidates), one after the other; what is held (places,)."""
        order, at = np.divmod(places, self.m.tile.size)

        def each(loop: Extents) -> Extents:
            return Extents(loop.extent, loop.tile[at], loop.trips[at])

        totals = Totals(*(total[at] if np.ndim(total) else total for total in self.totals))
        hold_a, hold_w, hold_o = (hold[order, at] for hold in self.holds)
        return Candidates(each(self.m), each(self.k), each(self.n), totals, (hold_a, hold_w, hold_o))

    def tiling(self, order: int, at: int) -> Tiling:
        """Return one of them."""
        hold_a, hold_w, hold_o = (bool(hold[order, at]) for hold in self.holds)
        m, k, n = (int(loop.tile[at]) for loop in (self.m, self.k, self.n))
        return Tiling(m, k, n, LOOP_ORDERS[order], hold_a, hold_w, hold_o)


#: Returns the energies of some of the candidates, by their places in (orders, candidates).
Energies = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def fastest(
    found: Candidates, batch: int, machine: Machine, shape: ArrayShape, energies: Energies
) -> tuple[int, int, Cycles]:
    """Return order and place of the candidate of fewest cycles over the batch, and these; of equals one of less energy.

    ``shape`` is the array in numbers that arrays can hold.
    """
    bound = _bound(found, batch, machine, shape).ravel()
    alike = np.flatnonzero(bound <= bound.min())
    chosen = int(alike[np.argmin(energies(alike)) if alike.size > 1 else 0])
    timer = _Timer(found, batch, machine)
    best = timer.cycles(chosen)
    left = np.flatnonzero(bound < float(best))
    left = left[left != chosen]
    bounds = bound[left]
    if left.size > MANY and machine.overlap:
        bounds = np.maximum(bounds, _closer(found, batch, machine, shape, left))
        left, bounds = left[bounds < best], bounds[bounds < best]
    for at in np.lexsort((energies(left), bounds)) if left.size > 1 else range(left.size):
        if bounds[at] >= best:
            break
        cycles = timer.cycles(int(left[at]))
        if cycles < best:
            best, chosen = cycles, int(left[at])
    order, place = divmod(chosen, found.m.tile.size)
    return order, place, best


class _Timer:
    """Times candidates by the recurrence; tiles of equal size take equal cycles of the array."""

    def __init__(self, found: Candidates, batch: int, machine: Machine) -> None:
        self._found, self._machine = found, machine
        m, k, n = (int(loop.extent) for loop in (found.m, found.k, found.n))
        self._gemm = Gemm("", m, n, k, batch=batch)
        self._tiles: dict[tuple[int, int, int, bool], Cycles] = {}

    def cycles(self, flat: int) -> Cycles:
        """Return the cycles of the candidate at a place of (orders, candidates)."""
        machine = self._machine
        tiling = self._found.tiling(*divmod(flat, self._found.m.tile.size))
        tiling = replace(tiling, resident_w=machine.resident_w, resident_a=machine.resident_a, results=machine.results)
        body = tile_program(self._gemm, tiling, machine.bits, self._tile)
        return time_program(body, self._gemm.batch, machine.overlap, machine.dram_bits_per_cycle)

    def _tile(self, m: int, k: int, n: int, first: bool) -> Cycles:
        key = m, k, n, first
        if key not in self._tiles:
            self._tiles[key] = self._machine.dataflow.tile_cycles(self._machine.shape, *key)
        return self._tiles[key]


def _up(cycles: Any) -> Any:
    """Return whole cycles, where a bound of whole ones is not whole."""
    return np.ceil(cycles * SLACK)


def _edge(loop: Extents) -> Any:
    return loop.extent - (loop.trips - 1) * loop.tile


def _bound(found: Candidates, batch: int, machine: Machine, shape: ArrayShape) -> NDArray[np.float64]:
    """Return cycles (orders, candidates) that no candidate is below; infinite where an equal program is earlier."""
    m, k, n = found.m, found.k, found.n
    hold_a, hold_w, hold_o = found.holds
    b, rate = machine.bits, float(machine.dram_bits_per_cycle) * machine.bits.denominator
    w, a = 0.0 if machine.resident_w else float(b.w), 0.0 if machine.resident_a else float(b.a)
    o = 0.0 if machine.results == "kept" else float(b.o)
    spills = np.where(hold_o, 0.0, float(m.extent * n.extent * b.psum) * (k.trips - 1))
    loads = np.where(hold_w, 1.0, m.trips) * (k.extent * n.extent * w)
    loads = loads + np.where(hold_a, 1.0, n.trips) * (m.extent * k.extent * a) + spills
    stores = spills + m.extent * n.extent * o
    first = _up(m.tile * k.tile * (a / rate) + k.tile * n.tile * (w / rate))
    last = _up(_edge(m) * _edge(n) * (o / rate))
    compute = found.totals.compute_cycles * float(batch)
    if not machine.overlap:
        bound = compute * SLACK + (loads + stores) * (batch * SLACK / rate)
    else:
        behind = _last_tile(found, machine, shape) + last
        bound = np.maximum(compute + (first + last), _up((loads + stores) * (batch / rate)))
        bound = np.maximum(bound, _up(loads * (batch / rate)) + behind) * SLACK
    bound = _whole(bound, machine)
    several = (m.trips > 1) + 2 * (k.trips > 1) + 4 * (n.trips > 1)
    result: NDArray[np.float64] = np.where(_SAME[several].T, np.inf, bound)
    return result


def _last_tile(found: Candidates, machine: Machine, shape: ArrayShape) -> Any:
    """Return the cycles of the array for the last tile, continuing sums or not."""
    m, k, n = (_edge(loop) for loop in (found.m, found.k, found.n))
    cycles: Callable[..., Any] = machine.dataflow.tile_cycles
    return np.minimum(cycles(shape, m, k, n, True), cycles(shape, m, k, n, False))


def _whole(bound: Any, machine: Machine) -> Any:
    """Return ``bound`` in whole cycles, where all cycles are: not where they are expected ones of data."""
    return np.ceil(bound) if isinstance(machine.shape.interval, int) else bound - 1


def _closer(found: Candidates, batch: int, machine: Machine, shape: ArrayShape, left: Any) -> NDArray[np.float64]:
    """Return bounds on the candidates ``left`` with every transfer in whole cycles."""
    some = found.some(left)
    loops = [Extents(loop.extent, loop.tile.astype(float), loop.trips) for loop in (some.m, some.k, some.n)]
    hold_a, hold_w, hold_o = some.holds
    b, rate = machine.bits, float(machine.dram_bits_per_cycle) * machine.bits.denominator
    w, a = 0.0 if machine.resident_w else b.w / rate, 0.0 if machine.resident_a else b.a / rate
    o, psum = 0.0 if machine.results == "kept" else b.o / rate, b.psum / rate
    loads: Any = np.zeros(left.shape)
    stores: Any = np.zeros(left.shape)
    kinds = [_kinds(loop) for loop in loops]
    for (ms, m, first_m, _), (ks, k, first_k, last_k), (ns, n, first_n, _) in product(*kinds):
        times = ms * ks * ns
        load = m * k * (a if first_n else np.where(hold_a, 0.0, a))
        load = load + k * n * (w if first_m else np.where(hold_w, 0.0, w))
        out = m * n
        load = load if first_k else load + np.where(hold_o, 0.0, out * psum)
        loads = loads + times * _up(load)
        stores = stores + times * _up(np.where(last_k, out * o, np.where(hold_o, 0.0, out * psum)))
    behind = _last_tile(some, machine, shape) + _up(_edge(some.m) * _edge(some.n) * o)
    result = np.maximum(batch * (loads + stores), batch * loads + behind) * SLACK
    return _whole(result, machine)  # type: ignore[no-any-return]


def _kinds(loop: Extents) -> list[tuple[Any, Any, bool, Any]]:
    """Return the kinds of iteration of a loop: how many, of what size, whether the first, whether the last (array)."""
    one, edge = loop.trips == 1, _edge(loop)
    return [
        (1.0, np.where(one, edge, loop.tile), True, one),
        (np.maximum(loop.trips - 2, 0), loop.tile, False, False),
        ((loop.trips > 1) * 1.0, edge, False, True),
    ]
