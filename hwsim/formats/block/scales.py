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
dq8        two levels (QLoRA's double quantization): an FP32 scale per 256 blocks, counted on across the rows of the
           tensor, blocks as 8-bit shares of it. Shares are uniform here; bitsandbytes takes the mean off before
           and rounds to 8-bit codes of its own, which store as much
=========  ==========================================================================================

Powers of two lie in 2^-127 … 2^127, and blocks of zeros have the smallest one: E8M0 has no zero.
The other kinds saturate at their largest value and may be 0, and then the whole block is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import SCALES, minifloat

Amax = NDArray[np.float64]

FP16, FP32, E4M3 = minifloat(5, 10, "fp16"), minifloat(8, 23, "fp32"), minifloat(4, 3)
#: Scales of blocks under one FP32 scale in double quantization (QLoRA, arXiv 2305.14314 section 3).
RUN = 256
UE8M0, UE5M3, UINT8 = SCALES["ue8m0"], SCALES["ue5m3"], Integer("uint8", 8, signed=False)


class Scale(NamedTuple):
    """A kind of scale: its code, its significand, and its value for blocks along the last axis.

    ``significand_bits`` is 1 for powers of two. ``on_sums`` says that hardware applies it to the sum
    of a group; otherwise it is narrow enough to act on every product. ``code`` is the format of what
    a block stores; ``share(amax, top, level)`` is the value of that, for amax (float64) and elements
    whose largest value is ``top``; ``level`` is the scale above it of kinds with two levels, which
    ``upper(amax, top)`` finds from amax of shape (…, blocks, 1), and 1 for the others. ``per_row`` says that
    each row has one, not the tensor; ``run``, unless 0, that so many blocks have one, whatever rows they are in.
    """

    name: str
    code: ElementFormat
    significand_bits: int
    on_sums: bool
    words: str
    share: Callable[[Amax, float, Amax], Amax]
    upper: Callable[[Amax, float], Amax] | None = None
    per_row: bool = False
    run: int = 0

    @property
    def bits(self) -> int:
        """Bits that a block stores."""
        return self.code.bits

    def of(self, amax: Amax, top: float) -> Amax:
        """Return the decoded scales of blocks of largest magnitudes ``amax``, shape (…, blocks, 1)."""
        if self.upper is None or not amax.size:
            return self.share(amax, top, np.ones(1))
        level = self.upper(amax, top)
        return np.asarray(self.share(amax, top, level) * level)


def _plain(fmt: ElementFormat) -> Callable[[Amax, float, Amax], Amax]:
    return lambda amax, top, _: np.asarray(fmt.quantize(amax / top))


_FRACTION, _BIAS = 52, 1023


def _power(exponent: NDArray[np.int64]) -> Amax:
    """Return 2^exponent, the exponent clamped to E8M0's."""
    return ((np.clip(exponent, -127, 127) + _BIAS) << _FRACTION).view(np.float64)


def _floor_power(amax: Amax, top: float, _: Amax) -> Amax:
    # The exponent field is floor(log2); float64 that are subnormal are far below the clamp.
    field = np.ascontiguousarray(amax).view(np.int64) >> _FRACTION
    return _power(field - (_BIAS + int(np.frexp(top)[1]) - 1))


def _ceil_power(amax: Amax, top: float, _: Amax) -> Amax:
    carried = np.asarray(amax / top).view(np.int64) + ((1 << _FRACTION) - 1)  # one more unless a power of two
    return _power((carried >> _FRACTION) - _BIAS)


def _tensor_level(amax: Amax, top: float) -> Amax:
    return np.asarray(FP32.quantize(np.max(amax, keepdims=True) / (top * E4M3.max_value)))


def _e4m3_share(amax: Amax, top: float, level: Amax) -> Amax:
    return np.asarray(E4M3.quantize(amax / np.where(level > 0, top * level, np.inf)))


def row_level(amax: Amax, top: float) -> Amax:
    """Return the FP32 scale of rows whose blocks have the largest magnitudes ``amax`` (…, blocks, 1), (…, 1, 1)."""
    return np.asarray(FP32.quantize(np.max(amax, axis=-2, keepdims=True) / top / 255))


def _run_level(amax: Amax, top: float) -> Amax:
    """Return the FP32 scale of each block's run of :data:`RUN` blocks, in the shape of ``amax`` (…, blocks, 1)."""
    flat = amax.reshape(-1)
    whole = np.pad(flat, (0, -flat.size % RUN)).reshape(-1, RUN)
    level = FP32.quantize(whole.max(axis=-1) / top / 255)
    return np.repeat(level, RUN)[: flat.size].reshape(amax.shape)


def int8_share(amax: Amax, top: float, level: Amax) -> Amax:
    """Return the 8-bit shares of rows' scales ``level`` that blocks have."""
    return np.asarray(UINT8.quantize(amax / top / np.where(level > 0, level, 1.0)))


KINDS: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale("fp16", FP16, 11, True, "FP16, largest magnitude of the block", _plain(FP16)),
        Scale("fp32", FP32, 24, True, "FP32, largest magnitude of the block", _plain(FP32)),
        Scale("e8m0", UE8M0, 1, False, "E8M0, power of two, rounded down (OCP MX)", _floor_power),
        Scale("e8m0ceil", UE8M0, 1, False, "E8M0, power of two, rounded up", _ceil_power),
        Scale("e4m3", E4M3, 4, False, "E4M3 per block and FP32 per tensor", _e4m3_share, _tensor_level),
        Scale("ue5m3", UE5M3, 4, False, "UE5M3 per block", _plain(UE5M3)),
        Scale("int8", UINT8, 8, True, "8-bit share of the row's FP32 scale (VS-Quant)", int8_share, row_level, True),
        Scale(
            "dq8",
            UINT8,
            24,
            True,
            "8-bit share of an FP32 scale per 256 blocks (QLoRA)",
            int8_share,
            _run_level,
            run=RUN,
        ),
    )
}
