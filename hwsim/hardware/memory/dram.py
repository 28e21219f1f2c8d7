"""DRAM presets: peak bandwidth and energy per bit, each with its source and scope."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from hwsim.hardware.memory.figures import MemoryRow
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

#: Source of an override.
GIVEN = "given by the user"


@dataclass(frozen=True)
class Dram:
    """Off-chip memory as one port; ``scope`` says what the preset's figures include."""

    name: str
    bandwidth_gb_s: float
    read_pj_per_bit: float
    write_pj_per_bit: float
    scope: str
    bandwidth_source: str
    energy_source: str

    @property
    def effective_bandwidth_bits_per_s(self) -> float:
        """Peak bandwidth in bits per second."""
        return self.bandwidth_gb_s * 8e9

    @property
    def source(self) -> str:
        """Return where bandwidth and energy come from."""
        return f"bandwidth: {self.bandwidth_source}; energy: {self.energy_source}"

    def rows(self) -> list[MemoryRow]:
        """Return every figure with unit, source and whether it is an estimate.

        No source tells a write from a read, so a write costs what a read does: an estimate.
        """
        own = self.energy_source == GIVEN
        write = self.energy_source if own else f"as a read: {self.energy_source}"
        return [
            MemoryRow("bandwidth_gb_s", self.bandwidth_gb_s, "GB/s", self.bandwidth_source, False),
            MemoryRow("read_pj_per_bit", self.read_pj_per_bit, "pJ/bit", self.energy_source, False),
            MemoryRow("write_pj_per_bit", self.write_pj_per_bit, "pJ/bit", write, not own),
        ]


@lru_cache(maxsize=1)
def _presets() -> dict[str, dict[str, str]]:
    return {row["preset"]: row for row in read_csv_rows("memory", "dram.csv")}


def dram_names() -> list[str]:
    """Return the presets."""
    return sorted(_presets())


def load_dram(preset: str, bandwidth_gb_s: float | None = None, energy_pj_per_bit: float | None = None) -> Dram:
    """Return a preset, with its bandwidth (GB/s) and energy overridden where given.

    Raises
    ------
    UsageError
        If there is no such preset, or an override is no positive number.
    MissingFigureError
        If no source gives its bandwidth or energy and none is given.
    """
    if preset not in _presets():
        raise UsageError(f"dram.preset: unknown {preset!r}; {did_you_mean(preset, _presets())}")
    row = _presets()[preset]
    bandwidth, bandwidth_source = _figure(row, "bandwidth_gb_s", "bandwidth", bandwidth_gb_s, "25.6 GB/s")
    energy, energy_source = _figure(row, "pj_per_bit", "energy", energy_pj_per_bit, "5 pJ/bit")
    return Dram(preset, bandwidth, energy, energy, row["scope"], bandwidth_source, energy_source)


def _figure(row: dict[str, str], column: str, name: str, given: float | None, example: str) -> tuple[float, str]:
    if given is not None:
        if not (math.isfinite(given) and given > 0):
            raise UsageError(f"dram.{name}: must be a positive number, not {given}")
        return given, GIVEN
    if not row[column]:
        raise MissingFigureError(
            f"dram.{name}: no source gives the {name} of {row['preset']}; give it, e.g. {name}: {example}"
        )
    return float(row[column]), row[f"{name}_source"]
