"""Formulas of low order in size and width, fitted to CACTI's rows of one bank: what is left without rows.

``sram_formula.csv`` has them by node and device with their errors on rows that they were not fitted to.
They are 20 % off in read energy, where the rows interpolate to 8 %, and jump where the rows end, so they
answer nothing that rows or their growth can; ``explain memory sram`` shows them beside what answered.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

from hwsim.hardware.memory.banked import bank_logs
from hwsim.hardware.memory.figures import NAMES, Answer, Story
from hwsim.hardware.memory.nodes import misprint_log
from hwsim.spec.data import read_csv_rows

#: Cycle time has no formula: none of low order comes closer than 17 %.
FIGURES = NAMES[:5]


@lru_cache(maxsize=1)
def _rows() -> dict[tuple[float, str], dict[str, dict[str, str]]]:
    found: dict[tuple[float, str], dict[str, dict[str, str]]] = {}
    for row in read_csv_rows("memory", "sram_formula.csv"):
        found.setdefault((float(row["node_nm"]), row["device"]), {})[row["quantity"]] = row
    return found


def formula_nodes(device: str) -> list[float]:
    """Return the nodes in nm that have formulas for a device, smallest first."""
    return sorted(node for node, of in _rows() if of == device)


def formula_answer(size_bytes: float, width_bits: float, banks: int, node_nm: float, device: str) -> Answer:
    """Return the figures by the formulas of a node and device, banks by their factors; no cycle time (NaN)."""
    rows = _rows()[node_nm, device]
    size, width = size_bytes / 1024, width_bits
    terms = {
        "one": 1.0,
        "width": width,
        "size_4th_root": size**0.25,
        "size_root": size**0.5,
        "size": size,
        "width_size_root": width * size**0.5,
    }
    logs = [math.log(sum(float(rows[name][term]) * x for term, x in terms.items())) for name in FIGURES] + [math.nan]
    logs[NAMES.index("leakage_mw")] += misprint_log(int(node_nm), device)
    over = bank_logs(banks, size_bytes * 8 / (width * banks) / width)
    errors = ", ".join(f"{float(rows[name]['mean_error']):.0%} in {name.rsplit('_', 1)[0]}" for name in FIGURES)
    source = f"{rows['read_pj']['source']}: {errors}"
    return Answer([a + b for a, b in zip(logs, over, strict=True)], partial(Story.of, "formula", source, True))
