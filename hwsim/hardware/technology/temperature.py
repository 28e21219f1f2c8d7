"""Leakage over temperature, from CACTI's SRAM leakage at 300 to 380 K (``leakage_temperature.csv``).

Per node and device, log(leakage) is interpolated linearly over temperature, which rises with its rows;
two rows that CACTI's tables have wrong are left out (22 nm LSTP and 90 nm LOP at 360 K). Between two
nodes the factors are interpolated in log(node); below 22 and above 90 nm the last row stands
(estimated). SRAM uses its own curve; logic has no sourced one and takes that of SRAM of the same
device type (estimated): both are sub-threshold and gate leakage of the same transistors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

LeakageDevice = Literal["hp", "lstp", "lop"]

#: Where the leakage of logic holds: the libraries' typical corner, 25 °C (GT2N and the SAED32 reports do not
#: state theirs and are taken to be at it, estimated).
LOGIC_REFERENCE_K = 298.15
#: Where the leakage of SRAM and register files holds: the temperature of the CACTI runs.
SRAM_REFERENCE_K = 360.0


@dataclass(frozen=True, slots=True)
class LeakageFactor:
    """Leakage at one temperature over that at another, with its source."""

    value: float
    source: str
    estimated: bool


@lru_cache(maxsize=1)
def _curves() -> dict[tuple[float, str], tuple[tuple[float, float], ...]]:
    """Return (temperature in K, log of leakage over 300 K) by node and device, in order of temperature."""
    found: dict[tuple[float, str], list[tuple[float, float]]] = {}
    for row in read_csv_rows("technology", "leakage_temperature.csv"):
        if row["used"] == "yes":
            point = (float(row["temperature_k"]), math.log(float(row["ratio"])))
            found.setdefault((float(row["node_nm"]), row["device"]), []).append(point)
    return {key: tuple(sorted(points)) for key, points in found.items()}


def temperature_range_k() -> tuple[float, float]:
    """Return the temperatures that are accepted: from the libraries' 25 °C to the hottest row."""
    return LOGIC_REFERENCE_K, max(t for points in _curves().values() for t, _ in points)


def leakage_factor(node_nm: float, device: LeakageDevice, temperature_k: float, reference_k: float) -> LeakageFactor:
    """Return leakage at ``temperature_k`` over that at ``reference_k``, both in K.

    Raises
    ------
    UsageError
        If a temperature is out of range or the device type is unknown.
    """
    devices = sorted({kind for _, kind in _curves()})
    if device not in devices:
        raise UsageError(f"unknown device {device!r}; {did_you_mean(device, devices)}")
    low, high = temperature_range_k()
    for kelvin in (temperature_k, reference_k):
        if not low <= kelvin <= high:
            raise UsageError(f"temperature {kelvin:g} K; valid: {low:g} to {high:g} K, the range of the leakage rows")
    nodes = sorted(node for node, kind in _curves() if kind == device)
    inside = min(max(node_nm, nodes[0]), nodes[-1])
    below, above = max(n for n in nodes if n <= inside), min(n for n in nodes if n >= inside)
    share = 0.0 if below == above else math.log(inside / below) / math.log(above / below)
    logs = [_log_ratio(node, device, temperature_k) - _log_ratio(node, device, reference_k) for node in (below, above)]
    names = f"{below:g} nm" if below == above else f"{below:g} and {above:g} nm, interpolated in log(node)"
    source = f"CACTI 7 SRAM leakage over temperature, itrs-{device} at {names}: {reference_k:g} to {temperature_k:g} K"
    return LeakageFactor(math.exp(logs[0] * (1 - share) + logs[1] * share), source, below != node_nm)


def _log_ratio(node_nm: float, device: str, temperature_k: float) -> float:
    """Return the log of leakage over that at 300 K; the first slope goes on to 25 °C."""
    points = _curves()[node_nm, device]
    upper = next((i for i, (t, _) in enumerate(points) if t >= temperature_k and i), len(points) - 1)
    (t0, y0), (t1, y1) = points[upper - 1], points[upper]
    return y0 + (y1 - y0) * (temperature_k - t0) / (t1 - t0)
