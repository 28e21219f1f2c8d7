"""The trace CSV: one row per operation.

Required columns: ``layer,op,m,n,k,batch,repeat,w_format,a_format,o_format``. Optional:
``w_stats,a_stats,w_source,a_source,note,role``. ``op`` is ``gemm`` or a vector operation, whose
``k`` and ``w_format`` stay empty (``k`` may be 0). Empty formats are filled by the run's policy.
Blank lines and lines that start with ``#`` are skipped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean
from hwsim.workload.ops import A_SOURCES, ROLES, W_SOURCES, Gemm, Op, VectorOp, vector_op_names
from hwsim.workload.trace import Trace

REQUIRED = ("layer", "op", "m", "n", "k", "batch", "repeat", "w_format", "a_format", "o_format")
OPTIONAL = ("w_stats", "a_stats", "w_source", "a_source", "note", "role")
SIZES = ("m", "n", "k", "batch", "repeat")
FORMATS = ("w_format", "a_format", "o_format")
CHOICES = {"w_source": W_SOURCES, "a_source": A_SOURCES, "role": ROLES}
DEFAULTS = {"w_source": "dram", "a_source": "activation", "role": "other"}
GEMM_ONLY = ("w_format", "w_stats", "a_stats", "w_source", "a_source", "role")

#: Sizes beyond this are typing errors; products of five such sizes still are exact integers.
LARGEST_SIZE = 10**12


@dataclass
class _Reader:
    """Collects the operations and the mistakes of one file."""

    file: str
    columns: list[str] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, line: int, column: int, path: str, message: str, text: str) -> None:
        self.problems.append(Problem(self.file, line, column, path, message, text))

    def header(self, line: int, text: str) -> None:
        """Check the first row; without all columns no row can be read."""
        cells = list(split_csv_line(text))
        names = [name.strip() for _, name in cells]
        for (column, _), name in zip(cells, names, strict=True):
            if name not in (*REQUIRED, *OPTIONAL):
                known = did_you_mean(name, (*REQUIRED, *OPTIONAL))
                self.report(line, column, "header", f"unknown column {name!r}; {known}", text)
            elif names.index(name) != [c for c, _ in cells].index(column):
                self.report(line, column, "header", f"column {name!r} stands twice", text)
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            self.report(line, 1, "header", f"missing columns: {', '.join(missing)}", text)
        self.columns = names

    def row(self, line: int, text: str) -> None:
        """Read one operation, or report all that is wrong with it."""
        try:
            cells = list(split_csv_line(text))
        except ValueError as error:
            self.report(line, 1, "", str(error), text)
            return
        if len(cells) != len(self.columns):
            message = f"{len(cells)} fields, but the header names {len(self.columns)} columns"
            self.report(line, 1, "", message, text)
            return
        row = _Row(self, line, text, dict(zip(self.columns, cells, strict=True)))
        before = len(self.problems)
        op = row.read()
        if op is not None and len(self.problems) == before:
            self.ops.append(op)


@dataclass
class _Row:
    """One row, cell by cell."""

    reader: _Reader
    line: int
    text: str
    cells: dict[str, tuple[int, str]]

    def value(self, name: str) -> str:
        return self.cells.get(name, (0, ""))[1].strip()

    def report(self, name: str, message: str) -> None:
        self.reader.report(self.line, self.cells[name][0], name, message, self.text)

    def size(self, name: str) -> int:
        text = self.value(name)
        digits = text.isascii() and text.isdigit()
        if not digits or not 1 <= int(text[:40]) <= LARGEST_SIZE:
            self.report(name, f"must be a whole number from 1 to {LARGEST_SIZE:,}, not {text!r}")
            return 1
        return int(text)

    def choice(self, name: str) -> str:
        text = self.value(name) or DEFAULTS[name]
        if text not in CHOICES[name]:
            self.report(name, f"unknown {name} {text!r}; {did_you_mean(text, CHOICES[name])}")
            return DEFAULTS[name]
        return text

    def format(self, name: str) -> str:
        """Return the canonical name of a format, or ``""``."""
        text = self.value(name)
        if not text:
            return ""
        from hwsim.formats import parse_format

        try:
            return parse_format(text).name
        except UsageError as error:
            self.report(name, str(error))
            return ""

    def read(self) -> Op | None:
        if not self.value("layer"):
            self.report("layer", "must not be empty")
        op = self.value("op")
        if op == "gemm":
            return self.gemm()
        if op in vector_op_names():
            return self.vector(op)
        self.report("op", f"unknown op {op!r}; {did_you_mean(op, ('gemm', *vector_op_names()))}")
        return None

    def gemm(self) -> Gemm:
        m, n, k, batch, repeat = (self.size(name) for name in SIZES)
        w, a, o = (self.format(name) for name in FORMATS)
        return Gemm(
            self.value("layer"), m, n, k, batch, repeat, w, a, o,
            **{name: self.choice(name) for name in CHOICES},
            **{name: self.value(name) for name in ("w_stats", "a_stats", "note")},
        )  # fmt: skip

    def vector(self, op: str) -> VectorOp:
        if self.value("k") not in ("", "0"):
            self.report("k", f"a vector operation has no k; leave it empty, not {self.value('k')!r}")
        for name in GEMM_ONLY:
            if self.value(name):
                self.report(name, f"{op} has no {name}; leave it empty, not {self.value(name)!r}")
        m, n, batch, repeat = (self.size(name) for name in SIZES if name != "k")
        a, o = self.format("a_format"), self.format("o_format")
        return VectorOp(self.value("layer"), op, m, n, batch, repeat, a, o, self.value("note"))


def split_csv_line(text: str) -> Iterator[tuple[int, str]]:
    """Yield ``(column, value)`` for each field of one line; columns count from 1.

    Raises
    ------
    ValueError
        If a quote is left open.
    """
    position = 0
    while True:
        start, quoted = position, text.startswith('"', position)
        if quoted:
            end = position + 1
            while end < len(text) and not (text[end] == '"' and text[end + 1 : end + 2] != '"'):
                end += 2 if text[end] == '"' else 1
            if end >= len(text):
                raise ValueError(f"the quote at column {start + 1} is never closed on this line")
            value = text[start + 1 : end].replace('""', '"')
            position = end + 1
            if position < len(text) and text[position] != ",":
                raise ValueError(f"expected a comma after the quote at column {position + 1}")
        else:
            comma = text.find(",", start)
            position = comma if comma >= 0 else len(text)
            value = text[start:position]
        yield start + 1, value
        if position >= len(text):
            return
        position += 1


def read_trace_csv(source: str | Path | TextIO) -> Trace:
    """Read a trace from a path or an open text stream.

    Raises
    ------
    UsageError
        If the file cannot be read.
    SpecError
        With every mistake of the file, each at its line and column.
    """
    name, text = _contents(source)
    reader = _Reader(name)
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not reader.columns:
            reader.header(number, line)
            if reader.problems:
                break
        else:
            reader.row(number, line)
    if not reader.ops and not reader.problems:
        reader.report(0, 0, "", "holds no operation", "")
    if reader.problems:
        raise SpecError(reader.problems)
    return Trace(Path(name).stem, tuple(reader.ops), {"source": name})


def _contents(source: str | Path | TextIO) -> tuple[str, str]:
    if not isinstance(source, str | Path):
        return str(getattr(source, "name", "trace")), source.read()
    try:
        return str(source), Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: cannot read the trace: {error}") from error


def write_trace_csv(trace: Trace, target: str | Path | TextIO) -> None:
    """Write ``trace`` as CSV with all columns and Unix line ends.

    ``meta`` is not written; it follows from the model, not from the operations.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*REQUIRED, *OPTIONAL))
    for op in trace.ops:
        writer.writerow([_cell(op, name) for name in (*REQUIRED, *OPTIONAL)])
    if not isinstance(target, str | Path):
        target.write(buffer.getvalue())
        return
    try:
        Path(target).write_text(buffer.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{target}: cannot write the trace: {error}") from error


def _cell(op: Op, name: str) -> str | int:
    if isinstance(op, VectorOp) and (name == "k" or name in GEMM_ONLY):
        return ""
    value: str | int = getattr(op, name)
    return " ".join(value.split()) if isinstance(value, str) else value
