"""Tables of synthesised units: their family, parameters and LUT sites.

The form is that of ``hwsim/data/fpga/lut_rows.csv``: ``lut_sites_carry_aware`` counts LUTs without those that share
a site with a carry bit, and with those that a carry bit takes alone. Rows without it, of flows that put sums into
LUTs, are not of this model. Tables of ALMs have a column ``alm`` in its place (``hwsim/data/fpga/alm_rows.csv``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from math import inf
from pathlib import Path
from typing import Any

import yaml

from hwsim.hardware.fpga.unit import FAMILIES, family_cells
from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.text import read_text

KEYS = ("design", "family", "params")
#: Column of what a unit takes, by logic.
FIGURE = {"lut6": "lut_sites_carry_aware", "alm": "alm"}


@dataclass(frozen=True)
class LutRow:
    """A synthesised unit: its fabric cells by class, and the LUT sites, or ALMs, that it takes."""

    design: str
    family: str
    cells: Mapping[str, float]
    lut_sites: float


def read_lut_rows(path: Path, unknown: list[str] | None = None, logic: str = "lut6") -> list[LutRow]:
    """Read a table of the form of ``hwsim/data/fpga/lut_rows.csv``, or of ``alm_rows.csv``.

    Families of rows that have no model are put into ``unknown``, where it is given, and so are units whose parameters
    a family does not know, with the reason.

    Raises
    ------
    SpecError
        With every row that it cannot read, at its line; also those without a model, without ``unknown``.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    figure = FIGURE[logic]
    lacking = [column for column in (*KEYS, figure) if column not in (reader.fieldnames or [])]
    if lacking:
        raise SpecError([Problem(str(path), 1, 1, "header", f"missing column {', '.join(lacking)}")])
    found: list[LutRow] = []
    problems: list[Problem] = []
    for row in reader:
        if unknown is not None and row["family"] not in FAMILIES and row[figure].strip():
            unknown.append(row["family"])
            continue
        try:
            found += _rows(row, logic)
        except UsageError as error:
            if unknown is None:
                problems.append(Problem(str(path), reader.line_num, 0, "", str(error)))
            else:
                unknown.append(f"{row['design']} (line {reader.line_num}: {error})")
        except (TypeError, ValueError) as error:
            problems.append(Problem(str(path), reader.line_num, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    return found


def _rows(row: Mapping[str, str], logic: str) -> Iterable[LutRow]:
    figure = FIGURE[logic]
    if not row[figure].strip():
        return []
    sites = float(row[figure])
    if not 0 < sites < inf:
        raise ValueError(f"{figure} must be positive, not {row[figure]}")
    cells = family_cells(row["family"], read_params(row["params"]), logic)
    return [LutRow(row["design"], row["family"], cells, sites)]


def read_params(text: str) -> dict[str, Any]:
    """Return the parameters of a unit, a flow mapping of YAML.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"params must be a mapping such as {{wa: 8, wb: 4}}, not {text!r}")
    return found
