"""What every on-chip memory answers: figures, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

#: Figures of a memory, with unit and with the kind of scaling that moves them; their order everywhere.
QUANTITIES = (
    ("read_pj", "pJ", "energy"),
    ("write_pj", "pJ", "energy"),
    ("leakage_mw", "mW", "leakage"),
    ("area_mm2", "mm2", "area"),
    ("access_ns", "ns", "delay"),
)
NAMES = tuple(name for name, _, _ in QUANTITIES)
#: CACTI's device types: high performance, low standby power, low operating power.
Device = Literal["hp", "lstp", "lop"]


class MemoryRow(NamedTuple):
    """One figure of a memory, with where it comes from; ``estimated`` if no table has it as it stands."""

    quantity: str
    value: float
    unit: str
    source: str
    estimated: bool


@dataclass(frozen=True)
class Answer:
    """Figures in the order of ``QUANTITIES``: how they came about, and source and estimate of each."""

    figures: tuple[float, ...]
    how: str
    sources: tuple[str, ...]
    estimates: tuple[bool, ...]

    def times(self, factors: Sequence[float], reasons: Sequence[str], how: str = "") -> Answer:
        """Return the figures multiplied; those with a reason state it and become estimates.

        Parameters
        ----------
        factors, reasons
            One for each quantity; an empty reason leaves source and estimate as they are.
        how
            What to append to ``how``.
        """
        sources = [
            s + (f"; × {f:.3g}: {r}" if r else "") for s, f, r in zip(self.sources, factors, reasons, strict=True)
        ]
        return Answer(
            tuple(a * b for a, b in zip(self.figures, factors, strict=True)),
            f"{self.how}, {how}" if how else self.how,
            tuple(sources),
            tuple(e or bool(r) for e, r in zip(self.estimates, reasons, strict=True)),
        )

    def fields(self) -> dict[str, Any]:
        """Return what :class:`Macro` takes from an answer."""
        figures = dict(zip(NAMES, self.figures, strict=True))
        return {**figures, "answered_by": self.how, "sources": self.sources, "estimates": self.estimates}


@dataclass(frozen=True)
class Macro:
    """A memory of one word per access: energies per access of the whole width.

    ``answered_by`` says how the figures came about; ``sources`` and ``estimates`` are in the
    order of ``QUANTITIES``.
    """

    width_bits: int
    node_nm: float
    device: Device
    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float
    access_ns: float
    answered_by: str
    sources: tuple[str, ...]
    estimates: tuple[bool, ...]

    @property
    def source(self) -> str:
        """Return where the figures come from, each source once."""
        return "; ".join(dict.fromkeys(part for text in self.sources for part in text.split("; ")))

    @property
    def estimated(self) -> bool:
        """Whether any figure is an estimate instead of a table's."""
        return any(self.estimates)

    def rows(self) -> list[MemoryRow]:
        """Return every figure with unit, source and whether it is an estimate."""
        return [
            MemoryRow(name, getattr(self, name), unit, source, estimated)
            for (name, unit, _), source, estimated in zip(QUANTITIES, self.sources, self.estimates, strict=True)
        ]
