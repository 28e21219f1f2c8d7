"""One line of CSV, cut into fields that know their column."""

from __future__ import annotations

from collections.abc import Iterator


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
