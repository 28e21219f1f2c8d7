"""FPGA devices: their budgets, the regions they consist of, shells and clocks, each with its source.

One file per device in ``hwsim/data/fpga/devices``. Static power is in none of the sources: it is the user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwsim.spec.data import data_path, read_csv_rows, read_yaml
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

FOLDER = ("fpga", "devices")

#: Resources that budgets name: logic is LUT6 or ALM, block RAM in halves of a BRAM36 or in M20K.
RESOURCES = ("lut6", "alm", "ff", "dsp", "bram18", "uram", "m20k")


@dataclass(frozen=True)
class ExternalMemory:
    """Peak bandwidth of the board's memory, and its kind (``ddr4`` or ``hbm``)."""

    bandwidth_gb_s: float
    kind: str
    source: str


@dataclass(frozen=True)
class Device:
    """A device as its file states it: ``budget`` by resource; super logic regions where there are several."""

    name: str
    part: str
    board: str
    family: str
    budget: Mapping[str, int]
    dsp_primitive: str
    regions: tuple[Mapping[str, int], ...]
    memory: ExternalMemory | None
    source: str

    @property
    def logic(self) -> str:
        """The primitive of logic: ``lut6`` or ``alm``."""
        return "lut6" if "lut6" in self.budget else "alm"

    def usable(self, shell: Mapping[str, int] | None = None, reserve: float = 0.0) -> dict[str, float]:
        """Return the budgets without a shell's part, and without the share that is kept back.

        Raises
        ------
        UsageError
            If the share is not from 0 to below 1, or the shell takes more than there is.
        """
        if not 0 <= reserve < 1:
            raise UsageError(f"reserve: must be from 0 to below 100 %, not {reserve:.0%}")
        taken = shell or {}
        left = {name: (count - taken.get(name, 0)) * (1 - reserve) for name, count in self.budget.items()}
        short = [name for name, count in left.items() if count < 0]
        if short:
            raise UsageError(f"{self.name}: the shell takes more {', '.join(short)} than the device has")
        return left

    @property
    def crossings(self) -> int:
        """Borders between its super logic regions."""
        return max(0, len(self.regions) - 1)


def device_names() -> list[str]:
    """Return the names of all devices, sorted."""
    return sorted(path.stem for path in data_path(*FOLDER).glob("*.yaml"))


@cache
def load_device(name: str) -> Device:
    """Return a device by its name or part.

    Raises
    ------
    UsageError
        If there is none; the message suggests the nearest.
    """
    names = device_names()
    if name not in names:
        parts = {str(read_yaml(*FOLDER, f"{known}.yaml")["part"]).lower(): known for known in names}
        known = parts.get(name.lower())
        if known is None:
            raise UsageError(f"unknown FPGA device {name!r}; {did_you_mean(name, names)}")
        return load_device(known)
    return _device(read_yaml(*FOLDER, f"{name}.yaml"))


def _device(data: Mapping[str, Any]) -> Device:
    budget = {data["logic"]["primitive"]: data["logic"]["count"], "ff": data["ff"], "dsp": data["dsp"]["count"]}
    budget |= {name: data[name] for name in ("bram18", "uram", "m20k") if name in data}
    memory = data.get("memory")
    return Device(
        name=data["device"],
        part=str(data["part"]),
        board=data["board"],
        family=data["family"],
        budget=budget,
        dsp_primitive=data["dsp"]["primitive"],
        regions=tuple(data.get("slrs", ())),
        memory=ExternalMemory(float(memory["gb_s"]), memory["kind"], memory["source"]) if memory else None,
        source=data["source"],
    )


def shell_resources(items: Mapping[str, int]) -> dict[str, int]:
    """Return what so many of each interface take: ``{"ddr4_controller": 4}`` and the like (FINN's figures).

    Raises
    ------
    UsageError
        If an interface is unknown or a count is negative.
    """
    known = {row["item"]: row for row in read_csv_rows("fpga", "shell.csv")}
    taken: dict[str, int] = {}
    for item, count in items.items():
        if item not in known:
            raise UsageError(f"unknown interface {item!r}; {did_you_mean(item, known)}")
        if count < 0:
            raise UsageError(f"{item}: must be at least 0, not {count}")
        for name in ("lut6", "ff", "bram18", "uram", "dsp"):
            taken[name] = taken.get(name, 0) + count * int(known[item][name])
    return taken


def utilisation_limits() -> dict[str, float]:
    """Return the shares of each resource up to which designs close timing, a guideline of FINN's."""
    return {row["resource"]: float(row["share"]) for row in read_csv_rows("fpga", "utilisation.csv")}


def fastest_hz(primitive: str, grade: str, mode: str = "all_registers") -> float:
    """Return the fastest clock of a DSP block or of the clock network (``bufg``, mode ``clock``) in a speed grade.

    Raises
    ------
    MissingFigureError
        If no source gives it.
    """
    rows = [row for row in read_csv_rows("fpga", "dsp_fmax.csv") if row["primitive"] == primitive]
    for row in rows:
        if row["mode"] == mode and row["grade"] == grade:
            return float(row["mhz"]) * 1e6
    valid = ", ".join(sorted({f"{row['mode']} {row['grade']}" for row in rows})) or "none"
    raise MissingFigureError(
        f"no source gives the fastest clock of {primitive} {mode} in grade {grade}; known: {valid}"
    )
