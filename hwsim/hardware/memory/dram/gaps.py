"""The gaps between DRAM commands: in a bank, bank group and rank, and on the data bus that ranks share.

A command raises the earliest cycle of those that must wait for it (JEDEC's timing, as ``preset.Timing`` has it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.dram.preset import Organisation, Timing

ACT, PRE, RD, WR = range(4)


class Gaps:
    """The earliest cycle of every command in every bank, as ``at[command, bank]``."""

    def __init__(self, o: Organisation, t: Timing) -> None:
        self.o, self.t = o, t
        self.shared_bus = o.ranks > 1 and o.pseudo_channels == 1
        self.units = o.ranks * o.pseudo_channels
        self.at: NDArray[np.int64] = np.zeros((4, self.units * o.banks), dtype=np.int64)
        self.window = [[-(1 << 40)] * 4 for _ in range(self.units)]
        self.other_write = max(t.cwl + t.burst + t.rank_switch - t.cl, t.burst)

    def activate(self, bank: int, now: int) -> None:
        """Take note of an activation."""
        t, at, group, rank = self.t, self.at, *self._slices(bank)
        window = self.window[bank // self.o.banks]
        window.append(now)
        window.pop(0)
        _raise(at[ACT, rank], max(now + t.rrd_s, window[0] + t.faw))
        _raise(at[ACT, group], now + t.rrd_l)
        at[ACT, bank] = max(at[ACT, bank], now + t.rc)
        at[RD, bank] = max(at[RD, bank], now + t.rcd_read)
        at[WR, bank] = max(at[WR, bank], now + t.rcd_write)
        at[PRE, bank] = now + t.ras

    def precharge(self, bank: int, now: int) -> None:
        """Take note of a precharge."""
        self.at[ACT, bank] = max(self.at[ACT, bank], now + self.t.rp)

    def read(self, bank: int, now: int) -> None:
        """Take note of a read."""
        t, at, group, rank = self.t, self.at, *self._slices(bank)
        if self.shared_bus:
            _raise(at[RD], now + t.burst + t.rank_switch, but=rank)
            _raise(at[WR], now + t.read_to_write)
        else:
            _raise(at[WR, rank], now + t.read_to_write)
        _raise(at[RD, rank], now + t.column)
        if t.ccd_l > t.column:
            _raise(at[RD, group], now + t.ccd_l)
        at[PRE, bank] = max(at[PRE, bank], now + t.rtp)

    def write(self, bank: int, now: int) -> None:
        """Take note of a write."""
        t, at, group, rank = self.t, self.at, *self._slices(bank)
        if self.shared_bus:
            _raise(at[RD], now + self.other_write, but=rank)
            _raise(at[WR], now + t.burst)
        _raise(at[WR, rank], now + t.column)
        _raise(at[RD, rank], now + t.write_to_read)
        if t.ccd_l_write > t.column:
            _raise(at[WR, group], now + t.ccd_l_write)
        if t.wtr_l > t.wtr_s:
            _raise(at[RD, group], now + t.cwl + t.burst + t.wtr_l)
        at[PRE, bank] = max(at[PRE, bank], now + t.cwl + t.burst + t.wr)

    def _slices(self, bank: int) -> tuple[slice, slice]:
        size, banks = self.o.banks_per_group, self.o.banks
        return slice(bank - bank % size, bank - bank % size + size), slice(
            bank - bank % banks, bank - bank % banks + banks
        )


def _raise(row: NDArray[np.int64], least: int, but: slice | None = None) -> None:
    if but is None:
        np.maximum(row, least, out=row)
    else:
        np.maximum(row[: but.start], least, out=row[: but.start])
        np.maximum(row[but.stop :], least, out=row[but.stop :])
