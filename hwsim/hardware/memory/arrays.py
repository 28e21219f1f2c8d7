"""The figures of many SRAM buffers at once: those of ``build_sram``, without their sources."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.hardware.memory.banked import MOST_BANKS, beyond_logs
from hwsim.hardware.memory.ecc import Ecc, check_bits
from hwsim.hardware.memory.figures import LEAKAGE, NAMES, Device
from hwsim.hardware.memory.grid import Grid, shipped_grid
from hwsim.hardware.memory.nodes import misprint_log, node_terms
from hwsim.hardware.memory.ports import Ports, port_logs
from hwsim.hardware.memory.sram import FEWEST_WORDS, LARGEST_BYTES, check_kind, check_shape
from hwsim.hardware.memory.table import growth
from hwsim.hardware.memory.temperature import ROWS_K, temperature_logs
from hwsim.spec.errors import UsageError

Floats = NDArray[np.float64]


def sram_figures(
    size_bytes: ArrayLike,
    width_bits: ArrayLike,
    banks: ArrayLike,
    node_nm: float,
    device: Device = "hp",
    kelvin: float = ROWS_K,
    ports: Ports = "1rw",
    ecc: Ecc = "none",
) -> dict[str, Floats]:
    """Return every figure of ``NAMES`` as an array over sizes, widths and banks, which broadcast.

    Raises
    ------
    UsageError, MissingFigureError, InfeasibleError
        As :func:`build_sram` does for the first buffer that it refuses.
    """
    grid = shipped_grid()
    check_kind(grid, device, kelvin, ports, ecc)
    size, width, count = (np.asarray(a, np.float64) for a in np.broadcast_arrays(size_bytes, width_bits, banks))
    _check(grid, size, width, count)
    if ecc != "none":
        size, width = _stored(ecc, size, width)
    logs = _logs(grid, size, width, count, node_nm, device) + temperature_logs(kelvin, node_nm, device)
    if ports != "1rw":
        flat = [port_logs(ports, s) for s in np.unique(size)]
        logs += np.array(flat)[np.searchsorted(np.unique(size), size)]
    return dict(zip(NAMES, np.moveaxis(np.exp(logs), -1, 0), strict=True))


def _stored(ecc: Ecc, size: Floats, width: Floats) -> tuple[Floats, Floats]:
    """Return sizes and widths with check bits."""
    kinds, which = np.unique(width, return_inverse=True)
    stored = np.array([k + check_bits(ecc, int(k)) for k in kinds])[which].reshape(width.shape)
    return np.ceil(size * stored / width), stored


def _logs(grid: Grid, size: Floats, width: Floats, count: Floats, node_nm: float, device: Device) -> Floats:
    """Return the logarithms of the figures of arrays of one port at 360 K."""
    bounds = grid.bounds(device)
    wider = np.maximum(width / bounds.widest, 1)
    larger = np.maximum(size / wider / bounds.largest, 1)
    inside = np.minimum(size / wider, bounds.largest), np.clip(width, bounds.narrowest, bounds.widest)
    place = np.stack([*bounds.places(*inside), np.log2(np.minimum(count, MOST_BANKS))])
    terms, scaled = node_terms(node_nm, grid.nodes(device))
    logs = np.zeros((*size.shape, len(NAMES))) + (scaled or 0.0)
    for node, share in terms:
        logs += share * _within(grid.table(node, device).cells, place)
        logs[..., LEAKAGE] += share * misprint_log(node, device)
    logs += np.log(wider)[..., None] * np.array(growth("sram", "port_bits"))
    logs += np.log(larger)[..., None] * np.array(growth("sram", "size_bytes"))
    if count.max(initial=0) > MOST_BANKS:
        logs += beyond_logs(count, size * 8 / (width * count) / np.minimum(width, bounds.widest))
    return logs


def _within(cells: Floats, place: Floats) -> Floats:
    """Return what lies at places of a lattice (the first axis is the coordinate): linear along each."""
    lows = [np.minimum(p.astype(int), n - 2) for p, n in zip(place, cells.shape, strict=False)]
    shares = [(p - low)[..., None] for p, low in zip(place, lows, strict=True)]
    found: list[Floats] = [
        cells[tuple(low + up for low, up in zip(lows, corner, strict=True))]
        for corner in product((0, 1), repeat=len(lows))
    ]
    for share in reversed(shares):
        found = [a + share * (b - a) for a, b in zip(found[::2], found[1::2], strict=True)]
    return found[0]


def _check(grid: Grid, size: Floats, width: Floats, banks: Floats) -> None:
    for name, values in (("size", size), ("port_bits", width), ("banks", banks)):
        odd = values[~(np.isfinite(values) & (values == np.round(values)))]
        if odd.size:
            raise UsageError(f"sram: {name} must be a whole number, not {odd[0]:g}")
    valid = (grid.smallest <= size) & (size <= LARGEST_BYTES) & (width > 0) & (banks > 0)
    valid &= size * 8 >= FEWEST_WORDS * width * banks
    if not valid.all():
        check_shape(grid, *(int(a[~valid][0]) for a in (size, width, banks)))
