"""OliVe's outlier-victim pairs: ``olive4_g128``, ``olive4_channel``, ``olive4_tensor`` and ``olive8_…``.

Elements 2i and 2i + 1 along the reduction are a pair (arXiv 2304.07493). In units of the scale, a
normal element is an integer of ±(2^(B-1) - 1). An outlier is coded in its own place as an "adaptive
float" (abfloat) that begins where the integers end, and its neighbour, the victim, becomes 0: its
place holds the identifier 10…0, which is no integer and no abfloat. Of two outliers the larger stays
one, the first of two equal ones. The last element of a block of odd length has no neighbour to mark,
so that it stays normal and saturates.

abfloat of B bits: a sign, 2 exponent and B - 3 mantissa bits, magnitude
2^(e + B - 1) · (1 + m / 2^(B-3)) without the code 0; outliers of 12, 16, 24, 32, 48, 64 and 96 times
the scale for B = 4, of 132 … 2016 for B = 8. That is ``outlier_value(exp_bit=2, exp_base=5)`` of the
authors' repository (clevercool/ANT-Quantization, olive_quantization), which scales integers to a
threshold of 32: int4 counts in steps of 4 there, hence its 48 … 384, our ``abfloat4``. Beside flint4,
in steps of 2, the same set is BitMoD's {24, …, 192}; notes of the paper have 12 … 96 as here.

A magnitude takes the nearest of integers and abfloats, so that outliers are those above 9.5 (for
B = 8, 129.5); halfway it takes the even integer and the smaller abfloat. The scale is alpha /
(2^(B-1) - 1) in FP16: alpha starts at the larger magnitude of mean ± 3 σ of the block (σ with n - 1)
and is multiplied by 0.75, 0.77, …, 1.49; the first of the least squared error is kept (search_mse with
the repository's bounds of 75 and 150 in steps of 2). ``olive4`` uses integers for normal elements;
the repository chooses between them and flint4 per tensor.

What is quantized again is searched anew, hence may change; a victim breaks the order of its block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import Format, along_axis, as_floats, refuse_nan, split_blocks
from hwsim.formats.block.encoded import Encoded, Part, moved_back, moved_last
from hwsim.formats.block.scales import FP16
from hwsim.formats.element.codebook import Tabulated
from hwsim.formats.registry import BLOCKS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_nearest

#: Clip ratios that are tried, of alpha = |mean| + 3 σ.
RATIOS = tuple(percent / 100 for percent in range(75, 150, 2))
SIGMAS = 3.0
EXPONENT_BITS = 2
SCALE_BITS = 16
MAX_GROUP = 65536

#: Elements that are searched at once, so that they stay in the cache.
_CHUNK = 1 << 15


@dataclass(frozen=True)
class OliveElement(Tabulated):
    """A normal element by itself: the integers, and the identifier, which stands for no number.

    Not an :class:`~hwsim.formats.element.integer.Integer`: what a code is worth depends on its
    neighbour, which the datapath must look at.
    """

    name: str
    bits: int

    @property
    def top(self) -> int:
        """The largest integer."""
        return int(2 ** (self.bits - 1)) - 1

    @property
    def identifier(self) -> int:
        """The code that marks a victim."""
        return self.top + 1

    @cached_property
    def outliers(self) -> NDArray[np.float64]:
        """The magnitudes of abfloat, ascending, of the codes from 1 on."""
        mantissas = 2 ** (self.bits - 1 - EXPONENT_BITS)
        index = np.arange(1, self.identifier)
        return np.asarray(np.ldexp(1 + index % mantissas / mantissas, index // mantissas + self.bits - 1))

    def _levels(self) -> NDArray[np.float64]:
        positive = np.arange(self.top + 1.0)
        return np.concatenate([positive, [np.nan], -positive[:0:-1]])

    def is_outlier(self, size: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which magnitudes, in units of the scale, are nearer to an abfloat than to an integer."""
        return np.asarray(size > (self.top + self.outliers[0]) / 2)

    def place(self, size: NDArray[Any]) -> NDArray[np.intp]:
        """Return the index into ``outliers`` of the nearest one, the smaller of two."""
        return np.asarray(np.searchsorted((self.outliers[1:] + self.outliers[:-1]) / 2, size))

    def whole(self, size: NDArray[Any]) -> NDArray[Any]:
        """Return the nearest integers of the format, ties to even."""
        return np.asarray(np.minimum(np.rint(size), self.top))

    def outlier_values(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes`` read as abfloat; 0 for the two codes that are none."""
        magnitude = np.concatenate([[0.0], self.outliers])[codes & self.top]
        return np.asarray(np.where(codes > self.top, -magnitude, magnitude))


class _Cut(NamedTuple):
    """Blocks as rows of an even width, as given, how many elements of each are real; ``restore`` leads back.

    The one block of a tensor is that of all rows, which are cut alone so that no pair spans two of them.
    """

    rows: NDArray[Any]
    lengths: NDArray[np.int64]
    restore: Callable[[NDArray[Any]], NDArray[Any]]

    def spans(self) -> Iterator[slice]:
        """Return slices of rows that are worked on at once, at least one row."""
        count = max(1, _CHUNK // max(1, self.rows.shape[1]))
        return (slice(start, start + count) for start in range(0, len(self.rows), count))

    def columns(self) -> Iterator[slice]:
        """Return slices of columns, whole pairs."""
        return (slice(start, start + _CHUNK) for start in range(0, self.rows.shape[1], _CHUNK))

    def real(self, span: slice, columns: slice) -> NDArray[np.bool_]:
        """Return which elements of a piece are there."""
        place = np.arange(self.rows.shape[1])[columns]
        return np.asarray(place < self.lengths[span, None])

    def paired(self, span: slice, columns: slice) -> NDArray[np.bool_]:
        """Return whether both elements of each pair of a piece are there, (rows, pairs)."""
        return self.real(span, columns)[:, 1::2]


@dataclass(frozen=True)
class Olive(Format):
    """Outlier-victim pairs of ``bits`` bits with an FP16 scale per group, channel or tensor."""

    name: str
    bits: int
    block_size: int | None
    geometry: Literal["group", "channel", "tensor"] = "group"

    @property
    def element(self) -> OliveElement:
        """The code of one element, of a class of its own."""
        return OliveElement(f"olive{self.bits}", self.bits)

    @property
    def bits_per_element(self) -> Fraction:
        """Code and scale per group; the scale of a row or tensor does not count."""
        return Fraction(self.bits) + (Fraction(SCALE_BITS, self.block_size) if self.block_size else 0)

    @property
    def stable(self) -> bool:
        """No: the scale is searched anew, from a smaller σ."""
        return False

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with scales of ragged groups and rows, not of tensors."""
        if self.geometry == "channel":
            return rows * (k * self.bits + SCALE_BITS)
        return super().storage_bits(rows, k)

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return ``x`` after the search of scales, encoding and decoding; see :meth:`Format.quantize`.

        Raises
        ------
        UsageError
            If another rounding or overflow than the default is asked for: the codes are nearest ones.
        ValueError
            If a value is NaN.
        """
        check_nearest(self.name, rounding, overflow)

        def quantize_last(moved: NDArray[Any]) -> NDArray[Any]:
            cut = self._cut(moved)
            out = np.empty_like(cut.rows)
            for span, columns, codes, scale in self._pieces(moved, cut):
                out[span, columns] = self._values(codes, scale)
            return cut.restore(out)

        return along_axis(x, axis, quantize_last)

    def encode(self, x: NDArray[Any], axis: int = -1) -> Encoded:
        """Return the codes and scales of ``x``; :meth:`decode` gives what :meth:`quantize` does.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        given = as_floats(x)
        moved = moved_last(given, axis) if given.size else given.reshape(0, 1)
        cut = self._cut(moved)
        codes = np.empty(cut.rows.shape, dtype=np.uint8)
        scales = np.zeros((1 if self.geometry == "tensor" and given.size else len(cut.rows), 1))
        for span, columns, found, scale in self._pieces(moved, cut):
            codes[span, columns] = found
            scales[span if len(scales) > 1 else slice(None)] = scale
        stored = moved_back(cut.restore(codes), axis, given.shape) if given.size else given.astype(np.uint8)
        counted = self.geometry != "tensor"
        return Encoded(
            self.name,
            Part.of(stored, self.bits),
            Part.of(FP16.encode(scales.reshape(-1)), SCALE_BITS, counted),
            axis,
            given.dtype,
        )

    def decode(self, encoded: Encoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: exactly what ``quantize`` gives, in the dtype it gives."""
        codes = encoded.codes.codes
        if not codes.size:
            return np.zeros(codes.shape, dtype=encoded.dtype)
        cut = self._cut(moved_last(codes, encoded.axis))
        scales = FP16.decode(encoded.scales.codes)[:, None]
        out = np.empty(cut.rows.shape, dtype=encoded.dtype)
        for span in cut.spans():
            for columns in cut.columns():
                by = scales[span] if len(scales) > 1 else scales
                out[span, columns] = self._values(cut.rows[span, columns], by)
        return moved_back(cut.restore(out), encoded.axis, codes.shape)

    def values(self) -> NDArray[np.float64]:
        """Return the integers and the outliers under a scale of 1, ascending."""
        element = self.element
        return np.unique(np.concatenate([element.values(), element.outliers, -element.outliers]))

    def _pieces(
        self, x: NDArray[Any], cut: _Cut
    ) -> Iterator[tuple[slice, slice, NDArray[np.int64], NDArray[np.float64]]]:
        """Return codes and scales (rows or 1, 1) of one piece of the rows after another, with its place."""
        refuse_nan(self.name, x)
        element, everything = self.element, list(cut.spans())
        shared = self._search(cut, everything) if self.geometry == "tensor" and everything else None
        for span in everything:
            scale = self._search(cut, [span]) if shared is None else shared
            for columns in cut.columns():
                values = self._finite(cut.rows[span, columns]) / np.where(scale > 0, scale, 1.0)
                size = np.abs(values)
                outlier, victim = _roles(element, size, cut.paired(span, columns))
                whole = np.copysign(element.whole(size), values).astype(np.int64) & (2**self.bits - 1)
                abfloat = np.where(values < 0, element.identifier, 0) + 1 + element.place(size)
                yield span, columns, np.where(victim, element.identifier, np.where(outlier, abfloat, whole)), scale

    def _finite(self, part: NDArray[Any]) -> NDArray[np.float64]:
        """Return a piece in float64, cut at what is reached with an FP16 scale: squares must be finite."""
        limit = FP16.max_value * self.element.outliers[-1]
        return np.clip(part.astype(np.float64), -limit, limit)

    def _values(self, codes: NDArray[Any], scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of a piece of codes, whole pairs."""
        element, given = self.element, codes.astype(np.int64)
        marked = given == element.identifier
        partner_marked = marked.reshape(len(marked), -1, 2)[..., ::-1].reshape(marked.shape)
        whole = np.where(given > element.top, given - 2**self.bits, given)
        values = np.where(partner_marked, element.outlier_values(given), np.where(marked, 0, whole))
        return np.asarray(values * scale)

    def _search(self, cut: _Cut, spans: list[slice]) -> NDArray[np.float64]:
        """Return the scale of each row of a span, or of all spans together: the first ratio of the least squared error.

        Shape (rows, 1), or (1, 1) for a tensor.
        """

        def total(of: Callable[[slice, slice], NDArray[Any]]) -> Any:
            found = (of(span, columns) for span in spans for columns in cut.columns())
            if self.geometry == "tensor":
                return sum(part.sum(axis=-2, keepdims=True) for part in found)
            return sum(found)

        def squares(span: slice, columns: slice) -> NDArray[Any]:
            apart = self._finite(cut.rows[span, columns]) - mean
            return np.asarray(np.sum(np.where(cut.real(span, columns), apart, 0.0) ** 2, axis=-1, keepdims=True))

        def errors(span: slice, columns: slice) -> NDArray[Any]:
            size, paired = np.abs(self._finite(cut.rows[span, columns])), cut.paired(span, columns)
            return np.stack([self._error(size, scale, paired) for scale in scales])

        count = np.maximum(total(lambda span, columns: cut.real(span, columns).sum(axis=-1, keepdims=True)), 1)
        mean = total(lambda *at: self._finite(cut.rows[at]).sum(axis=-1, keepdims=True)) / count
        alpha = np.abs(mean) + SIGMAS * np.sqrt(total(squares) / np.maximum(count - 1, 1))
        scales = np.stack([FP16.quantize(alpha * ratio / self.element.top) for ratio in RATIOS])
        best = np.argmin(total(errors), axis=0)
        return np.asarray(np.take_along_axis(scales, best[None], axis=0)[0])

    def _error(
        self, size: NDArray[np.float64], scale: NDArray[np.float64], paired: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the squared error of magnitudes under a scale, summed along each row."""
        element = self.element
        scaled = size / np.where(scale > 0, scale, 1.0)
        outlier, victim = _roles(element, scaled, paired)
        tried = element.whole(scaled)
        tried[outlier] = element.outliers[element.place(scaled[outlier])]
        tried[victim] = 0.0
        return np.asarray(np.sum((tried * scale - size) ** 2, axis=-1, keepdims=True))

    def _cut(self, x: NDArray[Any]) -> _Cut:
        length = x.shape[-1]
        size = length if self.geometry == "tensor" else self.block_size or length
        blocks = split_blocks(x, size)
        if size % 2:
            blocks = np.pad(blocks, [*[(0, 0)] * (blocks.ndim - 1), (0, 1)])
        lengths = np.clip(length - size * np.arange(blocks.shape[-2]), 0, size)

        def restore(done: NDArray[Any]) -> NDArray[Any]:
            return done[:, :size].reshape(*x.shape[:-1], blocks.shape[-2] * size)[..., :length]

        rows = blocks.reshape(-1, size + size % 2)
        return _Cut(rows, np.tile(lengths, len(rows) // max(1, len(lengths))), restore)


def _roles(
    element: OliveElement, size: NDArray[Any], paired: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of the magnitudes stay outliers and which become victims, both of the shape of ``size``."""
    first, second = size[:, ::2], size[:, 1::2]
    second_out = element.is_outlier(second) & paired
    first_kept = element.is_outlier(first) & paired & ~(second_out & (second > first))
    outlier = np.stack([first_kept, second_out & ~first_kept], axis=-1)
    return outlier.reshape(size.shape), outlier[..., ::-1].reshape(size.shape)


_PATTERN = re.compile(r"olive([48])_(?:g(\d+)|(channel|tensor))$")


def parse(name: str) -> Olive | None:
    """Return the OliVe format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If the group size is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, group, whole = int(match[1]), match[2], match[3]
    if whole:
        return Olive(name, bits, None, "channel" if whole == "channel" else "tensor")
    if not 2 <= int(group) <= MAX_GROUP:
        raise ValueError(f"{name}: valid: groups of 2 to {MAX_GROUP}")
    return Olive(name, bits, int(group))


def names() -> list[str]:
    """Return the usual names of the family."""
    return ["olive4_g128", "olive4_tensor", "olive8_tensor"]


BLOCKS.register("olive")(Family(parse, names))
