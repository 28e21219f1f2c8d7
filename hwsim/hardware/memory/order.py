"""What never costs less: figures of a lattice put in order with the least change.

CACTI optimises each array by itself for ED^2, so now and then a larger one takes less than a smaller
(90 nm hp, 16 bits: 64 KiB read for 73.1 pJ, 256 KiB for 62.9 pJ), and of two arrays of one capacity the
wider, which is the shallower, is often faster. A search would find just these. Here every figure is at
least that of any array of less capacity and equal width; energy, area and times are also at least those
of a narrower port at equal capacity; area and leakage also those of fewer banks. Leakage at equal
capacity has no order over the width: as many cells leak in every shape, and a shallow array may have
less periphery; it is at least that of fewer bits per word and as many words.

Rows that are out of order are moved, up or down, such that the sum of the absolute logarithms of what
they are multiplied by is least (isotonic regression, least absolute deviations, by a linear program). That
moves 39 % of the rows in access time, by 2.7 % on the mean of all, 26 % in area (1.1 %), 10 % in cycle
time (2.8 %), 6 % in leakage (0.3 %) and 1 % in energy (0.1 %): ``sram_order.csv``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import NAMES

Step = tuple[int, int, int]
_CAPACITY, _WIDTH, _WIDTH_OF_AS_MANY_WORDS, _BANKS = (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1)
#: Steps over sizes, widths and banks that never lower a figure.
STEPS: dict[str, tuple[Step, ...]] = {
    "read_pj": (_CAPACITY, _WIDTH),
    "write_pj": (_CAPACITY, _WIDTH),
    "leakage_mw": (_CAPACITY, _WIDTH_OF_AS_MANY_WORDS, _BANKS),
    "area_mm2": (_CAPACITY, _WIDTH, _BANKS),
    "access_ns": (_CAPACITY, _WIDTH),
    "cycle_ns": (_CAPACITY, _WIDTH),
}


def ordered(cells: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``cells`` (sizes × widths × banks × figures) with what is ``known`` in order, with the least change."""
    found = cells.copy()
    for figure, name in enumerate(NAMES):
        found[known, figure] = least_change(cells[..., figure], known, STEPS[name])
    return found


def between(cells: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``cells`` whose ``known`` ones are in order with the rest moved between them.

    The rest goes to the mean of the highest below and the lowest above it: as far down as up.
    """
    found = np.empty_like(cells)
    for figure, name in enumerate(NAMES):
        steps, values = STEPS[name], cells[..., figure]
        least = highest_below(np.where(known, values, -np.inf), steps)
        most = lowest_above(np.where(known, values, np.inf), steps)
        inside = np.where(known, values, np.clip(values, least, most))
        found[..., figure] = (highest_below(inside, steps) + lowest_above(inside, steps)) / 2
    return found


def highest_below(values: NDArray[np.float64], steps: tuple[Step, ...]) -> NDArray[np.float64]:
    """Return the largest of each cell and of all from which steps lead to it."""
    found = values.copy()
    for step in steps:
        origin, to = _ends(step)
        for _ in range(min(n for n, s in zip(found.shape, step, strict=True) if s) - 1):
            found[to] = np.maximum(found[to], found[origin])
    return found


def lowest_above(values: NDArray[np.float64], steps: tuple[Step, ...]) -> NDArray[np.float64]:
    """Return the smallest of each cell and of all that steps lead to from it."""
    return -highest_below(-values[::-1, ::-1, ::-1], steps)[::-1, ::-1, ::-1]


def _ends(step: Step) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the cells from which a step leads to others, and those others."""
    return tuple(slice(None, -s or None) for s in step), tuple(slice(s, None) for s in step)


def least_change(values: NDArray[np.float64], known: NDArray[np.bool_], steps: tuple[Step, ...]) -> NDArray[np.float64]:
    """Return the ``known`` values in order, of least absolute deviations from themselves.

    Only values out of order with another take part; one of the optima leaves the others where they are,
    since values below it that the optimum puts above may as well come down to it, and the reverse.
    """
    least = highest_below(np.where(known, values, -np.inf), steps)
    most = lowest_above(np.where(known, values, np.inf), steps)
    moving = known & (least > most)
    if not moving.any():
        return values[known]
    staying = known & ~moving
    least = highest_below(np.where(staying, values, -np.inf), steps)
    most = lowest_above(np.where(staying, values, np.inf), steps)
    found = values.copy()
    found[moving] = np.clip(_linear_program(values[moving], _covers(moving, steps)), least[moving], most[moving])
    # the solver keeps the order to its tolerance; the mean of both envelopes keeps it exactly
    least = highest_below(np.where(known, found, -np.inf), steps)
    most = lowest_above(np.where(known, found, np.inf), steps)
    middle: NDArray[np.float64] = (least[known] + most[known]) / 2
    return middle


def _covers(cells: NDArray[np.bool_], steps: tuple[Step, ...]) -> NDArray[np.int_]:
    """Return the pairs (lower, higher) of cells that steps lead between, with none of the cells between them."""
    count = int(cells.sum())
    reach = np.empty((count, count), bool)
    for i, place in enumerate(np.argwhere(cells)):
        start = np.full(cells.shape, -np.inf)
        start[tuple(place)] = 1
        reach[i] = highest_below(start, steps)[cells] > 0
    np.fill_diagonal(reach, False)
    through = reach.astype(float) @ reach.astype(float) > 0
    return np.argwhere(reach & ~through)


def _linear_program(wanted: NDArray[np.float64], pairs: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return the x of least sum of |x - wanted| whose first of each pair is at most its second."""
    # Costs a quarter of a second to import; the order of the rows that ship is data.
    from scipy.optimize import linprog
    from scipy.sparse import block_array, csr_array, eye_array

    count, rows = wanted.size, np.arange(len(pairs))
    ends = np.concatenate([pairs[:, 0], pairs[:, 1]])
    signs = np.repeat([1.0, -1.0], len(pairs))
    rises = csr_array((signs, (np.concatenate([rows, rows]), ends)), shape=(len(pairs), count))
    one = eye_array(count)
    solved = linprog(
        np.repeat([0.0, 1.0], count),
        A_ub=block_array([[rises, None], [one, -one], [-one, -one]], format="csr"),
        b_ub=np.concatenate([np.zeros(len(pairs)), wanted, -wanted]),
        bounds=[(None, None)] * count + [(0, None)] * count,
        method="highs",
    )
    found: NDArray[np.float64] = solved.x[:count]
    return found
