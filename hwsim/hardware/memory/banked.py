"""CACTI's rows of one bank and several, and what banks cost where there are no such rows.

An array in banks is the lattice of ``table.py`` with a third axis, the doublings of the banks. Cells
that no row fills lie on the smoothest surface: least squares of the second differences along size
and width and of the steps along the banks, all of the figure over ``bank_factors.csv``, which says
what an array costs over a deep one by its words over its bits per word. Without any rows of several
banks the factors alone answer. Larger arrays never cost less: see ``order.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import NAMES, Answer
from hwsim.hardware.memory.nodes import neighbours
from hwsim.hardware.memory.order import rising
from hwsim.hardware.memory.table import COLUMNS, Table, within
from hwsim.spec.data import read_csv_rows

#: Banks of the rows behind the factors; more are taken for as many of the same words.
MOST_BANKS = 8


class Banked:
    """Rows of one node and device, of one bank and more; sizes, widths and banks are powers of two.

    Parameters
    ----------
    one
        Those of one bank.
    more
        Those of 2 to ``MOST_BANKS`` banks, within the sizes and widths of ``one``; there may be none.
    source, errors
        As in :class:`Table`; the error of one bank and of several.
    """

    def __init__(
        self, one: Sequence[dict[str, str]], more: Sequence[dict[str, str]], source: str, errors: tuple[str, str]
    ) -> None:
        self.one = Table(one, source, errors[0])
        self._known = {
            (int(r["size_bytes"]), int(r["word_bits"]), int(r.get("banks", "1"))): tuple(float(r[c]) for c in COLUMNS)
            for r in (*one, *more)
        }
        self._measured = bool(more)
        self._answers: dict[tuple[int, int, int], Answer] = {}
        self._source, self._errors = source, errors

    @cached_property
    def cells(self) -> NDArray[np.float64]:
        """Logarithms of the figures by doublings of size, width and banks."""
        factors = self._factors()
        cells = factors + self.one.cells[:, :, None]
        known = np.zeros(cells.shape[:3], bool)
        for key, figures in self._known.items():
            place = self._place(*key)
            cells[place], known[place] = np.log(figures), True
        if self._measured:
            given = known.copy()
            given[:, :, 0] = True
            cells = _fill(cells - factors, given) + factors
        return rising(cells, known)

    def _place(self, size_bytes: int, width_bits: int, banks: int) -> tuple[int, int, int]:
        i, j = self.one.place(size_bytes, width_bits)
        return int(i), int(j), banks.bit_length() - 1

    def _factors(self) -> NDArray[np.float64]:
        """Logarithms of what banks cost over one by ``bank_factors.csv``."""
        found = np.zeros((*self.one.cells.shape[:2], MOST_BANKS.bit_length(), len(NAMES)))
        for i, j, k in np.ndindex(*found.shape[:3]):
            width, banks = self.one.narrowest << j, 1 << k
            words = (self.one.smallest << i) * 8 / (width * banks)
            found[i, j, k] = np.log(bank_factors(banks, words / width))
        return found

    def at(self, size_bytes: float, width_bits: float, banks: int) -> Answer:
        """Return the figures within the rows' sizes and widths, up to ``MOST_BANKS`` banks."""
        whole = size_bytes == int(size_bytes) and width_bits == int(width_bits)
        key = (int(size_bytes), int(width_bits), banks)
        if whole and key in self._known:
            return self._row(key)
        figures = np.exp(within(self.cells, *self.one.place(size_bytes, width_bits), math.log2(banks)))
        if banks > 1 and not self._measured:
            one = self.at(size_bytes, width_bits, 1)
            return divided(one, figures / one.figures, 1, banks, size_bytes * 8 / (width_bits * banks))
        source = f"{self._source}; interpolated between rows, {self._errors[banks > 1]}"
        return Answer(tuple(figures.tolist()), "interpolation", (source,) * len(COLUMNS), (True,) * len(COLUMNS))

    def _row(self, key: tuple[int, int, int]) -> Answer:
        if key not in self._answers:
            self._answers[key] = self._raised(self._known[key], np.exp(self.cells[self._place(*key)]).tolist())
        return self._answers[key]

    def _raised(self, known: tuple[float, ...], least: Sequence[float]) -> Answer:
        found = Answer(known, "table", (self._source,) * len(COLUMNS), (False,) * len(COLUMNS))
        factors = [a / b if a > b * (1 + 1e-9) else 1.0 for a, b in zip(least, known, strict=True)]
        if max(factors) == 1:
            return found
        reason = "that of a smaller array, which CACTI's optimum undercuts"
        reasons = [reason if factor > 1 else "" for factor in factors]
        return found.times(factors, reasons, "at least what smaller arrays take (estimated)")


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


def beyond(answer: Answer, banks: int, words: float, width_bits: float) -> Answer:
    """Return the figures of an array in ``MOST_BANKS`` banks divided into more, of so many words."""
    ratio = words / width_bits
    factors = bank_factors(banks, ratio) / bank_factors(MOST_BANKS, ratio * banks / MOST_BANKS)
    return divided(answer, factors, MOST_BANKS, banks, words)


def beyond_logs(banks: NDArray[np.float64], words_per_bit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the same factors for many arrays; 0 up to ``MOST_BANKS``."""
    over = np.maximum(banks / MOST_BANKS, 1)
    return _log_divided(words_per_bit) - _log_divided(words_per_bit * over)


def _log_divided(words_per_bit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of what ``MOST_BANKS`` banks cost over one, but for what holds for any banks."""
    ratio = np.maximum(words_per_bit, min(_rows()[1]))
    return _log_shallow(ratio) - _log_shallow(ratio * MOST_BANKS)


def _log_shallow(words_per_bit: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = _rows()[1]
    at = np.log(sorted(rows))
    known = ([math.log(float(rows[r][name])) for r in sorted(rows)] for name in NAMES)
    return np.stack([np.interp(np.log(words_per_bit), at, figures) for figures in known], axis=-1)


def divided(answer: Answer, factors: NDArray[np.float64], over: int, banks: int, words: float) -> Answer:
    """Return figures times the factors of more banks than ``over``, with where these come from."""
    reason = f"{banks} banks of {words:.6g} words over {'one array' if over == 1 else f'{over} banks'}: "
    reason += _rows()[0]["source"]
    reason += f", no rows beyond {MOST_BANKS} banks, so as {MOST_BANKS} of as many words" if banks > MOST_BANKS else ""
    return answer.times(factors.tolist(), [reason] * len(NAMES), f"times the factor of {banks} banks (estimated)")
