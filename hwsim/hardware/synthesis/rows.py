"""Rows of synthesis tables: one mapped unit in one library, with what it measured."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path

from hwsim.hardware.synthesis.unit import STYLES, UNITS, Bill
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean
from hwsim.spec.text import read_text

#: Columns that name a unit; figures are read where they are there.
KEYS = ("lib", "mode", "mult_style", "name", "class", "params")
MODES = ("area", "speed")

AREA, DELAY = "area_um2", "crit_ps"
#: Figures that are modelled; energies in fJ per operation (see ``model``). Other columns are not read.
FIGURES = (AREA, DELAY, "leak_nW", "E_rand_noglitch_fJ", "E_rand_fJ", "E_gauss_fJ")


@dataclass(frozen=True, eq=False)
class Row:
    """A unit of class ``kind`` and ``params``, synthesised in ``lib`` for area or speed, and its figures by column."""

    lib: str
    mode: str
    style: str
    name: str
    kind: str
    params: Mapping[str, int]
    figures: Mapping[str, float]

    @property
    def place(self) -> str:
        """Library and mode, to which a scale belongs: ``asap7 area``."""
        return f"{self.lib} {self.mode}"

    @property
    def unit(self) -> str:
        """The unit whatever its multiplier's style: rows of one are no independent witnesses."""
        return self.name.removesuffix("_st")

    @cached_property
    def bill(self) -> Bill:
        """Counted cells and levels."""
        return UNITS.get(self.kind)(self.params, self.style)


def read_rows(path: str | Path) -> list[Row]:
    """Read a table with the columns :data:`KEYS` and figures such as ``area_um2``, ``crit_ps``, ``E_rand_fJ``.

    Raises
    ------
    SpecError
        With every wrong cell, at its line.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    header = reader.fieldnames or []
    missing = [column for column in KEYS if column not in header]
    if missing:
        raise SpecError([Problem(str(path), 1, 1, "header", f"missing column {', '.join(missing)}")])
    rows, problems = [], []
    for record in reader:
        try:
            rows.append(_row(record))
        except UsageError as error:
            problems.append(Problem(str(path), reader.line_num, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    if not rows:
        raise SpecError([Problem(str(path), 1, 1, "", "holds no rows")])
    return rows


def _row(record: Mapping[str, str]) -> Row:
    for column, valid in (("mode", MODES), ("mult_style", STYLES)):
        if record[column] not in valid:
            raise UsageError(f"{column}: {record[column]!r}; {did_you_mean(record[column], valid)}")
    try:
        params = {str(k): int(v) for k, v in json.loads(record["params"]).items()}
    except (ValueError, AttributeError, TypeError):
        raise UsageError(f"params: {record['params']!r} is no JSON mapping of whole numbers") from None
    figures = {column: _number(column, record[column]) for column in FIGURES if record.get(column)}
    row = Row(record["lib"], record["mode"], record["mult_style"], record["name"], record["class"], params, figures)
    try:
        _ = row.bill
    except KeyError as error:
        raise UsageError(f"params: {record['class']} needs {error}; found {', '.join(params) or 'none'}") from None
    return row


def _number(column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"{column}: {text!r} is no number from 0")
    return value
