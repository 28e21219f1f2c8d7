"""Wires: energy, delay and repeater leakage per mm, from CACTI's wire table (``wires.csv``).

Energy per transition is C V²: the table's energy over the square of its supply is interpolated in
log(node) and multiplied by the square of the supply in use. From 45 to 22 nm that capacitance stays
within 9 % (2 % for delay-optimal wires), so below 22 and above 90 nm the last one stands (estimated). Delay
and leakage are interpolated in the logarithms at the table's own supplies, beyond its ends with the
slope of the last two nodes (estimated). Low-swing wires do not swing over the supply, but their
energy moves by its square too: the driver's supply is what moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

WireStyle = Literal["delay_optimal", "slack_5", "slack_10", "slack_20", "slack_30", "low_swing"]
WireDevice = Literal["hp", "lstp"]
Projection = Literal["conservative", "aggressive"]


@dataclass(frozen=True, slots=True)
class WireChoice:
    """Which wires of the table: how far delay is given up for energy, transistors of the repeaters, outlook."""

    style: WireStyle = "slack_30"
    device: WireDevice = "hp"
    projection: Projection = "conservative"


#: Where nothing is said: delay-optimal wires cost twice the energy for three quarters of the delay.
USUAL_WIRES = WireChoice()


@dataclass(frozen=True, slots=True)
class Wire:
    """One mm of wire; ``energy_fj_per_bit_mm`` is that of one transition, activity is on top.

    ``leakage_mw_per_mm`` is that of the repeaters of one bit, None for wires without figures.
    """

    energy_fj_per_bit_mm: float
    delay_ns_per_mm: float
    leakage_mw_per_mm: float | None
    source: str
    estimated: bool


@lru_cache(maxsize=1)
def _table() -> dict[tuple[str, str, str], dict[float, dict[str, str]]]:
    found: dict[tuple[str, str, str], dict[float, dict[str, str]]] = {}
    for row in read_csv_rows("technology", "wires.csv"):
        key = (row["style"], row["device"], row["projection"])
        found.setdefault(key, {})[float(row["node_nm"])] = row
    return found


@lru_cache(maxsize=256)
def wire(node_nm: float, vdd_v: float, choice: WireChoice = USUAL_WIRES) -> Wire:
    """Return the figures of a wire at a node in nm and a supply in V.

    Raises
    ------
    UsageError
        If the choice names wires that the table does not have, or a number is not positive.
    """
    for value, valid in ((choice.style, WireStyle), (choice.device, WireDevice), (choice.projection, Projection)):
        if value not in get_args(valid):
            raise UsageError(f"unknown wire {value!r}; {did_you_mean(value, get_args(valid))}")
    if not (node_nm > 0 and vdd_v > 0):
        raise UsageError(f"node and supply must be positive, not {node_nm!r} nm and {vdd_v!r} V")
    rows = _table()[choice.style, choice.device, choice.projection]
    low, high = _pair(node_nm, rows)
    share = math.log(node_nm / low) / math.log(high / low)
    inside = min(max(share, 0.0), 1.0)
    capacitance = _between([_capacitance(rows[n]) for n in (low, high)], inside)
    leakage = [rows[n]["leakage_mw_per_mm"] for n in (low, high)]
    return Wire(
        energy_fj_per_bit_mm=capacitance * vdd_v**2,
        delay_ns_per_mm=_between([float(rows[n]["delay_ns_per_mm"]) for n in (low, high)], share),
        leakage_mw_per_mm=_between([float(text) for text in leakage], share) if all(leakage) else None,
        source=_source(node_nm, vdd_v, rows, low, high, share),
        estimated=node_nm not in rows,
    )


def wire_styles() -> tuple[str, ...]:
    """Return the styles of wires in the table."""
    return get_args(WireStyle)


def _pair(node_nm: float, nodes: Sequence[float] | dict[float, dict[str, str]]) -> tuple[float, float]:
    """Return the two nodes of the table between which, or beyond which, a node lies."""
    known = sorted(nodes)
    if len(known) < 2:
        raise MissingFigureError("wires.csv: two nodes are needed per kind of wire")
    upper = next((i for i, node in enumerate(known) if node >= node_nm and i), len(known) - 1)
    return known[upper - 1], known[upper]


def _capacitance(row: dict[str, str]) -> float:
    return float(row["energy_fj_per_bit_mm"]) / float(row["vdd_v"]) ** 2


def _between(values: Sequence[float], share: float) -> float:
    return float(values[0] ** (1 - share) * values[1] ** share)


def _source(
    node_nm: float, vdd_v: float, rows: dict[float, dict[str, str]], low: float, high: float, share: float
) -> str:
    if node_nm in rows:
        used = [rows[node_nm]]
    else:
        used = [rows[n] for n in ((low, high) if 0 < share < 1 else (low if share < 0 else high,))]
    text = " and ".join(f"{r['source']}, {float(r['energy_fj_per_bit_mm']):g} fJ at {r['vdd_v']} V" for r in used)
    if len(used) > 1:
        text += f", capacitance interpolated in log(node) to {node_nm:g} nm"
    elif node_nm not in rows:
        text += f"; capacitance per mm kept to {node_nm:g} nm, beyond the table (estimated)"
    return f"{text}; times the square of {vdd_v:g} V over the table's supply"
