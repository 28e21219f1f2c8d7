"""``python -m hwsim.hardware.fpga.generate [TABLE.csv …] [--check] [--fabric lut6|alm] [--only DESIGN …]``.

Synthesises every unit of the tables, those that hwsim ships unless others are named, and writes their figures into
them; with ``--check`` it says what differs instead. ``--verilog DESIGN`` prints a unit's Verilog. Exit code 2 for
a mistake, 4 where a check finds differences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

from hwsim.hardware.fpga.generate.table import Table, differences, measure, read_table, write_table
from hwsim.hardware.fpga.generate.verilog import verilog
from hwsim.hardware.fpga.generate.yosys import FLOWS
from hwsim.hardware.fpga.rows import read_params
from hwsim.spec.data import data_path
from hwsim.spec.errors import ComparisonError, HwsimError, UsageError, did_you_mean

#: Tables of own runs.
SHIPPED = ("component_rows.csv", "alm_component_rows.csv", "alm_rows.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        for path in options.tables or [data_path("fpga", name) for name in SHIPPED]:
            _one(path, options)
    except HwsimError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hwsim.hardware.fpga.generate", description=__doc__)
    parser.add_argument("tables", nargs="*", type=Path, metavar="TABLE.csv", help="default: all that hwsim ships")
    parser.add_argument("--fabric", choices=tuple(FLOWS), help="default: that of the table's columns")
    parser.add_argument("--check", action="store_true", help="say what differs, write nothing")
    parser.add_argument("--only", nargs="+", metavar="DESIGN", help="these units alone; needs --check or --verilog")
    parser.add_argument("--verilog", action="store_true", help="print the Verilog, run nothing")
    parser.add_argument("--jobs", type=int, default=cpu_count() or 1, help="units at a time")
    return parser


def _one(path: Path, options: argparse.Namespace) -> None:
    table = read_table(path, options.fabric)
    if options.only:
        table = _only(path, table, options)
    if options.verilog:
        for row in table.rows:
            print(f"// {row['design']}\n{verilog(row['family'], read_params(row['params']))}")
        return
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        measured = list(pool.map(lambda row: measure(row, table.fabric), table.rows))
    if not options.check:
        write_table(path, measured)
        return
    found = list(differences(table, iter(measured)))
    if found:
        raise ComparisonError(f"{path}: {len(found)} figures differ:\n" + "\n".join(found))
    print(f"{path}: {len(measured)} units come out as in the table")


def _only(path: Path, table: Table, options: argparse.Namespace) -> Table:
    if not (options.check or options.verilog):
        raise UsageError("--only: would drop the other rows; valid: with --check or --verilog")
    known = {row["design"]: row for row in table.rows}
    unknown = [name for name in options.only if name not in known]
    if unknown:
        raise UsageError(f"{path}: unknown design {unknown[0]!r}; {did_you_mean(unknown[0], known)}")
    return Table(table.fabric, tuple(known[name] for name in options.only))


if __name__ == "__main__":
    sys.exit(main())
