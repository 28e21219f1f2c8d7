"""Effective bandwidth of a DRAM by access pattern, in closed form, for an FR-FCFS controller.

The cycles of one burst are the largest of what each shared thing needs for it: the data bus, the
bank groups (tCCD_L), activations (tRRD, tFAW), the row cycles of the banks in use, the command bus.
Turning the bus between reads and writes comes on top, shared out over a drain of the write queue;
refresh takes its share of the time. Random places load these things unevenly: there the largest is a
norm of order :data:`UNEVEN`, set against the bank model of this package (within a tenth).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import gcd
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.hardware.memory.dram.address_map import INTERLEAVED, AddressMap, address_map
from hwsim.hardware.memory.dram.bank_model import DIRECT, Controller
from hwsim.hardware.memory.dram.preset import Organisation, Preset, Timing
from hwsim.spec.errors import UsageError, did_you_mean

Pattern = Literal["sequential", "strided", "random", "tiles"]
PATTERNS: tuple[Pattern, ...] = ("sequential", "strided", "random", "tiles")
#: Order of the norm that stands for the largest where places are random.
UNEVEN = 8.0
#: Bursts between changes of a field that never changes.
FAR = 1 << 40
#: Fields of a map that choose a bank.
BANK_FIELDS = ("ps", "ra", "bg", "ba")


@dataclass(frozen=True)
class Access:
    """How memory is accessed.

    Attributes
    ----------
    pattern
        ``sequential``: one run through all; ``strided``: ``request_bytes`` every ``stride_bytes``
        (``tiles`` is the same, named for rows of a matrix); ``random``: ``request_bytes`` anywhere.
    request_bytes
        Bytes that lie together; of a part of a burst the rest is wasted.
    stride_bytes
        From the start of one request to the next.
    read_share
        Reads among the accesses.
    apart
        Whether reads and writes go to different rows of the same banks, as copies do: every turn of the
        bus then also changes rows.
    """

    pattern: Pattern = "sequential"
    request_bytes: int = 64
    stride_bytes: int = 0
    read_share: float = 1.0
    apart: bool = False

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise UsageError(f"dram.access: unknown {self.pattern!r}; {did_you_mean(self.pattern, PATTERNS)}")
        if self.request_bytes < 1:
            raise UsageError(f"dram.request: must be at least 1 byte, not {self.request_bytes}")
        if self.pattern in ("strided", "tiles") and self.stride_bytes < self.request_bytes:
            raise UsageError(
                f"dram.stride: {self.pattern} accesses need a stride of at least the request's {self.request_bytes} "
                f"bytes, not {self.stride_bytes}"
            )
        if not 0 <= self.read_share <= 1:
            raise UsageError(f"dram.read_share: must be between 0 and 1, not {self.read_share}")


SEQUENTIAL = Access()


class Effective(NamedTuple):
    """What a pattern gets of a DRAM; arrays where asked for arrays.

    ``efficiency`` is of the peak and counts useful bytes only; ``activates_per_burst`` and ``row_hits``
    (a share) are of all bursts, ``bursts_per_s`` of all channels, wasted ones included.
    """

    efficiency: Any
    bandwidth_gb_s: Any
    activates_per_burst: Any
    row_hits: Any
    bursts_per_s: Any
    bound: Any


class _Walk(NamedTuple):
    """How a pattern goes through one field of the map: ``values`` that it takes, ``hold`` bursts at each."""

    values: Any
    hold: Any


class _Way(NamedTuple):
    """How a pattern goes through a DRAM: cached per organisation, map, pattern and sizes.

    ``run`` bursts per activation, ``together`` bursts per request, ``useful`` share of the bytes;
    ``places`` sets of banks that a request may fall on, all alike. ``channel``, ``ranks``, ``groups`` and
    ``banks`` are the walks through pseudo-channels, through ranks of all of these, and so on; ``ra``
    that through ranks alone.
    """

    run: Any
    together: Any
    useful: Any
    places: Any
    channel: _Walk
    ranks: _Walk
    groups: _Walk
    banks: _Walk
    ra: _Walk


def peak_gb_s(preset: Preset) -> float:
    """Return the rate at which all channels' buses carry bursts without a pause, in GB/s."""
    o, t = preset.timed
    return o.channels * o.pseudo_channels * o.burst_bytes / (t.column * t.clock_ns)


def effective(
    preset: Preset,
    access: Access = SEQUENTIAL,
    mapping: str = INTERLEAVED,
    controller: Controller = DIRECT,
    refresh: bool = True,
) -> Effective:
    """Return what ``access`` gets of ``preset``.

    Parameters
    ----------
    mapping
        The address map.
    controller
        Its queue depths say how far it looks ahead and how many writes it drains at a time.
    refresh
        Whether refresh takes its share.

    Raises
    ------
    MissingFigureError
        If the preset has no timing.
    UsageError
        If the map is wrong.
    """
    o, t = preset.timed
    way = _way(o, mapping, access.pattern, access.request_bytes, access.stride_bytes)
    needs = _needs(o, t, controller, way, access.pattern == "random", access.read_share, _Scalar)
    cycles = _together(needs, _conflicts(t, controller, way, _Scalar), access.pattern == "random", _Scalar)
    if 0 < access.read_share < 1:
        cycles += _turn(o, t, controller, cycles, access.apart, _Scalar) * (1 - access.read_share)
    if refresh:
        cycles /= _available(t, controller, way, _Scalar)
    bound = max(needs, key=needs.__getitem__)
    return _result(preset, way, cycles, bound)


def effective_many(
    preset: Preset,
    pattern: Pattern,
    request_bytes: ArrayLike,
    stride_bytes: ArrayLike = 0,
    read_share: ArrayLike = 1.0,
    mapping: str = INTERLEAVED,
    controller: Controller = DIRECT,
    refresh: bool = True,
) -> Effective:
    """Return :func:`effective` over arrays of sizes and shares, broadcast together; ``bound`` is left out.

    Raises
    ------
    UsageError
        If a size or share is not valid.
    """
    o, t = preset.timed
    sizes, strides, shares = np.broadcast_arrays(
        np.asarray(request_bytes, dtype=np.int64), np.asarray(stride_bytes, dtype=np.int64), np.asarray(read_share)
    )
    _check(pattern, sizes, strides, shares)
    way = _walk(_map(o, mapping), pattern, sizes, strides, _Arrays)
    needs = _needs(o, t, controller, way, pattern == "random", shares, _Arrays)
    cycles = _together(needs, _conflicts(t, controller, way, _Arrays), pattern == "random", _Arrays)
    turns = _turn(o, t, controller, cycles, False, _Arrays) * (1 - shares)
    cycles = cycles + np.where((shares > 0) & (shares < 1), turns, 0.0)
    if refresh:
        cycles = cycles / _available(t, controller, way, _Arrays)
    return _result(preset, way, cycles, None)


def _result(preset: Preset, way: _Way, cycles: Any, bound: str | None) -> Effective:
    """Return a pattern's share of the peak from the cycles that a channel takes for a burst."""
    o, t = preset.timed
    share = t.column / o.pseudo_channels / cycles
    peak = preset.bandwidth.value if preset.bandwidth else peak_gb_s(preset)
    useful = share * way.useful
    return Effective(useful, useful * peak, 1 / way.run, 1 - 1 / way.run, share * peak * 1e9 / o.burst_bytes, bound)


def unloaded_latency_ns(preset: Preset) -> float:
    """Return the time of one random read on idle banks with another row open, in ns.

    One cycle to decide, precharge, activate, column and the whole burst: the last counts, as the data
    is there when the burst has passed.
    """
    _, t = preset.timed
    return (1 + t.rp + t.rcd_read + t.cl + t.burst) * t.clock_ns


def _check(pattern: str, sizes: NDArray[np.int64], strides: NDArray[np.int64], shares: NDArray[Any]) -> None:
    if pattern not in PATTERNS:
        raise UsageError(f"dram.access: unknown {pattern!r}; {did_you_mean(pattern, PATTERNS)}")
    if sizes.size and int(sizes.min()) < 1:
        raise UsageError(f"dram.request: must be at least 1 byte, not {sizes.min()}")
    if pattern in ("strided", "tiles") and bool((strides < sizes).any()):
        raise UsageError("dram.stride: must be at least the request's bytes")
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise UsageError("dram.read_share: must be between 0 and 1")


class _Scalar:
    """The part of numpy that the formulas use, on plain numbers."""

    maximum = staticmethod(max)
    minimum = staticmethod(min)
    gcd = staticmethod(gcd)
    most = staticmethod(max)

    @staticmethod
    def where(condition: bool, yes: Any, no: Any) -> Any:
        return yes if condition else no


class _Arrays:
    """The same on arrays."""

    maximum = np.maximum
    minimum = np.minimum
    gcd = np.gcd
    where = np.where

    @staticmethod
    def most(values: Iterable[Any]) -> Any:
        return reduce(np.maximum, values)


@lru_cache(maxsize=256)
def _map(o: Organisation, mapping: str) -> AddressMap:
    return address_map(mapping, o)


@lru_cache(maxsize=4096)
def _way(o: Organisation, mapping: str, pattern: str, request: int, stride: int) -> _Way:
    return _walk(_map(o, mapping), pattern, request, stride, _Scalar)


def _walk(m: AddressMap, pattern: str, request: Any, stride: Any, ops: Any) -> _Way:
    """Return how ``pattern`` goes through the fields of a map.

    A request of so many bursts walks the fields below its length; from request to request, a field
    takes as many values as the stride's greatest common divisor with its span leaves.
    """
    sizes, row, span = m.sizes, m.sizes["co"], m.below["co"] * m.sizes["co"]
    if pattern == "sequential":
        walks = [_Walk(sizes[name], m.below[name]) for name in BANK_FIELDS]
        return _Way(row, row, 1.0, 1, *_nested(walks, ops))
    bursts = (request + m.burst_bytes - 1) // m.burst_bytes
    step = ops.maximum(bursts, (stride + m.burst_bytes - 1) // m.burst_bytes)
    walks, own, passed, places = [], bursts, 1, 1
    for name in BANK_FIELDS:
        size, below = sizes[name], m.below[name]
        inner = ops.minimum(size, ops.maximum(1, bursts // below))
        outer = size if pattern == "random" else size * below // ops.gcd(step, size * below)
        if below < m.below["co"]:
            own, passed = own / inner, passed * ops.minimum(size // inner, outer)
        places = places * (size // inner)
        within = inner > 1
        next_request = bursts if pattern == "random" else bursts * ops.maximum(1, below // step)
        walks.append(_Walk(ops.minimum(size, inner * outer), within * below + (1 - within) * next_request))
    own = ops.maximum(own, 1)
    if pattern != "random":
        own = own * ops.maximum(1, ops.maximum(1, span // step) / passed)
    return _Way(ops.minimum(own, row), bursts, request / (bursts * m.burst_bytes), places, *_nested(walks, ops))


class _Sight(NamedTuple):
    """What the queues see of some fields together: in a share ``both`` of the time, ``wide`` places at once."""

    both: Any
    wide: Any

    def need(self, alone: Any, floor: Any, ops: Any) -> Any:
        """Return the cycles per burst where one place takes ``alone`` and all together at least ``floor``."""
        return (1 - self.both) * alone + self.both * ops.maximum(floor, alone / self.wide)


def _nested(walks: Sequence[_Walk], ops: Any) -> tuple[_Walk, _Walk, _Walk, _Walk, _Walk]:
    """Return the walks through the places of the first field, of the first two together, and so on, and of ranks."""
    found: list[_Walk] = []
    values: Any = 1
    hold: Any = FAR
    for walk in walks:
        values, hold = values * walk.values, ops.where(walk.values > 1, ops.minimum(hold, walk.hold), hold)
        found.append(_Walk(values, hold))
    channel, ranks, groups, banks = found
    return channel, ranks, groups, banks, walks[1]


def _sight(walk: _Walk, ahead: Any, uneven: bool, ops: Any) -> _Sight:
    """Return what ``ahead`` bursts show of the places of a walk.

    Near a change both sides are in sight, each served while the other is: twice ``ahead`` bursts of
    every ``hold``. Random requests meet a place again by chance.
    """
    values, seen = walk.values, ahead / walk.hold
    both = ops.minimum(1, 2 * seen)
    if uneven:
        draws = ops.maximum(seen, 1)
        both = both * (1 - 1.0 / values**draws)
        seen = values * (1 - (1 - 1 / values) ** draws)
    return _Sight(both, ops.maximum(ops.minimum(values, ops.maximum(2, seen)), 1))


def _needs(o: Organisation, t: Timing, c: Controller, way: _Way, uneven: bool, reads: Any, ops: Any) -> dict[str, Any]:
    """Return the cycles that each shared thing needs for a burst of a channel."""
    mixed = (reads > 0) * (reads < 1) * (c.drain_from + c.drain_to) / 2
    sight = c.read_depth + c.bank_depth / 2 + mixed * c.write_depth
    column, opening = t.column, t.rp + t.rcd_read
    ahead = sight if uneven else ops.maximum(1, sight - opening / max(column, t.ccd_l))
    bus = _sight(way.channel, ahead, uneven, ops).need(column, 0, ops)
    ranks = _sight(way.ranks, ahead, uneven, ops)
    needs = {"data bus": bus + t.rank_switch * (way.ra.values > 1) / ops.maximum(way.ra.hold, sight)}
    gap = reads * t.ccd_l + (1 - reads) * t.ccd_l_write if o.bank_groups > 1 else column
    needs["bank groups"] = _sight(way.groups, ahead, uneven, ops).need(gap, bus, ops)
    rrd = t.rrd_s if o.bank_groups > 1 else t.rrd_l
    needs["activations"] = ranks.need(max(t.faw / 4, rrd) / way.run, 0, ops)
    cycle = ops.maximum(t.rc, t.rcd_read + (way.run - 1) * column + t.rtp + t.rp)
    own = ops.minimum(way.run, way.together) if uneven else way.run
    banks = _sight(way.banks, sight + (0 if uneven else own), uneven, ops)
    needs["banks"] = banks.need(cycle / way.run, 0, ops)
    needs["lookahead"] = (opening / way.run + column) / sight
    needs["commands"] = ops.maximum(1, 2 / way.run) if o.dual_command else 1 + 2 / way.run
    return needs


def _together(needs: dict[str, Any], conflicts: Any, uneven: bool, ops: Any) -> Any:
    """Return the cycles that all needs together take: the largest, or where places are random a norm and more."""
    if not uneven:
        return ops.most(needs.values())
    norm = sum(needs[name] ** UNEVEN for name in ("bank groups", "activations", "banks")) ** (1 / UNEVEN)
    return ops.maximum(ops.maximum(norm, needs["data bus"]), needs["commands"]) + conflicts


def _conflicts(t: Timing, c: Controller, way: _Way, ops: Any) -> Any:
    """Return the cycles per burst that random requests lose on the banks of the one before, with another row.

    What else is in sight hides that.
    """
    others = ops.maximum(1, (c.read_depth + c.bank_depth / 2) / way.together)
    return (t.rtp + t.rp + t.rcd_read) / (way.places * way.together * others**2)


def _turn(o: Organisation, t: Timing, c: Controller, cycles: Any, apart: bool, ops: Any) -> Any:
    """Return the cycles per write that turning the bus to writes and back takes, beyond the accesses' own.

    One drain of the write queue shares them; pseudo-channels turn theirs at the same time.
    """
    to_write, to_read = t.read_to_write, t.write_to_read
    if apart:
        to_write = max(to_write, t.rtp + t.rp + t.rcd_write)
        to_read = max(to_read, t.cwl + t.burst + t.wr + t.rp + t.rcd_read)
    drained = (1.0 if c.bank_depth else c.drain_from - c.drain_to) * c.write_depth
    return ops.maximum(to_write + to_read - 2 * cycles * o.pseudo_channels, 0) / drained


def _available(t: Timing, c: Controller, way: _Way, ops: Any) -> Any:
    """Return the share of time that refresh leaves: rows are closed and opened again around it.

    Ranks in turn refresh one after another; while one does, the queues hold work for the others.
    """
    lost = t.rtp + t.rp + t.rfc + t.rcd_read
    held = c.read_depth + c.bank_depth * (way.banks.values // way.ranks.values)
    ranks = 1 + (way.ra.values - 1) * (way.ra.hold < held)
    return 1 - ops.maximum(lost - (ranks - 1) * held * t.column, 0) * ranks / t.refi
