"""One HTML page that holds everything: styles and pictures inside, no script, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.report.files import write_atomically
from hwsim.report.plot.style import svg_bytes
from hwsim.report.wording import cell_text, clean, column_title, holds_numbers

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Fact:
    """One figure of the summary: what it is, its value, and a remark."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, paragraphs, a picture and a table, each of which may be missing.

    Parameters
    ----------
    title
        The heading.
    text
        Paragraphs, plain text.
    figure, caption
        A picture and what it shows, when the heading does not say it; read aloud for the picture.
    table
        A table; its column names are shown as titles with units.
    """

    title: str
    text: Sequence[str] = ()
    figure: Figure | None = None
    caption: str = ""
    table: pd.DataFrame | None = None


@dataclass(frozen=True)
class _Column:
    title: str
    name: str
    numbers: bool


def write_report(path: Path, title: str, summary: Sequence[Fact], sections: Sequence[Section]) -> Path:
    """Write a self-contained page to ``path``, atomically; equal contents give equal bytes.

    Parameters
    ----------
    path
        Where to; usually ends in ``.html``.
    title
        The page's heading.
    summary
        The figures to read first.
    sections
        In their order on the page.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    page = page_text(title, summary, sections)
    write_atomically(path, page.encode("utf-8", "backslashreplace"))
    return path


def page_text(title: str, summary: Sequence[Fact], sections: Sequence[Section]) -> str:
    """Return the page that :func:`write_report` writes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hwsim.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["clean"] = clean
    parts = [
        {
            "section": section,
            "picture": None
            if section.figure is None
            else inline_svg(section.figure, f"f{i}-", section.caption or section.title),
            "columns": [] if section.table is None else _columns(section.table),
            "rows": [] if section.table is None else _rows(section.table),
        }
        for i, section in enumerate(sections, 1)
    ]
    return environment.get_template("page.html.j2").render(title=title, summary=summary, parts=parts)


def _columns(table: pd.DataFrame) -> list[_Column]:
    return [_Column(column_title(str(name)), str(name), holds_numbers(table[name])) for name in table.columns]


def _rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = [[cell_text(value) for value in table[name].tolist()] for name in table.columns]
    return list(zip(*columns, strict=True))


def inline_svg(figure: Figure, prefix: str, label: str) -> Markup:
    """Return ``figure`` as an ``<svg>`` element for a page.

    Its ids begin with ``prefix``, since several pictures of a page share their names otherwise.
    It is as wide as the page, at most its own size, and is announced as ``label``.
    """
    from markupsafe import Markup

    text = svg_bytes(figure).decode()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<title>.*?</title>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", body)
    width, height = (72 * float(inches) for inches in figure.get_size_inches())
    opening = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}" style="max-width:{}pt">').format(
        clean(label), f"{width:.6g}", f"{height:.6g}", f"{width:.6g}"
    )
    return opening + Markup(body.strip())
