"""Super-blocks: sub-blocks whose scales, and minima, are narrow shares of an FP16 scale of the whole.

Of a symmetric type x = d · s · q, of one with minima x = d · s · q - dmin · m, with s and m of ``share_bits`` per
sub-block and d, dmin in FP16 per super-block (llama.cpp ggml-quants.c, ``dequantize_row_q4_K`` and the like).
``share_bits`` 16 stands for an FP16 scale and minimum of every block (Q4_1, Q5_1), 0 for types that are stored in
another way (lattices, packed ternary): these behave as :class:`~hwsim.formats.block.scaled.Scaled`, but for storage.

Scales follow from the largest and smallest element of a sub-block. llama.cpp searches for better ones, weighted by
magnitudes or an importance matrix: its errors are smaller by some tenths of a dB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import CHUNK, along_axis, as_floats
from hwsim.formats.block.encoded import Encoded, Part, moved_back, moved_last
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.block.scales import FP16
from hwsim.formats.rounding import Overflow, Rounding, check_modes, draws, round_whole
from hwsim.spec.errors import UsageError

WIDE = 16


class _Blocks(NamedTuple):
    """Some rows: codes (rows, supers, subs, size), shares of scales and minima (rows, supers, subs), d and dmin."""

    codes: NDArray[Any]
    scales: NDArray[Any]
    minima: NDArray[Any]
    d: NDArray[Any]
    dmin: NDArray[Any]


@dataclass(frozen=True)
class SuperBlock(Scaled):
    """Elements in sub-blocks; super-blocks of ``block`` elements take ``block_bytes`` with all scales.

    Of these, ``code_bytes`` are the codes of elements where they are narrower than the element that they pick.
    """

    block: int = 256
    block_bytes: int = 0
    code_bytes: int | None = None
    share_bits: int = 0
    lattice: bool = False

    @property
    def bits_per_element(self) -> Fraction:
        """Storage of a full super-block per element."""
        return Fraction(8 * self.block_bytes, self.block)

    @property
    def stable(self) -> bool:
        """Whether quantizing twice changes nothing: not known where scales are shares, and lattices do not quantize."""
        return not self.lattice and not self.share_bits and super().stable

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor; a ragged super-block is stored whole."""
        return rows * -(-k // self.block) * 8 * self.block_bytes

    def code_bits(self, rows: int, k: int) -> int:
        """Return the bits of codes: without scales, minima and what fills up a ragged super-block."""
        if self.code_bytes is None:
            return super().code_bits(rows, k)
        return rows * (k * 8 * self.code_bytes // self.block)

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return ``x`` after encoding and decoding; see :meth:`Format.quantize`.

        Raises
        ------
        UsageError
            Of lattice types.
        """
        self._refuse_lattice()
        if not self.share_bits:
            return super().quantize(x, axis, rounding, overflow, seed)
        check_modes(rounding, overflow)
        rng = draws(rounding, seed)

        def quantize_last(moved: NDArray[Any]) -> NDArray[Any]:
            rows = moved.reshape(-1, moved.shape[-1])
            out = np.empty_like(rows)
            for span in self._spans(rows):
                found = self._blocks_of(rows[span], rounding, rng)
                out[span] = self._values(found, rows.dtype).reshape(len(found.d), -1)[:, : rows.shape[1]]
            return out.reshape(moved.shape)

        return along_axis(x, axis, quantize_last)

    def encode(self, x: NDArray[Any], axis: int = -1) -> Encoded:
        """Return ``x`` as it is stored; ``level`` are d, ``zeros`` the shares of minima and ``selectors`` dmin.

        Codes that fill up a ragged super-block are left out.

        Raises
        ------
        UsageError
            Of lattice types.
        """
        self._refuse_lattice()
        if not self.share_bits:
            return super().encode(x, axis)
        given = as_floats(x)
        moved = moved_last(given, axis)
        rows = moved.reshape(-1, moved.shape[-1] if moved.size else 1)
        found = [self._blocks_of(rows[span], "nearest_even", None) for span in self._spans(rows)]
        codes = [one.codes.reshape(len(one.d), -1)[:, : rows.shape[1]] for one in found]
        stored = np.concatenate(codes).astype(np.uint32) if codes else np.zeros(rows.shape, dtype=np.uint32)
        wide = self.share_bits == WIDE
        half = 0 if self.asymmetric else 2 ** (self.share_bits - 1)

        def part(name: str, bits: int, offset: int = 0, fp16: bool = False) -> Part:
            listed = [getattr(one, name).reshape(-1) for one in found]
            values = np.concatenate(listed) if listed else np.zeros(0)
            return Part.of(FP16.encode(values) if fp16 else (values + offset).astype(np.uint32), bits)

        return Encoded(
            self.name,
            Part.of(moved_back(stored.reshape(moved.shape), axis, given.shape), self.code.bits),
            part("scales", self.share_bits, half, wide),
            axis,
            given.dtype,
            None if wide else part("d", 16, fp16=True),
            part("minima", self.share_bits, fp16=wide) if self.asymmetric else None,
            part("dmin", 16, fp16=True) if self.asymmetric and not wide else None,
        )

    def decode(self, encoded: Encoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: what ``quantize`` gives, in the dtype it gives."""
        if not self.share_bits:
            return super().decode(encoded)
        codes = encoded.codes.codes
        if not codes.size:
            return np.zeros(codes.shape, dtype=encoded.dtype)
        moved = moved_last(codes, encoded.axis)
        rows = moved.reshape(-1, moved.shape[-1])
        found = self._stored(encoded, self._padded(rows))
        values = self._values(found, encoded.dtype).reshape(len(rows), -1)[:, : rows.shape[1]]
        return moved_back(values.reshape(moved.shape), encoded.axis, codes.shape)

    def factors(self, x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return elements and scales as :meth:`Scaled.factors`; with minima, values and ones: they are no multiples."""
        if not self.share_bits:
            return super().factors(x)
        given = np.asarray(x, dtype=np.float64)
        if self.asymmetric:
            return self.quantize(given), np.ones(given.shape)
        rows = given.reshape(-1, given.shape[-1])
        found = self._blocks_of(rows, "nearest_even", None)
        scales = np.broadcast_to((found.d[..., None] * found.scales)[..., None], found.codes.shape)
        elements = self.code.decode(found.codes.astype(np.uint32))
        kept = [part.reshape(len(rows), -1)[:, : rows.shape[1]].reshape(given.shape) for part in (elements, scales)]
        return kept[0], kept[1]

    def _stored(self, encoded: Encoded, codes: NDArray[Any]) -> _Blocks:
        """Return the shares and scales of ``encoded`` beside its codes (rows, supers, subs, size)."""
        shape = codes.shape[:3]
        wide = self.share_bits == WIDE
        ones = np.ones(shape[:2])

        def of(part: Part | None, fp16: bool, offset: int, size: tuple[int, ...]) -> NDArray[Any]:
            if part is None:
                return np.zeros(size) if offset == 0 else np.ones(size)
            read = FP16.decode(part.codes) if fp16 else part.codes.astype(np.float64) - offset
            return np.asarray(read).reshape(size)

        half = 0 if self.asymmetric else 2 ** (self.share_bits - 1)
        return _Blocks(
            codes,
            of(encoded.scales, wide, half, shape),
            of(encoded.zeros, wide, 0, shape),
            ones if encoded.level is None else of(encoded.level, True, 0, shape[:2]),
            ones if encoded.selectors is None else of(encoded.selectors, True, 0, shape[:2]),
        )

    def _spans(self, rows: NDArray[Any]) -> Iterator[slice]:
        if rows.size:
            step = max(1, CHUNK // rows.shape[1])
            yield from (slice(start, start + step) for start in range(0, len(rows), step))

    def _padded(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows as (rows, supers, subs, size), ragged super-blocks filled up with zeros."""
        short = -rows.shape[1] % self.block
        whole = np.pad(rows, [(0, 0), (0, short)]) if short else rows
        size = self.block_size or self.block
        return whole.reshape(len(rows), -1, self.block // size, size)

    def _blocks_of(self, rows: NDArray[Any], rounding: Rounding, rng: np.random.Generator | None) -> _Blocks:
        """Return codes and shares of rows.

        Raises
        ------
        ValueError
            If an element is NaN or infinite.
        """
        if not np.isfinite(rows).all():
            what = "code for NaN" if np.isnan(rows).any() else "scale for an infinity"
            raise ValueError(f"{self.name} has no {what}")
        parts = self._padded(rows).astype(np.float64, copy=False)
        if not self.asymmetric:
            return self._symmetric_blocks(parts, rounding, rng)
        top = 2**self.code.bits - 1
        if self.share_bits == WIDE:
            low = -FP16.quantize(parts.min(axis=-1))
            scale = FP16.quantize((parts.max(axis=-1) + low).clip(0) / top)
            ones = np.ones(scale.shape[:2])
            found = _Blocks(parts, scale, low, ones, ones)
        else:
            low = np.maximum(-parts.min(axis=-1), 0.0)
            found = _Blocks(parts, *self._shares(np.maximum(parts.max(axis=-1) + low, 0.0) / top, low))
        scale, minimum = found.d[..., None] * found.scales, found.dmin[..., None] * found.minima
        divided = (parts + minimum[..., None]) / np.where(scale != 0, scale, 1.0)[..., None]
        whole = np.rint(divided) if rounding == "nearest_even" else round_whole(divided, rounding, rng)
        return found._replace(codes=np.clip(whole, 0, top))

    def _shares(self, scale: NDArray[Any], low: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return the shares of scales and of minima, and what they are shares of."""
        most = 2**self.share_bits - 1
        d, dmin = (FP16.quantize(part.max(axis=-1) / most) for part in (scale, low))
        shares = [
            np.clip(np.rint(part / np.where(of > 0, of, 1.0)[..., None]), 0, most)
            for part, of in ((scale, d), (low, dmin))
        ]
        return shares[0], shares[1], d, dmin

    def _symmetric_blocks(self, parts: NDArray[Any], rounding: Rounding, rng: np.random.Generator | None) -> _Blocks:
        most = 2 ** (self.share_bits - 1) - 1
        scale = np.abs(parts).max(axis=-1) / self.code.scaling_value
        d = FP16.quantize(scale.max(axis=-1) / most)
        shares = np.clip(np.rint(scale / np.where(d > 0, d, 1.0)[..., None]), 0, most)
        by = d[..., None] * shares
        divided = parts / np.where(by > 0, by, 1.0)[..., None]
        if rounding != "nearest_even":
            divided = self.code._directed(divided, rounding, "saturate", rng)
        none = np.zeros_like(d)
        return _Blocks(self.code.encode(divided), shares, np.zeros_like(shares), d, none)

    def _values(self, found: _Blocks, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the values of codes, (rows, supers, subs, size)."""
        scale, minimum = found.d[..., None] * found.scales, found.dmin[..., None] * found.minima
        elements = self.code.decode(found.codes.astype(np.uint32))
        return np.asarray((elements * scale[..., None] - minimum[..., None]).astype(dtype))

    def _refuse_lattice(self) -> None:
        if self.lattice:
            raise UsageError(
                f"{self.name} is stored exactly here, but quantizing to it takes llama.cpp's lattice and an importance "
                "matrix; valid: read a GGUF file, or take int4_g32, q4_k and the like"
            )
