"""Scaled formats: elements that share a scale per group, block or tensor.

* ``intB_gG``, ``intB_asym_gG``: FP16 scale per G elements along K; asymmetric adds an 8-bit zero
  point (the convention of BitMoD, arXiv 2411.11745 III-C). Without ``_gG`` one scale serves the
  whole tensor and costs nothing per element.
* ``mxfp4``, ``mxfp6_e2m3``, ``mxfp6_e3m2``, ``mxfp8_e4m3``, ``mxfp8_e5m2``, ``mxint8``: blocks of 32
  with an E8M0 scale 2^(floor(log2 amax) - emax), elements clamp (OCP MX v1.0).
* ``nvfp4``: FP4 E2M1 in blocks of 16 with an E4M3 scale, and one FP32 scale per tensor,
  t = amax / (6 · 448), block scale e4m3(amax_block / (6 t)).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format, as_floats, split_blocks
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import minifloat
from hwsim.formats.registry import BLOCKS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_modes, round_whole

ScaleRule = Literal["absmax_fp16", "power_of_two", "two_level_e4m3"]

FP16 = minifloat(5, 10, "fp16")
E4M3 = minifloat(4, 3)
MX_BLOCK, NV_BLOCK = 32, 16


@dataclass(frozen=True)
class Scaled(Format):
    """Elements of ``code`` with ``metadata_bits`` shared by each block."""

    name: str
    code: ElementFormat
    block_size: int | None
    rule: ScaleRule
    metadata_bits: int
    asymmetric: bool = False

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of an element's code."""
        return self.code.bits

    @property
    def element(self) -> ElementFormat:
        """The format of the elements."""
        return self.code

    @property
    def bits_per_element(self) -> Fraction:
        """Code width plus the block's metadata shared out."""
        return Fraction(self.bits) + (Fraction(self.metadata_bits, self.block_size) if self.block_size else 0)

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return ``x`` after scaling, encoding and decoding, blocks along ``axis``; see :meth:`Format.quantize`.

        Elements round as asked; scales always as the format defines them.
        """
        check_modes(rounding, overflow)
        moved = np.moveaxis(as_floats(x), axis, -1) if np.ndim(x) else as_floats(x).reshape(1)
        if moved.size == 0:
            return as_floats(x)
        length = moved.shape[-1]
        blocks = split_blocks(moved, self.block_size) if self.block_size else moved.reshape(1, -1)
        cast = partial(self.code.quantize, rounding=rounding, overflow=overflow, seed=seed)
        done = self._asymmetric(blocks, rounding, seed) if self.asymmetric else self._symmetric(blocks, cast)
        flat = done.reshape(*moved.shape[:-1], -1) if self.block_size else done.reshape(moved.shape)
        return np.moveaxis(flat[..., :length], -1, axis).reshape(np.shape(x))

    def _symmetric(self, blocks: NDArray[Any], cast: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        amax = np.max(np.abs(blocks), axis=-1, keepdims=True)
        scale = self.scales(amax.astype(np.float64)).astype(blocks.dtype)
        scaled = blocks / np.where(scale > 0, scale, blocks.dtype.type(1))
        done = cast(scaled)
        done *= scale
        return done

    def scales(self, amax: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decoded scale of blocks whose largest magnitudes are ``amax``."""
        if self.rule == "power_of_two":
            exponent = np.frexp(np.where(amax > 0, amax, 1.0))[1] - 1
            largest = int(np.frexp(self.code.max_value)[1]) - 1
            powers = np.ldexp(1.0, np.clip(exponent - largest, -127, 127))
            found: NDArray[np.float64] = np.where(amax > 0, powers, 0.0)
            return found
        if self.rule == "two_level_e4m3":
            tensor = float(np.float32(np.max(amax) / (self.code.max_value * E4M3.max_value))) if amax.size else 0.0
            if tensor == 0:
                return np.zeros_like(amax)
            return E4M3.quantize(amax / (self.code.max_value * tensor)) * tensor
        return FP16.quantize(amax / self.code.max_value)

    def _asymmetric(self, blocks: NDArray[Any], rounding: Rounding, seed: int | None) -> NDArray[Any]:
        low = np.minimum(blocks.min(axis=-1, keepdims=True), 0.0)
        high = np.maximum(blocks.max(axis=-1, keepdims=True), 0.0)
        top = 2**self.bits - 1
        scale = FP16.quantize((high - low).astype(np.float64) / top).astype(blocks.dtype)
        safe = np.where(scale > 0, scale, blocks.dtype.type(1))
        zero = np.clip(np.rint(-low / safe), 0, 255)
        rng = None if seed is None else np.random.default_rng(seed)
        done: NDArray[Any] = (np.clip(round_whole(blocks / safe, rounding, rng) + zero, 0, top) - zero) * scale
        return done


def _mx(name: str, code: ElementFormat) -> Scaled:
    return Scaled(name, code, MX_BLOCK, "power_of_two", 8)


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

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.rint(np.clip(x, -127 / 64, 127 / 64) * 64) / 64 + 0.0)

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round values · 2^6, clip to ±127."""
        whole = np.rint(np.clip(np.asarray(values, dtype=np.float64), -127 / 64, 127 / 64) * 64)
        return (whole.astype(np.int64) & 255).astype(np.uint32)


FIXED: dict[str, Scaled] = {
    "mxfp4": _mx("mxfp4", minifloat(2, 1)),
    "mxfp6_e2m3": _mx("mxfp6_e2m3", minifloat(2, 3)),
    "mxfp6_e3m2": _mx("mxfp6_e3m2", minifloat(3, 2)),
    "mxfp8_e4m3": _mx("mxfp8_e4m3", minifloat(4, 3)),
    "mxfp8_e5m2": _mx("mxfp8_e5m2", minifloat(5, 2)),
    "mxint8": _mx("mxint8", _MxInt8("int8", 8)),
    "nvfp4": Scaled("nvfp4", minifloat(2, 1), NV_BLOCK, "two_level_e4m3", 8),
}

_PATTERN = re.compile(r"int(\d+)(_asym)?(?:_g(\d+))?$")


def parse(name: str) -> Scaled | None:
    """Return the scaled format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width or group size is out of range.
    """
    if name in FIXED:
        return FIXED[name]
    match = _PATTERN.match(name)
    if match is None or not (match.group(2) or match.group(3)):
        return None
    bits, asym, group = int(match.group(1)), bool(match.group(2)), match.group(3)
    if not 2 <= bits <= 16 or (group is not None and not 1 <= int(group) <= 65536):
        raise ValueError(f"{name}: valid: 2 to 16 bits, groups of 1 to 65536")
    code = Integer(f"uint{bits}" if asym else f"int{bits}", bits, signed=not asym)
    metadata = 16 + (8 if asym else 0)
    return Scaled(name, code, int(group) if group else None, "absmax_fp16", metadata if group else 0, asym)


def names() -> list[str]:
    """Return the usual names of the family."""
    return [*FIXED, *(f"int{b}{kind}_g128" for b in (3, 4, 8) for kind in ("", "_asym"))]


BLOCKS.register("scaled")(Family(parse, names))
