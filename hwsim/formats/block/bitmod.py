"""BitMoD's weight formats (arXiv 2411.11745, Table IV, III-C): FP3/FP4 with a special value per group.

The redundant code of -0 stands for one of four special values, chosen per group by the least
squared error: ±3, ±6 for three bits, ±5, ±8 for four. A group of 128 carries an 8-bit scale and a
2-bit selector. Terms of the bit-serial PE are in :mod:`hwsim.formats.terms`.

The scale is an FP16, as in the authors' code; the 8 bits that the paper stores of it are a share of a
second scale per channel, which is not modelled. Storage counts 8 bits, encoded scales hold 16.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import CHUNK, ElementFormat, Format, along_axis, as_floats, split_blocks
from hwsim.formats.block.bitmod_groups import BASIC, FP16, SPECIAL, BitModElement, best, element, nearest_levels, scales
from hwsim.formats.block.encoded import Encoded, Part, decode_blocks, moved_back, moved_last, narrowest
from hwsim.formats.block.parts import contiguous_rows, row_spans, scalable_magnitudes, spread
from hwsim.formats.registry import BLOCKS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_nearest

METADATA_BITS, SELECTOR_BITS = 10, 2
#: Elements that are worked on at once: groups of one special value are a quarter of them.
_PART = 4 * CHUNK

__all__ = ["BASIC", "SPECIAL", "BitMod", "BitModElement", "names", "parse"]


@dataclass(frozen=True)
class BitMod(Format):
    """Groups of FP3 or FP4 codes with the best special value and an absmax scale."""

    name: str
    bits: int
    block_size: int | None

    @property
    def element(self) -> ElementFormat:
        """Codes with the first special value: the datapath is the same for all four."""
        return BitModElement(f"bitmod{self.bits}", self.bits, SPECIAL[self.bits][0])

    @property
    def bits_per_element(self) -> Fraction:
        """Code plus 8-bit scale and 2-bit selector per group."""
        return Fraction(self.bits) + Fraction(METADATA_BITS, self.block_size or 1)

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
        codes, room = np.empty(rows.shape, dtype=narrowest(self.bits)), self._room(rows)
        scale, selector = np.empty(len(rows)), np.empty(len(rows), dtype=np.uint8)
        for span in row_spans(rows, _PART):
            for chosen, of, choice in self._chosen(rows[span], room):
                scale[span][chosen], selector[span][chosen] = of, choice
                codes[span][chosen] = element(self.bits, choice).encode(rows[span][chosen] / _column(of, rows))
        return Encoded(
            self.name,
            Part.of(moved_back(restore(codes.reshape(blocks.shape)), axis, given.shape), self.bits),
            Part(FP16.encode(scale).astype(np.uint16), METADATA_BITS - SELECTOR_BITS),
            axis,
            given.dtype,
            selectors=Part(selector, SELECTOR_BITS),
        )

    def decode(self, encoded: Encoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: exactly what ``quantize`` gives, in the dtype it gives."""
        assert encoded.selectors is not None
        levels = np.stack([element(self.bits, choice).levels for choice in range(len(SPECIAL[self.bits]))])
        selector, scale = encoded.selectors.codes[:, None], FP16.decode(encoded.scales.codes)[:, None]
        return decode_blocks(encoded, self._blocks, lambda codes: levels[selector, codes] * scale)

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
        for span in row_spans(rows, _PART):
            for chosen, scale, choice in self._chosen(rows[span], room):
                part = room[0, : chosen.size * rows.shape[1]].reshape(chosen.size, -1)
                np.take(rows[span], chosen, axis=0, out=part, mode="clip")  # other modes work on a copy
                self._round(part, scale, choice, room[1])
                out[span][chosen] = part
        return restore(out.reshape(blocks.shape))

    def _chosen(
        self, groups: NDArray[Any], room: NDArray[Any]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64], int]]:
        """Return for each special value which ``groups`` (rows) take it, and their scales."""
        amax = scalable_magnitudes(self.name, groups, room, keeps_nan=False)
        scale = scales(amax, self.bits)
        found = best(groups, amax, scale, self.bits, room)
        for choice in range(len(SPECIAL[self.bits])):
            chosen = np.flatnonzero(found == choice)
            if chosen.size:
                yield chosen, scale[choice, chosen], choice

    def _round(self, groups: NDArray[Any], scale: NDArray[np.float64], choice: int, room: NDArray[Any]) -> None:
        """Put the nearest levels in the place of ``groups``; ``room`` is 1-d."""
        groups /= spread(scale, groups, room)
        nearest_levels(groups, self.bits, choice, groups)
        groups *= spread(scale / 2, groups, room)


def _column(scale: NDArray[np.float64], like: NDArray[Any]) -> NDArray[Any]:
    return scale.astype(like.dtype)[:, None]


_PATTERN = re.compile(r"bitmod([34])_g(\d+)$")


def parse(name: str) -> BitMod | None:
    """Return the BitMoD format called ``name``, or None when the name is of another family."""
    match = _PATTERN.match(name)
    if match is None:
        return None
    if int(match.group(2)) < 1:
        raise ValueError(f"{name}: valid: groups of at least 1")
    return BitMod(name, int(match.group(1)), int(match.group(2)))


def names() -> list[str]:
    """Return the usual names of the family."""
    return ["bitmod3_g128", "bitmod4_g128"]


BLOCKS.register("bitmod")(Family(parse, names))
