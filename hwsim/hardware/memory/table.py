"""CACTI's rows as a function of size and width, and how figures grow beyond them.

CACTI's read energy is not smooth: its optimum jumps between array splits. No formula of low order
comes closer than 18 %, so the rows themselves are the model, in the logarithms of size, width and
figure. Cells of the lattice that no row fills lie on the smoothest surface through the rows (least
squares of the second differences along size and width); between cells it is bilinear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import NAMES, Answer, Story, alike
from hwsim.spec.data import read_csv_rows

#: Columns of the tables in the order of ``QUANTITIES``.
COLUMNS = ("read_pJ", "write_pJ", "leak_mW_total", "area_mm2", "access_ns", "cycle_ns")

Logs = Sequence[float]


class Table:
    """Rows of one node, device and port mix; sizes and widths are powers of two.

    Parameters
    ----------
    rows
        At least one for each size and for each width between the smallest and the largest.
    source
        Where the rows come from.
    error
        How far what lies between the rows is off, for the source of interpolated figures.
    """

    def __init__(self, rows: Sequence[dict[str, str]], source: str, error: str) -> None:
        self._known: dict[tuple[float, float], tuple[float, ...]] = {
            (int(r["size_bytes"]), int(r["word_bits"])): tuple(float(r[column]) for column in COLUMNS) for r in rows
        }
        self._source, self._error = source, error
        sizes, widths = zip(*self._known, strict=True)
        self.smallest, self.largest = min(sizes), max(sizes)
        self.narrowest, self.widest = min(widths), max(widths)

    def place(self, size_bytes: float, width_bits: float) -> tuple[float, float]:
        """Return the doublings of size and width over the smallest and the narrowest."""
        return math.log2(size_bytes / self.smallest), math.log2(width_bits / self.narrowest)

    def places(self, sizes: NDArray[np.float64], widths: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return the same of many."""
        return [np.log2(sizes / self.smallest), np.log2(widths / self.narrowest)]

    @cached_property
    def cells(self) -> NDArray[np.float64]:
        """Logarithms of the figures by doublings of size and width; only interpolation needs them."""
        spans = (self.smallest, self.largest), (self.narrowest, self.widest)
        cells = np.full((*((high // low).bit_length() for low, high in spans), len(COLUMNS)), np.nan)
        for (size, width), figures in self._known.items():
            place = (size // self.smallest).bit_length() - 1, (width // self.narrowest).bit_length() - 1
            cells[place] = np.log(figures)
        return _fill(cells)

    @cached_property
    def _flat(self) -> list[list[float]]:
        flat: list[list[float]] = self.cells.reshape(-1, len(COLUMNS)).tolist()
        return flat

    def at(self, size_bytes: float, width_bits: float) -> Answer:
        """Return the figures at a size and width within the rows' smallest and largest."""
        known = self._known.get((size_bytes, width_bits))
        if known:
            return Answer(list(map(math.log, known)), partial(Story.of, "table", self._source, False), known)
        logs = linear(self._flat, corners(self.cells.shape[:2], *self.place(size_bytes, width_bits)))
        source = f"{self._source}; interpolated between rows, {self._error}"
        return Answer(logs, partial(Story.of, "interpolation", source, True))


#: Where a place lies in a lattice: its shares along the axes that it lies between cells on, and these
#: cells by their number in row-major order.
Corners = tuple[Sequence[float], Sequence[int]]


def corners(shape: Sequence[int], *place: float) -> Corners:
    """Return the cells that a place lies between."""
    shares, cells = [], [0]
    for p, n in zip(place, shape, strict=True):
        low = int(p)
        if share := p - low:
            shares.append(share)
            cells = [c for i in cells for c in (i * n + low, i * n + low + 1)]
        else:
            cells = [i * n + low for i in cells]
    return shares, cells


def linear(cells: Sequence[Logs], at: Corners) -> Logs:
    """Return what lies between 1, 2, 4 or 8 cells, linear along each axis: where cells are equal, exactly that.

    One pass, since half of the time of an evaluation is spent here.
    """
    shares, around = at
    if not shares:
        return cells[around[0]]
    rows = zip(*[cells[i] for i in around], strict=True)
    if len(shares) == 1:
        (s,) = shares
        return [a + s * (b - a) for a, b in rows]
    if len(shares) == 2:
        s, t = shares
        return [(p := a + t * (b - a)) + s * (c + t * (d - c) - p) for a, b, c, d in rows]
    s, t, u = shares
    return [
        (p := (q := a + u * (b - a)) + t * (c + u * (d - c) - q))
        + s * ((r := e + u * (f - e)) + t * (g + u * (h - g) - r) - p)
        for a, b, c, d, e, f, g, h in rows
    ]


def _fill(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``cells`` (sizes × widths × figures) with what is NaN on the smoothest surface through the rest."""
    rows, columns, figures = cells.shape
    bend_rows, bend_columns = (np.diff(np.eye(n), n=2, axis=0) for n in (rows, columns))
    bends = np.vstack([np.kron(bend_rows, np.eye(columns)), np.kron(np.eye(rows), bend_columns)])
    flat = cells.reshape(-1, figures).copy()
    missing = np.isnan(flat[:, 0])
    flat[missing] = np.linalg.lstsq(bends[:, missing], -bends[:, ~missing] @ flat[~missing], rcond=None)[0]
    return flat.reshape(cells.shape)


@lru_cache(maxsize=1)
def _growth() -> dict[tuple[str, str], dict[str, str]]:
    return {(r["memory"], r["beyond"]): r for r in read_csv_rows("memory", "growth.csv")}


@lru_cache(maxsize=8)
def growth(memory: str, beyond: str) -> tuple[float, ...]:
    """Return the exponent of each quantity over what is beyond the table, a row of ``growth.csv``."""
    law = _growth()[memory, beyond]
    return tuple(float(law[name]) for name in NAMES)


def grown(answer: Answer, memory: str, beyond: str, ratio: float) -> Answer:
    """Return figures at ``ratio`` times the largest size or width that the table has.

    Parameters
    ----------
    memory, beyond
        The row of ``growth.csv``, which holds an exponent for each quantity.
    ratio
        1 or less leaves the answer as it is.
    """
    if ratio <= 1:
        return answer
    doubled = math.log(ratio)
    return answer.plus([e * doubled for e in growth(memory, beyond)], partial(_tell_growth, memory, beyond, ratio))


def _tell_growth(memory: str, beyond: str, ratio: float) -> tuple[str, Sequence[str]]:
    law = _growth()[memory, beyond]
    reason = f"{ratio:.4g} times {law['label']}, the table's largest: {law['source']}, extrapolated"
    return alike(f"extrapolated beyond {law['label']} (estimated)", reason)
