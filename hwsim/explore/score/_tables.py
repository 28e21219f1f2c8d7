"""What all tables of reference rows have: a header, and numbers that make sense."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from math import inf
from pathlib import Path
from typing import TypeVar

from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.text import read_text

R = TypeVar("R")


Numbered = tuple[int, dict[str, str]]


class RefusedError(Exception):
    """A row that is well-formed, but that nothing of ours stands for: it is counted, and the others are compared."""


def read_rows(path: Path, columns: Sequence[str], any_of: Sequence[str] = ()) -> list[Numbered]:
    """Return the rows of a CSV table, each with its line.

    Raises
    ------
    SpecError
        If one of ``columns`` is missing, or all of ``any_of``.
    """
    return read_form(path, {"": columns}, any_of)[1]


def read_form(path: Path, forms: Mapping[str, Sequence[str]], any_of: Sequence[str] = ()) -> tuple[str, list[Numbered]]:
    """Return the first of ``forms`` whose columns a CSV table has all, and the rows, each with its line.

    Raises
    ------
    SpecError
        If it has none, or no column of ``any_of``.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    header = reader.fieldnames or []
    more = [] if not any_of or set(any_of) & set(header) else [f"any of {', '.join(any_of)}"]
    lacking = {name: [c for c in columns if c not in header] + more for name, columns in forms.items()}
    found = next((name for name, columns in lacking.items() if not columns), None)
    if found is None:
        said = [f"{name} lacks column {', '.join(columns)}" for name, columns in lacking.items()]
        one = f"missing column {', '.join(next(iter(lacking.values())))}"
        what = one if len(forms) == 1 else f"is of neither form: {'; '.join(said)}"
        raise SpecError([Problem(str(path), 1, 1, "header", what)])
    return found, [(reader.line_num, row) for row in reader]


def compared(
    path: Path,
    rows: Iterable[Numbered],
    law: Callable[[dict[str, str]], Iterable[R]],
    refused: Counter[str] | None = None,
) -> list[R]:
    """Return what ``law`` finds for the rows of a table, one after the other.

    Rows that it refuses (RefusedError) are counted in ``refused``, by what it says.

    Raises
    ------
    SpecError
        With every row that it cannot read, at its line.
    UsageError
        If nothing was found.
    """
    found: list[R] = []
    problems = []
    counts = Counter[str]() if refused is None else refused
    for line, row in rows:
        try:
            if None in row.values():
                raise UsageError(f"has {sum(v is not None for v in row.values())} of {len(row)} columns")
            found += law(row)
        except RefusedError as unknown:
            counts[str(unknown)] += 1
        except (TypeError, ValueError) as error:
            problems.append(Problem(str(path), line, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    if not found:
        raise UsageError(f"{path}: nothing to compare; {'; '.join(refusals(counts)) or 'the table has no rows'}")
    return found


def refusals(refused: Mapping[str, int]) -> list[str]:
    """Return a note per reason for which rows were refused."""
    return [f"refused: {count} row(s): {what}" for what, count in refused.items()]


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
