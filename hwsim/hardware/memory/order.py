"""What never costs less: figures of a lattice raised to those of smaller arrays.

CACTI optimises each array by itself for ED^2, so now and then a larger one takes less than a smaller
(90 nm hp, 16 bits: 64 KiB read for 73.1 pJ, 256 KiB for 62.9 pJ). A search would find just these. Here
every figure is at least that of any array of less capacity and equal width, or of fewer bits per word
and as many words; an energy also that of a narrower port at equal capacity (a wide, shallow array may
well be smaller and faster than a narrow one); area and leakage also those of fewer banks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.memory.figures import QUANTITIES

_CAPACITY, _WIDTH, _WIDTH_OF_AS_MANY_WORDS, _BANKS = (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1)
#: Per kind of figure: steps over sizes, widths and banks that never lower it.
_STEPS = {
    "energy": (_CAPACITY, _WIDTH),
    "delay": (_CAPACITY, _WIDTH_OF_AS_MANY_WORDS),
    "area": (_CAPACITY, _WIDTH_OF_AS_MANY_WORDS, _BANKS),
    "leakage": (_CAPACITY, _WIDTH_OF_AS_MANY_WORDS, _BANKS),
}


def rising(cells: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``cells`` (sizes × widths × banks × figures) raised as far as the order asks.

    What is ``known`` is raised to other known cells alone; the rest is then put between them.
    """
    found = np.empty_like(cells)
    for figure, (_, _, kind) in enumerate(QUANTITIES):
        steps, values = _STEPS[kind], cells[..., figure]
        least = _highest_below(np.where(known, values, -np.inf), steps)
        most = -_highest_below(np.where(known, -least, -np.inf)[::-1, ::-1, ::-1], steps)[::-1, ::-1, ::-1]
        found[..., figure] = _highest_below(np.where(known, least, np.clip(values, least, most)), steps)
    return found


def _highest_below(values: NDArray[np.float64], steps: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """Return the largest of each cell and of all from which steps lead to it."""
    found = values.copy()
    for step in steps:
        to = tuple(slice(s, None) for s in step)
        origin = tuple(slice(None, -s or None) for s in step)
        for _ in range(min(n for n, s in zip(found.shape, step, strict=True) if s) - 1):
            found[to] = np.maximum(found[to], found[origin])
    return found
