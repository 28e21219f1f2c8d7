"""FPGA devices: their budgets, the regions they consist of, shells and clocks, each with its source.

One file per device in ``hwsim/data/fpga/devices``; a file of the user's own is named by its path. What a file holds
is in :mod:`hwsim.hardware.fpga.device_file`. Static power is in none of the sources: it is the user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from hwsim.hardware.fpga.board import RESOURCES, Device, ExternalMemory
from hwsim.spec.data import data_path, read_csv_rows, read_yaml
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

FOLDER = ("fpga", "devices")
#: How the path of a device file of the user's own ends.
SUFFIXES = (".yaml", ".yml")


def device_names() -> list[str]:
    """Return the names of all devices, sorted."""
    return sorted(path.stem for path in data_path(*FOLDER).glob("*.yaml"))


def load_device(name: str) -> Device:
    """Return a device by its name or part, or the one that the YAML file of that path defines.

    Raises
    ------
    UsageError
        If there is none; the message suggests the nearest.
    SpecError
        If the file is wrong: with every mistake, each at its place.
    """
    path = Path(name) if name.endswith(SUFFIXES) else data_path(*FOLDER, f"{device_key(name)}.yaml")
    return _read(path.absolute(), path, path.stat().st_mtime_ns if path.is_file() else 0)


def device_key(name: str) -> str:
    """Return what stands for a device in specs: its name, or the path of its file.

    Raises
    ------
    UsageError
        If there is no device of that name or part; the message suggests the nearest.
    """
    names = device_names()
    if name in names or name.endswith(SUFFIXES):
        return name
    known = _parts().get(name.lower())
    if known is None:
        raise UsageError(
            f"unknown FPGA device {name!r}; {did_you_mean(name, names)}; or the path of a YAML file of your own "
            "(hwsim schema device)"
        )
    return known


def is_device(name: str) -> bool:
    """Return whether ``name`` is a device's name or the path of a file that may define one."""
    return name in device_names() or name.endswith(SUFFIXES)


@cache
def _parts() -> dict[str, str]:
    return {str(read_yaml(*FOLDER, f"{known}.yaml")["part"]).lower(): known for known in device_names()}


@lru_cache(maxsize=64)
def _read(_: Path, path: Path, __: int) -> Device:
    from hwsim.hardware.fpga.device_file import read_device

    return read_device(path)


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


def speed_grades() -> list[str]:
    """Return the speed grades of which some fastest clock is known, sorted."""
    return sorted({row["grade"] for row in read_csv_rows("fpga", "dsp_fmax.csv")})


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


__all__ = ["RESOURCES", "Device", "ExternalMemory", "device_key", "device_names", "fastest_hz", "is_device",
           "load_device", "shell_resources", "speed_grades", "utilisation_limits"]  # fmt: skip
