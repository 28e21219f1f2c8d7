"""From the weights of safetensors files to histograms of codes, a few megabytes at a time.

Weights in floating point are quantized to the formats that are asked for; packed ones of 8, 4 or 2 bits are counted
as they are stored, in their own format. Nothing is mapped into memory: at most :data:`CHUNK` elements are read at once
(one row, where rows are longer), so that a checkpoint of any size takes the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import gcd, lcm
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.formats.measured import codes_of
from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.workload.checkpoints.safetensors import Entry
from hwsim.workload.quantization.base import Codes

#: Elements that are read at once.
CHUNK = 1 << 21
READABLE: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "BF16": np.dtype("<u2"), "F32": np.dtype("<f4")}


def float_histograms(
    entry: Entry, shape: tuple[int, int], formats: Sequence[Format], turned: bool = False
) -> dict[Format, NDArray[np.int64]]:
    """Return how often every code occurs in a matrix of floating point, quantized to each of ``formats``.

    ``shape`` is (outputs, inputs): blocks run along inputs, which are rows in the file if it is ``turned``.

    Raises
    ------
    SpecError
        If the file ends before the data do, or they are not finite.
    UsageError
        If the scale of a whole tensor cannot be found piece by piece.
    """
    found = {fmt: np.zeros(2**fmt.element.bits, dtype=np.int64) for fmt in formats}
    whole = [fmt for fmt in formats if _of_whole_tensor(fmt)]
    rows, columns = shape
    tall = lcm(*(_rows_together(fmt, columns) for fmt in formats))
    read = partial(_turned_chunks if turned else _chunks, entry, shape)
    peak = np.float32(max(float(np.abs(part).max()) for part in read())) if whole and rows * columns > CHUNK else None
    for fmt in whole:
        if peak is not None and fmt.element.block_fit != "absmax":
            raise UsageError(f"{fmt.name} has one scale per tensor, which is no largest magnitude: not measured")
    for part in read(tall):
        for fmt, counts in found.items():
            with_peak = peak is not None and fmt in whole
            codes = codes_of(fmt, _with_peak(part, peak) if with_peak else part)
            kept = codes[:-1] if with_peak else codes
            counts += np.bincount(kept.reshape(-1).astype(np.int64), minlength=counts.size)
    return found


def _of_whole_tensor(fmt: Format) -> bool:
    """Whether blocks share a scale of the whole tensor: pieces alone would find others."""
    scale = getattr(fmt, "scale", None)
    tensor = getattr(fmt, "geometry", "") == "tensor"
    return tensor or (scale is not None and scale.upper is not None and not (scale.per_row or scale.run))


def _rows_together(fmt: Format, columns: int) -> int:
    """Return of how many rows a piece must be a multiple: whole tiles, and whole runs of blocks under one scale."""
    tall: int = getattr(fmt, "tile_rows", 1)
    run = getattr(getattr(fmt, "scale", None), "run", 0)
    if not run:
        return tall
    blocks = -(-columns // (fmt.block_size or columns))
    return lcm(tall, tall * run // gcd(run, blocks))


def _with_peak(part: NDArray[np.float32], peak: np.float32 | None) -> NDArray[np.float32]:
    """Return a piece with one more row, which holds the largest magnitude of all pieces."""
    row = np.zeros((1, part.shape[1]), dtype=part.dtype)
    row[0, 0] = peak
    return np.concatenate([part, row])


def _chunks(entry: Entry, shape: tuple[int, int], tall: int = 1) -> Iterator[NDArray[np.float32]]:
    """Yield rows of a matrix as float32, a whole number of tiles of ``tall`` rows at a time."""
    rows, columns = shape
    step = max(1, CHUNK // (columns * tall)) * tall
    kind = READABLE[entry.dtype]
    with entry.file.open("rb") as stream:
        stream.seek(entry.begin)
        for first in range(0, rows, step):
            count = min(step, rows - first) * columns
            part = read_whole(stream.read(count * kind.itemsize), kind, count, entry.file)
            yield _as_floats(entry, part).reshape(-1, columns)


def _turned_chunks(entry: Entry, shape: tuple[int, int], tall: int = 1) -> Iterator[NDArray[np.float32]]:
    """Yield outputs of a matrix whose rows in the file are inputs, as :func:`_chunks` does."""
    rows, columns = shape
    step = max(1, CHUNK // (columns * tall)) * tall
    kind = READABLE[entry.dtype]
    with entry.file.open("rb") as stream:
        for first in range(0, rows, step):
            count = min(step, rows - first)
            part = np.empty((columns, count), dtype=kind)
            for column in range(columns):
                stream.seek(entry.begin + (column * rows + first) * kind.itemsize)
                part[column] = read_whole(stream.read(count * kind.itemsize), kind, count, entry.file)
            yield np.ascontiguousarray(_as_floats(entry, part.reshape(-1)).reshape(columns, count).T)


def _as_floats(entry: Entry, part: NDArray[Any]) -> NDArray[np.float32]:
    """Return numbers as they are read as float32; SpecError if one is not finite."""
    values = (part.astype(np.uint32) << 16).view(np.float32) if entry.dtype == "BF16" else part
    values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise SpecError([Problem(str(entry.file), 0, 0, "", "a weight is not finite; nothing is measured")])
    return values


def read_whole(data: bytes, kind: np.dtype[Any], count: int, file: Path) -> NDArray[Any]:
    """Return ``count`` numbers of ``kind``; SpecError if there are fewer."""
    if len(data) < count * kind.itemsize:
        message = "the file ends before its data do: statistics need whole files"
        raise SpecError([Problem(str(file), 0, 0, "", message)])
    return np.frombuffer(data, dtype=kind)


def code_histogram_of(entry: Entry, codes: Codes, bits: int) -> NDArray[np.int64]:
    """Return how often every code occurs in packed weights, in the order of our codes.

    Raises
    ------
    SpecError
        If the file ends before the data do.
    """
    bytes_seen = np.zeros(256, dtype=np.int64)
    left = entry.bits // 8
    with entry.file.open("rb") as stream:
        stream.seek(entry.begin)
        while left:
            size = min(left, 2 * CHUNK)
            bytes_seen += np.bincount(read_whole(stream.read(size), np.dtype("u1"), size, entry.file), minlength=256)
            left -= size
    every = np.arange(256)
    stored = np.zeros(2**bits, dtype=np.int64)
    for shift in range(0, 8, bits):
        np.add.at(stored, every >> shift & (2**bits - 1), bytes_seen)
    found = np.zeros_like(stored)
    order: Mapping[int, int] = dict(enumerate(codes.order)) if codes.order else {}
    for code, count in enumerate(stored):
        found[order.get(code, code)] += count
    return found
