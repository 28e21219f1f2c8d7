"""Register files: small many-ported memories, interpolated in CACTI 7 rows.

The rows have 64 B to 2 KiB, 8 to 128 bits, at least 32 words, with one shared port, one read and
one write port, or two and one. A file with more ports is extrapolated from these three: each port
adds a word line and a bit line to the cell, so its sides grow linearly with the ports, and with
them wire energy and delay. The law finds the three-port rows from the others within 3 % for
energy, area and access time (mean), 5 % for leakage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import AREA, Device, Macro, Table
from hwsim.hardware.memory.nodes import at_node, check_supply
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError, did_you_mean

SOURCE = "CACTI 7 register file rows, 360 K, ED^2 optimum"
#: Ports of the rows by their sum: (shared, read, write).
MIXES = {1: (1, 0, 0), 2: (0, 1, 1), 3: (0, 2, 1)}
#: Sum of ports above which the line through three points would say too little.
MOST_PORTS = 8


@dataclass(frozen=True)
class RegisterFile(Macro):
    """``words`` of ``width_bits``; energies per access of one port, leakage and area of the whole."""

    words: int
    read_ports: int
    write_ports: int
    shared_ports: int
    macros: int

    @property
    def size_bytes(self) -> float:
        """Capacity in bytes."""
        return self.words * self.width_bits / 8


@lru_cache(maxsize=1)
def _rows() -> dict[tuple[str, int, int], list[dict[str, str]]]:
    found: dict[tuple[str, int, int], list[dict[str, str]]] = {}
    for row in read_csv_rows("memory", "rf_grid.csv"):
        ports = sum(int(row[f"ports_{kind}"]) for kind in ("rw", "rd", "wr"))
        found.setdefault((row["device"].removeprefix("itrs-"), int(row["tech_nm"]), ports), []).append(row)
    return found


@lru_cache(maxsize=64)
def _table(device: str, node_nm: int, ports: int) -> Table:
    return Table(_rows()[device, node_nm, ports])


@lru_cache(maxsize=4096)
def build_register_file(
    words: int,
    width_bits: int,
    read_ports: int,
    write_ports: int,
    node_nm: float,
    device: Device = "hp",
    shared_ports: int = 0,
    vdd_v: float | None = None,
) -> RegisterFile:
    """Return a register file; ``shared_ports`` read or write, so with one of them the others may be 0.

    Raises
    ------
    UsageError
        If it cannot be read or written, or the device type is unknown.
    MissingFigureError
        If no figures are known at the node, the supply ``vdd_v`` or for so many ports.
    InfeasibleError
        If it is smaller or larger than the rows: registers and SRAM cover what lies beyond.
    """
    ports = read_ports + write_ports + shared_ports
    _check_ports(read_ports, write_ports, shared_ports)
    devices = {key[0] for key in _rows()}
    if device not in devices:
        raise UsageError(f"device: unknown {device!r}; {did_you_mean(device, devices)}")
    check_supply(node_nm, device, vdd_v)
    parallel = 1

    def lookup(node: int) -> tuple[NDArray[np.float64], str]:
        nonlocal parallel
        figures, how, parallel = _figures(device, node, words, width_bits, ports)
        return figures, how

    answer = at_node(node_nm, device, sorted({key[1] for key in _rows()}), SOURCE, lookup)
    read, write, leakage, area, access = answer.figures
    other_mix = MIXES.get(ports) != (shared_ports, read_ports, write_ports)
    note = f"; {ports} ports: {'line through' if ports > max(MIXES) else 'as'} CACTI's port mixes, estimated"
    how = f"{answer.how}, extrapolated in ports" if ports > max(MIXES) else answer.how
    return RegisterFile(
        width_bits=width_bits,
        node_nm=node_nm,
        device=device,
        read_pj=read * parallel,
        write_pj=write * parallel,
        leakage_mw=leakage * parallel,
        area_mm2=area * parallel,
        access_ns=access,
        answered_by=how if parallel == 1 else f"{how}, {parallel} macros",
        sources=tuple(s + note if other_mix else s for s in answer.sources),
        estimates=tuple(e or other_mix for e in answer.estimates),
        words=words,
        read_ports=read_ports,
        write_ports=write_ports,
        shared_ports=shared_ports,
        macros=parallel,
    )


def _check_ports(read_ports: int, write_ports: int, shared_ports: int) -> None:
    if min(read_ports, write_ports, shared_ports) < 0 or not (
        (read_ports or shared_ports) and (write_ports or shared_ports)
    ):
        given = f"{read_ports} read, {write_ports} write, {shared_ports} shared"
        raise UsageError(f"a register file needs ports to read and to write, not {given}")
    ports = read_ports + write_ports + shared_ports
    if ports > MOST_PORTS:
        raise MissingFigureError(f"no figures for register files of {ports} ports; valid: 1 to {MOST_PORTS}")


def _figures(device: str, node: int, words: int, width_bits: int, ports: int) -> tuple[NDArray[np.float64], str, int]:
    """Return the figures of one macro, how they came about, and how many share the word."""
    for parallel in (1, 2, 4, 8, 16):
        width = width_bits / parallel
        found = [_table(device, node, p).at(words * width / 8, width) for p in MIXES]
        if not np.isnan(found[-1][0]).any():
            how = "table" if found[0][1] else "interpolation"
            figures = [f for f, _ in found]
            return (figures[ports - 1] if ports in MIXES else _more_ports(figures, ports)), how, parallel
    if words < 32 or width_bits < 8 or words * width_bits < 1024:
        hint = "smaller than 32 words, 8 bits or 128 B it is registers: build it of circuits"
    else:
        hint = "larger than 2 KiB per 128 bits it is SRAM: build_sram"
    raise InfeasibleError(f"no register file of {words} words of {width_bits} bits; {hint}")


def _more_ports(figures: list[NDArray[np.float64]], ports: int) -> NDArray[np.float64]:
    """Continue the line through one and three ports; the square root of the area is linear."""
    one, three = figures[0].copy(), figures[2].copy()
    one[AREA], three[AREA] = np.sqrt(one[AREA]), np.sqrt(three[AREA])
    # CACTI's optimum jumps now and then; more ports never cost less
    line: NDArray[np.float64] = three + np.maximum(three - one, 0) / 2 * (ports - 3)
    line[AREA] **= 2
    return line
