"""SRAM macros: log-log interpolation of CACTI 7 rows, and nothing in silence outside it.

The grid has single-bank, single-port macros at 360 K, 90 to 22 nm, 1 KiB to 16 MiB, 8 to 1024
bits. A capacity beyond the grid, or a word too wide for the depth, is built from equal macros
side by side, which share the word. Read energy jumps where CACTI changes its column
multiplexing, so interpolated cells are good to about 10 % (leave-one-out), as the note states.
Nodes outside the grid: see ``nodes.py``.

Banks share the one port. The wires between it and the banks cost about what they cost in one
array of the same capacity, so in CACTI an access to 1 of 8 banks takes 0.99 of the energy of the
undivided array, not that of an array of an eighth: ``bank_factors.csv``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import QUANTITIES, Device, Macro, Table
from hwsim.hardware.memory.nodes import Answer, at_node, check_supply, neighbours, scaled_nodes
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean

SOURCE = "CACTI 7, 1 RW port, 360 K, ED^2 optimum"


@dataclass(frozen=True)
class Sram(Macro):
    """A buffer behind one port of ``width_bits``; ``macros`` arrays in ``banks`` banks."""

    size_bytes: int
    banks: int
    macros: int


class BankFactor(NamedTuple):
    """A quantity of a banked buffer over that of one array (``of`` total) or of all its banks (``of`` banks)."""

    of: str
    factor: float
    source: str


@lru_cache(maxsize=1)
def _rows() -> dict[str, dict[int, list[dict[str, str]]]]:
    found: dict[str, dict[int, list[dict[str, str]]]] = {}
    for row in read_csv_rows("memory", "sram_grid.csv"):
        found.setdefault(row["device"].removeprefix("itrs-"), {}).setdefault(int(row["tech_nm"]), []).append(row)
    return found


@lru_cache(maxsize=32)
def _grid(node_nm: int, device: str) -> Table:
    return Table(_rows()[device][node_nm])


def sram_devices() -> list[str]:
    """Return the device types of the grid."""
    return sorted(_rows())


def sram_nodes(device: Device = "hp") -> list[float]:
    """Return the nodes in nm that have figures of their own or sourced factors, smallest first."""
    return scaled_nodes() + sorted(_rows()[device])


@lru_cache(maxsize=64)
def bank_factor(quantity: str, banks: int) -> BankFactor:
    """Return the measured factor; between 2, 4 and 8 banks by the logarithm, beyond 8 that of 8."""
    rows = {int(r["banks"]): r for r in read_csv_rows("memory", "bank_factors.csv") if r["quantity"] == quantity}
    low, high, share = neighbours(min(banks, max(rows)), rows)
    value = float(rows[int(low)]["factor"]) ** (1 - share) * float(rows[int(high)]["factor"]) ** share
    return BankFactor(rows[int(high)]["of"], value, rows[int(high)]["source"])


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
    bank, parallel = _array(size_bytes / banks, width_bits, node_nm, device, f"{size_bytes} B in {banks} bank(s)")
    answers = {"banks": bank, "total": bank}
    copies = {"banks": parallel * banks, "total": parallel}
    if banks > 1:
        answers["total"], copies["total"] = _array(size_bytes, width_bits, node_nm, device, f"{size_bytes} B")
    values, sources, estimates = [], [], []
    for i, (name, _, kind) in enumerate(QUANTITIES):
        of, factor, reason = bank_factor(name, banks)
        answer = answers[of]
        values.append(answer.figures[i] * factor * (1 if kind == "delay" else copies[of]))
        sources.append(answer.sources[i] + (f"; × {factor:.3g}: {reason}, estimated" if banks > 1 else ""))
        estimates.append(answer.estimates[i] or banks > 1)
    macros = parallel * banks
    how = max((a.how for a in answers.values()), key=lambda text: text.startswith("interpolation"))
    read, write, leakage, area, access = values
    return Sram(
        width_bits=width_bits,
        node_nm=node_nm,
        device=device,
        read_pj=read,
        write_pj=write,
        leakage_mw=leakage,
        area_mm2=area,
        access_ns=access,
        answered_by=how if macros == 1 else f"{how}, {macros} macros",
        sources=tuple(sources),
        estimates=tuple(estimates),
        size_bytes=size_bytes,
        banks=banks,
        macros=macros,
    )


def _array(size_bytes: float, width_bits: int, node_nm: float, device: Device, what: str) -> tuple[Answer, int]:
    """Return the figures of one macro of an undivided array, and how many of them share the word."""
    shape, width = _shape(_grid(max(_rows()[device]), device), size_bytes, width_bits, what)

    def lookup(node: int) -> tuple[NDArray[np.float64], str]:
        figures, exact = _grid(node, device).at(size_bytes / shape, width)
        return figures, "table" if exact else "interpolation"

    return at_node(node_nm, device, list(_rows()[device]), SOURCE, lookup), shape


def _shape(grid: Table, size_bytes: float, width_bits: int, what: str) -> tuple[int, float]:
    """Return how many macros share the word, and the bits of each; all nodes have the same shapes."""
    for parallel in (2**i for i in range(13)):
        size, width = size_bytes / parallel, max(width_bits / parallel, 8)
        if 1024 <= size <= 2**24 and width <= 1024 and not math.isnan(grid.at(size, width)[0][0]):
            return parallel, width
    raise InfeasibleError(
        f"a buffer of {what} cannot have a port of {width_bits} bits: words too wide "
        "for the depth; valid: a larger buffer, fewer banks or a smaller port_bits"
    )
