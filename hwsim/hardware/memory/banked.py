"""CACTI's rows of several banks, and what banks cost where there are no such rows.

An array in banks is the lattice of ``table.py`` with a third axis, the doublings of the banks. Cells
that no row fills lie on the smoothest surface: least squares of the second differences along size
and width and of the steps along the banks, all of the figure over ``bank_factors.csv``, which says
what an array costs over a deep one by its words over its bits per word.

CACTI optimises each bank count by itself, so in one row of four more banks take less area or leakage,
by 5 % (median; at most 25 %). Here both are at least those of fewer banks; a row that is raised says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import NAMES, Answer
from hwsim.hardware.memory.nodes import neighbours
from hwsim.hardware.memory.table import COLUMNS, Table, within
from hwsim.spec.data import read_csv_rows

#: Banks of the rows behind the factors; more are taken for as many of the same words.
MOST_BANKS = 8
#: Places in ``NAMES`` of the figures that more banks never lower.
_RISING = [NAMES.index("leakage_mw"), NAMES.index("area_mm2")]


class Banked:
    """Rows of one node and device, of one bank and more; banks are powers of two.

    Parameters
    ----------
    one
        The rows of one bank.
    rows
        Those of more, within the sizes and widths of ``one``; there may be none.
    source, error
        As in :class:`Table`.
    """

    def __init__(self, one: Table, rows: Sequence[dict[str, str]], source: str, error: str) -> None:
        self.one = one
        self._known = {
            (int(r["size_bytes"]), int(r["word_bits"]), int(r["banks"])): tuple(float(r[c]) for c in COLUMNS)
            for r in rows
        }
        self._source, self._error = source, error
        self.most_banks = max((banks for _, _, banks in self._known), default=1)

    @cached_property
    def cells(self) -> NDArray[np.float64]:
        """Logarithms of the figures by doublings of size, width and banks."""
        one = self.one.cells[:, :, None]
        if not self._known:
            return one
        cells = np.repeat(one, self.most_banks.bit_length(), axis=2)
        known = np.zeros(cells.shape[:3], bool)
        known[:, :, 0] = True
        for (size, width, banks), figures in self._known.items():
            place = *(int(p) for p in self.one.place(size, width)), banks.bit_length() - 1
            cells[place], known[place] = np.log(figures), True
        return _rising(_fill(cells - (factors := self._factors(known.shape)), known) + factors, known)

    def _factors(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Logarithms of what banks cost over one by ``bank_factors.csv``."""
        found = np.zeros((*shape, len(NAMES)))
        for i, j, k in np.ndindex(*shape):
            width, banks = self.one.narrowest << j, 1 << k
            words = (self.one.smallest << i) * 8 / (width * banks)
            found[i, j, k] = np.log(bank_factors(banks, words / width)) if k else 0
        return found

    def at(self, size_bytes: float, width_bits: float, banks: int) -> Answer:
        """Return the figures within the rows' sizes and widths, up to ``most_banks``."""
        if banks == 1:
            return self.one.at(size_bytes, width_bits)
        i, j = self.one.place(size_bytes, width_bits)
        figures = np.exp(within(self.cells, i, j, math.log2(banks))).tolist()
        known = self._known.get((int(size_bytes), int(width_bits), banks))
        if known and size_bytes == int(size_bytes) and width_bits == int(width_bits):
            return self._row(known, figures)
        source = f"{self._source}; interpolated between rows, {self._error}"
        return Answer(tuple(figures), "interpolation", (source,) * len(COLUMNS), (True,) * len(COLUMNS))

    def _row(self, known: tuple[float, ...], figures: Sequence[float]) -> Answer:
        found = Answer(known, "table", (self._source,) * len(COLUMNS), (False,) * len(COLUMNS))
        raised = [max(a / b, 1) if a > b * (1 + 1e-9) else 1.0 for a, b in zip(figures, known, strict=True)]
        if max(raised) == 1:
            return found
        reason = "that of fewer banks, which CACTI's optimum undercuts"
        return found.times(
            raised, [reason if r > 1 else "" for r in raised], "at least what fewer banks take (estimated)"
        )


def _fill(cells: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``cells`` (sizes × widths × banks × figures) with what is not known on the smoothest surface."""
    bends = _bends(known.shape)
    flat, missing = cells.reshape(-1, cells.shape[-1]).copy(), ~known.ravel()
    flat[missing] = np.linalg.solve(bends[np.ix_(missing, missing)], -bends[np.ix_(missing, ~missing)] @ flat[~missing])
    return flat.reshape(cells.shape)


@lru_cache(maxsize=4)
def _bends(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the quadratic form of second differences over sizes and widths and of steps over banks."""
    differences = (np.diff(np.eye(n), n=order, axis=0) for n, order in zip(shape, (2, 2, 1), strict=True))
    squares = [d.T @ d for d in differences]
    sizes, widths, banks = (np.eye(n) for n in shape)
    over_sizes = np.kron(np.kron(squares[0], widths), banks)
    over_widths = np.kron(np.kron(sizes, squares[1]), banks)
    found: NDArray[np.float64] = over_sizes + over_widths + np.kron(np.kron(sizes, widths), squares[2])
    return found


def _rising(cells: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Raise area and leakage to those of fewer banks; what is not known lies between its known neighbours."""
    rising, known = cells[..., _RISING], known[..., None]
    rows = np.maximum.accumulate(np.where(known, rising, -np.inf), axis=2)
    above = np.minimum.accumulate(np.where(known, rows, np.inf)[:, :, ::-1], axis=2)[:, :, ::-1]
    cells = cells.copy()
    cells[..., _RISING] = np.maximum.accumulate(np.minimum(np.where(known, rows, rising), above), axis=2)
    return cells


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], dict[float, dict[str, str]]]:
    """Return the row that holds for any banks, and those of shallowness by words over bits per word."""
    anyhow, *shapes = read_csv_rows("memory", "bank_factors.csv")
    return anyhow, {float(row["words_per_bit"]): row for row in shapes}


@lru_cache(maxsize=4096)
def _shallow(words_per_bit: float) -> NDArray[np.float64]:
    """Return what an array costs over a deep one."""
    rows = _rows()[1]
    low, high, share = neighbours(min(words_per_bit, max(rows)), rows)
    return np.array([float(rows[low][name]) ** (1 - share) * float(rows[high][name]) ** share for name in NAMES])


def bank_factors(banks: int, words_per_bit: float) -> NDArray[np.float64]:
    """Return what banks of so many words over bits per word cost over the undivided array."""
    if banks == 1:
        return np.ones(len(NAMES))
    anyhow, shapes = _rows()
    ratio = max(words_per_bit, min(shapes))
    anyhow_factors = np.array([float(anyhow[name]) for name in NAMES])
    return anyhow_factors * _shallow(ratio) / _shallow(ratio * min(banks, MOST_BANKS))


def in_banks(answer: Answer, measured: int, banks: int, words: float, width_bits: float) -> Answer:
    """Return the figures of an array in ``measured`` banks divided into more, of so many words."""
    ratio = words / width_bits
    factors = bank_factors(banks, ratio) / bank_factors(measured, ratio * banks / measured)
    over = "one array" if measured == 1 else f"{measured} banks"
    reason = f"{banks} banks of {words:.6g} words over {over}: {_rows()[0]['source']}"
    reason += f", no rows beyond {MOST_BANKS} banks, so as {MOST_BANKS} of as many words" if banks > MOST_BANKS else ""
    return answer.times(factors.tolist(), [reason] * len(NAMES), f"times the factor of {banks} banks (estimated)")
