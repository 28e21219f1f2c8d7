"""What the blocks of one part share: scales and zero points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat
from hwsim.formats.block.encoded import Encoded, Part, joined

#: The level above the scales of blocks where there is none.
ONE = np.ones(1)


class Metadata(NamedTuple):
    """Scales and zero points, one of each per block.

    Attributes
    ----------
    share
        Value of the scale's code, float64.
    level
        The scale above, of each block or one of all; :data:`ONE` where there is none.
    scale
        ``share`` · ``level`` in the dtype of the elements.
    divisor
        What elements are divided by: the scale, but 1 instead of 0.
    zero
        Zero points in the dtype of the elements; None where there are none.
    """

    share: NDArray[np.float64]
    level: NDArray[np.float64]
    scale: NDArray[Any]
    divisor: NDArray[Any]
    zero: NDArray[Any] | None = None

    @classmethod
    def of(cls, share: NDArray[np.float64], level: NDArray[np.float64], rows: NDArray[Any]) -> Metadata:
        """Return the metadata of scales ``share`` · ``level`` for elements of the dtype of ``rows``."""
        scale = (share if level is ONE else share * level).astype(rows.dtype)
        return cls(share, level, scale, np.where(scale > 0, scale, rows.dtype.type(1)))


def level_part(shared: list[Metadata], blocks: int, counted: bool) -> Part:
    """Return the bits of the scales above those of blocks: one of the tensor, or one per row or run of ``blocks``."""
    listed = [metadata.level for metadata in shared]
    found = listed[0] if listed and listed[0].size == 1 else joined(listed)[:: max(1, blocks)]
    return Part(found.astype(np.float32).view(np.uint32), 32, counted)


def scales_of(encoded: Encoded, code: ElementFormat, run: int = 0) -> NDArray[Any]:
    """Return the scales of all blocks, levels multiplied, shape (blocks, 1), of a tensor whose scales are ``code``.

    ``run`` blocks have one level where it is not 0; else they share out evenly.
    """
    scale = code.decode(encoded.scales.codes)
    if encoded.level is not None:
        upper = encoded.level.codes.view(np.float32).astype(np.float64)
        scale = scale * np.repeat(upper, run or scale.size // max(1, upper.size))[: scale.size]
    return np.asarray(scale.astype(encoded.dtype)[:, None])
