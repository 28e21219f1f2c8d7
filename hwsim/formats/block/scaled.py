"""Scaled formats: elements that share a scale per group, tile, channel or tensor.

A block is a group along the reduction, a tile, a row or the tensor; its scale is of a kind of
:mod:`hwsim.formats.block.scales`. Names are in :mod:`hwsim.formats.block.scaled_names`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format, along_axis, as_floats
from hwsim.formats.block.encoded import Encoded, Part, decode_blocks, joined, moved_back, moved_last, narrowest
from hwsim.formats.block.geometry import Geometry, cut_blocks
from hwsim.formats.block.metadata import ONE, Metadata, level_part, scales_of
from hwsim.formats.block.parts import (
    column_spans,
    contiguous_rows,
    extremes,
    room_for,
    row_spans,
    scalable_magnitudes,
    spread,
)
from hwsim.formats.block.scales import FP16, FP32, KINDS, Scale
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat
from hwsim.formats.fit import fitted_magnitude
from hwsim.formats.rounding import Overflow, Rounding, check_modes, draws, round_whole

ZERO_POINT_BITS = 8


#: Puts the quantized blocks of a part into an array, given what they share and room to work in.
RoundPart = Callable[[NDArray[Any], Metadata, NDArray[Any], NDArray[Any]], None]


@dataclass(frozen=True)
class Scaled(Format):
    """Elements of ``code`` whose blocks share a scale of kind ``scale_name``.

    ``block_size`` counts elements along the reduction, None where a scale serves a whole row or
    tensor; ``tile_rows`` is 1 but for tiles. A zero point, where there is one, has ``zero_bits``.
    """

    name: str
    code: ElementFormat
    block_size: int | None
    scale_name: str = "fp16"
    asymmetric: bool = False
    geometry: Geometry = "group"
    tile_rows: int = 1
    zero_bits: int = ZERO_POINT_BITS

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of an element's code."""
        return self.code.bits

    @property
    def element(self) -> ElementFormat:
        """The format of the elements."""
        return self.code

    @property
    def scale(self) -> Scale:
        """The kind of scale."""
        return KINDS[self.scale_name]

    @property
    def metadata_bits(self) -> int:
        """Bits of scale and zero point per block."""
        return self.scale.bits + (self.zero_bits if self.asymmetric else 0)

    @property
    def _counts_levels(self) -> bool:
        """Whether scales above those of blocks are more than one of the tensor."""
        return bool(self.scale.per_row or self.scale.run) and self.geometry != "tensor"

    def _levels(self, rows: int, blocks: int) -> int:
        """Return how many scales above those of ``blocks`` there are, but the one of a tensor."""
        if not self._counts_levels:
            return 0
        return -(-blocks // self.scale.run) if self.scale.run else -(-rows // self.tile_rows)

    @property
    def bits_per_element(self) -> Fraction:
        """Code width plus the metadata of blocks and runs shared out; that of rows and tensors does not count."""
        if not self.block_size:
            return self.code.bits_per_element
        above = Fraction(FP32.bits, self.scale.run) if self.scale.run else 0
        return self.code.bits_per_element + (self.metadata_bits + above) / Fraction(self.block_size * self.tile_rows)

    @property
    def stable(self) -> bool:
        """Whether quantizing twice changes nothing; see :meth:`Format.stable`.

        The largest element must keep its code, or the scale would be another one: it lies within the rounding
        of the scale of the largest value, which must be nearer than the next one. Ranges with zero points,
        shares of a row's scale and means change with what is rounded.
        """
        code = self.code
        if code.bits > 16:  # too many values to look at: known of powers of two alone
            return self.scale.significand_bits == 1 and isinstance(code, Minifloat)
        grid = code.values()
        top, magnitudes = code.scaling_value, np.unique(np.abs(grid))
        if self.asymmetric or self.scale.per_row or self.scale.run or code.block_fit != "absmax":
            return False
        if self.scale_name == "e8m0ceil":
            return isinstance(code, Minifloat | Integer) and bool(-grid[0] == grid[-1] == top)
        if self.scale_name == "e8m0":
            power = 2.0 ** (np.frexp(top)[1] - 1)
            return bool(np.isin([-power, power], grid).all() and magnitudes[-1] < 2 * power)
        kept = top / (1 + 2.0**-self.scale.significand_bits)
        return bool(-grid[0] == grid[-1] == top and kept >= (magnitudes[-1] + magnitudes[-2]) / 2)

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with the scales of ragged blocks and of rows.

        The one scale of a tensor is not counted.
        """
        blocks = {"tensor": 0, "channel": rows}.get(self.geometry)
        if blocks is None:
            blocks = -(-rows // self.tile_rows) * -(-k // (self.block_size or k))
        above = self._levels(rows, blocks) * FP32.bits
        return rows * k * int(self.code.bits_per_element) + blocks * self.metadata_bits + above

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return ``x`` after scaling, encoding and decoding, blocks along ``axis``; see :meth:`Format.quantize`.

        Elements round as asked; scales always as the format defines them. Tiles span the last axis
        but ``axis`` and ``axis``.
        """
        check_modes(rounding, overflow)
        rng = draws(rounding, seed)
        round_part = self._asymmetric(rounding, rng) if self.asymmetric else self._symmetric(rounding, overflow, rng)

        def quantize_last(moved: NDArray[Any]) -> NDArray[Any]:
            blocks, restore = self._blocks(moved)
            rows = contiguous_rows(blocks)
            out, room = np.empty_like(rows), room_for(rows)
            for span, metadata in self._metadata(rows, blocks.shape, room, self._real(moved)):
                for columns in column_spans(rows):
                    round_part(rows[span, columns], metadata, out[span, columns], room)
            return restore(out.reshape(blocks.shape))

        return along_axis(x, axis, quantize_last)

    def encode(self, x: NDArray[Any], axis: int = -1) -> Encoded:
        """Return ``x`` as it is stored, rounded to nearest even and saturating; see :class:`Encoded`.

        Raises
        ------
        ValueError
            As ``quantize``.
        """
        given = as_floats(x)
        moved = moved_last(given, axis) if given.size else given.reshape(0, 1)
        blocks, restore = self._blocks(moved) if given.size else (moved, np.array)
        rows = contiguous_rows(blocks)
        codes, room, shared = np.empty(rows.shape, dtype=narrowest(self.bits)), room_for(rows), []
        for span, metadata in self._metadata(rows, blocks.shape, room, self._real(moved)):
            shared.append(metadata)
            for columns in column_spans(rows):
                codes[span, columns] = self._codes(rows[span, columns], metadata, room)
        counted = self.geometry != "tensor"
        zeros = joined(m.zero for m in shared if m.zero is not None)
        stored = moved_back(restore(codes.reshape(blocks.shape)), axis, given.shape)
        under = self.scale.run or blocks.shape[-2]
        level = None if self.scale.upper is None else level_part(shared, under, self._counts_levels)
        return Encoded(
            self.name,
            Part.of(stored, int(self.code.bits_per_element)),
            Part.of(self.scale.code.encode(joined(m.share for m in shared)), self.scale.bits, counted),
            axis,
            given.dtype,
            level,
            Part.of(zeros, self.zero_bits, counted) if self.asymmetric else None,
        )

    def _codes(self, part: NDArray[Any], by: Metadata, room: NDArray[Any]) -> NDArray[np.uint32]:
        if self.asymmetric:
            self._shifted(part, by, codes := np.empty_like(part), room)
            return codes.astype(np.uint32)
        return self.code.encode(part / by.divisor[:, None])

    def decode(self, encoded: Encoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: exactly what ``quantize`` gives, in the dtype it gives."""
        by = scales_of(encoded, self.scale.code, self.scale.run)
        return decode_blocks(encoded, self._blocks, lambda codes: np.asarray(self._elements(encoded, codes) * by))

    def factors(self, x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the last axis of ``x`` is stored as: elements (less their zero point) and scales.

        Both float64 and of the shape of ``x``; their product is :meth:`quantize` of ``x`` in float64.
        """
        encoded = self.encode(np.asarray(x, dtype=np.float64))
        by = scales_of(encoded, self.scale.code, self.scale.run)
        elements = decode_blocks(encoded, self._blocks, partial(self._elements, encoded))
        return elements, decode_blocks(encoded, self._blocks, lambda codes: np.broadcast_to(by, codes.shape))

    def _elements(self, encoded: Encoded, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the elements of ``codes``, one row per block, less their zero points."""
        values = self.code.decode(codes).astype(encoded.dtype)
        if encoded.zeros is not None:
            values -= encoded.zeros.codes[:, None].astype(encoded.dtype)
        return values

    def values(self) -> NDArray[np.float64]:
        """Return the finite values of an element under a scale of 1, ascending."""
        return self.code.values()

    def _blocks(self, x: NDArray[Any]) -> tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]:
        """Return ``x`` as (…, blocks, elements) and the way back."""
        return cut_blocks(x, self.geometry, self.block_size, self.tile_rows)

    def scales(self, amax: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decoded scales of blocks whose largest magnitudes are ``amax``, shape (…, blocks, 1)."""
        return self.scale.of(amax, self.code.scaling_value)

    @property
    def _keeps_nan(self) -> bool:
        return self.code.nan_code is not None

    def _real(self, given: NDArray[Any]) -> NDArray[Any] | None:
        """Return how many elements of each block are not filled up, (blocks, 1); None where it does not matter."""
        if self.code.block_fit == "absmax" or not given.size:
            return None
        return np.asarray(self._blocks(np.ones(given.shape, dtype=bool))[0].sum(axis=-1).reshape(-1, 1))

    def _magnitudes(self, rows: NDArray[Any], room: NDArray[Any], real: NDArray[Any] | None) -> NDArray[np.float64]:
        """Return the magnitude of each block that its scale fits."""
        largest = scalable_magnitudes(self.name, rows, room, self._keeps_nan)
        if real is None:
            return largest.astype(np.float64)
        return fitted_magnitude(rows, self.code.block_fit, real)[:, 0]

    def _metadata(
        self, rows: NDArray[Any], shape: tuple[int, ...], room: NDArray[Any], real: NDArray[Any] | None
    ) -> Iterator[tuple[slice, Metadata]]:
        """Return what the blocks of one part after another share; ``shape`` is that of all, ``real`` of ``_real``."""
        if self.asymmetric:
            for span in row_spans(rows):
                yield span, self._range(rows[span], room)
            return
        if not len(rows):
            return

        def find(span: slice) -> NDArray[np.float64]:
            return self._magnitudes(rows[span], room, None if real is None else real[span])

        top = self.code.fitted_value(self.code.block_fit)
        if self.scale.upper is None:
            for span in row_spans(rows):
                yield span, Metadata.of(self.scale.share(find(span), top, ONE), ONE, rows)
            return
        amax = np.concatenate([find(span) for span in row_spans(rows)])
        level = self.scale.upper(amax.reshape(*shape[:-1], 1), top)
        levels = level.reshape(-1) if level.size == 1 else np.broadcast_to(level, (*shape[:-1], 1)).reshape(-1)
        for span in row_spans(rows):
            upper = levels if levels.size == 1 else levels[span]
            yield span, Metadata.of(self.scale.share(amax[span], top, upper), upper, rows)

    def _range(self, rows: NDArray[Any], room: NDArray[Any]) -> Metadata:
        """Return scale and zero point of blocks whose range, 0 included, is that of the codes."""
        low, high = extremes(self.name, rows, room)
        with np.errstate(over="ignore"):  # a scale that is too large saturates
            width = (high - low).astype(np.float64)
        found = Metadata.of(FP16.quantize(width / (2**self.bits - 1)), ONE, rows)
        return found._replace(zero=np.clip(np.rint(-low / found.divisor), 0, 2**self.zero_bits - 1))

    def _symmetric(self, rounding: Rounding, overflow: Overflow, rng: np.random.Generator | None) -> RoundPart:
        plain = rounding == "nearest_even" and overflow == "saturate"

        def round_part(part: NDArray[Any], by: Metadata, out: NDArray[Any], room: NDArray[Any]) -> None:
            with np.errstate(over="ignore"):  # under the smallest scales
                np.divide(part, spread(by.divisor, part, room[0]), out=out)
            if plain:
                self.code.round_chunk(out, out, room[0, : part.size].reshape(part.shape))
            else:
                out[...] = self.code._directed(out, rounding, overflow, rng)
            out *= spread(by.scale, part, room[0])

        return round_part

    def _asymmetric(self, rounding: Rounding, rng: np.random.Generator | None) -> RoundPart:
        def round_part(part: NDArray[Any], by: Metadata, out: NDArray[Any], room: NDArray[Any]) -> None:
            zero = self._shifted(part, by, out, room, rounding, rng)
            out -= zero
            out *= spread(by.scale, part, room[0])

        return round_part

    def _shifted(
        self,
        part: NDArray[Any],
        by: Metadata,
        out: NDArray[Any],
        room: NDArray[Any],
        rounding: Rounding = "nearest_even",
        rng: np.random.Generator | None = None,
    ) -> NDArray[Any]:
        """Put the codes of ``part`` into ``out``, as floats, and return the zero point of each."""
        np.divide(part, spread(by.divisor, part, room[0]), out=out)
        if rounding == "nearest_even":
            np.rint(out, out=out)
        else:
            out[...] = round_whole(out, rounding, rng)
        assert by.zero is not None
        zero = spread(by.zero, part, room[1])
        out += zero
        kind = out.dtype.type
        np.clip(out, kind(0), kind(2**self.bits - 1), out=out)
        return zero
