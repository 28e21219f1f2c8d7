"""Nodes that the tables do not have: between two of them, and below the smallest.

Between two nodes, figures are interpolated in the logarithms of node and figure. Below 22 nm, the
22 nm figures are multiplied by one factor for each of energy, area, leakage and delay
(``node_scaling.csv``). CACTI has no working table there, so the result is an extrapolation.
No source gives a law of SRAM over supply voltage, so each node has the one supply of its figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial

from hwsim.hardware.memory.figures import (
    LEAKAGE,
    QUANTITIES,
    Answer,
    Device,
    MemoryRow,
    Reasons,
    Story,
    leakage_alone,
)  # fmt: skip
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError

#: From a node of the tables to its figures.
Lookup = Callable[[int], Answer]
Logs = Sequence[float]


@lru_cache(maxsize=1)
def _factors() -> dict[str, dict[float, dict[str, str]]]:
    found: dict[str, dict[float, dict[str, str]]] = {}
    for row in read_csv_rows("memory", "node_scaling.csv"):
        found.setdefault(row["quantity"], {})[float(row["node_nm"])] = row
    return found


def scaled_nodes() -> list[float]:
    """Return the nodes in nm below the tables' that have factors, smallest first."""
    return sorted(_factors()["energy"])[:-1]


@lru_cache(maxsize=256)
def node_factor(quantity: str, node_nm: float) -> MemoryRow:
    """Return what the 22 nm figure of ``quantity`` (energy, area, leakage, delay) is multiplied by at a node.

    Between two nodes of the table the factor is interpolated in the logarithms.
    """
    rows = _factors()[quantity]
    low, high, share = neighbours(node_nm, rows)
    value = float(rows[low]["factor"]) ** (1 - share) * float(rows[high]["factor"]) ** share
    source = rows[low]["source"]
    if low != high:
        source += f", interpolated to {node_nm:g} nm with {rows[high]['source']}"
    elif rows[low]["other_factor"]:
        source += f" (against {rows[low]['other_factor']} by {rows[low]['other_source']})"
    return MemoryRow(quantity, value, "x 22 nm", source, True)


def neighbours(value: float, known: Collection[float]) -> tuple[float, float, float]:
    """Return the known values around ``value`` and its place between them in the logarithms."""
    low = max(n for n in known if n <= value)
    high = min(n for n in known if n >= value)
    return low, high, 0.0 if low == high else math.log(value / low) / math.log(high / low)


@lru_cache(maxsize=1)
def leakage_corrections() -> dict[tuple[int, str], tuple[float, str]]:
    """Return factor and reason by (node in nm, device) where CACTI's leakage at 360 K is misprinted."""
    rows = read_csv_rows("memory", "leakage_corrections.csv")
    return {(int(r["node_nm"]), r["device"]): (float(r["factor"]), r["source"]) for r in rows}


def at_node(node_nm: float, device: Device, nodes: tuple[int, ...], lookup: Lookup) -> Answer:
    """Return figures at ``node_nm`` from a ``lookup`` of those at ``nodes``; misprinted leakage is corrected.

    Raises
    ------
    MissingFigureError
        If the node is outside the range of tables and factors.
    """
    terms, scaled = node_terms(node_nm, nodes)
    low, share = terms[0]
    below = lookup(low)
    logs, tell, row = below
    correction = misprint_log(low, device) * share
    if len(terms) > 1:
        high, other = terms[1]
        above = lookup(high)
        logs = [share * a + other * b for a, b in zip(logs, above.logs, strict=True)]
        correction += misprint_log(high, device) * other
        tell, row = partial(_tell_between, below, above, low, high, device), None
    elif correction:
        tell, row = partial(_tell_corrected, below, low, device), None
    if correction:
        logs = [*logs[:LEAKAGE], logs[LEAKAGE] + correction, *logs[LEAKAGE + 1 :]]
    answer = Answer(logs, tell, row)
    return answer.plus(scaled, partial(_tell_scaled, low, node_nm)) if scaled else answer


@lru_cache(maxsize=1024)
def node_terms(node_nm: float, nodes: tuple[int, ...]) -> tuple[tuple[tuple[int, float], ...], Logs]:
    """Return what :func:`at_node` takes: nodes of the tables with their shares, and the scaling below them.

    Returns
    -------
    terms
        Each node with its share in the logarithms.
    scaled
        The logarithm of each quantity's factor below the smallest node; empty from it on.

    Raises
    ------
    MissingFigureError
        If the node is outside the range of tables and factors.
    """
    _check_node(node_nm, nodes)
    smallest = min(nodes)
    if node_nm < smallest:
        return ((smallest, 1.0),), [math.log(node_factor(kind, node_nm).value) for _, _, kind in QUANTITIES]
    low, high, share = neighbours(node_nm, nodes)
    return (((int(low), 1 - share), (int(high), share)) if low != high else ((int(low), 1.0),)), []


@lru_cache(maxsize=64)
def misprint_log(node: int, device: str) -> float:
    """Return the logarithm of what CACTI's leakage at a node of the tables is corrected by; 0 if it is right."""
    return math.log(leakage_corrections().get((node, device), (1.0, ""))[0])


def _check_node(node_nm: float, nodes: Collection[int]) -> None:
    smallest, largest = min(scaled_nodes()), max(nodes)
    if not smallest <= node_nm <= largest:
        valid = f"{smallest:g} to {largest:g} nm"
        raise MissingFigureError(f"no memory figures at {node_nm:g} nm; valid nodes: {valid}")


def _tell_corrected(answer: Answer, node: int, device: Device) -> Story:
    """Tell an answer at a node of the tables, its leakage corrected where CACTI misprints it."""
    if (node, device) not in leakage_corrections():
        return answer.tell()
    logs = [misprint_log(node, device)] * len(QUANTITIES)
    return answer.tell().because(logs, *leakage_alone("", f"misprint at {node} nm {device}: {_reason(node, device)}"))


def _reason(node: int, device: Device) -> str:
    return leakage_corrections()[node, device][1]


def _tell_between(below: Answer, above: Answer, low: int, high: int, device: Device) -> Story:
    nodes = f"between {low:g} and {high:g} nm"
    first, second = _tell_corrected(below, low, device), _tell_corrected(above, high, device)
    sources = tuple(_merged(a, b, nodes) for a, b in zip(first.sources, second.sources, strict=True))
    return Story(f"{first.how}, {nodes} (estimated)", sources, (True,) * len(QUANTITIES))


def _merged(below: str, above: str, nodes: str) -> str:
    return "; ".join(dict.fromkeys([*below.split("; "), *above.split("; "), f"log-log interpolation {nodes}"]))


def _tell_scaled(base: int, node_nm: float) -> Reasons:
    factors = [node_factor(kind, node_nm) for _, _, kind in QUANTITIES]
    reasons = [f"from {base} to {node_nm:g} nm, extrapolated: {f.source}" for f in factors]
    return f"extrapolated from {base} nm (estimated)", reasons


def supply(node_nm: float, device: Device) -> MemoryRow | None:
    """Return the supply voltage at which the figures of a node hold, or None where none is stated."""
    for row in read_csv_rows("memory", "supplies.csv"):
        if float(row["node_nm"]) == node_nm and row["device"] == device:
            return MemoryRow("vdd_v", float(row["vdd_v"]), "V", row["source"], row["source"].startswith("chosen"))
    return None


def check_supply(node_nm: float, device: Device, vdd_v: float | None) -> None:
    """Refuse a supply voltage other than that of the figures.

    Raises
    ------
    MissingFigureError
        If ``vdd_v`` is given and differs: no sourced law says what SRAM costs there.
    """
    if vdd_v is None:
        return
    nominal = supply(node_nm, device)
    if nominal is None or not math.isclose(nominal.value, vdd_v):
        known = "an unstated supply" if nominal is None else f"{nominal.value:g} V"
        raise MissingFigureError(
            f"no source says what SRAM costs at {vdd_v:g} V; the {node_nm:g} nm {device} figures hold at {known}: "
            "leave the memory's supply out"
        )
