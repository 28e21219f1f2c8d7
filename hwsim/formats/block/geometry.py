"""Which elements form a block: groups along a row, tiles, rows (channels) or the whole tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import split_blocks

Geometry = Literal["group", "tile", "channel", "tensor"]
#: From (…, blocks, elements) back to the shape of the tensor.
Restore = Callable[[NDArray[Any]], NDArray[Any]]


def cut_blocks(
    x: NDArray[Any], geometry: Geometry, size: int | None, tile_rows: int = 1
) -> tuple[NDArray[Any], Restore]:
    """Return ``x`` as (…, blocks, elements) and the way back; ragged blocks are filled up with zeros.

    Groups run along the last axis, tiles over the last two; a vector has tiles of one row.
    """
    if geometry == "tensor":
        return x.reshape(1, -1), lambda done: done.reshape(x.shape)
    if geometry == "channel":
        return x[..., None, :], lambda done: done.reshape(x.shape)
    assert size is not None
    if geometry == "tile" and x.ndim > 1:
        return _tiles(x, size, tile_rows)
    length = x.shape[-1]
    return split_blocks(x, size), lambda done: done.reshape(*x.shape[:-1], -1)[..., :length]


def _tiles(x: NDArray[Any], width: int, height: int) -> tuple[NDArray[Any], Restore]:
    rows, length = x.shape[-2:]
    below, right = -rows % height, -length % width
    padded = np.pad(x, [*[(0, 0)] * (x.ndim - 2), (0, below), (0, right)]) if below or right else x
    shape = (*x.shape[:-2], (rows + below) // height, height, (length + right) // width, width)
    tiles = np.moveaxis(padded.reshape(shape), -3, -2)
    swapped, whole = tiles.shape, padded.shape

    def restore(done: NDArray[Any]) -> NDArray[Any]:
        return np.moveaxis(done.reshape(swapped), -2, -3).reshape(whole)[..., :rows, :length]

    return tiles.reshape(*swapped[:-2], -1), restore
