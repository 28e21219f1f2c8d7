"""Scales of blocks: how the largest magnitude of a block becomes the number that its elements share.

=========  ==========================================================================================
scale      of a block whose largest magnitude is ``amax``, for elements of largest value ``top``
=========  ==========================================================================================
fp16       FP16(amax / top)
fp32       FP32(amax / top)
e8m0       2^(floor(log2 amax) - floor(log2 top)); the largest elements may clamp (OCP MX v1.0)
e8m0ceil   the smallest power of two with amax / scale <= top: nothing clamps
e4m3       two levels (NVFP4): t = amax_tensor / (top · 448) in FP32, E4M3(amax / (top · t)) · t
ue5m3      UE5M3(amax / top): its range needs no second level
int8       two levels (VS-Quant): the largest scale of a row in FP32, blocks as 8-bit shares of it
=========  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.element.minifloat import SCALES, minifloat

Amax = NDArray[np.float64]

FP16, FP32, E4M3, UE5M3 = minifloat(5, 10, "fp16"), minifloat(8, 23, "fp32"), minifloat(4, 3), SCALES["ue5m3"]


class Scale(NamedTuple):
    """A kind of scale: bits per block, significand bits, and its value for blocks along the last axis.

    ``significand_bits`` is 1 for powers of two. ``on_sums`` says that hardware applies it to the sum
    of a group; otherwise it is narrow enough to act on every product. ``of(amax, top)`` takes amax of
    shape (…, blocks, 1) and the largest element value and returns the decoded scales.
    """

    name: str
    bits: int
    significand_bits: int
    on_sums: bool
    words: str
    of: Callable[[Amax, float], Amax]


def _plain(fmt: object) -> Callable[[Amax, float], Amax]:
    return lambda amax, top: np.asarray(fmt.quantize(amax / top))  # type: ignore[attr-defined]


def _floor_power(amax: Amax, top: float) -> Amax:
    exponent = np.frexp(np.where(amax > 0, amax, 1.0))[1] - int(np.frexp(top)[1])
    return np.where(amax > 0, np.ldexp(1.0, np.clip(exponent, -127, 127)), 0.0)


def _ceil_power(amax: Amax, top: float) -> Amax:
    fraction, exponent = np.frexp(np.where(amax > 0, amax / top, 1.0))
    power = np.where(fraction == 0.5, exponent - 1, exponent)
    return np.where(amax > 0, np.ldexp(1.0, np.clip(power, -127, 127)), 0.0)


def _two_level_e4m3(amax: Amax, top: float) -> Amax:
    tensor = float(np.float32(np.max(amax) / (top * E4M3.max_value))) if amax.size else 0.0
    return np.asarray(E4M3.quantize(amax / (top * tensor)) * tensor) if tensor else np.zeros_like(amax)


def _two_level_int8(amax: Amax, top: float) -> Amax:
    row = np.asarray(FP32.quantize(np.max(amax, axis=-2, keepdims=True) / top / 255))
    safe = np.where(row > 0, row, 1.0)
    return np.asarray(np.clip(np.rint(amax / top / safe), 0, 255) * row)


KINDS: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale("fp16", 16, 11, True, "FP16, largest magnitude of the block", _plain(FP16)),
        Scale("fp32", 32, 24, True, "FP32, largest magnitude of the block", _plain(FP32)),
        Scale("e8m0", 8, 1, False, "E8M0, power of two, rounded down (OCP MX)", _floor_power),
        Scale("e8m0ceil", 8, 1, False, "E8M0, power of two, rounded up", _ceil_power),
        Scale("e4m3", 8, 4, False, "E4M3 per block and FP32 per tensor", _two_level_e4m3),
        Scale("ue5m3", 8, 4, False, "UE5M3 per block", _plain(UE5M3)),
        Scale("int8", 8, 8, True, "8-bit share of the row's FP32 scale (VS-Quant)", _two_level_int8),
    )
}
