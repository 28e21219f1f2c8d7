"""Tables of units and what synthesis makes of them: measured again, compared, written.

A table has the columns ``design``, ``family`` and ``params``; figures and source follow them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from hwsim.hardware.fpga.generate.alm import count_alms
from hwsim.hardware.fpga.generate.netlist import Netlist
from hwsim.hardware.fpga.generate.sites import count_sites
from hwsim.hardware.fpga.generate.verilog import verilog
from hwsim.hardware.fpga.generate.yosys import FLOWS, synthesise, version
from hwsim.hardware.fpga.rows import read_params
from hwsim.spec.errors import UsageError
from hwsim.spec.text import read_text

KEYS = ("design", "family", "params")
Row = dict[str, str]


def site_figures(netlist: Netlist) -> Row:
    """Return the figures of a row on LUT6."""
    found = count_sites(netlist)
    return {"lut_sites_carry_aware": str(found.lut_sites), "lut_cells": str(found.lut_cells),
            "CARRY4": str(found.carry4), "FF": str(found.ff)}  # fmt: skip


def alm_figures(netlist: Netlist) -> Row:
    """Return the figures of a row on ALMs."""
    found = count_alms(netlist)
    return {"alm": f"{found.alm:g}", "alm_as_mapped": f"{found.alm_as_mapped:g}", "aluts": str(found.aluts),
            "adder_bits": str(found.adder_bits), "FF": str(found.ff)}  # fmt: skip


#: How each fabric's netlists are counted.
FIGURES: Mapping[str, Callable[[Netlist], Row]] = {"lut6": site_figures, "alm": alm_figures}


@dataclass(frozen=True)
class Table:
    """Units and their figures, and the fabric that these are of."""

    fabric: str
    rows: tuple[Row, ...]


def read_table(path: Path, fabric: str | None = None) -> Table:
    """Read a table; without ``fabric`` its columns tell.

    Raises
    ------
    UsageError
        If a column is missing, or the fabric is neither given nor told.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    columns = tuple(reader.fieldnames or ())
    lacking = [name for name in KEYS if name not in columns]
    if lacking:
        raise UsageError(f"{path}: missing column {', '.join(lacking)}")
    told = "alm" if "alm" in columns else "lut6" if "lut_sites_carry_aware" in columns else None
    if fabric is None and told is None:
        raise UsageError(f"{path}: no column tells the fabric; valid: --fabric {' or '.join(FLOWS)}")
    return Table(fabric or str(told), tuple(dict(row) for row in reader))


def measure(row: Mapping[str, str], fabric: str) -> Row:
    """Return a row as synthesis makes it now.

    Raises
    ------
    UsageError
        If the unit has no Verilog or its synthesis fails; names the design.
    """
    try:
        netlist = synthesise(verilog(row["family"], read_params(row["params"])), fabric)
    except ValueError as error:
        raise UsageError(f"{row['design']}: {error}") from None
    source = f"own run of yosys {version()}: {FLOWS[fabric]}; adders on carry chains"
    return {**{name: row[name] for name in KEYS}, **FIGURES[fabric](netlist), "source": source}


def differences(table: Table, measured: Iterator[Row]) -> Iterator[str]:
    """Yield one line for each figure that differs from the table's."""
    for row, found in zip(table.rows, measured, strict=True):
        for name in found:
            if name not in (*KEYS, "source") and row.get(name) != found[name]:
                yield f"{row['design']}: {name} is {found[name]}, the table has {row.get(name, 'none')}"


def write_table(path: Path, rows: list[Row]) -> None:
    """Write rows as a table."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
