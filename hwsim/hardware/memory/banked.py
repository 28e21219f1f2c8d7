"""CACTI's rows of one bank and several, and what banks cost where there are no such rows.

An array in banks is the lattice of ``table.py`` with a third axis, the doublings of the banks. Cells
that no row fills lie on the smoothest surface: least squares of the second differences along size
and width and of the steps along the banks, all of the figure over ``bank_factors.csv``, which says
what an array costs over a deep one by its words over its bits per word. Without any rows of several
banks the factors alone answer. Larger arrays never cost less: see ``order.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import NAMES, Answer, Reasons, Story, alike
from hwsim.hardware.memory.order import between, ordered
from hwsim.hardware.memory.table import COLUMNS, Corners, Logs, Table, corners, linear
from hwsim.spec.data import read_csv_rows

#: Banks of the rows behind the factors; more are taken for as many of the same words.
MOST_BANKS = 8
#: Bytes, bits of a word, banks.
Shape = tuple[float, float, int]
#: An array, and the cells of the lattice around it.
Spot = tuple[Shape, Corners]
#: Figures of a row put in order; None where it stays.
Ordered = Mapping[Shape, Sequence[float | None]]


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
    in_order
        The figures of the rows that the order moves; None to find them, which takes much longer.
    """

    def __init__(
        self,
        one: Sequence[dict[str, str]],
        more: Sequence[dict[str, str]],
        source: str,
        errors: tuple[str, str],
        in_order: Ordered | None = None,
    ) -> None:
        self.one = Table(one, source, errors[0])
        self._known: dict[Shape, tuple[float, ...]] = {
            (int(r["size_bytes"]), int(r["word_bits"]), int(r.get("banks", "1"))): tuple(float(r[c]) for c in COLUMNS)
            for r in (*one, *more)
        }
        self._measured = bool(more)
        self._rows: dict[Shape, Answer] = {}
        self._source, self._in_order = source, in_order
        between_rows = (f"{source}; interpolated between rows, {error}" for error in errors)
        self._between = [partial(Story.of, "interpolation", text, True) for text in between_rows]

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
        cells = self._put_in_order(cells, known)
        if not self._measured:
            # the factors are of arrays in order
            cells = factors + between(cells, known)[:, :, :1]
        return between(cells, known)

    def _put_in_order(self, cells: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
        if self._in_order is None:
            return ordered(cells, known)
        for key, figures in self._in_order.items():
            place = self._place(*key)
            moved = [i for i, figure in enumerate(figures) if figure is not None]
            cells[(*place, moved)] = [math.log(figures[i] or math.nan) for i in moved]
        return cells

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return self.cells.shape[:3]

    @cached_property
    def _flat(self) -> list[list[float]]:
        flat: list[list[float]] = self.cells.reshape(-1, len(COLUMNS)).tolist()
        return flat

    def spot(self, size_bytes: float, width_bits: float, banks: int) -> Spot:
        """Return where an array lies; the same in all tables whose sizes and widths have the same bounds."""
        key = (size_bytes, width_bits, banks)
        return key, corners(self._shape, *self.one.place(size_bytes, width_bits), math.log2(banks))

    def _place(self, size_bytes: float, width_bits: float, banks: int) -> tuple[int, int, int]:
        i, j = self.one.place(size_bytes, width_bits)
        return int(i), int(j), banks.bit_length() - 1

    def _factors(self) -> NDArray[np.float64]:
        """Logarithms of what banks cost over one by ``bank_factors.csv``."""
        found = np.zeros((*self.one.cells.shape[:2], MOST_BANKS.bit_length(), len(NAMES)))
        for i, j, k in np.ndindex(*found.shape[:3]):
            width, banks = self.one.narrowest << j, 1 << k
            words = (self.one.smallest << i) * 8 / (width * banks)
            found[i, j, k] = bank_logs(banks, words / width)
        return found

    def at(self, size_bytes: float, width_bits: float, banks: int) -> Answer:
        """Return the figures within the rows' sizes and widths, up to ``MOST_BANKS`` banks."""
        return self.on(self.spot(size_bytes, width_bits, banks))

    def on(self, spot: Spot) -> Answer:
        """Return the figures at a :meth:`spot`."""
        key, around = spot
        if key in self._known:
            return self._row(key)
        logs, banks = linear(self._flat, around), key[2]
        if banks > 1 and not self._measured:
            return Answer(logs, partial(self._tell_factors, logs, key))
        return Answer(logs, self._between[banks > 1])

    def _tell_factors(self, logs: Logs, key: Shape) -> Story:
        """Tell an answer of banks that no rows have from the same array in one bank."""
        size, width, banks = key
        one = self.at(size, width, 1)
        over = [a - b for a, b in zip(logs, one.logs, strict=True)]
        return one.tell().because(over, *_tell_divided(1, banks, size * 8 / (width * banks)))

    def _row(self, key: Shape) -> Answer:
        if key not in self._rows:
            known = self._known[key]
            logs = [math.log(figure) for figure in known]
            cell = self.cells[self._place(*key)].tolist()
            moves = [0.0 if abs(a - b) < MOVED else a - b for a, b in zip(cell, logs, strict=True)]
            found = Answer(logs, partial(Story.of, "table", self._source, False), known)
            self._rows[key] = found.plus(moves, partial(_tell_moves, moves)) if any(moves) else found
        return self._rows[key]


#: Logarithm below which a figure counts as its row's: the digits of the rows.
MOVED = 1e-9


def _tell_moves(moves: Logs) -> Reasons:
    reason = "moved least such that no smaller array costs more and no larger one less (CACTI optimises each by itself)"
    return "put in order of size (estimated)", [reason if move else "" for move in moves]


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


class _Factors:
    """``bank_factors.csv``: what holds for any banks, and what shallowness costs by words over bits per word."""

    def __init__(self) -> None:
        anyhow, *shapes = read_csv_rows("memory", "bank_factors.csv")
        self.source = anyhow["source"]
        self.anyhow = [math.log(float(anyhow[name])) for name in NAMES]
        self.ratios = [float(row["words_per_bit"]) for row in shapes]
        self.shallow = [[math.log(float(row[name])) for name in NAMES] for row in shapes]
        deeper = [*self.shallow[MOST_BANKS.bit_length() - 1 :], *[self.shallow[-1]] * (MOST_BANKS.bit_length() - 1)]
        #: What ``MOST_BANKS`` banks of such shapes cost over one, but for what holds for any banks.
        self.divided = [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(self.shallow, deeper, strict=True)]


@lru_cache(maxsize=1)
def _factors() -> _Factors:
    return _Factors()


def _doublings(words_per_bit: float) -> float:
    """Return the place of a shape among the rows of shallowness, which are doublings apart."""
    lowest = _factors().ratios[0]
    return math.log2(max(words_per_bit, lowest) / lowest)


def _at(doublings: float, rows: Sequence[Logs]) -> Logs:
    """Return what lies at a place among rows that are doublings apart; the last row beyond them."""
    low = int(doublings)
    if low >= len(rows) - 1:
        return rows[-1]
    share = doublings - low
    return [a + share * (b - a) for a, b in zip(rows[low], rows[low + 1], strict=True)]


def bank_logs(banks: int, words_per_bit: float) -> Logs:
    """Return the logarithms of what banks of so many words over bits per word cost over the undivided array."""
    if banks == 1:
        return [0.0] * len(NAMES)
    place = _doublings(words_per_bit)
    rows = _factors().shallow
    bank, undivided = _at(place, rows), _at(place + math.log2(min(banks, MOST_BANKS)), rows)
    return [a + b - c for a, b, c in zip(_factors().anyhow, bank, undivided, strict=True)]


def beyond(answer: Answer, banks: int, words: float, width_bits: float) -> Answer:
    """Return the figures of an array in ``MOST_BANKS`` banks divided into more, of so many words."""
    ratio, rows = words / width_bits, _factors().divided
    many, most = _at(_doublings(ratio), rows), _at(_doublings(ratio * banks / MOST_BANKS), rows)
    logs = [a - b for a, b in zip(many, most, strict=True)]
    return answer.plus(logs, partial(_tell_divided, MOST_BANKS, banks, words))


def beyond_logs(banks: NDArray[np.float64], words_per_bit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the same factors for many arrays; 0 up to ``MOST_BANKS``."""
    over = np.maximum(banks / MOST_BANKS, 1)
    return _log_divided(words_per_bit) - _log_divided(words_per_bit * over)


def _log_divided(words_per_bit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of what ``MOST_BANKS`` banks cost over one, but for what holds for any banks."""
    ratio = np.maximum(words_per_bit, _factors().ratios[0])
    return _log_shallow(ratio) - _log_shallow(ratio * MOST_BANKS)


def _log_shallow(words_per_bit: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.log(_factors().ratios)
    known = zip(*_factors().shallow, strict=True)
    return np.stack([np.interp(np.log(words_per_bit), at, figures) for figures in known], axis=-1)


def _tell_divided(over: int, banks: int, words: float) -> Reasons:
    """Tell the factors of more banks than ``over``."""
    reason = f"{banks} banks of {words:.6g} words over {'one array' if over == 1 else f'{over} banks'}: "
    reason += _factors().source
    reason += f", no rows beyond {MOST_BANKS} banks, so as {MOST_BANKS} of as many words" if banks > MOST_BANKS else ""
    return alike(f"times the factor of {banks} banks (estimated)", reason)
