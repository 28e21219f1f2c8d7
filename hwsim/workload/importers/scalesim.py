"""SCALE-Sim's topology CSV: convolutions or matrix products, one layer per line.

Two forms, told apart by their first line, which names columns and holds no layer:

* ``Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,``
* ``Layer, M, N, K,``

Lines end in a comma or not; a last field ``N:M`` is structured sparsity of the weights. Images include their
padding. A layer whose name holds ``DP`` is depthwise: the tool expands it to one layer per channel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hwsim.spec.errors import Problem, SpecError, UsageError, shown
from hwsim.spec.text import read_text
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.importers.csv import LARGEST_PRODUCT, LARGEST_SIZE
from hwsim.workload.importers.csv_line import split_csv_line
from hwsim.workload.ops import Gemm
from hwsim.workload.scalesim import ScaleSimConv, scalesim_gemm
from hwsim.workload.trace import Trace

CONV = ("IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
GEMM = ("M", "N", "K")
#: Bytes of a file in which its first line must end.
_HEADER = 1 << 14
_LINE_END = re.compile("\r\n|\r|\n")
_SPARSITY = re.compile(r"(\d{1,4}):(\d{1,4})$")


class ScaleSimTopology(Importer):
    """Layers as SCALE-Sim reads them."""

    summary = "a SCALE-Sim topology CSV"
    suffixes = (".csv",)
    settings: ClassVar[Mapping[str, str] | None] = {
        "outputs": "floor (default): windows that lie in the image; ceil: one for every started stride, as SCALE-Sim"
    }

    def recognises(self, path: Path) -> bool:
        """Whether the first line names SCALE-Sim's columns."""
        try:
            with path.open("rb") as file:
                start = file.read(_HEADER)
        except (OSError, ValueError):
            return False
        return _form(_LINE_END.split(start.decode("utf-8", errors="replace").lstrip("\ufeff"))[0]) is not None

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace, named after the file."""
        outputs = str(request.settings.get("outputs", "floor"))
        if outputs not in ("floor", "ceil"):
            raise UsageError(f"settings: outputs must be floor or ceil, not {shown(outputs)}")
        lines = _LINE_END.split(read_text(source))
        form = _form(lines[0])
        if form is None:
            message = f"no topology: the first line must name the columns Layer, {', '.join(CONV)}, or Layer, M, N, K"
            raise SpecError([Problem(source, 1, 1, "header", message, lines[0])])
        reader = _Reader(source, form, outputs == "ceil")
        for number, line in enumerate(lines[1:], start=2):
            if line.strip(" \t,"):
                reader.row(number, line)
        if not reader.gemms and not reader.problems:
            reader.report(0, 0, "", "holds no layer", "")
        if reader.problems:
            raise SpecError(reader.problems)
        return Trace(request.name or Path(source).stem, tuple(reader.gemms), {"source": source})


IMPORTERS.register("scalesim")(ScaleSimTopology())


def _form(header: str) -> tuple[str, ...] | None:
    """Return the columns that a first line names, None if it is no topology's."""
    try:
        names = [name.strip().lower() for _, name in split_csv_line(header)]
    except ValueError:
        return None
    if len(names) > 1 and names[1].startswith("ifmap"):
        return CONV
    return GEMM if names[1:4] == ["m", "n", "k"] else None


@dataclass
class _Reader:
    """Collects the layers and the mistakes of one file."""

    file: str
    form: tuple[str, ...]
    started_strides: bool
    gemms: list[Gemm] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, line: int, column: int, path: str, message: str, text: str) -> None:
        self.problems.append(Problem(self.file, line, column, path, message, text))

    def row(self, line: int, text: str) -> None:
        """Read one layer, or report all that is wrong with it."""
        try:
            cells = [(column, value.strip()) for column, value in split_csv_line(text)]
        except ValueError as error:
            self.report(line, 1, "", str(error), text)
            return
        while cells and not cells[-1][1]:
            cells.pop()  # the comma at the end of a line
        sparsity = _SPARSITY.match(cells[-1][1]) if len(cells) > 1 else None
        wanted = 1 + len(self.form) + (sparsity is not None)
        if len(cells) != wanted:
            named = f"Layer, {', '.join(self.form)}"
            self.report(line, 1, "", f"{len(cells)} fields, but a layer has {wanted}: {named}", text)
            return
        before = len(self.problems)
        sizes = [
            self._size(line, column, name, value, text)
            for name, (column, value) in zip(self.form, cells[1:], strict=False)
        ]
        if sparsity is not None and not 0 < int(sparsity[1]) <= int(sparsity[2]):
            self.report(line, cells[-1][0], "sparsity", f"{sparsity[0]} is no N:M with N from 1 to M", text)
        if not cells[0][1]:
            self.report(line, 1, "layer", "must not be empty", text)
        if len(self.problems) > before:
            return
        try:
            self.gemms.append(self._gemm(cells[0][1], sizes, sparsity))
        except UsageError as error:
            self.report(line, 1, "", str(error), text)

    def _gemm(self, name: str, sizes: list[int], sparsity: re.Match[str] | None) -> Gemm:
        stats = note = ""
        if sparsity is not None:
            kept, of = int(sparsity[1]), int(sparsity[2])
            note, stats = f"{kept}:{of} sparse weights", f"zeros={1 - kept / of:g}" if kept < of else ""
        found = scalesim_gemm(name, sizes, note, stats) if self.form == GEMM else self._conv(name, sizes)
        if found.m * found.n * found.k > LARGEST_PRODUCT:
            raise UsageError(f"m × n × k is {found.m * found.n * found.k:.0e}; valid: at most {LARGEST_PRODUCT:.0e}")
        return found

    def _conv(self, name: str, sizes: list[int]) -> Gemm:
        conv = ScaleSimConv(*sizes, started_strides=self.started_strides)
        other = ScaleSimConv(*sizes, started_strides=not self.started_strides)
        image, kernel = f"{sizes[4]}x{sizes[0]}x{sizes[1]}", f"{sizes[2]}x{sizes[3]}"
        note = f"im2col: {image}, kernel {kernel}, stride {sizes[6]}"
        if conv.outputs != other.outputs:
            rule = "if only windows in the image count" if self.started_strides else "if every started stride counts"
            note += f"; {'x'.join(map(str, other.outputs))} outputs {rule}"
        return conv.gemm(name, depthwise="DP" in name, note=note)

    def _size(self, line: int, column: int, name: str, value: str, text: str) -> int:
        if not (value.isascii() and value.isdigit()) or not 1 <= int(value[:40]) <= LARGEST_SIZE:
            self.report(
                line, column, name, f"must be a whole number from 1 to {LARGEST_SIZE:,}, not {shown(value)}", text
            )
            return 1
        return int(value)
