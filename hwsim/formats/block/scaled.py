"""Scaled formats: elements that share a scale per group, tile, channel or tensor.

``ELEMENT_GEOMETRY[_SCALE]`` names any of them:

* geometry ``g128``: 128 elements along the reduction; ``t16x16``: a tile of 16 rows by 16 elements;
  ``channel``: a whole row; ``tensor``: everything;
* scale as in :mod:`hwsim.formats.block.scales`; FP16 unless stated.

``int4_g128``, ``fp4_e2m1_g16_ue5m3``, ``nf4_g64``, ``int8_channel_fp32`` are examples. Shorter names:

* ``intB_asym_gG``: unsigned elements with an FP16 scale and an 8-bit zero point (the convention of
  BitMoD, arXiv 2411.11745 III-C). ``intB_asym`` has one scale per tensor, free of charge.
* ``mxfp4``, ``mxfp6_e2m3``, ``mxfp6_e3m2``, ``mxfp8_e4m3``, ``mxfp8_e5m2``, ``mxint8``: blocks of 32
  with an E8M0 scale (OCP MX v1.0). ``nvfp4``: FP4 E2M1 in blocks of 16 with E4M3 scales.
* ``msfp12`` and the like: block floating point, a sign and 3 bits (11: 2, …, 16: 7) under an exponent
  that 16 elements share. ``dfx16``: dynamic fixed point, INT16 under one exponent per tensor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format, along_axis, map_rows, refuse_nan, split_blocks
from hwsim.formats.block.scales import FP16, KINDS, Scale
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import minifloat
from hwsim.formats.registry import BLOCKS, ELEMENTS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_modes, round_whole

Geometry = Literal["group", "tile", "channel", "tensor"]
ZERO_POINT_BITS = 8
MX_BLOCK, NV_BLOCK = 32, 16


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
        cast = partial(self.code.quantize, rounding=rounding, overflow=overflow, seed=seed)

        def quantize_last(moved: NDArray[Any]) -> NDArray[Any]:
            blocks, restore = self._blocks(moved)
            return restore(
                self._asymmetric(blocks, rounding, seed) if self.asymmetric else self._symmetric(blocks, cast)
            )

        return along_axis(x, axis, quantize_last)

    def _blocks(self, x: NDArray[Any]) -> tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]:
        """Return ``x`` as (…, blocks, elements) and the way back."""
        if self.geometry == "tensor":
            return x.reshape(1, -1), lambda done: done.reshape(x.shape)
        if self.geometry == "channel":
            return x[..., None, :], lambda done: done.reshape(x.shape)
        assert self.block_size is not None
        if self.geometry == "tile" and x.ndim > 1:
            return self._tiles(x, self.block_size)
        length = x.shape[-1]
        return split_blocks(x, self.block_size), lambda done: done.reshape(*x.shape[:-1], -1)[..., :length]

    def _tiles(self, x: NDArray[Any], width: int) -> tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]:
        rows, length = x.shape[-2:]
        below, right = -rows % self.tile_rows, -length % width
        padded = np.pad(x, [*[(0, 0)] * (x.ndim - 2), (0, below), (0, right)])
        lead = x.shape[:-2]
        cut = padded.reshape(*lead, (rows + below) // self.tile_rows, self.tile_rows, (length + right) // width, width)
        tiles = np.moveaxis(cut, -3, -2)
        flat = tiles.reshape(*tiles.shape[:-2], -1)

        def restore(done: NDArray[Any]) -> NDArray[Any]:
            return np.moveaxis(done.reshape(tiles.shape), -2, -3).reshape(padded.shape)[..., :rows, :length]

        return flat, restore

    def scales(self, amax: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decoded scales of blocks whose largest magnitudes are ``amax``, shape (…, blocks, 1)."""
        return self.scale.of(amax, self.code.scaling_value)

    def factors(self, x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the last axis of ``x`` is stored as: elements (less their zero point) and scales.

        Both float64 and of the shape of ``x``; their product is :meth:`quantize` of ``x`` in float64.
        """
        given = np.asarray(x, dtype=np.float64)
        blocks, restore = self._blocks(given)
        one = (self._asymmetric_scale if self.asymmetric else self._symmetric_scale)(blocks)
        scale = restore(np.broadcast_to(one, blocks.shape))
        ratio = self.quantize(given) / np.where(scale > 0, scale, 1.0)
        # The ratio is an element but for the last place that product and quotient round.
        return np.rint(ratio) if self.asymmetric else self.code.quantize(ratio), scale

    def _symmetric_scale(self, blocks: NDArray[Any]) -> NDArray[Any]:
        amax = np.maximum(blocks.max(axis=-1, keepdims=True), -blocks.min(axis=-1, keepdims=True))
        return self.scales(amax.astype(np.float64)).astype(blocks.dtype)

    def _symmetric(self, blocks: NDArray[Any], cast: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        scale = self._symmetric_scale(blocks)

        def rescaled(part: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
            done = cast(part / np.where(by > 0, by, by.dtype.type(1)))
            done *= by
            return done

        shape = (-1, blocks.shape[-1])
        return map_rows(rescaled, blocks.reshape(shape), scale.reshape(-1, 1)).reshape(blocks.shape)

    def _asymmetric_scale(self, blocks: NDArray[Any]) -> NDArray[Any]:
        low = np.minimum(blocks.min(axis=-1, keepdims=True), 0.0)
        high = np.maximum(blocks.max(axis=-1, keepdims=True), 0.0)
        return FP16.quantize((high - low).astype(np.float64) / (2**self.bits - 1)).astype(blocks.dtype)

    def _asymmetric(self, blocks: NDArray[Any], rounding: Rounding, seed: int | None) -> NDArray[Any]:
        refuse_nan(self.name, blocks)
        top, scale = 2**self.bits - 1, self._asymmetric_scale(blocks)
        low = np.minimum(blocks.min(axis=-1, keepdims=True), 0.0)
        safe = np.where(scale > 0, scale, blocks.dtype.type(1))
        zero = np.clip(np.rint(-low / safe), 0, 2**ZERO_POINT_BITS - 1)
        rng = None if seed is None else np.random.default_rng(seed)
        done: NDArray[Any] = (np.clip(round_whole(blocks / safe, rounding, rng) + zero, 0, top) - zero) * scale
        return done


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

    def _whole(self, x: NDArray[Any]) -> NDArray[Any]:
        scaled: NDArray[Any] = np.clip(x, -self.max_value, self.max_value) * 64  # clipped first: ·64 could overflow
        return scaled

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        done: NDArray[Any] = super()._nearest(self._whole(x)) / 64
        return done

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round values · 2^6, clip to ±127."""
        return super().encode(self._whole(np.asarray(values, dtype=np.float64)))


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
