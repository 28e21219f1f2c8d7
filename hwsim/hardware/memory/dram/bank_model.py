"""Banks with open rows behind a controller, command by command: the reference of the closed form.

Every command waits for JEDEC's gaps to those before it: in its bank, bank group, rank, and on the
data bus that ranks share. The controller is FR-FCFS: of all commands that may go out, columns
before rows, the oldest request first; a row stays open until a request needs another.

Time jumps from command to command. Not modelled: power down, per-bank refresh, command parity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hwsim.hardware.memory.dram.address_map import ROW_BY_ROW, address_map
from hwsim.hardware.memory.dram.gaps import ACT, PRE, RD, WR, Gaps
from hwsim.hardware.memory.dram.preset import Organisation, Preset, Timing
from hwsim.spec.errors import UsageError

NEVER = 1 << 60


@dataclass(frozen=True)
class Controller:
    """Queues and policy of a controller.

    Attributes
    ----------
    read_depth, write_depth
        Requests that wait, per channel.
    bank_depth
        Entries of a command queue behind them, per bank; 0: commands come from the queues themselves.
    drain_from, drain_to
        Shares of the write queue at which writes take over, and give back. With command queues,
        a full write queue is moved whole, and reads and writes mix from there on.
    row_hit_cap
        Accesses to an open row after which an older request may close it; 0: no cap.
    round_robin
        Whether banks take turns, instead of columns before rows and the oldest first.
    """

    read_depth: int = 32
    write_depth: int = 32
    bank_depth: int = 0
    drain_from: float = 0.8
    drain_to: float = 0.2
    row_hit_cap: int = 0
    round_robin: bool = False


#: Defaults of Ramulator 2.1's controllers.
DIRECT = Controller()
#: DRAMsim3's controller, depths as its latencies and activations show them.
QUEUED = Controller(read_depth=32, write_depth=32, bank_depth=8, row_hit_cap=4, round_robin=True)


@dataclass(frozen=True)
class BankRun:
    """What a run did: cycles of the DRAM's clock, accesses by row-buffer outcome, commands.

    ``latency_cycles`` is the mean from a read's acceptance to the end of its data; NaN without reads.
    ``open_share`` of the time a rank has a row open.
    """

    cycles: int
    reads: int
    writes: int
    hits: int
    misses: int
    conflicts: int
    activates: int
    precharges: int
    refreshes: int
    latency_cycles: float
    bandwidth_gb_s: float
    open_share: float


class BankModel:
    """One channel. Deterministic: the same requests give the same run.

    Parameters
    ----------
    preset
        Must have timing.
    mapping
        The address map; the model runs channel 0 of it.
    refresh
        Whether ranks are refreshed every tREFI, in turn.

    Raises
    ------
    MissingFigureError
        If the preset has no timing.
    """

    def __init__(
        self, preset: Preset, mapping: str = ROW_BY_ROW, controller: Controller = DIRECT, refresh: bool = True
    ) -> None:
        self.organisation, self.timing = preset.timed
        self.map = address_map(mapping, self.organisation)
        self.controller = controller
        self.refresh = refresh

    def run(
        self,
        addresses: ArrayLike,
        writes: ArrayLike | None = None,
        arrivals: Sequence[int] | None = None,
        max_cycles: int | None = None,
    ) -> BankRun:
        """Serve requests in order of acceptance.

        Parameters
        ----------
        addresses
            Byte addresses, one burst each.
        writes
            Which of them write; none by default.
        arrivals
            Cycle at which each is offered, ascending; by default each as soon as the queues take it.
        max_cycles
            Stop here, whatever is left.

        Raises
        ------
        UsageError
            If the lengths differ or there is nothing to do.
        """
        places = self.map.places(addresses)
        count = len(places.bank)
        kinds = np.zeros(count, dtype=bool) if writes is None else np.asarray(writes, dtype=bool)
        if not count or len(kinds) != count or (arrivals is not None and len(arrivals) != count):
            raise UsageError(f"bank model: {count} addresses, {len(kinds)} writes: as many of each, and at least one")
        run = ControllerRun(self.organisation, self.timing, self.controller, self.refresh)
        run.load(places.bank.tolist(), places.row.tolist(), kinds.tolist(), arrivals)
        run.serve(NEVER if max_cycles is None else max_cycles)
        return run.result(self.organisation.burst_bytes * 1.0)


class ControllerRun:
    """One run: queues, open rows, the clock."""

    def __init__(self, o: Organisation, t: Timing, c: Controller, refresh: bool) -> None:
        self.o, self.t, self.c = o, t, c
        self.gaps = Gaps(o, t)
        banks = self.gaps.units * o.banks
        self.open = [-1] * banks
        self.row_hits = [0] * banks
        self.conflict = [False] * banks
        #: Per bank and kind: requests in order.
        self.queue: list[tuple[list[int], list[int]]] = [([], []) for _ in range(banks)]
        self.waiting: tuple[list[int], list[int]] = ([], [])
        self.inside = [0, 0]
        self.held = [0] * banks
        self.want = np.zeros(banks, dtype=np.int64)
        self.age = np.full(banks, NEVER, dtype=np.int64)
        self.head = [-1] * banks
        self.index = np.arange(banks)
        self.free = np.zeros(4, dtype=np.int64)
        self.writing = False
        self.draining = 0
        self.turn = 0
        self.now = 0
        self.fed = 0
        self.last_data = 0
        units = self.gaps.units
        step = t.refi // o.ranks
        self.due = [t.refi if o.ranks == 1 else step * (1 + u % o.ranks) for u in range(units)] if refresh else []
        self.counts = dict.fromkeys(("hits", "misses", "conflicts", "activates", "precharges", "refreshes"), 0)
        self.served = [0, 0]
        self.latency = 0
        self.rows_open = [0] * units
        self.since = [0] * units
        self.open_cycles = 0
        self.bank: list[int] = []
        self.row: list[int] = []
        self.write: list[bool] = []
        self.accepted: list[int] = []
        #: When each request is offered; empty: as soon as the queues take it.
        self.offered: list[int] = []

    def load(self, bank: list[int], row: list[int], write: list[bool], arrivals: Sequence[int] | None) -> None:
        """Take the requests."""
        self.bank, self.row, self.write = bank, row, write
        self.offered = [] if arrivals is None else list(arrivals)
        self.accepted = [0] * len(bank)

    def add(self, bank: list[int], row: list[int], write: bool, arrival: int) -> None:
        """Take more requests, all reads or all writes, that are offered at one time."""
        self.bank += bank
        self.row += row
        self.write += [write] * len(bank)
        self.accepted += [0] * len(bank)
        self.offered += [arrival] * len(bank)

    def serve(self, end: int) -> None:
        """Issue commands until nothing is left or the clock passes ``end``."""
        at, free, age = self.gaps.at, self.free, self.age
        while True:
            self._feed()
            ready = np.maximum(at[self.want, self.index], free[self.want])
            ready[age == NEVER] = NEVER
            first = int(ready.min())
            due = min(self.due) if self.due else NEVER
            waits = self._next_arrival()
            if first == NEVER and waits == NEVER:
                return
            now = max(self.now, min(first, waits))
            if due <= now:
                self._refresh(self.due.index(due), due)
                continue
            if now >= end:
                self.now = end
                return
            self.now = now
            if first <= now:
                if self.c.round_robin:
                    key = (self.index - self.turn) % len(self.index)
                else:
                    key = age + np.where(self.want < RD, 1 << 40, 0)
                key[ready > now] = NEVER
                self.turn = int(key.argmin()) + 1
                self._issue(self.turn - 1)

    def result(self, burst_bytes: float) -> BankRun:
        """Return what happened."""
        cycles = max(self.now, 1) if self.fed < len(self.bank) else max(self.last_data, 1)
        reads, writes = self.served
        rate = (reads + writes) * burst_bytes / (cycles * self.t.clock_ns)
        mean = self.latency / reads if reads else float("nan")
        still = sum(max(cycles - since, 0) for rows, since in zip(self.rows_open, self.since, strict=True) if rows)
        open_share = (self.open_cycles + still) / (cycles * len(self.since))
        return BankRun(
            cycles, reads, writes, **self.counts, latency_cycles=mean, bandwidth_gb_s=rate, open_share=open_share
        )

    def _next_arrival(self) -> int:
        if not self.offered or self.fed >= len(self.bank):
            return NEVER
        later = self.offered[self.fed]
        return later if later > self.now else NEVER

    def _feed(self) -> None:
        """Accept what the queues take, and move on what the command queues take."""
        direct = not self.c.bank_depth
        changed: set[int] = set()
        while True:
            moved = False if direct else self._dispatch(changed)
            i = self.fed
            if i < len(self.bank) and (not self.offered or self.offered[i] <= self.now):
                kind = int(self.write[i])
                depth = self.c.write_depth if kind else self.c.read_depth
                if (self.inside[kind] if direct else len(self.waiting[kind])) < depth:
                    self.accepted[i] = self.now
                    self.fed += 1
                    moved = True
                    if direct:
                        self.inside[kind] += 1
                        self.queue[self.bank[i]][kind].append(i)
                        changed.add(self.bank[i])
                    else:
                        self.waiting[kind].append(i)
            if not moved:
                break
        if direct and self._switch():
            changed = set(range(len(self.open)))
        for bank in changed:
            self._choose(bank)

    def _dispatch(self, changed: set[int]) -> bool:
        """Move one request into its command queue; a full write queue goes before reads."""
        reads, writes = self.waiting
        if not self.draining and (len(writes) >= self.c.write_depth or (not reads and self.fed >= len(self.bank))):
            self.draining = len(writes)
        source = writes if self.draining else reads
        for place, i in enumerate(source):
            bank = self.bank[i]
            if self.held[bank] < self.c.bank_depth:
                self.held[bank] += 1
                self.queue[bank][0].append(i)
                changed.add(bank)
                del source[place]
                self.draining -= bool(self.draining)
                return True
        return False

    def _switch(self) -> bool:
        """Turn from reads to writes or back, by the fill of the write queue; return whether that happened."""
        reads, writes = self.inside
        if self.writing:
            turn = bool(reads) and (not writes or writes < self.c.drain_to * self.c.write_depth)
        else:
            turn = bool(writes) and (not reads or writes > self.c.drain_from * self.c.write_depth)
        self.writing ^= turn
        return turn

    def _choose(self, bank: int) -> None:
        """Set the command that a bank waits for, and for which request."""
        queue = self.queue[bank][self.writing]
        if not queue:
            self.age[bank] = NEVER
            return
        open_row, chosen, want = self.open[bank], queue[0], ACT
        if open_row >= 0:
            want = PRE
            capped = self.c.row_hit_cap and self.row_hits[bank] >= self.c.row_hit_cap
            for i in queue[:1] if capped else queue:
                if self.row[i] == open_row:
                    chosen, want = i, WR if self.write[i] else RD
                    break
        self.head[bank], self.age[bank], self.want[bank] = chosen, chosen, want

    def _issue(self, bank: int) -> None:
        want, now, counts = int(self.want[bank]), self.now, self.counts
        if want >= RD:
            self.free[RD:] = now + 1
        else:
            self.free[:RD] = now + 1
        if not self.o.dual_command:
            self.free[:] = now + 1
        if want == ACT:
            self.gaps.activate(bank, now)
            self.open[bank], self.row_hits[bank] = self.row[self.head[bank]], 0
            self._count_open(bank // self.o.banks, 1, now)
            counts["activates"] += 1
        elif want == PRE:
            self.gaps.precharge(bank, now)
            self.open[bank], self.conflict[bank] = -1, True
            self._count_open(bank // self.o.banks, -1, now)
            counts["precharges"] += 1
        else:
            self._access(bank, now, want == WR)
        self._choose(bank)

    def _access(self, bank: int, now: int, write: bool) -> None:
        i, t = self.head[bank], self.t
        (self.gaps.write if write else self.gaps.read)(bank, now)
        outcome = "hits" if self.row_hits[bank] else "conflicts" if self.conflict[bank] else "misses"
        self.counts[outcome] += 1
        self.conflict[bank] = False
        self.row_hits[bank] += 1
        self.served[write] += 1
        done = now + (t.cwl if write else t.cl) + t.burst
        self.last_data = max(self.last_data, done)
        if not write:
            self.latency += done - self.accepted[i]
        if self.c.bank_depth:
            self.queue[bank][0].remove(i)
            self.held[bank] -= 1
        else:
            self.queue[bank][write].remove(i)
            self.inside[write] -= 1

    def _count_open(self, unit: int, more: int, now: int) -> None:
        """Take note that rows of a rank open or close."""
        before = self.rows_open[unit]
        self.rows_open[unit] = after = before + more
        if not before and after:
            self.since[unit] = now
        elif before and not after:
            self.open_cycles += now - self.since[unit]

    def _refresh(self, unit: int, due: int) -> None:
        """Close the rows of a rank and refresh it; its next refresh falls due a tREFI later."""
        at, t = self.gaps.at, self.t
        banks = range(unit * self.o.banks, (unit + 1) * self.o.banks)
        start = due
        for bank in banks:
            if self.open[bank] >= 0:
                start = max(start, int(at[PRE, bank]) + t.rp)
                self.counts["precharges"] += 1
            self.open[bank], self.conflict[bank] = -1, False
        start = max(start, int(at[ACT, banks.start : banks.stop].max()) if self.served != [0, 0] else due)
        self._count_open(unit, -self.rows_open[unit], start)
        np.maximum(at[ACT, banks.start : banks.stop], start + t.rfc, out=at[ACT, banks.start : banks.stop])
        self.counts["refreshes"] += 1
        self.due[unit] += t.refi
        for bank in banks:
            self._choose(bank)
