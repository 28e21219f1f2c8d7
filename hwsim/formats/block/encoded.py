"""Tensors in a block format as they are stored: codes of elements, scales and what else blocks share.

Formats fill :class:`Encoded` in ``encode`` and read it in ``decode``; what they give back equals what
``quantize`` gives. Blocks are counted along the last axis of the tensor whose blocked axis was moved
there, rows in C order; tiles in C order of (…, tile rows, tiles).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Part:
    """Codes and how many bits each of them takes in storage; uint8, uint16 or uint32 in memory.

    ``counted`` is False for what ``storage_bits`` leaves out: scales of a tensor. ``of`` picks the narrowest
    of these dtypes.
    """

    codes: NDArray[Any]
    bits: int
    counted: bool = True

    @classmethod
    def of(cls, codes: NDArray[Any], bits: int, counted: bool = True) -> Part:
        """Return a part whose ``codes`` are in the narrowest dtype that holds ``bits``."""
        return cls(codes.astype(narrowest(bits), copy=False), bits, counted)

    @property
    def storage_bits(self) -> int:
        """Bits of all codes, counted or not."""
        return int(self.codes.size) * self.bits


@dataclass(frozen=True, eq=False)
class Encoded:
    """A tensor in a block format.

    Attributes
    ----------
    format
        Name of the format.
    codes
        Element codes, in the shape of the tensor.
    scales
        Codes of the scales in their own format, one per block, shape (blocks,).
    axis
        Axis along which blocks run.
    dtype
        What the tensor is worked on and decoded in: float32 or float64.
    level
        Bits (uint32) of the FP32 scales above those of blocks, one per tensor or one per row; None
        where there is one level.
    zeros
        Zero points, one per block; None where there are none.
    selectors
        Numbers of the special values (BitMoD), one per block; None where there are none.
    """

    format: str
    codes: Part
    scales: Part
    axis: int
    dtype: np.dtype[Any]
    level: Part | None = None
    zeros: Part | None = None
    selectors: Part | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.codes.codes.shape

    def parts(self) -> tuple[Part, ...]:
        """Return all parts there are."""
        found = (self.codes, self.scales, self.level, self.zeros, self.selectors)
        return tuple(part for part in found if part is not None)

    @property
    def storage_bits(self) -> int:
        """Bits of the parts that count: those that ``Format.storage_bits`` states."""
        return sum(part.storage_bits for part in self.parts() if part.counted)


def narrowest(bits: int) -> type[np.uint8] | type[np.uint16] | type[np.uint32]:
    """Return the narrowest dtype that holds codes of ``bits``."""
    return np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32


def moved_last(x: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return ``x`` with ``axis`` last; a scalar as one element."""
    return np.moveaxis(x, axis, -1) if x.ndim else x.reshape(1)


def moved_back(moved: NDArray[Any], axis: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Undo :func:`moved_last` for an array that was of ``shape``, contiguous."""
    back = np.moveaxis(moved, -1, axis) if shape else moved
    return np.ascontiguousarray(back).reshape(shape)


def joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Return 1-d ``arrays`` one after another, empty if there are none."""
    listed = list(arrays)
    return np.concatenate(listed) if listed else np.zeros(0)


#: Cuts the last axis into blocks (…, blocks, elements) and returns the way back.
Cut = Callable[[NDArray[Any]], tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]]


def decode_blocks(encoded: Encoded, cut: Cut, decode_rows: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Return the tensor of ``encoded``; ``decode_rows`` turns rows of codes, one per block, into values.

    The result has the dtype that ``encoded`` names.
    """
    codes = encoded.codes.codes
    if not codes.size:
        return np.zeros(codes.shape, dtype=encoded.dtype)
    blocks, restore = cut(moved_last(codes, encoded.axis))
    values = decode_rows(blocks.reshape(-1, blocks.shape[-1])).astype(encoded.dtype, copy=False)
    return moved_back(restore(values.reshape(blocks.shape)), encoded.axis, codes.shape)
