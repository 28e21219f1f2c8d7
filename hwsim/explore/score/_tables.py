"""What all tables of reference rows have: a header, and numbers that make sense."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from math import inf
from pathlib import Path
from typing import TypeVar

from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.text import read_text

R = TypeVar("R")


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV table, each with its line.

    Raises
    ------
    SpecError
        If one of ``columns`` is missing.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    lacking = [column for column in columns if column not in (reader.fieldnames or [])]
    if lacking:
        raise SpecError([Problem(str(path), 1, 1, "header", f"missing column {', '.join(lacking)}")])
    return [(reader.line_num, row) for row in reader]


def compared(
    path: Path, rows: Iterable[tuple[int, dict[str, str]]], law: Callable[[dict[str, str]], Iterable[R]]
) -> list[R]:
    """Return what ``law`` finds for the rows of a table, one after the other.

    Raises
    ------
    SpecError
        With every row that it cannot read, at its line.
    UsageError
        If there is no row.
    """
    found: list[R] = []
    problems = []
    for line, row in rows:
        try:
            found += law(row)
        except (TypeError, ValueError) as error:
            problems.append(Problem(str(path), line, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    if not found:
        raise UsageError(f"{path}: nothing to compare: the table has no rows")
    return found


def positive(row: Mapping[str, str], column: str) -> float:
    """Return a number above zero.

    Raises
    ------
    UsageError
        If it is none, or not finite.
    """
    value = _number(row, column)
    if not 0 < value < inf:
        raise UsageError(f"{column} must be positive, not {row[column]}")
    return value


def not_negative(row: Mapping[str, str], column: str) -> float:
    """Return a number of at least zero.

    Raises
    ------
    UsageError
        If it is none, or not finite.
    """
    value = _number(row, column)
    if not 0 <= value < inf:
        raise UsageError(f"{column} must be at least 0, not {row[column]}")
    return value


def _number(row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except (TypeError, ValueError):
        raise UsageError(f"{column} must be a number, not {row[column]!r}") from None
