"""What every on-chip memory answers: figures, each with its source.

Figures are computed at once, in logarithms; where they come from is put in words only when asked, since
that takes longer than the figures do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, TypeVar

#: Figures of a memory, with unit and with the kind of scaling that moves them; their order everywhere.
QUANTITIES = (
    ("read_pj", "pJ", "energy"),
    ("write_pj", "pJ", "energy"),
    ("leakage_mw", "mW", "leakage"),
    ("area_mm2", "mm2", "area"),
    ("access_ns", "ns", "delay"),
    ("cycle_ns", "ns", "delay"),
)
NAMES = tuple(name for name, _, _ in QUANTITIES)
LEAKAGE = NAMES.index("leakage_mw")
#: CACTI's device types: high performance, low standby power, low operating power.
Device = Literal["hp", "lstp", "lop"]


class MemoryRow(NamedTuple):
    """One figure of a memory, with where it comes from; ``estimated`` if no table has it as it stands."""

    quantity: str
    value: float
    unit: str
    source: str
    estimated: bool


class Story(NamedTuple):
    """How figures came about, and source and estimate of each in the order of ``QUANTITIES``."""

    how: str
    sources: tuple[str, ...]
    estimates: tuple[bool, ...]

    @staticmethod
    def of(how: str, source: str, estimated: bool) -> Story:
        """Return that of figures with one source."""
        return Story(how, (source,) * len(NAMES), (estimated,) * len(NAMES))

    def because(self, logs: Sequence[float], how: str, reasons: Sequence[str]) -> Story:
        """Return that of figures multiplied; those with a reason state it and become estimates."""
        sources = [
            s + (f"; × {math.exp(f):.3g}: {r}" if r else "")
            for s, f, r in zip(self.sources, logs, reasons, strict=True)
        ]
        estimates = tuple(e or bool(r) for e, r in zip(self.estimates, reasons, strict=True))
        return Story(f"{self.how}, {how}" if how else self.how, tuple(sources), estimates)


#: What a factor is told as: what to append to ``how``, and a reason for each quantity (empty: none).
Reasons = tuple[str, Sequence[str]]


def alike(how: str, reason: str) -> Reasons:
    """Return one reason for every quantity."""
    return how, (reason,) * len(NAMES)


def leakage_alone(how: str, reason: str) -> Reasons:
    """Return a reason for the leakage alone."""
    return how, ["" if i != LEAKAGE else reason for i in range(len(NAMES))]


class Answer(NamedTuple):
    """Figures in the order of ``QUANTITIES``, and how to tell where they come from.

    Attributes
    ----------
    logs
        Their logarithms.
    tell
        Makes the story; not called before someone asks.
    row
        The figures themselves, where they are a table's.
    """

    logs: Sequence[float]
    tell: Callable[[], Story]
    row: tuple[float, ...] | None = None

    @property
    def figures(self) -> tuple[float, ...]:
        """The figures."""
        return self.row or tuple(map(math.exp, self.logs))

    def plus(self, logs: Sequence[float], tell: Callable[[], Reasons]) -> Answer:
        """Return the figures multiplied by what ``logs`` are the logarithms of."""
        return Answer([a + b for a, b in zip(self.logs, logs, strict=True)], partial(_told, self, logs, tell))

    def said(self, tell: Callable[[], Reasons]) -> Answer:
        """Return the same figures for a reason that makes them estimates."""
        return Answer(self.logs, partial(_told, self, _ONES, tell), self.row)


_ONES = (0.0,) * len(NAMES)


def _told(answer: Answer, logs: Sequence[float], tell: Callable[[], Reasons]) -> Story:
    return answer.tell().because(logs, *tell())


@dataclass(frozen=True)
class Macro:
    """A memory of one word per access: energies per access of the whole width.

    ``cycle_ns`` is the least time from one access to the next, ``access_ns`` from address to data.
    """

    width_bits: int
    node_nm: float
    device: Device
    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float
    access_ns: float
    cycle_ns: float
    tell: Callable[[], Story] = field(compare=False, repr=False)

    @cached_property
    def story(self) -> Story:
        """How the figures came about."""
        return self.tell()

    @property
    def answered_by(self) -> str:
        """What answered."""
        return self.story.how

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the figures come from, in the order of ``QUANTITIES``."""
        return self.story.sources

    @property
    def estimates(self) -> tuple[bool, ...]:
        """Which figures are estimates, in the order of ``QUANTITIES``."""
        return self.story.estimates

    @property
    def source(self) -> str:
        """Return where the figures come from, each source once."""
        return "; ".join(dict.fromkeys(part for text in self.sources for part in text.split("; ")))

    @property
    def estimated(self) -> bool:
        """Whether any figure is an estimate instead of a table's."""
        return any(self.estimates)

    @property
    def figures(self) -> dict[str, float]:
        """Figures by name, in the order of ``QUANTITIES``."""
        return {name: getattr(self, name) for name in NAMES}

    def rows(self) -> list[MemoryRow]:
        """Return every figure with unit, source and whether it is an estimate."""
        return [
            MemoryRow(name, getattr(self, name), unit, source, estimated)
            for (name, unit, _), source, estimated in zip(QUANTITIES, self.sources, self.estimates, strict=True)
        ]


M = TypeVar("M", bound=Macro)


def made(kind: type[M], answer: Answer, of: Iterable[tuple[str, Any]]) -> M:
    """Return the memory that an answer is of, ``of`` being its other fields by name, all of them.

    A frozen dataclass sets its fields one by one, which takes longer than all figures do.
    """
    memory = object.__new__(kind)
    fields = memory.__dict__
    fields.update(of)
    fields.update(zip(NAMES, answer.figures, strict=True))
    fields["tell"] = answer.tell
    return memory
