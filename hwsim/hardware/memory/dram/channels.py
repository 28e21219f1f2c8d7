"""DRAM channels that keep their state from transfer to transfer: open rows, turnarounds, refreshes due.

Transfers are spread evenly over the channels, burst by burst, so that one of them stands for all. Reads
walk through the lower half of the memory and writes through the upper one, each from where it left off.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from hwsim.hardware.memory.dram.address_map import INTERLEAVED, address_map
from hwsim.hardware.memory.dram.bank_model import DIRECT, NEVER, Controller, ControllerRun
from hwsim.hardware.memory.dram.preset import Preset
from hwsim.spec.errors import UsageError

#: Above this many bursts a run would take minutes; the closed form is meant for those.
BURST_LIMIT = 1_000_000


class Channels:
    """All channels of a preset, between one transfer and the next.

    Raises
    ------
    MissingFigureError
        If the preset has no timing.
    """

    def __init__(self, preset: Preset, mapping: str | None = None, controller: Controller = DIRECT) -> None:
        organisation, timing = preset.timed
        self._channels = organisation.channels
        self._one = replace(organisation, channels=1)
        self._map = address_map(mapping or INTERLEAVED, self._one)
        self._clock_ns = Fraction(str(timing.clock_ns))
        self._run = ControllerRun(self._one, timing, controller, refresh=True)
        self._bursts = 0
        half = organisation.rows * organisation.bursts_per_row * organisation.banks * organisation.ranks // 2
        self._half, self._next = half, [0, 0]

    def move(self, start_ns: Fraction, bits: int, write: bool) -> Fraction:
        """Return when a transfer of ``bits`` that is asked for at ``start_ns`` has all its data over the bus, in ns.

        Raises
        ------
        UsageError
            If the run gets longer than :data:`BURST_LIMIT`.
        """
        count = -(-bits // (8 * self._one.burst_bytes * self._channels))
        self._bursts += count
        if self._bursts > BURST_LIMIT:
            raise UsageError(
                f"dram.banks: banks are stepped command by command and take runs of up to {BURST_LIMIT:,} bursts; "
                "valid: banks: false, which takes the closed form"
            )
        at = np.arange(self._next[write], self._next[write] + count) % self._half + write * self._half
        self._next[write] = int(self._next[write] + count) % self._half
        places = self._map.places(at * self._one.burst_bytes)
        arrival = -(-start_ns // self._clock_ns)
        self._run.add(places.bank.tolist(), places.row.tolist(), write, int(arrival))
        self._run.serve(NEVER)
        return self._run.last_data * self._clock_ns
