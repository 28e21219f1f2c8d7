"""Blocks a part at a time: the work of a part stays in the cache, and scales of a part fit beside it.

Rows are blocks here, shape (blocks, elements), contiguous. Largest magnitudes are found on the bits
of floats: without their sign, these are in the order of the numbers, infinities and NaN last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import CHUNK

#: Rows of so many elements are halved pairwise, as a call per row would cost more (measured).
_HALVED = 64


def row_spans(rows: NDArray[Any], elements: int = CHUNK) -> Iterator[slice]:
    """Return slices of rows of about so many ``elements`` each, at least one row."""
    count = max(1, elements // max(1, rows.shape[1]))
    return (slice(start, start + count) for start in range(0, len(rows), count))


def column_spans(rows: NDArray[Any]) -> Iterator[slice]:
    """Return slices of at most ``CHUNK`` columns."""
    return (slice(start, start + CHUNK) for start in range(0, rows.shape[1], CHUNK))


def contiguous_rows(blocks: NDArray[Any]) -> NDArray[Any]:
    """Return ``blocks`` (…, elements) as (blocks, elements), contiguous; a copy only where it must be."""
    return np.ascontiguousarray(blocks.reshape(-1, blocks.shape[-1]))


def room_for(rows: NDArray[Any]) -> NDArray[Any]:
    """Return two arrays, shape (2, elements), for the work on one part of ``rows``."""
    return np.empty((2, min(rows.size, max(CHUNK, 1))), dtype=rows.dtype)


def spread(values: NDArray[Any], like: NDArray[Any], room: NDArray[Any]) -> NDArray[Any]:
    """Return one of ``values`` per row, repeated along the rows of ``like``, in ``room`` (1-d).

    A copy and work on whole arrays is quicker than work that numpy repeats along short rows.
    """
    wide = room[: like.size].reshape(like.shape)
    np.copyto(wide, values.reshape(-1, 1), casting="same_kind")
    return wide


def word_of(dtype: Any, kind: str = "u") -> np.dtype[Any]:
    """Return the integer of the width of a float ``dtype``; ``kind`` as in ``np.dtype.kind``."""
    return np.dtype(f"{kind}{np.dtype(dtype).itemsize}")


def largest(words: NDArray[Any], room: NDArray[Any]) -> NDArray[Any]:
    """Return the largest of each row of integers; ``room`` (1-d) has the words' size and item size."""
    flat, width = words.reshape(-1), words.shape[1]
    free = room.view(words.dtype)
    while width % 2 == 0 and width <= _HALVED:
        half = flat.size // 2
        flat = np.maximum(flat[0::2], flat[1::2], out=free[:half])
        free, width = free[half:], width // 2
    if width == 1:
        return flat.copy()
    return np.asarray(np.maximum.reduce(flat.reshape(-1, width), axis=1))


def largest_magnitudes(rows: NDArray[Any], room: NDArray[Any]) -> NDArray[Any]:
    """Return the largest magnitude of each row, NaN where there is one; ``room`` as of :func:`room_for`."""
    word = word_of(rows.dtype)
    unsigned = word.type((1 << (8 * word.itemsize - 1)) - 1)
    found = np.zeros(len(rows), dtype=word)
    for columns in column_spans(rows):
        part = rows[:, columns]
        bits = room[0, : part.size].view(word).reshape(part.shape)
        np.bitwise_and(part.view(word), unsigned, out=bits)
        found = np.maximum(found, largest(bits, room[1, : part.size]))
    return found.view(rows.dtype)


def scalable_magnitudes(name: str, rows: NDArray[Any], room: NDArray[Any], keeps_nan: bool) -> NDArray[Any]:
    """Return the finite largest magnitude of each row, of what is not NaN where ``keeps_nan``.

    Raises
    ------
    ValueError
        If there is an infinity, or a NaN that the format ``name`` has no code for.
    """
    found = largest_magnitudes(rows, room)
    if np.max(found, initial=0) < np.inf:
        return found
    missing = np.isnan(rows)
    if not keeps_nan and missing.any():
        raise ValueError(f"{name} has no code for NaN")
    refuse_infinity(name, rows)
    return largest_magnitudes(np.where(missing, rows.dtype.type(0), rows), room)


def refuse_infinity(name: str, x: NDArray[Any]) -> None:
    """Raise ``ValueError`` if ``x`` holds an infinity, for the format ``name`` whose scales are finite."""
    if np.isinf(x).any():
        raise ValueError(f"{name} has no scale for an infinity")


def extremes(name: str, rows: NDArray[Any], room: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the lowest and the highest of each row and 0.

    Raises
    ------
    ValueError
        If there is an infinity or a NaN.
    """
    signed, unsigned = word_of(rows.dtype, "i"), word_of(rows.dtype)
    # As signed words, the largest positive number leads; as unsigned ones, the most negative one does.
    high = np.zeros(len(rows), dtype=signed)
    low = np.full(len(rows), 1 << (8 * unsigned.itemsize - 1), dtype=unsigned)
    for columns in column_spans(rows):
        part = rows[:, columns]
        high = np.maximum(high, largest(part.view(signed), room[0, : part.size]))
        low = np.maximum(low, largest(part.view(unsigned), room[1, : part.size]))
    lowest, highest = low.view(rows.dtype), high.view(rows.dtype)
    if not (np.max(highest, initial=0) < np.inf and np.min(lowest, initial=0) > -np.inf):
        if np.isnan(rows).any():
            raise ValueError(f"{name} has no code for NaN")
        refuse_infinity(name, rows)
    return lowest, highest
