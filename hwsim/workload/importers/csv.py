"""The trace CSV: one row per operation.

Required columns: ``layer,op,m,n,k,batch,repeat,w_format,a_format,o_format``. Optional:
``w_stats,a_stats,w_source,a_source,note,role,passes,accumulator,weights_of``. ``op`` is ``gemm`` or a vector operation,
whose ``k`` and ``w_format`` stay empty (``k`` may be 0). Empty formats are filled by the run's policy. ``weights_of``
names the layer that stores the weights, where another row reads them too.
Statistics are figures such as ``zeros=0.5 held=64`` (:mod:`hwsim.formats.operand`) or a name. A column
``assumed_stats`` states the distribution that stands for operands of which nothing is known, ``w=gaussian``.
Blank lines and lines that start with ``#`` are skipped.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from hwsim.formats.measured import PREFIX, relative, resolved
from hwsim.formats.operand import DEFAULT_DISTRIBUTION, assumed_stats, read_operand_stats
from hwsim.spec.errors import Problem, SpecError, UsageError, closest, did_you_mean, shown
from hwsim.spec.text import read_text
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.importers.csv_line import split_csv_line
from hwsim.workload.ops import A_SOURCES, ROLES, W_SOURCES, Gemm, Op, VectorOp, bare_name, vector_op_names
from hwsim.workload.trace import Trace

REQUIRED = ("layer", "op", "m", "n", "k", "batch", "repeat", "w_format", "a_format", "o_format")
OPTIONAL = ("w_stats", "a_stats", "w_source", "a_source", "note", "role", "passes", "accumulator", "weights_of")
COLUMNS = (*REQUIRED, *OPTIONAL)
SIZES = ("m", "n", "k", "batch", "repeat")
FORMATS = ("w_format", "a_format", "o_format")
CHOICES = {"w_source": W_SOURCES, "a_source": A_SOURCES, "role": ROLES}
DEFAULTS = {"w_source": "dram", "a_source": "activation", "role": "other"}
GEMM_ONLY = ("w_format", "w_stats", "a_stats", "w_source", "a_source", "role", "accumulator", "weights_of")

#: Says what is assumed of operands; it follows from the other columns and changes nothing.
ASSUMED = "assumed_stats"

#: Written only where a product states one.
RARE = ("accumulator", "weights_of")

#: Sizes beyond these are typing errors, and no array would finish them.
LARGEST_SIZE = 10**12
LARGEST_PRODUCT = 10**16

_LINE_END = re.compile("\r\n|\r|\n")


class TraceCsv(Importer):
    """Our own form, one row per operation."""

    summary = "a trace CSV"
    suffixes = (".csv",)

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace, named after the file."""
        trace = read_trace(source)
        return Trace(request.name or trace.name, trace.ops, trace.meta)


IMPORTERS.register("csv")(TraceCsv())


@dataclass
class _Reader:
    """Collects the operations and the mistakes of one file."""

    file: str
    columns: list[str] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    #: Rows whose weights are those of a layer.
    sharing: list[tuple[str, _Row]] = field(default_factory=list)

    def check_sharing(self) -> None:
        """Report rows whose weights no row stores."""
        storing = {bare_name(op.layer) for op in self.ops if isinstance(op, Gemm) and not op.weights_of}
        for name, row in self.sharing:
            if name not in storing:
                row.report("weights_of", f"no row named {shown(name)} stores weights; {did_you_mean(name, storing)}")

    def report(self, line: int, column: int, path: str, message: str, text: str) -> None:
        self.problems.append(Problem(self.file, line, column, path, message, text))

    def header(self, line: int, text: str) -> None:
        """Check the first row; without all columns no row can be read."""
        try:
            cells = list(split_csv_line(text))
        except ValueError as error:
            self.report(line, 1, "header", str(error), text)
            return
        separator = next((c for c in ";\t|" if len(cells) == 1 and c in text), None)
        if separator is not None:
            message = f"columns are separated by {separator!r}; separate them by commas"
            self.report(line, text.index(separator) + 1, "header", message, text)
            return
        names = [name.strip() for _, name in cells]
        for (column, _), name in zip(cells, names, strict=True):
            if name not in (*COLUMNS, ASSUMED):
                self.report(line, column, "header", f"unknown column {name!r}; {did_you_mean(name, COLUMNS)}", text)
            elif names.index(name) != [c for c, _ in cells].index(column):
                self.report(line, column, "header", f"column {name!r} stands twice", text)
        meant = {closest(name, COLUMNS) for name in names if name not in (*COLUMNS, ASSUMED)}
        missing = [name for name in REQUIRED if name not in names and name not in meant]
        if missing:
            message = f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; required: {', '.join(REQUIRED)}"
            if "op" in missing:
                message += "; a SCALE-Sim topology begins with Layer, M, N, K or Layer name, IFMAP Height, …"
            self.report(line, 1, "header", message, text)
        self.columns = names

    def row(self, line: int, text: str) -> None:
        """Read one operation, or report all that is wrong with it."""
        try:
            cells = list(split_csv_line(text))
        except ValueError as error:
            self.report(line, 1, "", str(error), text)
            return
        if len(cells) != len(self.columns):
            count = f"{len(cells)} field{'s' * (len(cells) != 1)}"
            message = f"{count}, but the header names {len(self.columns)} columns; empty fields keep their commas"
            self.report(line, 1, "", message, text)
            return
        row = _Row(self, line, text, dict(zip(self.columns, cells, strict=True)))
        before = len(self.problems)
        op = row.read()
        if isinstance(op, Gemm) and op.weights_of:
            self.sharing.append((op.weights_of, row))
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
            wrong = f", not {shown(text)}" if text else f"; {self.value('op')} needs it"
            what = "must be" if text else "is missing, must be"
            self.report(name, f"{what} a whole number from 1 to {LARGEST_SIZE:,}{wrong}")
            return 1
        return int(text)

    def passes(self, repeat: int) -> int:
        if not self.value("passes"):
            return 1
        passes = self.size("passes")
        if repeat % passes:
            self.report("passes", f"repeat {repeat} is no multiple of {passes}; it counts all passes of all layers")
            return 1
        return passes

    def stats(self, name: str) -> str:
        text = self.value(name)
        try:
            if PREFIX in text:
                text = resolved(text, Path(self.reader.file).parent)
            read_operand_stats(text)
        except UsageError as error:
            self.report(name, str(error))
            return ""
        return text

    def assumed(self) -> None:
        """Refuse an assumption that is not made; the column changes nothing."""
        for word in self.value(ASSUMED).split():
            operand, _, name = word.partition("=")
            if operand not in ("w", "a") or name != DEFAULT_DISTRIBUTION:
                valid = f"w={DEFAULT_DISTRIBUTION} a={DEFAULT_DISTRIBUTION}"
                self.report(
                    ASSUMED, f"{shown(word)} is not assumed here, but {valid}; state others in w_stats, a_stats"
                )

    def choice(self, name: str) -> str:
        text = self.value(name) or DEFAULTS[name]
        if text not in CHOICES[name]:
            self.report(name, f"unknown {name} {shown(text)}; {did_you_mean(text, CHOICES[name])}")
            return DEFAULTS[name]
        return text

    def format(self, name: str) -> str:
        """Return the canonical name of a format, or ``""``."""
        text = self.value(name)
        if not text:
            return ""
        from hwsim.formats import parse_format
        from hwsim.formats.sums import parse_sum_format

        try:
            return (parse_sum_format if name == "accumulator" else parse_format)(text).name
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
        self.report("op", f"unknown op {shown(op)}; {did_you_mean(op, ('gemm', *vector_op_names()))}")
        return None

    def gemm(self) -> Gemm:
        m, n, k, batch, repeat = (self.size(name) for name in SIZES)
        if m * n * k > LARGEST_PRODUCT:
            self.report("m", f"m × n × k is {m * n * k:.0e} multiply-accumulates; valid: at most {LARGEST_PRODUCT:.0e}")
        w, a, o = (self.format(name) for name in FORMATS)
        self.assumed()
        return Gemm(
            self.value("layer"), m, n, k, batch, repeat, w, a, o,
            **{name: self.choice(name) for name in CHOICES},
            **{name: self.stats(name) for name in ("w_stats", "a_stats")}, note=self.value("note"),
            passes=self.passes(repeat), accumulator=self.format("accumulator"), weights_of=self.value("weights_of"),
        )  # fmt: skip

    def vector(self, op: str) -> VectorOp:
        if self.value("k") not in ("", "0"):
            self.report("k", f"a vector operation has no k; leave it empty, not {shown(self.value('k'))}")
        for name in (*GEMM_ONLY, ASSUMED):
            if self.value(name):
                self.report(name, f"{op} has no {name}; leave it empty, not {shown(self.value(name))}")
        m, n, batch, repeat = (self.size(name) for name in SIZES if name != "k")
        a, o = self.format("a_format"), self.format("o_format")
        passes = self.passes(repeat)
        return VectorOp(self.value("layer"), op, m, n, batch, repeat, a, o, self.value("note"), passes)


def read_row(cells: Mapping[str, str]) -> Op:
    """Return the operation of one row, given as text by column.

    Raises
    ------
    UsageError
        With the first mistake, beginning with its column.
    """
    reader = _Reader("")
    op = _Row(reader, 0, "", {name: (0, text) for name, text in cells.items()}).read()
    for problem in reader.problems:
        raise UsageError(f"{problem.path}: {problem.message}")
    assert op is not None
    return op


def read_trace(source: str | Path | TextIO) -> Trace:
    """Read a trace from a path or an open text stream.

    Raises
    ------
    SpecError
        If the file cannot be read, or with every mistake of the file, each at its line and column.
    """
    name, text = _contents(source)
    reader = _Reader(name)
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if reader.columns:
            reader.row(number, line)
            continue
        reader.header(number, line)
        if reader.problems:
            break
    if not reader.problems:
        reader.check_sharing()
    if not reader.ops and not reader.problems:
        first = f"the first line must name the columns {','.join(REQUIRED)}"
        reader.report(0, 0, "", f"holds no operation{'' if reader.columns else f'; {first}'}", "")
    if reader.problems:
        raise SpecError(reader.problems)
    return Trace(Path(name).stem, tuple(reader.ops), {"source": name})


def _contents(source: str | Path | TextIO) -> tuple[str, str]:
    if isinstance(source, str | Path):
        return str(source), read_text(source)
    return str(getattr(source, "name", "trace")), source.read().removeprefix("\ufeff")


def write_trace(trace: Trace, target: str | Path | TextIO) -> None:
    """Write ``trace`` as CSV with Unix line ends; the columns of :data:`RARE` only where they say something.

    ``meta`` is not written; it follows from the model, not from the operations.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [name for name in COLUMNS if name not in RARE or any(getattr(op, name, "") for op in trace.ops)]
    columns += [ASSUMED] * any(_assumed(op) for op in trace.ops)
    writer.writerow(columns)
    folder = Path(target).parent if isinstance(target, str | Path) else None
    for op in trace.ops:
        writer.writerow([_cell(op, name, folder) for name in columns])
    if not isinstance(target, str | Path):
        target.write(buffer.getvalue())
        return
    try:
        Path(target).write_text(buffer.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{target}: cannot write the trace: {error.strerror or error}") from error


def _assumed(op: Op) -> str:
    return assumed_stats(op.w_stats, op.a_stats) if isinstance(op, Gemm) else ""


def _cell(op: Op, name: str, folder: Path | None) -> str | int:
    if name == ASSUMED:
        return _assumed(op)
    if isinstance(op, VectorOp) and (name == "k" or name in GEMM_ONLY):
        return ""
    value: str | int = getattr(op, name)
    if isinstance(value, str) and PREFIX in value and name.endswith("_stats") and folder is not None:
        value = relative(value, folder)
    return " ".join(value.split()) if isinstance(value, str) else value
