"""Cores on one DRAM port: one event per transfer, with a jump over periods of all cores together.

A core's next request is known as soon as its last transfer has ended: everything in between (tiles
that compute, halves of buffers that become free) is maxima and sums of times that are known by then.
So the only events are transfers, and the port takes the waiting core that asked first; cores that
ask in the same cycle are served in their order.

**The jump.** What follows depends on where each core is in its run-length-coded program and on its
times relative to the port's. Whenever the first running core begins another iteration of a loop, this
state is compared with earlier ones. If it is the same but for iterations left, each core's in one loop
at most, then the stretch in between repeats for as long as no core leaves its loop, by the same number
of cycles each time: iterations are taken off, cycles are added, and nothing else changes. The result is
exact; :func:`hwsim.simulate.engine.event.replay` is the slow reference that steps through everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from hwsim.simulate.engine import SHARED_ENGINES, Context, Linked, Shared
from hwsim.simulate.engine.port import Loop, Tile, loop, program
from hwsim.simulate.schedule import Cycles, Schedule, Timing
from hwsim.spec.errors import UsageError

#: States that are remembered; beyond it the memory starts anew, and longer periods are walked.
MOST_STATES = 4096


#: What stands in for tiles after the last one: it lets the stores that are due go.
_NOTHING = Tile(0, 0, 0, False, False)


class _Frame:
    """A loop that a core is in: the node of its body that comes next, and the iterations after this one."""

    __slots__ = ("at", "left", "loop")

    def __init__(self, loop: Loop) -> None:
        self.loop, self.at, self.left = loop, 0, loop.times - 1


class _Core:
    """One array with its buffers and its program, all times absolute.

    ``asks_at`` is when the transfer of ``moving`` port cycles is asked for (``loading``: a load), ``then``
    are those of the tile's other transfer. ``floor`` is the earliest start of the tile as far as known,
    ``end`` that of the last computed one. The next transfers wait for ``gate``; the first of them may be
    the store ``due``, the one after it ``later``.
    """

    def __init__(self, schedule: Schedule, bandwidth: Fraction, head_start: int = 0) -> None:
        self._overlap = schedule.overlap
        self._stack = [_Frame(loop(schedule.gemm.batch, program(schedule.body, bandwidth)))]
        self._after = 2 if schedule.overlap else 1  # stand-ins for tiles after the last one
        self._tile = _NOTHING
        self._ready: Cycles = -head_start
        self._gate: Cycles = -head_start
        self._end: Cycles = 0
        self._drained: Cycles = 0
        self._floor: Cycles = 0
        self._due = self._later = 0
        self.asks_at: Cycles = 0
        self.moving = self._then = 0
        self._loading = False
        self.idle: Cycles = 0  # see Linked
        self.done = False
        self.turned = False  # whether a loop has begun another iteration since this was last cleared
        self._ask()

    @property
    def done_at(self) -> Cycles:
        """When the last result is stored, once it is."""
        return max(self._ready, self._end)

    def served(self, now: Cycles) -> None:
        """Go on after the transfer that ended at ``now``, to the next request or the end."""
        self._ready = now
        if not self._loading:
            self._drained = now
        if self._loading or self._tile.opens or not self._overlap:
            self._floor = max(self._floor, now)
        if self._then:
            self.asks_at, self.moving, self._then = now, self._then, 0
            self._loading = not self._loading
            return
        self._compute()
        self._ask()

    def _compute(self) -> None:
        tile = self._tile
        before, self._end = self._end, self._floor + tile.compute
        if self._overlap:
            self._gate, self._due, self._later = before, self._later, tile.store
        else:
            self._gate, self._due = self._end, tile.store

    def _ask(self) -> None:
        """Read and compute tiles up to the next transfer: load before store, unless the load brings sums back."""
        while True:
            tile = self._next()
            if tile is None:
                self.done = True
                return
            self._tile = tile
            self._floor = max(self._end, self._drained) if tile.opens or not self._overlap else self._end
            if tile.load or self._due:
                break
            self._compute()
        load_first = not tile.reloads and self._overlap
        self._loading = bool(tile.load) and (load_first or not self._due)
        self.moving, self._then = (tile.load, self._due) if self._loading else (self._due, tile.load)
        self.asks_at = max(self._ready, self._gate)

    def _next(self) -> Tile | None:
        stack = self._stack
        while stack:
            frame = stack[-1]
            if frame.at < len(frame.loop.body):
                node = frame.loop.body[frame.at]
                frame.at += 1
                if isinstance(node, Tile):
                    return node
                stack.append(_Frame(node))
            elif frame.left:
                self.turned = True
                self._skip(frame)
                frame.at, frame.left = 0, frame.left - 1
            else:
                stack.pop()
                if not stack and self._overlap:
                    self.idle = max(self._end - max(self._ready, self._gate) - self._due, 0)
        self._after -= 1
        return _NOTHING if self._after >= 0 else None

    def _skip(self, frame: _Frame) -> None:
        """Compute all but the last iteration at once where nothing moves and nothing is waited for."""
        if frame.loop.silent is not None and not self._due and not self._later and self._drained <= self._end:
            self._end += (frame.left - 1) * frame.loop.silent
            frame.left = 1

    def state(self, now: Cycles) -> tuple[Any, ...]:
        """Return all that decides what this core does from ``now`` on, but for iterations left."""
        end = self._end
        return (
            tuple([frame.at for frame in self._stack]),
            (self._after, self._loading, self.moving, self._then, self._due, self._later),
            (self.asks_at - now, end - now, self._floor - now, max(self._drained, end) - now),
        )

    def left(self) -> list[int]:
        """Return the iterations left of every loop that the core is in."""
        return [frame.left for frame in self._stack]

    def take_off(self, iterations: list[int]) -> None:
        """Leave out ``iterations`` of every loop that the core is in."""
        for frame, count in zip(self._stack, iterations, strict=True):
            frame.left -= count


class _Seen(NamedTuple):
    """When a state was seen: cycles, port cycles, iterations left of every core's loops."""

    cycles: Cycles
    port: Cycles
    left: list[list[int]]


class _Periods:
    """Remembers states of all cores and finds how often the stretch since an equal one can be repeated."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, ...], _Seen] = {}

    def look(self, cores: list[_Core], now: Cycles, skipped: Cycles, port: Cycles) -> tuple[Cycles, Cycles]:
        """Take off what can be repeated and return the cycles and the port cycles of it."""
        key = tuple([core.state(now) for core in cores])
        left = [core.left() for core in cores]
        before = self._seen.get(key)
        gain: Cycles = 0
        busy: Cycles = 0
        if before is not None:
            fewer = [[b - a for b, a in zip(*pair, strict=True)] for pair in zip(before.left, left, strict=True)]
            times = _times(fewer, left)
            if times:
                gain, busy = times * (now + skipped - before.cycles), times * (port - before.port)
                for core, less in zip(cores, fewer, strict=True):
                    core.take_off([times * count for count in less])
                left = [core.left() for core in cores]
        if len(self._seen) >= MOST_STATES:
            self._seen.clear()
        self._seen[key] = _Seen(now + skipped + gain, port + busy, left)
        return gain, busy


def _times(fewer: list[list[int]], left: list[list[int]]) -> int:
    """Return how often iterations can go by ``fewer`` again: 0 unless each core is in the same pass of all but one."""
    most: list[int] = []
    for gone, there in zip(fewer, left, strict=True):
        moved = [(count, rest) for count, rest in zip(gone, there, strict=True) if count]
        if len(moved) > 1 or any(count < 0 for count, _ in moved):
            return 0
        most += [rest // count for count, rest in moved]
    return min(most, default=0)


def share(schedules: Sequence[Schedule], dram_bits_per_cycle: Fraction) -> Shared:
    """Run one core per schedule, all from cycle 0 on one DRAM port of ``dram_bits_per_cycle``.

    Raises
    ------
    UsageError
        If there is no schedule.
    """
    if not schedules:
        raise UsageError("engine: no schedule to run")
    return _run([_Core(schedule, dram_bits_per_cycle) for schedule in schedules], schedules)


def link(schedule: Schedule, dram_bits_per_cycle: Fraction, head_start: int) -> Linked:
    """Run one core whose first load is asked for ``head_start`` cycles before cycle 0."""
    core = _Core(schedule, dram_bits_per_cycle, head_start)
    return Linked(_run([core], [schedule]).cores[0], core.idle)


def _run(cores: list[_Core], schedules: Sequence[Schedule]) -> Shared:
    done_at: list[Cycles] = [core.done_at for core in cores]  # of those that move nothing
    running = [core for core in cores if not core.done]
    waiting = [(core.asks_at, number) for number, core in enumerate(cores) if not core.done]
    heapify(waiting)
    periods = _Periods()
    now: Cycles = waiting[0][0] if waiting else 0
    skipped: Cycles = 0
    port: Cycles = 0
    while waiting:
        asked_at, number = heappop(waiting)
        core = cores[number]
        now = max(now, asked_at) + core.moving
        port += core.moving
        core.served(now)
        if core.done:
            done_at[number] = core.done_at + skipped
            running.remove(core)
            continue
        heappush(waiting, (core.asks_at, number))
        if core.turned and core is running[0]:
            core.turned = False
            gain, busy = periods.look(running, now, skipped, port)
            skipped, port = skipped + gain, port + busy
    timings = [Timing(at, s.compute_cycles * s.gemm.batch) for at, s in zip(done_at, schedules, strict=True)]
    return Shared(tuple(timings), max(done_at), port)


@SHARED_ENGINES.register("fast")
def fast_cores(schedules: Sequence[Schedule], context: Context) -> Shared:
    """Time one core per schedule; exact, with the jump."""
    return share(schedules, context.dram_bits_per_cycle)
