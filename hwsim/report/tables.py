"""Tables for people on a terminal, and for programs as CSV, JSON or Parquet."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hwsim.report.codecs import CODECS
from hwsim.report.files import write_atomically
from hwsim.report.wording import cell_text, clean, holds_numbers
from hwsim.spec.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

FILE_FORMATS = tuple(CODECS)

#: Blanks between two columns, and how wide words may be on a terminal that is not very wide.
_GAP = 2
_WIDEST_TEXT = 40


def print_table(frame: pd.DataFrame, columns: Sequence[str] | None = None, title: str = "") -> None:
    """Print ``frame`` to stdout as a readable table.

    On a terminal a table that is too wide is printed in bands, each with the first column again.
    Into a pipe or file go plain lines as long as needed, without colours or shortened cells.

    Parameters
    ----------
    frame
        Any table; its index is not shown.
    columns
        Which columns to show and in which order; all when left out.
    title
        A line above the table.

    Raises
    ------
    UsageError
        If a column is unknown.
    """
    from rich.console import Console
    from rich.text import Text

    names = _known(frame, columns)
    texts = {name: [cell_text(value) for value in frame[name].tolist()] for name in names}
    numbers = {name for name in names if holds_numbers(frame[name])}
    terminal = sys.stdout.isatty()
    room = Console(file=sys.stdout).width if terminal else sys.maxsize
    widths = {name: _width(name, cells, None if name in numbers else room) for name, cells in texts.items()}
    wide = room if terminal else sum(widths.values()) + _GAP * len(widths)
    buffer = io.StringIO()
    console = Console(file=buffer, width=wide, force_terminal=terminal, no_color=not terminal, legacy_windows=False)
    if title:
        console.print(Text(clean(title), style="bold"), soft_wrap=True)
    for band in _bands(widths, room):
        console.print(_table({name: texts[name] for name in band}, numbers, widths))
    if frame.empty:
        buffer.write("(no rows)\n")
    _write(buffer.getvalue() + "\n")


def _write(text: str) -> None:
    """Write to stdout without blanks at line ends; what its encoding cannot say becomes ``?``."""
    lines = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(lines.encode(encoding, "replace").decode(encoding))


def _known(frame: pd.DataFrame, columns: Sequence[str] | None) -> list[str]:
    names = [str(c) for c in frame.columns] if columns is None else list(columns)
    for name in names:
        if name not in frame.columns:
            raise UsageError(f"unknown column {name!r}; {did_you_mean(name, frame.columns)}")
    return names


def _width(name: str, cells: list[str], room: int | None) -> int:
    """Return how wide a column is; words fold when ``room`` is small, numbers (None) never."""
    from rich.cells import cell_len

    widest = max(map(cell_len, [name, *cells]))
    return widest if room is None else min(widest, max(room // 3, min(_WIDEST_TEXT, room // 2)))


def _bands(widths: dict[str, int], room: int) -> list[list[str]]:
    """Deal the columns into bands that fit ``room``; each begins with the first column."""
    if not widths:
        return []
    first, *rest = widths
    bands, used = [[first]], widths[first]
    for name in rest:
        if used + _GAP + widths[name] > room and len(bands[-1]) > 1:
            bands.append([first])
            used = widths[first]
        bands[-1].append(name)
        used += _GAP + widths[name]
    return bands


def _table(texts: dict[str, list[str]], numbers: set[str], widths: dict[str, int]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # The box draws one blank between columns; with one of padding that makes _GAP.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, _GAP - 1, 0, 0), pad_edge=False)
    table.header_style = "bold"
    for name in texts:
        justify: Any = "right" if name in numbers else "left"
        table.add_column(Text(name), justify=justify, overflow="fold", min_width=widths[name], max_width=widths[name])
    for row in zip(*texts.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def write_frame(frame: pd.DataFrame, table_format: str, target: Path | IO[bytes]) -> None:
    r"""Write all of ``frame`` but its index; equal frames give equal bytes.

    Text is UTF-8 with ``\n`` line ends, floats are the shortest text that reads back as the same
    number. Missing cells are empty in CSV and ``null`` in JSON, which is a list of rows, one a line.

    Parameters
    ----------
    frame
        A table with unique column names.
    table_format
        ``"csv"``, ``"json"`` or ``"parquet"``.
    target
        A path, which is written atomically, or a binary stream.

    Raises
    ------
    UsageError
        If the format is unknown, the path cannot be written, or a column cannot be stored
        (Parquet: mixed numbers and words; needs ``pip install hwsim[parquet]``).
    """
    if table_format not in CODECS:
        raise UsageError(f"unknown table format {table_format!r}; {did_you_mean(table_format, FILE_FORMATS)}")
    content = CODECS[table_format][0](frame)
    if isinstance(target, Path):
        write_atomically(target, content)
    else:
        target.write(content)
        target.flush()


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table that :func:`write_frame` wrote, by the suffix of its name.

    Numbers come back exactly. CSV does not tell empty text from a missing cell: both are missing.

    Raises
    ------
    UsageError
        If there is no such file, its suffix is unknown, or it holds no table.
    """
    import pandas as pd

    suffix = path.suffix.lower().lstrip(".")
    if suffix not in CODECS:
        raise UsageError(f"{path}: cannot tell the table format from {path.suffix!r}; {did_you_mean(suffix, CODECS)}")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        return CODECS[suffix][1](path)
    except UsageError:
        raise
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise UsageError(f"{path}: not a readable {suffix.upper()} table: {clean(error)}") from None
