"""What every on-chip memory answers, and the interpolation of the tables behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Columns of the tables; the order of every vector of figures.
COLUMNS = ("read_pJ", "write_pJ", "leak_mW_total", "area_mm2", "access_ns")
#: The same as attributes, with unit and with the kind of scaling that moves them.
QUANTITIES = (
    ("read_pj", "pJ", "energy"),
    ("write_pj", "pJ", "energy"),
    ("leakage_mw", "mW", "leakage"),
    ("area_mm2", "mm2", "area"),
    ("access_ns", "ns", "delay"),
)
LEAKAGE, AREA = (tuple(name for name, _, _ in QUANTITIES).index(name) for name in ("leakage_mw", "area_mm2"))
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
class Macro:
    """A memory of one word per access: energies per access of the whole width.

    ``sources`` and ``estimates`` are in the order of ``QUANTITIES``.
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


class Table:
    """Rows of one node, device and port mix, and a triangulation of their logarithms."""

    def __init__(self, rows: Sequence[dict[str, str]]) -> None:
        # scipy takes long to import and only this needs it
        from scipy.interpolate import LinearNDInterpolator

        points = [(int(r["size_bytes"]), int(r["word_bits"])) for r in rows]
        figures = np.array([[float(r[column]) for column in COLUMNS] for r in rows])
        self.known = dict(zip(points, figures, strict=True))
        self._between = LinearNDInterpolator(np.log2(np.array(points, dtype=float)), np.log(figures))

    def at(self, size_bytes: float, width_bits: float) -> tuple[NDArray[np.float64], bool]:
        """Return the figures and whether they stand in the table; NaN outside the table's hull."""
        if (size_bytes, width_bits) in self.known:
            return self.known[int(size_bytes), int(width_bits)], True
        found: NDArray[np.float64] = np.exp(self._between(np.log2(size_bytes), np.log2(width_bits)))
        return found.reshape(len(COLUMNS)), False
