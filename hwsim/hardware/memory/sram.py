"""SRAM macros: log-log interpolation of CACTI 7 rows, and nothing in silence outside it.

The grid has single-bank, single-port macros at 360 K, 90 to 22 nm, 1 KiB to 16 MiB, 8 to 1024
bits. A capacity beyond the grid, or a word too wide for the depth, is built from equal macros
side by side, which share the word. Read energy jumps where CACTI changes its column
multiplexing, so interpolated cells are good to about 10 % (leave-one-out), as the note states.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import InfeasibleError, MissingFigureError

FIGURES = ("read_pJ", "write_pJ", "leak_mW_total", "area_mm2", "access_ns")
Device = Literal["hp", "lstp"]


@dataclass(frozen=True)
class Sram:
    """A buffer behind one port of ``width_bits``; energies per access of the whole width."""

    size_bytes: int
    width_bits: int
    banks: int
    macros: int
    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float
    access_ns: float
    answered_by: str
    source: str


class _Grid:
    """One node and device: the table's rows and a triangulation of their logarithms."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        # scipy takes long to import and only this needs it
        from scipy.interpolate import LinearNDInterpolator

        points = [(int(r["size_bytes"]), int(r["word_bits"])) for r in rows]
        figures = np.array([[float(r[figure]) for figure in FIGURES] for r in rows])
        self.known = dict(zip(points, figures, strict=True))
        self._between = LinearNDInterpolator(np.log2(np.array(points, dtype=float)), np.log(figures))

    def at(self, size_bytes: float, width_bits: float) -> tuple[NDArray[np.float64], bool]:
        """Return the figures and whether they stand in the table; NaN outside the table's hull."""
        if (size_bytes, width_bits) in self.known:
            return self.known[int(size_bytes), int(width_bits)], True
        found: NDArray[np.float64] = np.exp(self._between(np.log2(size_bytes), np.log2(width_bits)))
        return found.reshape(len(FIGURES)), False


@lru_cache(maxsize=1)
def _rows() -> dict[tuple[int, str], list[dict[str, str]]]:
    found: dict[tuple[int, str], list[dict[str, str]]] = {}
    for row in read_csv_rows("memory", "sram_grid.csv"):
        found.setdefault((int(row["tech_nm"]), row["device"].removeprefix("itrs-")), []).append(row)
    return found


@lru_cache(maxsize=32)
def _grid(node_nm: float, device: str) -> _Grid:
    rows = _rows().get((int(node_nm), device))
    if rows is None:
        raise MissingFigureError(f"no SRAM figures for {node_nm:g} nm {device}; valid nodes: {sram_nodes()}")
    if (int(node_nm), device) == (22, "lstp"):
        raise MissingFigureError("the SRAM table's leakage at 22 nm lstp, 360 K is wrong; valid: sram_device hp")
    return _Grid(rows)


def sram_nodes() -> list[int]:
    """Return the nodes in nm that the grid has."""
    return sorted({node for node, _ in _rows()})


@lru_cache(maxsize=4096)
def build_sram(size_bytes: int, width_bits: int, banks: int, node_nm: float, device: Device = "hp") -> Sram:
    """Return a buffer of ``size_bytes`` behind a port of ``width_bits``.

    Each bank holds its share of the capacity and one bank answers an access; a bank is one macro,
    or as many side by side as its width or size needs.

    Raises
    ------
    MissingFigureError
        If no figures are known for the node or its leakage.
    InfeasibleError
        If no macros of this shape exist.
    """
    grid = _grid(node_nm, device)
    bank_bytes = size_bytes / banks
    for parallel in (2**i for i in range(13)):
        size, width = bank_bytes / parallel, max(width_bits / parallel, 8)
        if not 1024 <= size <= 2**24 or width > 1024:
            continue
        figures, exact = grid.at(size, width)
        if not np.isnan(figures).any():
            break
    else:
        raise InfeasibleError(
            f"a buffer of {size_bytes} B in {banks} bank(s) cannot have a port of {width_bits} bits: words too wide "
            "for the depth; valid: a larger buffer, fewer banks or a smaller port_bits"
        )
    read, write, leakage, area, access = (float(f) for f in figures)
    how = "table" if exact else "interpolation"
    return Sram(
        size_bytes=size_bytes,
        width_bits=width_bits,
        banks=banks,
        macros=parallel * banks,
        read_pj=read * parallel,
        write_pj=write * parallel,
        leakage_mw=leakage * parallel * banks,
        area_mm2=area * parallel * banks,
        access_ns=access,
        answered_by=how if parallel * banks == 1 else f"{how}, {parallel * banks} macros",
        source="CACTI 7, 1 RW port, 360 K, ED^2 optimum",
    )
