"""The default engine: an exact max-plus recurrence over steps, with a jump over periods.

Every event time is a maximum of earlier times plus a constant, so the state that decides the
future of a pipeline is a short vector of times *relative to the last compute end*. When that
vector comes back inside a :class:`~hwsim.simulate.schedule.Repeat`, the rest of the repeats
adds the same number of cycles per period, and the engine jumps over it. The result is exact;
:func:`walk` is the slow reference that visits every step.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from hwsim.simulate.engine import ENGINES, LINKED_ENGINES, Context, Linked
from hwsim.simulate.schedule import Cycles, Node, Schedule, Step, Timing, expand


class _State(NamedTuple):
    """Times in cycles relative to the end of the last computed step (0)."""

    port_free: Cycles = 0
    previous_end: Cycles = 0  # end of the step before the last one, or when the port began, <= 0
    drained: Cycles = 0  # end of the last store that was issued
    last_store: int = 0  # port cycles that the last step's store will need
    previous_store: int = 0  # the same for the step before it


class _Machine:
    """Advances a :class:`_State` over steps and repeats, remembering what it has seen."""

    def __init__(self, bandwidth: Fraction) -> None:
        self._numerator = bandwidth.numerator
        self._denominator = bandwidth.denominator
        self._seen: dict[tuple[int, _State], tuple[_State, Cycles]] = {}

    def port_cycles(self, bits: int) -> int:
        return -(-bits * self._denominator // self._numerator)

    def step(self, state: _State, step: Step) -> tuple[_State, Cycles]:
        """Return the state after ``step`` and the cycles by which the last compute end moved."""
        port, previous_end, drained, last_store, pending = state
        port = max(port, previous_end)
        if pending and step.reloads:
            port = drained = port + pending
            pending = 0
        loaded = previous_end
        if step.load_bits:
            port = loaded = port + self.port_cycles(step.load_bits)
        if pending:
            port = drained = port + pending
        start = max(0, loaded, drained) if step.opens else max(0, loaded)
        end = start + step.compute_cycles
        store = self.port_cycles(step.store_bits)
        return _State(max(port - end, -end), -end, max(drained - end, 0), store, last_store), end

    def nodes(self, state: _State, nodes: tuple[Node, ...]) -> tuple[_State, Cycles]:
        """Return the state after all ``nodes`` and the cycles passed."""
        total: Cycles = 0
        for node in nodes:
            if isinstance(node, Step):
                state, cycles = self.step(state, node)
            else:
                state, cycles = self.repeat(state, node.body, node.count)
            total += cycles
        return state, total

    def _once(self, state: _State, body: tuple[Node, ...]) -> tuple[_State, Cycles]:
        key = (id(body), state)
        if key not in self._seen:
            self._seen[key] = self.nodes(state, body)
        return self._seen[key]

    def repeat(self, state: _State, body: tuple[Node, ...], count: int) -> tuple[_State, Cycles]:
        """Return the state after ``count`` times ``body`` and the cycles passed."""
        total: Cycles = 0
        done = 0
        visited: dict[_State, tuple[int, Cycles]] = {}
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

    def one_by_one(self, nodes: tuple[Node, ...]) -> Cycles:
        """Return the cycles of ``nodes`` when no step overlaps with another."""
        total: Cycles = 0
        for node in nodes:
            if isinstance(node, Step):
                total += self.port_cycles(node.load_bits) + node.compute_cycles + self.port_cycles(node.store_bits)
            else:
                total += node.count * self.one_by_one(node.body)
        return total

    def finish(self, state: _State) -> Cycles:
        """Return the cycles from the last compute end until its results are stored."""
        port = max(state.port_free, state.previous_end) + state.previous_store
        if state.last_store:
            port = max(port, 0) + state.last_store
        return max(port, 0)

    def idle(self, state: _State) -> Cycles:
        """Return the cycles before the last compute end in which one half of the buffers and the port are free."""
        return max(-max(state.port_free, state.previous_end) - state.previous_store, 0)


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
    machine = _Machine(dram_bits_per_cycle)
    compute = schedule.compute_cycles * schedule.gemm.batch
    if not schedule.overlap:
        return Linked(Timing(machine.one_by_one(schedule.body) * schedule.gemm.batch, compute), 0)
    begin = _State(port_free=-head_start, previous_end=-head_start)
    state, cycles = machine.repeat(begin, schedule.body, schedule.gemm.batch)
    return Linked(Timing(cycles + machine.finish(state), compute), machine.idle(state))


def time_program(body: tuple[Node, ...], batch: int, overlap: bool, dram_bits_per_cycle: Fraction) -> Cycles:
    """Return the cycles of ``batch`` times ``body``; all that the search for a mapping needs."""
    machine = _Machine(dram_bits_per_cycle)
    if not overlap:
        return machine.one_by_one(body) * batch
    state, cycles = machine.repeat(_State(), body, batch)
    return cycles + machine.finish(state)


def walk(schedule: Schedule, dram_bits_per_cycle: Fraction) -> Timing:
    """Time ``schedule`` by the same machine, one absolute time per event: the plain reference."""
    port_cycles = _Machine(dram_bits_per_cycle).port_cycles
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
