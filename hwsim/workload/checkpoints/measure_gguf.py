"""From the tensors of GGUF files to histograms of codes, a few megabytes at a time.

Elements are packed as ggml-quants.c has it (``dequantize_row_q4_0`` and so on); codes are those of our formats: two's
complement for symmetric types, which are stored with half their range added, unsigned beside a minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import parse_format
from hwsim.formats.block.ggml import GgmlType
from hwsim.workload.checkpoints.measure import CHUNK, read_whole

Bytes = NDArray[np.uint8]


def _nibbles(packed: Bytes) -> Bytes:
    """Return the low halves of bytes, then the high ones, along the last axis."""
    return np.concatenate([packed & np.uint8(15), packed >> np.uint8(4)], axis=-1)


def _q4_0(blocks: Bytes) -> Bytes:
    return _nibbles(blocks[:, 2:18]) ^ np.uint8(8)


def _q8_0(blocks: Bytes) -> Bytes:
    return blocks[:, 2:34]


def _q4_k(blocks: Bytes) -> Bytes:
    return _nibbles(blocks[:, 16:144].reshape(-1, 4, 32)).reshape(len(blocks), 256)


def _q5_k(blocks: Bytes) -> Bytes:
    low = _nibbles(blocks[:, 48:176].reshape(-1, 4, 32)).reshape(len(blocks), 8, 32)
    high = blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & np.uint8(1)
    return (low | high << np.uint8(4)).reshape(len(blocks), 256)


def _q6_k(blocks: Bytes) -> Bytes:
    low = _nibbles(blocks[:, :128].reshape(-1, 2, 64)).reshape(len(blocks), 2, 4, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2, dtype=np.uint8)[:, None] & np.uint8(3)
    return (low | high << np.uint8(4)).reshape(len(blocks), 256) ^ np.uint8(32)


#: Codes of whole blocks, in the order of their elements, from blocks of bytes, by type.
UNPACK: dict[str, Callable[[Bytes], Bytes]] = {
    "Q4_0": _q4_0, "Q8_0": _q8_0, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k,
}  # fmt: skip


def block_histogram(file: Path, begin: int, size: int, kind: GgmlType) -> NDArray[np.int64]:
    """Return how often every code occurs in ``size`` bytes of a tensor in a type of :data:`UNPACK`.

    Raises
    ------
    SpecError
        If the file ends before the data do.
    """
    counts = np.zeros(2 ** parse_format(kind.format).element.bits, dtype=np.int64)
    step = CHUNK // kind.block * kind.bytes
    with file.open("rb") as stream:
        stream.seek(begin)
        for first in range(0, size, step):
            count = min(step, size - first)
            part = read_whole(stream.read(count), np.dtype("u1"), count, file)
            codes = UNPACK[kind.name](part.reshape(-1, kind.bytes))
            counts += np.bincount(codes.reshape(-1), minlength=counts.size)
    return counts
