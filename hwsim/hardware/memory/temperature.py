"""Leakage over temperature; CACTI's energy, area and delay do not change with it.

The rows that ship hold at 360 K. At other temperatures leakage is that times CACTI's own growth
(``leakage_temperature.csv``: 300 to 380 K in steps of 20 K, by node and device), log-linear between its
points and so rising everywhere; the points at 360 K that CACTI misprints are corrected before. At hp of
22 and 32 nm nearly all of it comes above 340 K: so CACTI's tables of off currents have it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache, partial

from hwsim.hardware.memory.figures import LEAKAGE, QUANTITIES, Answer, Device, Reasons, leakage_alone
from hwsim.hardware.memory.nodes import Logs, neighbours
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError

#: Temperature that the rows hold at.
ROWS_K = 360.0


@lru_cache(maxsize=1)
def _growth() -> dict[str, dict[float, dict[float, tuple[float, str]]]]:
    """Return logarithm and source of the growth by device, node and temperature."""
    found: dict[str, dict[float, dict[float, tuple[float, str]]]] = {}
    for row in read_csv_rows("memory", "leakage_temperature.csv"):
        node = found.setdefault(row["device"], {}).setdefault(float(row["node_nm"]), {})
        node[float(row["kelvin"])] = math.log(float(row["factor"])), row["source"]
    return found


def temperatures() -> tuple[float, float]:
    """Return the lowest and the highest temperature in K that leakage is known at."""
    known = next(iter(_growth()["hp"].values()))
    return min(known), max(known)


def check_temperature(kelvin: float) -> None:
    """Refuse a temperature that no row has leakage of.

    Raises
    ------
    MissingFigureError
        If it is outside the rows.
    """
    low, high = temperatures()
    if not low <= kelvin <= high:
        valid = f"valid: {low:g} to {high:g} K ({low - 273.15:g} to {high - 273.15:g} °C)"
        raise MissingFigureError(f"no leakage figures at {kelvin:g} K; {valid}")


@lru_cache(maxsize=1024)
def temperature_logs(kelvin: float, node_nm: float, device: Device) -> Logs:
    """Return the logarithms of what figures of 360 K are multiplied by.

    Between two nodes with rows the growth is interpolated in the logarithms, below the smallest it is
    that node's.

    Raises
    ------
    MissingFigureError
        If no row has leakage at ``kelvin``.
    """
    check_temperature(kelvin)
    nodes = _growth()[device]
    low, high, share = neighbours(max(node_nm, min(nodes)), nodes)
    grown = (1 - share) * _at(kelvin, nodes[low]) + share * _at(kelvin, nodes[high])
    return [grown if i == LEAKAGE else 0.0 for i in range(len(QUANTITIES))]


def _at(kelvin: float, rows: dict[float, tuple[float, str]]) -> float:
    """Return the logarithm of the growth at a temperature within the rows."""
    known = sorted(rows)
    place = min(bisect_right(known, kelvin), len(known) - 1)
    below, above = known[place - 1], known[place]
    share = (kelvin - below) / (above - below)
    return (1 - share) * rows[below][0] + share * rows[above][0]


def at_temperature(answer: Answer, kelvin: float, node_nm: float, device: Device, reservation: str = "") -> Answer:
    """Return figures of 360 K at another temperature; ``reservation`` is added to the reason.

    Raises
    ------
    MissingFigureError
        If no row has leakage at ``kelvin``.
    """
    if kelvin == ROWS_K:
        return answer
    logs = temperature_logs(kelvin, node_nm, device)
    return answer.plus(logs, partial(_tell, kelvin, node_nm, device, reservation))


def _tell(kelvin: float, node_nm: float, device: Device, reservation: str) -> Reasons:
    nodes = _growth()[device]
    low, high, _ = neighbours(max(node_nm, min(nodes)), nodes)
    known = sorted(nodes[low])
    points = [k for k in known if k == kelvin]
    points = points or [max(k for k in known if k < kelvin), min(k for k in known if k > kelvin)]
    sources = dict.fromkeys(nodes[low][k][1] for k in points if k != ROWS_K)
    reason = f"at {kelvin:g} K: {', '.join(sources)}"
    reason += " (log-linear between)" if len(points) > 1 else ""
    reason += f", growth between that of {low:g} and {high:g} nm" if low != high else ""
    reason += f", growth as at {low:g} nm" if node_nm < low else ""
    return leakage_alone(f"leakage at {kelvin:g} K (estimated)", reason + reservation)
