"""SRAM macros: log-log interpolation of CACTI 7 rows, and nothing in silence outside it.

The grid has single-bank, single-port macros at 360 K, 90 to 22 nm, 1 KiB to 16 MiB, 8 to 1024
bits. A capacity beyond the grid, or a word too wide for the depth, is built from equal macros
side by side, which share the word. Read energy jumps where CACTI changes its column
multiplexing, so interpolated cells are good to about 10 % (leave-one-out), as the note states.
Nodes outside the grid: see ``nodes.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import QUANTITIES, Device, Macro, Table
from hwsim.hardware.memory.nodes import at_node, check_supply, scaled_nodes
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean

SOURCE = "CACTI 7, 1 RW port, 360 K, ED^2 optimum"
LEAKAGE = [name for name, _, _ in QUANTITIES].index("leakage_mw")


@dataclass(frozen=True)
class Sram(Macro):
    """A buffer behind one port of ``width_bits``; ``macros`` arrays in ``banks`` banks."""

    size_bytes: int
    banks: int
    macros: int


@lru_cache(maxsize=1)
def _rows() -> dict[str, dict[int, list[dict[str, str]]]]:
    found: dict[str, dict[int, list[dict[str, str]]]] = {}
    for row in read_csv_rows("memory", "sram_grid.csv"):
        found.setdefault(row["device"].removeprefix("itrs-"), {}).setdefault(int(row["tech_nm"]), []).append(row)
    return found


@lru_cache(maxsize=32)
def _grid(node_nm: int, device: str) -> Table:
    return Table(_rows()[device][node_nm])


@lru_cache(maxsize=1)
def leakage_corrections() -> dict[tuple[int, str], tuple[float, str]]:
    """Return factor and reason by (node in nm, device) where CACTI's leakage at 360 K is misprinted."""
    rows = read_csv_rows("memory", "leakage_corrections.csv")
    return {(int(r["node_nm"]), r["device"]): (float(r["factor"]), r["source"]) for r in rows}


def sram_devices() -> list[str]:
    """Return the device types of the grid."""
    return sorted(_rows())


def sram_nodes(device: Device = "hp") -> list[float]:
    """Return the nodes in nm that have figures of their own or sourced factors, smallest first."""
    return scaled_nodes() + sorted(_rows()[device])


@lru_cache(maxsize=4096)
def build_sram(
    size_bytes: int, width_bits: int, banks: int, node_nm: float, device: Device = "hp", vdd_v: float | None = None
) -> Sram:
    """Return a buffer of ``size_bytes`` behind a port of ``width_bits``.

    Each bank holds its share of the capacity and one bank answers an access; a bank is one macro,
    or as many side by side as its width or size needs.

    Raises
    ------
    UsageError
        If the device type is unknown.
    MissingFigureError
        If no figures are known at the node or at the supply ``vdd_v``.
    InfeasibleError
        If no macros of this shape exist.
    """
    if device not in _rows():
        raise UsageError(f"sram_device: unknown {device!r}; {did_you_mean(device, _rows())}")
    check_supply(node_nm, device, vdd_v)
    parallel, corrected = 1, {}

    def lookup(node: int) -> tuple[NDArray[np.float64], str]:
        nonlocal parallel
        figures, how, parallel = _bank(_grid(node, device), size_bytes, width_bits, banks)
        if (node, device) in leakage_corrections():
            factor, corrected[node] = leakage_corrections()[node, device]
            figures = figures.copy()
            figures[LEAKAGE] *= factor
        return figures, how

    answer = at_node(node_nm, list(_rows()[device]), SOURCE, lookup)
    read, write, leakage, area, access = answer.figures
    sources, estimates = list(answer.sources), list(answer.estimates)
    if corrected:
        sources[LEAKAGE] += "; leakage corrected: " + "; ".join(corrected.values())
        estimates[LEAKAGE] = True
    macros = parallel * banks
    return Sram(
        width_bits=width_bits,
        node_nm=node_nm,
        device=device,
        read_pj=read * parallel,
        write_pj=write * parallel,
        leakage_mw=leakage * macros,
        area_mm2=area * macros,
        access_ns=access,
        answered_by=answer.how if macros == 1 else f"{answer.how}, {macros} macros",
        sources=tuple(sources),
        estimates=tuple(estimates),
        size_bytes=size_bytes,
        banks=banks,
        macros=macros,
    )


def _bank(grid: Table, size_bytes: int, width_bits: int, banks: int) -> tuple[NDArray[np.float64], str, int]:
    """Return the figures of one macro, how they came about, and how many macros a bank has."""
    for parallel in (2**i for i in range(13)):
        size, width = size_bytes / banks / parallel, max(width_bits / parallel, 8)
        if not 1024 <= size <= 2**24 or width > 1024:
            continue
        figures, exact = grid.at(size, width)
        if not np.isnan(figures).any():
            return figures, "table" if exact else "interpolation", parallel
    raise InfeasibleError(
        f"a buffer of {size_bytes} B in {banks} bank(s) cannot have a port of {width_bits} bits: words too wide "
        "for the depth; valid: a larger buffer, fewer banks or a smaller port_bits"
    )
