"""Nodes that the tables do not have: between two of them, and below the smallest.

Between two nodes, figures are interpolated in the logarithms of node and figure. Below 22 nm, the
22 nm figures are multiplied by one factor for each of energy, area, leakage and delay
(``node_scaling.csv``). CACTI has no working table there, so the result is an extrapolation.
No source gives a law of SRAM over supply voltage, so each node has the one supply of its figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache

from hwsim.hardware.memory.figures import NAMES, QUANTITIES, Answer, Device, MemoryRow
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError

#: From a node of the tables to its figures.
Lookup = Callable[[int], Answer]


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


def at_node(node_nm: float, device: Device, nodes: Collection[int], lookup: Lookup) -> Answer:
    """Return figures at ``node_nm`` from a ``lookup`` of those at ``nodes``; misprinted leakage is corrected.

    Raises
    ------
    MissingFigureError
        If the node is outside the range of tables and factors.
    """
    _check_node(node_nm, nodes)
    if node_nm < min(nodes):
        return _scaled(node_nm, _table_node(min(nodes), device, lookup), min(nodes))
    low, high, share = neighbours(node_nm, nodes)
    below = _table_node(int(low), device, lookup)
    return below if low == high else _between(below, _table_node(int(high), device, lookup), low, high, share)


def node_terms(node_nm: float, device: Device, nodes: Collection[int]) -> tuple[dict[int, float], list[float]]:
    """Return what :func:`at_node` does: by node, its share in the logarithms; and a factor for each quantity.

    Raises
    ------
    MissingFigureError
        If the node is outside the range of tables and factors.
    """
    _check_node(node_nm, nodes)
    low, high, share = neighbours(max(node_nm, min(nodes)), nodes)
    shares = {int(low): 1 - share, int(high): share} if low != high else {int(low): 1.0}
    factors = [node_factor(kind, node_nm).value if node_nm < min(nodes) else 1.0 for _, _, kind in QUANTITIES]
    for node, part in shares.items():
        factors[NAMES.index("leakage_mw")] *= leakage_corrections().get((node, device), (1.0, ""))[0] ** part
    return shares, factors


def _check_node(node_nm: float, nodes: Collection[int]) -> None:
    smallest, largest = min(scaled_nodes()), max(nodes)
    if not smallest <= node_nm <= largest:
        valid = f"{smallest:g} to {largest:g} nm"
        raise MissingFigureError(f"no memory figures at {node_nm:g} nm; valid nodes: {valid}")


def _table_node(node: int, device: Device, lookup: Lookup) -> Answer:
    answer = lookup(node)
    factor, reason = leakage_corrections().get((node, device), (1.0, ""))
    if not reason:
        return answer
    only = [name == "leakage_mw" for name in NAMES]
    reasons = [f"misprint at {node} nm {device}: {reason}" if here else "" for here in only]
    return answer.times([factor if here else 1.0 for here in only], reasons)


def _between(below: Answer, above: Answer, low: float, high: float, share: float) -> Answer:
    nodes = f"between {low:g} and {high:g} nm"
    return Answer(
        tuple(a ** (1 - share) * b**share for a, b in zip(below.figures, above.figures, strict=True)),
        f"{below.how}, {nodes} (estimated)",
        tuple(_merged(a, b, nodes) for a, b in zip(below.sources, above.sources, strict=True)),
        (True,) * len(QUANTITIES),
    )


@lru_cache(maxsize=256)
def _merged(below: str, above: str, nodes: str) -> str:
    return "; ".join(dict.fromkeys([*below.split("; "), *above.split("; "), f"log-log interpolation {nodes}"]))


def _scaled(node_nm: float, origin: Answer, base: int) -> Answer:
    factors = [node_factor(kind, node_nm) for _, _, kind in QUANTITIES]
    reasons = [f"from {base} to {node_nm:g} nm, extrapolated: {f.source}" for f in factors]
    return origin.times([f.value for f in factors], reasons, f"extrapolated from {base} nm (estimated)")


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
