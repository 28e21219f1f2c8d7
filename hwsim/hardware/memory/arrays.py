"""The figures of many SRAM buffers at once: those of ``build_sram``, without their sources."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.hardware.memory.banked import MOST_BANKS, beyond_logs
from hwsim.hardware.memory.figures import NAMES, Device
from hwsim.hardware.memory.grid import Grid, shipped_grid
from hwsim.hardware.memory.nodes import node_terms
from hwsim.hardware.memory.sram import FEWEST_WORDS, LARGEST_BYTES, check_device, check_shape
from hwsim.hardware.memory.table import growth
from hwsim.spec.errors import UsageError

Floats = NDArray[np.float64]


def sram_figures(
    size_bytes: ArrayLike, width_bits: ArrayLike, banks: ArrayLike, node_nm: float, device: Device = "hp"
) -> dict[str, Floats]:
    """Return every figure of ``NAMES`` as an array over sizes, widths and banks, which broadcast.

    Raises
    ------
    UsageError, MissingFigureError, InfeasibleError
        As :func:`build_sram` does for the first buffer that it refuses.
    """
    grid = shipped_grid()
    check_device(grid, device)
    size, width, count = (np.asarray(a, np.float64) for a in np.broadcast_arrays(size_bytes, width_bits, banks))
    _check(grid, size, width, count)
    bounds = grid.bounds(device)
    wider = np.maximum(width / bounds.widest, 1)
    larger = np.maximum(size / wider / bounds.largest, 1)
    inside = np.minimum(size / wider, bounds.largest), np.clip(width, bounds.narrowest, bounds.widest)
    place = np.stack([*bounds.places(*inside), np.log2(np.minimum(count, MOST_BANKS))])
    terms, factors = node_terms(node_nm, device, grid.nodes(device))
    logs = np.log(factors) + sum(
        share * _within(grid.table(node, device).cells, place) for node, share in terms.items()
    )
    logs += np.log(wider)[..., None] * growth("sram", "port_bits")
    logs += np.log(larger)[..., None] * growth("sram", "size_bytes")
    if count.max(initial=0) > MOST_BANKS:
        logs += beyond_logs(count, size * 8 / (width * count) / np.minimum(width, bounds.widest))
    return dict(zip(NAMES, np.moveaxis(np.exp(logs), -1, 0), strict=True))


def _within(cells: Floats, place: Floats) -> Floats:
    """Return what lies at places of a lattice (the first axis is the coordinate): linear along each."""
    lows = [np.minimum(p.astype(int), n - 2) for p, n in zip(place, cells.shape, strict=False)]
    found = np.zeros((*place.shape[1:], cells.shape[-1]))
    for corner in product((0, 1), repeat=len(lows)):
        shares = [p - low if up else 1 - (p - low) for p, low, up in zip(place, lows, corner, strict=True)]
        at = tuple(low + up for low, up in zip(lows, corner, strict=True))
        found += np.prod(shares, axis=0)[..., None] * cells[at]
    return found


def _check(grid: Grid, size: Floats, width: Floats, banks: Floats) -> None:
    for name, values in (("size", size), ("port_bits", width), ("banks", banks)):
        odd = values[~(np.isfinite(values) & (values == np.round(values)))]
        if odd.size:
            raise UsageError(f"sram: {name} must be a whole number, not {odd[0]:g}")
    valid = (grid.bounds("hp").smallest <= size) & (size <= LARGEST_BYTES) & (width > 0) & (banks > 0)
    valid &= size * 8 >= FEWEST_WORDS * width * banks
    if not valid.all():
        check_shape(grid, *(int(a[~valid][0]) for a in (size, width, banks)))
