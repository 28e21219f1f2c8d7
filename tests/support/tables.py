"""CSV tables as lists of rows: read and written."""

from __future__ import annotations

import csv


def rows_of(path):
    """Return the rows of a table."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def written(path, rows):
    """Write rows that share their columns, and return the path."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
