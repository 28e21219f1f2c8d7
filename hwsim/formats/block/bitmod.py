"""BitMoD's weight formats (arXiv 2411.11745, Table IV, III-C): FP3/FP4 with a special value per group.

The redundant code of -0 stands for one of four special values, chosen per group by the least
squared error: ±3, ±6 for three bits, ±5, ±8 for four. ``bitmod4_er_g128`` has the first two of them alone
("extra resolution"), ``bitmod4_ea_g128`` the others ("extra asymmetry"). Terms of the bit-serial PE are in
:mod:`hwsim.formats.terms`.

The special value is chosen, and elements are rounded, under an FP16 scale, as in the authors' code. Storage
counts what the paper's hardware keeps of it, 8 bits under a scale per row (III-C, as VS-Quant).
``bitmod4_g128_int8`` computes with these 8 bits, an integer share of an FP32 per row: on the named
distributions that changes the SQNR by less than 0.01 dB, more where groups of a row differ much, and a
second quantization rounds anew. ``bitmod4_g128_fp16`` counts the 16 bits of the FP16.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import CHUNK, ElementFormat, Format, along_axis, as_floats, split_blocks
from hwsim.formats.block.bitmod_groups import (
    BASIC,
    CHOICES,
    FP16,
    SPECIAL,
    BitModElement,
    best,
    element,
    nearest_levels,
    scales,
)
from hwsim.formats.block.encoded import Encoded, Part, decode_blocks, moved_back, moved_last, narrowest
from hwsim.formats.block.metadata import ONE, Metadata, level_part, scales_of
from hwsim.formats.block.parts import contiguous_rows, row_spans, scalable_magnitudes, spread
from hwsim.formats.block.scales import FP32, UINT8, int8_share, row_level
from hwsim.formats.registry import BLOCKS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_nearest

SELECTOR_BITS = 2
#: Where a group's scale is kept: 8 bits counted and FP16 computed, 8 bits in both, FP16 in both.
ScaleKind = Literal["", "int8", "fp16"]
#: Elements that are worked on at once: groups of one special value are a quarter of them.
_PART = 4 * CHUNK

__all__ = ["BASIC", "SPECIAL", "BitMod", "BitModElement", "names", "parse"]


@dataclass(frozen=True)
class BitMod(Format):
    """Groups of FP3 or FP4 codes with the best special value of a ``kind`` and an absmax scale."""

    name: str
    bits: int
    block_size: int | None
    kind: str = ""
    scale_kind: ScaleKind = ""

    @property
    def element(self) -> ElementFormat:
        """Codes with the first special value: the datapath is the same for all four."""
        return BitModElement(f"bitmod{self.bits}", self.bits, SPECIAL[self.bits][self.choices[0]])

    @property
    def choices(self) -> tuple[int, ...]:
        """Numbers of the special values that a group may have."""
        return CHOICES[self.kind]

    @property
    def scale_format(self) -> ElementFormat:
        """The format of the scale that elements are rounded under."""
        return UINT8 if self.scale_kind == "int8" else FP16

    @property
    def scale_bits(self) -> int:
        """Bits of the scale that a group stores."""
        return FP16.bits if self.scale_kind == "fp16" else UINT8.bits

    @property
    def bits_per_element(self) -> Fraction:
        """Code plus scale and selector per group."""
        return Fraction(self.bits) + Fraction(self.scale_bits + SELECTOR_BITS, self.block_size or 1)

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with ragged groups, and scales of rows where there are any."""
        return super().storage_bits(rows, k) + (rows * FP32.bits if self.scale_kind == "int8" else 0)

    @property
    def stable(self) -> bool:
        """Unless scales are shares of a row's scale, which are rounded anew."""
        return self.scale_kind != "int8"

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Try the four special values per group and keep the one of least squared error.

        Elements take the nearest level, a midpoint the lower one; other roundings are refused.

        Raises
        ------
        UsageError
            If another rounding or overflow is asked for.
        ValueError
            If a value is NaN.
        """
        check_nearest(self.name, rounding, overflow)
        return along_axis(x, axis, self._quantize_last)

    def encode(self, x: NDArray[Any], axis: int = -1) -> Encoded:
        """Return ``x`` as it is stored; see :class:`Encoded` and, of the scale, the module.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        given = as_floats(x)
        blocks, restore = self._blocks(moved_last(given, axis)) if given.size else (given.reshape(0, 1), np.array)
        rows = contiguous_rows(blocks)
        codes = np.empty(rows.shape, dtype=narrowest(self.bits))
        choice, by = self._searched(rows, blocks.shape, self._room(rows))
        for span, chosen, number in self._alike(rows, choice):
            codes[span][chosen] = element(self.bits, number).encode(rows[span][chosen] / by.divisor[span][chosen, None])
        level = None if by.level is ONE else level_part([by], blocks.shape[-2], counted=True)
        return Encoded(
            self.name,
            Part.of(moved_back(restore(codes.reshape(blocks.shape)), axis, given.shape), self.bits),
            Part(self.scale_format.encode(by.share).astype(narrowest(self.scale_format.bits)), self.scale_bits),
            axis,
            given.dtype,
            level,
            selectors=Part.of(choice - self.choices[0], SELECTOR_BITS),
        )

    def decode(self, encoded: Encoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: exactly what ``quantize`` gives, in the dtype it gives."""
        assert encoded.selectors is not None
        levels = np.stack([element(self.bits, choice).levels for choice in self.choices])
        selector, by = encoded.selectors.codes[:, None], scales_of(encoded, self.scale_format)
        return decode_blocks(encoded, self._blocks, lambda codes: levels.astype(encoded.dtype)[selector, codes] * by)

    def values(self) -> NDArray[np.float64]:
        """Return the values of :attr:`element` under a scale of 1, ascending."""
        return self.element.values()

    def _blocks(self, x: NDArray[Any]) -> tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]:
        """Return ``x`` as (…, blocks, elements) and the way back."""
        length = x.shape[-1]
        blocks = split_blocks(x, self.block_size or length)
        return blocks, lambda done: done.reshape(*x.shape[:-1], -1)[..., :length]

    @staticmethod
    def _room(rows: NDArray[Any]) -> NDArray[Any]:
        return np.empty((3, min(rows.size, max(_PART, rows.shape[1]))), dtype=rows.dtype)

    def _quantize_last(self, x: NDArray[Any]) -> NDArray[Any]:
        blocks, restore = self._blocks(x)
        rows = contiguous_rows(blocks)
        out, room = np.empty_like(rows), self._room(rows)
        choice, by = self._searched(rows, blocks.shape, room)
        for span, chosen, number in self._alike(rows, choice):
            part = room[0, : chosen.size * rows.shape[1]].reshape(chosen.size, -1)
            np.take(rows[span], chosen, axis=0, out=part, mode="clip")  # other modes work on a copy
            part /= spread(by.divisor[span][chosen], part, room[1])
            nearest_levels(part, self.bits, number, part)  # twice the level
            part *= spread(by.scale[span][chosen] / 2, part, room[1])
            out[span][chosen] = part
        return restore(out.reshape(blocks.shape))

    def _searched(
        self, rows: NDArray[Any], shape: tuple[int, ...], room: NDArray[Any]
    ) -> tuple[NDArray[np.intp], Metadata]:
        """Return the special value of each group and what groups store; ``shape`` is that of all blocks."""
        choice, scale = np.empty(len(rows), dtype=np.intp), np.empty(len(rows))
        for span in row_spans(rows, _PART):
            groups = rows[span]
            amax = scalable_magnitudes(self.name, groups, room, keeps_nan=False)
            tried = scales(amax, self.bits)
            choice[span] = best(groups, amax, tried, self.bits, room, self.choices)
            scale[span] = np.take_along_axis(tried, choice[None, span], axis=0)[0]
        if self.scale_kind != "int8" or not len(rows):
            return choice, Metadata.of(scale, ONE, rows)
        level = np.broadcast_to(row_level(scale.reshape(*shape[:-1], 1), 1.0), (*shape[:-1], 1)).reshape(-1)
        return choice, Metadata.of(int8_share(scale, 1.0, level), level, rows)

    @staticmethod
    def _alike(rows: NDArray[Any], choice: NDArray[np.intp]) -> Iterator[tuple[slice, NDArray[np.intp], int]]:
        """Return, part by part, which groups (rows) have the same special value, and its number."""
        for span in row_spans(rows, _PART):
            for number in np.unique(choice[span]).tolist():
                yield span, np.flatnonzero(choice[span] == number), number


_PATTERN = re.compile(r"bitmod([34])(?:_(er|ea))?_g(\d+)(?:_(int8|fp16))?$")


def parse(name: str) -> BitMod | None:
    """Return the BitMoD format called ``name``, or None when the name is of another family."""
    match = _PATTERN.match(name)
    if match is None:
        return None
    size, scale = int(match[3]), next(kind for kind in get_args(ScaleKind) if kind == (match[4] or ""))
    if size < 1:
        raise ValueError(f"{name}: valid: groups of at least 1")
    return BitMod(name, int(match[1]), size, match[2] or "", scale)


def names() -> list[str]:
    """Return the usual names of the family."""
    return [
        "bitmod3_g128",
        "bitmod4_g128",
        "bitmod4_g128_int8",
        "bitmod4_g128_fp16",
        "bitmod4_er_g128",
        "bitmod4_ea_g128",
    ]


BLOCKS.register("bitmod")(Family(parse, names))
