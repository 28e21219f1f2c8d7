"""DRAM presets: peak bandwidth and energy per bit, each with its source and scope."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean


@dataclass(frozen=True)
class Dram:
    """Off-chip memory as one port."""

    name: str
    bandwidth_gb_s: float
    read_pj_per_bit: float
    write_pj_per_bit: float
    scope: str
    source: str

    @property
    def effective_bandwidth_bits_per_s(self) -> float:
        """Peak bandwidth in bits per second."""
        return self.bandwidth_gb_s * 8e9


def dram_names() -> list[str]:
    """Return the presets."""
    return sorted(row["preset"] for row in read_csv_rows("memory", "dram.csv"))


def load_dram(preset: str, bandwidth_gb_s: float | None = None, energy_pj_per_bit: float | None = None) -> Dram:
    """Return a preset, with its bandwidth (GB/s) and energy overridden where given.

    Raises
    ------
    UsageError
        If there is no such preset.
    MissingFigureError
        If no source gives its energy and none is given.
    """
    rows = {row["preset"]: row for row in read_csv_rows("memory", "dram.csv")}
    if preset not in rows:
        raise UsageError(f"dram.preset: unknown {preset!r}; {did_you_mean(preset, rows)}")
    row = rows[preset]
    if energy_pj_per_bit is None and not row["pj_per_bit"]:
        raise MissingFigureError(f"dram.energy: no source gives the energy of {preset}; give it, e.g. energy: 5 pJ/bit")
    energy = float(row["pj_per_bit"]) if energy_pj_per_bit is None else energy_pj_per_bit
    given = [n for n, v in (("bandwidth", bandwidth_gb_s), ("energy", energy_pj_per_bit)) if v is not None]
    return Dram(
        name=preset,
        bandwidth_gb_s=float(row["bandwidth_gb_s"]) if bandwidth_gb_s is None else bandwidth_gb_s,
        read_pj_per_bit=energy,
        write_pj_per_bit=energy,
        scope=row["scope"],
        source=row["source"] + (f"; {' and '.join(given)} given by the user" if given else ""),
    )
