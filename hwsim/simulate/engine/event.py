"""Busy intervals on a clock of events: arrays, and the DRAM port that they may have to share.

An event is a tile's transfer or its computation, never a cycle. :func:`replay` steps through all of
them with SimPy. There a core is two processes: its port side asks for one transfer after the other in
program order, its array computes one tile after the other; each waits for what the machine model
(:mod:`hwsim.simulate.engine`) makes it wait for. The port serves who asked first, and of those who ask in
the same cycle the first core. Alone on its port a core takes the cycles of ``fast``, exactly; several
wait for each other, which no closed form here knows. Steps are read off the run-length code one by one
and forgotten two steps later, so that a schedule of any length takes little memory.

The engine itself takes the same decisions with one event per transfer and jumps over periods
(:mod:`hwsim.simulate.engine.cores`), equal to the replay to the cycle. With banks behind the port
(``dram.banks``) there is no jump: transfers take what their commands take, row misses, turnarounds and
refresh as they come, so no stretch is known to repeat, and everything is replayed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from math import ceil
from typing import Any, cast

import simpy

from hwsim.hardware.memory.dram import Channels
from hwsim.simulate.engine import ENGINES, LINKED_ENGINES, SHARED_ENGINES, Context, Linked, Shared
from hwsim.simulate.engine.cores import link, share
from hwsim.simulate.schedule import Cycles, Node, Schedule, Step, Timing
from hwsim.spec.errors import UsageError

Happening = simpy.Event
Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Banks:
    """DRAM channels behind the port, and the period of the cores' clock in ns."""

    channels: Channels
    period_ns: Fraction

    def cycles(self, now: Cycles, bits: int, write: bool) -> int:
        """Return the cycles of a transfer that begins at ``now``."""
        return ceil(self.channels.move(now * self.period_ns, bits, write) / self.period_ns - now)


class _Settled(simpy.Event):
    """Comes at the present time, after everything else that happens then."""

    def __init__(self, clock: simpy.Environment) -> None:
        super().__init__(clock)
        self._ok, self._value = True, None
        clock.schedule(self, priority=cast(simpy.events.EventPriority, simpy.events.NORMAL + 1))


class _Port:
    """One DRAM port: who asked first is served first, of those who ask in the same cycle the first core.

    A transfer of b bits holds it for ``ceil(b / bandwidth)`` cycles, or for what the banks behind it take.
    """

    def __init__(self, clock: simpy.Environment, bits_per_cycle: Fraction, banks: Banks | None) -> None:
        self._clock, self._banks = clock, banks
        self._waiting: list[tuple[Cycles, int, Happening]] = []
        self._taken = False
        self._numerator, self._denominator = bits_per_cycle.numerator, bits_per_cycle.denominator
        self.busy_cycles = 0

    def move(self, core: int, bits: int, write: bool) -> Process:
        """Hold the port for a transfer of ``core``."""
        turn = self._clock.event()
        heappush(self._waiting, (_now(self._clock), core, turn))
        self._choose()
        yield turn
        cycles = -(-bits * self._denominator // self._numerator)
        if self._banks is not None:
            cycles = self._banks.cycles(_now(self._clock), bits, write)
        yield self._clock.timeout(cycles)
        self.busy_cycles += cycles
        self._taken = False
        self._choose()

    def _choose(self) -> None:
        """Give the port away once everybody has asked who does so now."""
        _Settled(self._clock).callbacks.append(self._give)

    def _give(self, _: Happening) -> None:
        if self._waiting and not self._taken:
            self._taken = True
            heappop(self._waiting)[2].succeed()


class _Core:
    """One array with its buffers and its program."""

    def __init__(self, clock: simpy.Environment, port: _Port, schedule: Schedule, number: int) -> None:
        self._clock, self._port, self._schedule, self._number = clock, port, schedule, number
        self._ahead = 2 if schedule.overlap else 1  # a load may start when the step so many before has computed
        self._loaded: defaultdict[int, Happening] = defaultdict(clock.event)
        self._computed: defaultdict[int, Happening] = defaultdict(clock.event)
        self._stored: defaultdict[int, Happening] = defaultdict(clock.event)
        self.done_at: Cycles = 0

    def run(self) -> Process:
        """Run port side and array to their ends."""
        yield self._clock.process(self._transfers()) & self._clock.process(self._computations())
        self.done_at = _now(self._clock)

    def _steps(self) -> Iterator[Step]:
        for _ in range(self._schedule.gemm.batch):
            yield from _read(self._schedule.body)

    def _transfers(self) -> Process:
        """Move in program order: the load of step i goes before the store of step i - 2, unless it reloads sums."""
        stores: deque[tuple[int, int]] = deque()
        number = -1
        for number, step in enumerate(self._steps()):
            due = stores.popleft() if stores and stores[0][0] <= number - self._ahead else None
            if due and (step.reloads or self._ahead == 1):
                yield from self._store(*due)
                due = None
            if step.load_bits:
                yield from self._wait(self._computed, number - self._ahead)
                yield from self._port.move(self._number, step.load_bits, write=False)
                self._loaded[number].succeed()
            if due:
                yield from self._store(*due)
            stores.append((number, step.store_bits))
        for due in stores:
            yield from self._store(*due)

    def _store(self, number: int, bits: int) -> Process:
        yield from self._wait(self._computed, number)
        if bits:
            yield from self._port.move(self._number, bits, write=True)
        self._stored[number].succeed()
        self._computed.pop(number - self._ahead, None)  # both who waited for it have passed

    def _computations(self) -> Process:
        for number, step in enumerate(self._steps()):
            if step.load_bits:
                yield from self._wait(self._loaded, number)
                del self._loaded[number]
            if step.opens or self._ahead == 1:
                yield from self._wait(self._stored, number - self._ahead)
            self._stored.pop(number - self._ahead - 1, None)
            yield self._clock.timeout(cast(int, step.compute_cycles))  # any number that adds will do
            self._computed[number].succeed()

    @staticmethod
    def _wait(happenings: defaultdict[int, Happening], number: int) -> Process:
        if number >= 0 and not happenings[number].processed:
            yield happenings[number]


def _now(clock: simpy.Environment) -> Cycles:
    # SimPy's clock holds whatever its timeouts add: whole cycles, or exact fractions of expected ones.
    return cast(Cycles, clock.now)


def _read(nodes: tuple[Node, ...]) -> Iterator[Step]:
    for node in nodes:
        if isinstance(node, Step):
            yield node
        else:
            for _ in range(node.count):
                yield from _read(node.body)


def replay(
    schedules: Sequence[Schedule], dram_bits_per_cycle: Fraction, banks: Banks | None = None, head_start: int = 0
) -> Shared:
    """Step through one core per schedule, all from cycle 0 on one DRAM port, with ``banks`` behind it if any.

    With a head start the port begins so many cycles before.

    Raises
    ------
    UsageError
        If there is no schedule.
    """
    if not schedules:
        raise UsageError("event engine: no schedule to run")
    clock = simpy.Environment(initial_time=-head_start)
    port = _Port(clock, dram_bits_per_cycle, banks)
    cores = [_Core(clock, port, schedule, number) for number, schedule in enumerate(schedules)]
    clock.run(clock.all_of([clock.process(core.run()) for core in cores]))
    computed = (s.compute_cycles * s.gemm.batch for s in schedules)  # steps may also wait for a ring
    timings = tuple(Timing(core.done_at, cycles) for core, cycles in zip(cores, computed, strict=True))
    return Shared(timings, _now(clock), port.busy_cycles)


@ENGINES.register("event")
def event(schedule: Schedule, context: Context) -> Timing:
    """Time ``schedule`` event by event, alone on its port: the cycles of ``fast``, unless banks are stepped."""
    return contend([schedule], context).cores[0]


@LINKED_ENGINES.register("event")
def event_linked(schedule: Schedule, context: Context, head_start: int) -> Linked:
    """Time ``schedule`` event by event after a head start."""
    return link(schedule, context.dram_bits_per_cycle, head_start)


@SHARED_ENGINES.register("event")
def contend(schedules: Sequence[Schedule], context: Context) -> Shared:
    """Time one core per schedule on the machine of ``context``."""
    if context.channels is None:
        return share(schedules, context.dram_bits_per_cycle)
    return replay(schedules, context.dram_bits_per_cycle, Banks(context.channels, context.period_ns))
