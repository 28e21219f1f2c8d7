"""Published memory figures and what the models say about the same memory."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.hardware.memory.dram import load_dram
from hwsim.hardware.memory.figures import Macro
from hwsim.hardware.memory.register_file import build_register_file
from hwsim.hardware.memory.sram import build_sram
from hwsim.spec.data import read_csv_rows


class MemoryDeviation(NamedTuple):
    """One published figure, ours, and ours over published; ``reason`` if the two are not the same thing."""

    reference: str
    what: str
    published: float
    unit: str
    modelled: float
    ratio: float
    source: str
    reason: str
    node_nm: float


def memory_deviations() -> list[MemoryDeviation]:
    """Return every row of ``references.csv`` with our figure; an "access" is taken to be a read."""
    found = []
    for row in read_csv_rows("memory", "references.csv"):
        published, modelled = float(row["published"]), _modelled(row)
        what, reason = (row["reference"], row["what"]), (row["source"], row["reason"])
        ratio, node_nm = modelled / published, float(row["node_nm"])
        found.append(MemoryDeviation(*what, published, row["unit"], modelled, ratio, *reason, node_nm))
    return found


def _modelled(row: dict[str, str]) -> float:
    kind, _, preset = row["memory"].partition(":")
    if kind == "dram":
        return load_dram(preset).read_pj_per_bit * int(row["width_bits"])
    figure: float = getattr(_memory(row), row["quantity"])
    return figure


def _memory(row: dict[str, str]) -> Macro:
    size, width, node = int(row["size_bytes"]), int(row["width_bits"]), float(row["node_nm"])
    if row["memory"] == "rf":
        return build_register_file(size * 8 // width, width, 1, 1, node)
    return build_sram(size, width, 1, node, ports=row["ports"])
