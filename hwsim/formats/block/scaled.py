"""Scaled formats: elements that share a scale per group, tile, channel or tensor.

``ELEMENT_GEOMETRY[_SCALE]`` names any of them:

* geometry ``g128``: 128 elements along the reduction; ``t16x16``: a tile of 16 rows by 16 elements;
  ``channel``: a whole row; ``tensor``: everything;
* scale as in :mod:`hwsim.formats.block.scales`; FP16 unless stated.

``int4_g128``, ``fp4_e2m1_g16_ue5m3``, ``nf4_g64``, ``int8_channel_fp32`` are examples. Scales fit the largest
magnitude, but the mean one of ternary and binary elements and the root mean square of posits (see
``fit`` of :class:`~hwsim.formats.base.ElementFormat`); what is scaled by these is not unchanged by a
second quantization. Shorter names:

* ``intB_asym_gG``: unsigned elements with an FP16 scale and an 8-bit zero point (the convention of
  BitMoD, arXiv 2411.11745 III-C). ``intB_asym`` has one scale per tensor, free of charge.
* ``mxfp4``, ``mxfp6_e2m3``, ``mxfp6_e3m2``, ``mxfp8_e4m3``, ``mxfp8_e5m2``, ``mxint8``: blocks of 32
  with an E8M0 scale (OCP MX v1.0). ``nvfp4``: FP4 E2M1 in blocks of 16 with E4M3 scales.
* ``bfpB_gG``: block floating point, B bits with the sign under an exponent that G elements share: another
  name of ``intB_gG_e8m0``. ``msfp12`` and the like: the same in blocks of 16, a sign and 3 bits (11: 2,
  …, 16: 7). ``dfx16``: dynamic fixed point, INT16 under one exponent per tensor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format, along_axis, as_floats
from hwsim.formats.block.encoded import Encoded, Part, decode_blocks, joined, moved_back, moved_last, narrowest
from hwsim.formats.block.geometry import Geometry, cut_blocks
from hwsim.formats.block.metadata import ONE, Metadata, level_part
from hwsim.formats.block.parts import (
    column_spans,
    contiguous_rows,
    extremes,
    room_for,
    row_spans,
    scalable_magnitudes,
    spread,
)
from hwsim.formats.block.scales import FP16, KINDS, Scale
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import minifloat
from hwsim.formats.fit import fitted_magnitude
from hwsim.formats.registry import BLOCKS, ELEMENTS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_modes, draws, round_whole

ZERO_POINT_BITS = 8
MX_BLOCK, NV_BLOCK = 32, 16


#: Puts the quantized blocks of a part into an array, given what they share and room to work in.
RoundPart = Callable[[NDArray[Any], Metadata, NDArray[Any], NDArray[Any]], None]


@dataclass(frozen=True)
class Scaled(Format):
    """Elements of ``code`` whose blocks share a scale of kind ``scale_name``.

    ``block_size`` counts elements along the reduction, None where a scale serves a whole row or
    tensor; ``tile_rows`` is 1 but for tiles.
    """

    name: str
    code: ElementFormat
    block_size: int | None
    scale_name: str = "fp16"
    asymmetric: bool = False
    geometry: Geometry = "group"
    tile_rows: int = 1

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
        return self.scale.bits + (ZERO_POINT_BITS if self.asymmetric else 0)

    @property
    def bits_per_element(self) -> Fraction:
        """Code width plus the block's metadata shared out; that of rows and tensors does not count."""
        if not self.block_size:
            return Fraction(self.bits)
        return Fraction(self.bits) + Fraction(self.metadata_bits, self.block_size * self.tile_rows)

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with the scales of ragged blocks and of rows.

        The one scale of a tensor is not counted.
        """
        blocks = {"tensor": 0, "channel": rows}.get(self.geometry)
        if blocks is None:
            blocks = -(-rows // self.tile_rows) * -(-k // (self.block_size or k))
        return rows * k * self.bits + blocks * self.metadata_bits

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
        level = None if self.scale.upper is None else level_part(shared, blocks.shape[-2])
        return Encoded(
            self.name,
            Part.of(moved_back(restore(codes.reshape(blocks.shape)), axis, given.shape), self.bits),
            Part.of(self.scale.code.encode(joined(m.share for m in shared)), self.scale.bits, counted),
            axis,
            given.dtype,
            level,
            Part.of(zeros, ZERO_POINT_BITS, counted) if self.asymmetric else None,
        )

    def _codes(self, part: NDArray[Any], by: Metadata, room: NDArray[Any]) -> NDArray[np.uint32]:
        if self.asymmetric:
            self._shifted(part, by, codes := np.empty_like(part), room)
            return codes.astype(np.uint32)
        return self.code.encode(part / by.divisor[:, None])

    def decode(self, encoded: Encoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: exactly what ``quantize`` gives, in the dtype it gives."""
        by = self._shared_scales(encoded)
        return decode_blocks(encoded, self._blocks, lambda codes: np.asarray(self._elements(encoded, codes) * by))

    def factors(self, x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the last axis of ``x`` is stored as: elements (less their zero point) and scales.

        Both float64 and of the shape of ``x``; their product is :meth:`quantize` of ``x`` in float64.
        """
        encoded = self.encode(np.asarray(x, dtype=np.float64))
        by = self._shared_scales(encoded)
        elements = decode_blocks(encoded, self._blocks, partial(self._elements, encoded))
        return elements, decode_blocks(encoded, self._blocks, lambda codes: np.broadcast_to(by, codes.shape))

    def _shared_scales(self, encoded: Encoded) -> NDArray[Any]:
        """Return the scales of all blocks, levels multiplied, shape (blocks, 1)."""
        scale = self.scale.code.decode(encoded.scales.codes)
        if encoded.level is not None:
            upper = encoded.level.codes.view(np.float32).astype(np.float64)
            scale = scale * np.repeat(upper, scale.size // max(1, upper.size))
        return np.asarray(scale.astype(encoded.dtype)[:, None])

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
        return found._replace(zero=np.clip(np.rint(-low / found.divisor), 0, 2**ZERO_POINT_BITS - 1))

    def _symmetric(self, rounding: Rounding, overflow: Overflow, rng: np.random.Generator | None) -> RoundPart:
        plain = rounding == "nearest_even" and overflow == "saturate"

        def round_part(part: NDArray[Any], by: Metadata, out: NDArray[Any], room: NDArray[Any]) -> None:
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


@dataclass(frozen=True)
class _MxInt8(Integer):
    """INT8 with an implied factor 2^-6 (OCP MX v1.0)."""

    @property
    def max_value(self) -> float:
        """127 / 64."""
        return 127 / 64

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return code · 2^-6."""
        return super().decode(codes) / 64

    def round_chunk(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round to multiples of 2^-6; see :meth:`ElementFormat.round_chunk`."""
        np.clip(x, -self.max_value, self.max_value, out=out)  # clipped first: ·64 could overflow
        out *= 64
        super().round_chunk(out, out, spare)
        out /= 64

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round values · 2^6, clip to ±127."""
        clipped = np.clip(np.asarray(values, dtype=np.float64), -self.max_value, self.max_value)
        return super().encode(clipped * 64)


FIXED: dict[str, Scaled] = {
    **{
        name: Scaled(name, code, MX_BLOCK, "e8m0")
        for name, code in (
            ("mxfp4", minifloat(2, 1)),
            ("mxfp6_e2m3", minifloat(2, 3)),
            ("mxfp6_e3m2", minifloat(3, 2)),
            ("mxfp8_e4m3", minifloat(4, 3)),
            ("mxfp8_e5m2", minifloat(5, 2)),
            ("mxint8", _MxInt8("int8", 8)),
        )
    },
    "nvfp4": Scaled("nvfp4", minifloat(2, 1), NV_BLOCK, "e4m3"),
    # Sign and magnitude under a shared exponent: 11 to 16 bits are those of sign, magnitude and exponent.
    **{
        f"msfp{8 + bits}": Scaled(f"msfp{8 + bits}", Integer(f"int{bits}", bits), NV_BLOCK, "e8m0")
        for bits in (3, 4, 5, 6, 8)
    },
    "dfx16": Scaled("dfx16", Integer("int16", 16), None, "e8m0", geometry="tensor"),
}

_BFP = re.compile(r"^bfp(\d+)_g(\d+)$")
_SCALE = "|".join(sorted(KINDS, key=len, reverse=True))
_ANY = re.compile(rf"(?P<element>.+?)_(?P<where>g\d+|t\d+x\d+|channel|tensor)(?:_(?P<scale>{_SCALE}))?$")
_ASYMMETRIC = re.compile(r"int(\d+)_asym(?:_g(\d+))?$")


def parse(name: str) -> Scaled | None:
    """Return the scaled format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width or block size is out of range.
    """
    if name in FIXED:
        return FIXED[name]
    name = _BFP.sub(r"int\1_g\2_e8m0", name)
    if match := _ASYMMETRIC.match(name):
        bits, group = int(match[1]), match[2]
        _check(name, 2 <= bits <= 16 and (group is None or 1 <= int(group) <= 65536), "2 to 16 bits")
        code = Integer(f"uint{bits}", bits, signed=False)
        geometry: Geometry = "group" if group else "tensor"
        return Scaled(name, code, int(group) if group else None, "fp16", asymmetric=True, geometry=geometry)
    match = _ANY.match(name)
    code_of = None if match is None else _element(match["element"])
    if match is None or code_of is None:
        return None
    return _scaled(name, code_of, match["where"], match["scale"] or "fp16")


def _scaled(name: str, code: ElementFormat, where: str, scale: str) -> Scaled:
    bits = getattr(code, "bits", 0)
    _check(name, not isinstance(code, Integer) or 2 <= bits <= 16, "2 to 16 bits")
    short = f"{code.name}_{where}" + ("" if scale == "fp16" else f"_{scale}")
    if where in ("channel", "tensor"):
        return Scaled(short, code, None, scale, geometry="channel" if where == "channel" else "tensor")
    sizes = [int(part) for part in where[1:].split("x")]
    _check(name, all(1 <= size <= 65536 for size in sizes), "2 to 16 bits")
    group = Scaled(short, code, sizes[-1], scale)
    return group if len(sizes) == 1 else replace(group, geometry="tile", tile_rows=sizes[0])


def _element(name: str) -> ElementFormat | None:
    for _, family in ELEMENTS.items():
        found = family.parse(name)
        if isinstance(found, ElementFormat):
            return found
    return None


def _check(name: str, holds: bool, widths: str) -> None:
    if not holds:
        raise ValueError(f"{name}: valid: {widths}, groups of 1 to 65536")


def names() -> list[str]:
    """Return the usual names of the family."""
    return [*FIXED, *(f"int{b}{kind}_g128" for b in (3, 4, 8) for kind in ("", "_asym")), "fp4_e2m1_g16_ue5m3"]


BLOCKS.register("scaled")(Family(parse, names))
