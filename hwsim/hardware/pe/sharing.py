"""One bill of parts for several datapaths of which one works at a time.

Parts of the same group and kind are built once, as wide as the widest needs them, with a row of
two-way multiplexers for every further datapath in front of each input bit that both drive. Two parts
are shared only where that takes less area than building both (by the cell areas of
:data:`REFERENCE`, whose ratios nearly every library shares). What is not shared is added.

Where multiplexers are not needed:

* In front of operand registers: all formats arrive on the same wires.
* Behind the product, between datapaths whose parts there have the same roles: what enters the first
  of these parts is selected, the others are fed by one another.

Everywhere else every input of a shared part has them, an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil
from typing import Any

from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    Circuit,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    OrTree,
    Part,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.technology import load_technology

#: Technology whose cell areas decide what is worth sharing.
REFERENCE = "7nm"
#: Groups of parts behind the product.
TAIL = ("alignment", "accumulator", "normalisation")

#: Input bits of each kind of circuit that can be shared.
INPUTS: dict[type[Circuit], Callable[[Any], int]] = {
    Multiplier: lambda c: c.a_bits + c.b_bits,
    Adder: lambda c: 2 * c.bits,
    Subtractor: lambda c: 2 * c.bits,
    AdderTree: lambda c: c.inputs * c.bits,
    Register: lambda c: c.bits,
    Shifter: lambda c: c.bits + log2_ceil(max(c.positions, 2)),
    Incrementer: lambda c: c.bits + 1,
    Comparator: lambda c: 2 * c.bits,
    LeadingZeroCounter: lambda c: c.bits,
    Mux: lambda c: c.bits * c.ways + log2_ceil(c.ways),
    OrTree: lambda c: c.bits,
    XorRow: lambda c: 2 * c.bits,
    AndRow: lambda c: 2 * c.bits,
}


def merged(one: Circuit, other: Circuit) -> Circuit | None:
    """Return the smallest circuit that does the work of either, None where there is none of their kind.

    A subtractor adds as well.
    """
    if {type(one), type(other)} == {Adder, Subtractor}:
        return Subtractor(max(INPUTS[type(c)](c) // 2 for c in (one, other)))
    if type(one) is not type(other) or type(one) not in INPUTS:
        return None
    if isinstance(one, Multiplier) and isinstance(other, Multiplier):
        long, short = (max(f(c.a_bits, c.b_bits) for c in (one, other)) for f in (max, min))
        return Multiplier(long, short, one.signed or other.signed)
    return type(one)(**{name: max(width, vars(other)[name]) for name, width in vars(one).items()})


@dataclass(frozen=True)
class Use:
    """How one datapath uses a slot: with the ``circuit`` that it needs itself.

    ``series`` of the copies lie on the path, 0 for none.
    """

    mode: int
    role: str
    circuit: Circuit
    activity: float
    series: int


@dataclass(frozen=True)
class Slot:
    """``count`` copies of a circuit, all of them used by the same datapaths.

    ``ways`` sources are selected from, by ``select_bits`` two-way multiplexers per copy.
    """

    group: str
    circuit: Circuit
    count: float
    uses: tuple[Use, ...]
    select_bits: int = 0
    ways: int = 1

    def use(self, mode: int) -> Use | None:
        """Return how datapath number ``mode`` uses it, None where it idles."""
        return next((use for use in self.uses if use.mode == mode), None)

    @property
    def role(self) -> str:
        """Return the roles that it has, each once."""
        return " / ".join(dict.fromkeys(use.role for use in self.uses))

    @property
    def select_levels(self) -> float:
        """Return the depth of its multiplexers."""
        return Mux(1, 2).levels() * log2_ceil(self.ways)

    def split(self, count: float) -> tuple[Slot, Slot]:
        """Return ``count`` of its copies and the others; of those on the path, in proportion."""
        series = [min(use.series, ceil(use.series * count / self.count)) for use in self.uses]
        first = tuple(replace(use, series=n) for use, n in zip(self.uses, series, strict=True))
        rest = tuple(replace(use, series=use.series - n) for use, n in zip(self.uses, series, strict=True))
        return replace(self, count=count, uses=first), replace(self, count=self.count - count, uses=rest)


def slot_of(part: Part, mode: int) -> Slot:
    """Return ``part`` as a slot of its own."""
    series = part.in_series if part.on_path else 0
    return Slot(part.group, part.circuit, part.count, (Use(mode, part.role, part.circuit, part.activity, series),))


@lru_cache(maxsize=256)
def shared_slots(bills: tuple[tuple[Part, ...], ...]) -> tuple[Slot, ...]:
    """Return the slots of several bills of parts, each bill joined to the ones before it."""
    slots: list[Slot] = []
    for mode, bill in enumerate(bills):
        alike = frozenset(i for i in range(mode) if _tail(bills[i]) == _tail(bill))
        slots = _Joining(slots, bill, mode, alike).slots()
    return tuple(slots)


def _tail(bill: Iterable[Part]) -> tuple[str, ...]:
    return tuple(part.role for part in bill if part.group in TAIL)


@dataclass
class _Joining:
    """One bill on its way into the slots of the bills before it; ``alike`` are those with the same tail."""

    open: list[Slot]
    bill: Sequence[Part]
    mode: int
    alike: frozenset[int]
    taken: list[Slot] = field(default_factory=list)

    def slots(self) -> list[Slot]:
        """Return all slots: those of equal roles are sought first, then any of the same group and kind."""
        waiting = [slot_of(part, self.mode) for part in self.bill]
        for same_role in (True, False):
            left = []
            for wanted in waiting:
                left += self._place(wanted, same_role)
            waiting = left
        return [*self.taken, *self.open, *waiting]

    def _place(self, wanted: Slot, same_role: bool) -> list[Slot]:
        """Join copies of ``wanted`` to open slots while that saves area; return what is left."""
        rest: Slot | None = wanted
        while rest is not None:
            found = self._best(rest, same_role)
            if found is None:
                return [rest]
            self.open.remove(found)
            joined, part, rest = found, rest, None
            if found.count > part.count:
                joined, over = found.split(part.count)
                self.open.append(over)
            elif part.count > found.count:
                part, rest = part.split(found.count)
            self.taken.append(self._join(joined, part))
        return []

    def _best(self, wanted: Slot, same_role: bool) -> Slot | None:
        candidates = [
            (self._saving(slot, wanted), -i, slot)
            for i, slot in enumerate(self.open)
            if slot.group == wanted.group and (not same_role or wanted.role in [use.role for use in slot.uses])
        ]
        saving, _, slot = max(candidates, key=lambda c: c[:2], default=(0.0, 0, None))
        return slot if saving > 0 else None

    def _saving(self, slot: Slot, wanted: Slot) -> float:
        both = merged(slot.circuit, wanted.circuit)
        if both is None:
            return 0.0
        bits = self._select(slot, wanted)
        return _area(slot.circuit) + _area(wanted.circuit) - _area(both) - (_area(Mux(bits, 2)) if bits else 0.0)

    def _select(self, slot: Slot, wanted: Slot) -> int:
        """Return the multiplexers that joining ``wanted`` puts in front of each copy of ``slot``."""
        role, fed = wanted.role, wanted.group in TAIL or (wanted.group, wanted.role) == ("register", "accumulator")
        if (wanted.group, role) == ("register", "operands"):
            return 0
        if fed and role != _entrance(self.bill) and any(use.mode in self.alike for use in slot.uses):
            return 0
        return min(INPUTS[type(c)](c) for c in (slot.circuit, wanted.circuit))

    def _join(self, slot: Slot, wanted: Slot) -> Slot:
        both, bits = merged(slot.circuit, wanted.circuit), self._select(slot, wanted)
        assert both is not None
        return replace(
            slot,
            circuit=both,
            uses=(*slot.uses, *wanted.uses),
            select_bits=slot.select_bits + bits,
            ways=slot.ways + (bits > 0),
        )


def _entrance(bill: Iterable[Part]) -> str:
    """Return the role of the first part behind the product."""
    return next((part.role for part in bill if part.group in TAIL), "")


@lru_cache(maxsize=4096)
def _area(circuit: Circuit) -> float:
    return load_technology(REFERENCE).price(circuit).area_um2


def slowest(slots: Sequence[Slot], modes: int) -> int:
    """Return the datapath with the longest path through shared parts and their multiplexers, in levels."""
    levels = [
        sum((s.circuit.levels() + s.select_levels) * use.series for s in slots if (use := s.use(mode)) is not None)
        for mode in range(modes)
    ]
    return levels.index(max(levels))


def working_parts(slots: Sequence[Slot], mode: int, on_path: int, idle_share: float) -> tuple[Part, ...]:
    """Return the parts while datapath ``mode`` works; the path is that of datapath ``on_path``.

    What idles has ``idle_share`` of the activity and of the clock that it has at work: parts that the
    datapath does not use, and of wider parts what is beyond its own circuit (by area).
    """
    found = []
    for slot in slots:
        use, path = slot.use(mode), slot.use(on_path)
        most = max(one.activity for one in slot.uses)
        series = path.series if path is not None else 0
        if slot.select_bits:
            driven = 0.0 if use is None else min(1.0, INPUTS[type(use.circuit)](use.circuit) / slot.select_bits)
            depth = series * log2_ceil(slot.ways)
            activity = (most if use is None else use.activity) * _busy(driven, idle_share)
            found.append(
                Part(
                    f"select {slot.role}", "control", Mux(slot.select_bits, 2), slot.count, activity,
                    depth > 0, max(depth, 1),
                )
            )  # fmt: skip
        busy = _busy(0.0 if use is None else _needed(use.circuit, slot.circuit), idle_share)
        activity = (most if use is None else use.activity) * busy
        found.append(Part(slot.role, slot.group, slot.circuit, slot.count, activity, series > 0, max(series, 1), busy))
    return tuple(found)


def _needed(own: Circuit, built: Circuit) -> float:
    """Return the share of a built circuit that one's own needs."""
    return 1.0 if own == built else _area(own) / _area(built)


def _busy(share: float, idle_share: float) -> float:
    """Return the activity of something of which a ``share`` works and the rest idles."""
    return idle_share + (1 - idle_share) * share
