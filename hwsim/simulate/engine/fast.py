"""The default engine: an exact max-plus recurrence over steps, with a jump over periods.

Every event time is a maximum of earlier times plus a constant, so the state that decides the
future of a pipeline is a short vector of times *relative to the last compute end*. When that
vector comes back inside a :class:`~hwsim.simulate.schedule.Repeat`, the rest of the repeats
adds the same number of cycles per period, and the engine jumps over it. The result is exact;
:func:`walk` is the slow reference that visits every step.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from hwsim.simulate.engine import ENGINES, LINKED_ENGINES, Context, Linked
from hwsim.simulate.engine.port import Program, State, Tile, advance, finish, idle, one_by_one, program
from hwsim.simulate.schedule import Cycles, Node, Schedule, Timing, expand


class _Runner:
    """Advances a :class:`State` over tiles and loops, remembering what it has seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, State], tuple[State, Cycles]] = {}

    def nodes(self, state: State, nodes: Program) -> tuple[State, Cycles]:
        """Return the state after all ``nodes`` and the cycles passed."""
        total: Cycles = 0
        for node in nodes:
            if isinstance(node, Tile):
                state, cycles = advance(state, node)
            else:
                state, cycles = self.repeat(state, node.body, node.times)
            total += cycles
        return state, total

    def _once(self, state: State, body: Program) -> tuple[State, Cycles]:
        key = (id(body), state)
        if key not in self._seen:
            self._seen[key] = self.nodes(state, body)
        return self._seen[key]

    def repeat(self, state: State, body: Program, count: int) -> tuple[State, Cycles]:
        """Return the state after ``count`` times ``body`` and the cycles passed."""
        total: Cycles = 0
        done = 0
        visited: dict[State, tuple[int, Cycles]] = {}
        while done < count:
            if state in visited:
                done_then, total_then = visited[state]
                period, gain = done - done_then, total - total_then
                jumps = (count - done) // period
                total += jumps * gain
                done += jumps * period
                visited.clear()
                if done == count:
                    break
            visited[state] = (done, total)
            state, cycles = self._once(state, body)
            total += cycles
            done += 1
        return state, total


@ENGINES.register("fast")
def fast(schedule: Schedule, context: Context) -> Timing:
    """Time ``schedule`` by the recurrence; exact, at a cost independent of the number of steps."""
    return recur(schedule, context.dram_bits_per_cycle)


@LINKED_ENGINES.register("fast")
def fast_linked(schedule: Schedule, context: Context, head_start: int) -> Linked:
    """Time ``schedule`` after a head start."""
    return recur_linked(schedule, context.dram_bits_per_cycle, head_start)


def recur(schedule: Schedule, dram_bits_per_cycle: Fraction) -> Timing:
    """Time ``schedule`` on a DRAM port of ``dram_bits_per_cycle``."""
    return recur_linked(schedule, dram_bits_per_cycle).timing


def recur_linked(schedule: Schedule, dram_bits_per_cycle: Fraction, head_start: int = 0) -> Linked:
    """Time ``schedule`` as if the port had begun with its first load ``head_start`` cycles before."""
    batch = schedule.gemm.batch
    cycles, idle_cycles = _run(schedule.body, batch, schedule.overlap, dram_bits_per_cycle, head_start)
    return Linked(Timing(cycles, schedule.compute_cycles * batch), idle_cycles)


def time_program(body: tuple[Node, ...], batch: int, overlap: bool, dram_bits_per_cycle: Fraction) -> Cycles:
    """Return the cycles of ``batch`` times ``body``; all that the search for a mapping needs."""
    return _run(body, batch, overlap, dram_bits_per_cycle, 0)[0]


def _run(
    body: tuple[Node, ...], batch: int, overlap: bool, dram_bits_per_cycle: Fraction, head_start: int
) -> tuple[Cycles, Cycles]:
    """Return the cycles, and those that are idle before the end (see :class:`Linked`)."""
    tiles = program(body, dram_bits_per_cycle)
    if not overlap:
        return one_by_one(tiles) * batch, 0
    begin = State(port_free=-head_start, previous_end=-head_start)
    state, cycles = _Runner().repeat(begin, tiles, batch)
    return cycles + finish(state), idle(state)


def walk(schedule: Schedule, dram_bits_per_cycle: Fraction) -> Timing:
    """Time ``schedule`` by the same machine, one absolute time per event: the plain reference."""

    def port_cycles(bits: int) -> int:
        return ceil(bits / dram_bits_per_cycle)

    steps = expand(schedule.body) * schedule.gemm.batch
    if not schedule.overlap:
        alone = sum(port_cycles(s.load_bits) + s.compute_cycles + port_cycles(s.store_bits) for s in steps)
        return Timing(alone, schedule.compute_cycles * schedule.gemm.batch)
    computed: list[Cycles] = []
    port: Cycles = 0
    drained: Cycles = 0
    pending: list[int] = []

    def ended(index: int) -> Cycles:
        return computed[index] if index >= 0 else 0

    for i, step in enumerate(steps):
        if step.reloads and pending and pending[0] <= i - 2:
            j = pending.pop(0)
            port = drained = max(port, ended(j)) + port_cycles(steps[j].store_bits)
        loaded: Cycles = 0
        if step.load_bits:
            port = loaded = max(port, ended(i - 2)) + port_cycles(step.load_bits)
        if pending and pending[0] <= i - 2:
            j = pending.pop(0)
            port = drained = max(port, ended(j)) + port_cycles(steps[j].store_bits)
        start = max(ended(i - 1), loaded, drained if step.opens else 0)
        computed.append(start + step.compute_cycles)
        if step.store_bits:
            pending.append(i)
    for j in pending:
        port = max(port, ended(j)) + port_cycles(steps[j].store_bits)
    return Timing(max(port, ended(len(steps) - 1)), schedule.compute_cycles * schedule.gemm.batch)
