"""Closed-form gate counts of a block dot product for any element: a check on parts, and their fallback.

arXiv 2510.25602, App. C, counts combinational gates of ``k`` lanes with x exponent and y mantissa
bits (x = 0 and y = bits - 1 for integers), no registers:

===================  ==========================================  ==============
block                integers                                    floats
===================  ==========================================  ==============
multiplier           k arrays of (x + y + 1)^2                   k arrays of (y + 1)^2
adders               2k (x + y + 1)                              k n
exponents            none                                        adder, subtractor, comparator: 3 k x
aligner              none                                        k n log2 n multiplexers
normaliser, shared   n log2 n multiplexers                       the same
===================  ==========================================  ==============

``n = min(2^(x+1) + 2y, 24)``. Shared as well: an FP32 accumulator and a dequantizer, two 8-bit
adds for E8M0 and two float multiplications for E4M3.

Assumed here, as the paper's own counts were not reachable: an array of w × v bits is w·v AND, w (v - 2)
full adders and w half adders; a bit of an exponent unit is a full adder; the accumulator is a 24-bit
adder, two shifters of 24 · log2 24 multiplexers, two 8-bit exponent adders and 24 half adders of
rounding; a multiplication by an E4M3 scale is an array of 24 × 4 and an 8-bit adder. Cells are
textbook static CMOS (Weste and Harris): their transistors alone set the ratios of formats.

Where it is used: ``hwsim explain pe block_dot`` shows it beside the parts, and the golden tests hold
both against the paper's Table 5. A pair of formats that has no PE has an area here: :func:`lane_area`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

from hwsim.formats import Format, Minifloat, Scaled
from hwsim.hardware.circuits import Register
from hwsim.hardware.technology import Technology, load_technology
from hwsim.spec.errors import UsageError

#: Transistors of static CMOS cells: mirror full adder, XOR and AND, AND, multiplexer with inverters.
TRANSISTORS = {"fa": 28, "ha": 16, "and": 6, "mux": 12}
#: µm² per gate equivalent (four transistors) in 7 nm: ASAP7 over a generic library of transistors / 4.
UM2_PER_GATE_7NM = 0.0626
#: Kinds of block scales that the model knows.
SCALES = ("none", "e8m0", "e4m3")

Cells = Mapping[str, float]


def window(exponent_bits: int, mantissa_bits: int) -> int:
    """Return the width n of aligned products, bits."""
    return int(min(2 ** (exponent_bits + 1) + 2 * mantissa_bits, 24))


def lane_cells(exponent_bits: int, mantissa_bits: int, scale: str = "e8m0", lanes: int = 32) -> dict[str, Cells]:
    """Return the cells of each block per lane; what lanes share is counted by its share.

    Raises
    ------
    UsageError
        If widths are below 0, lanes below 1, or the scale is unknown.
    """
    x, y = exponent_bits, mantissa_bits
    if x < 0 or y < 0 or lanes < 1 or scale not in SCALES:
        raise UsageError(
            f"gate model: e{x}m{y}, {lanes} lanes, scale {scale}: valid: widths from 0, {', '.join(SCALES)}"
        )
    n, bits = window(x, y), x + y + 1
    shift = {"mux": n * log2(n)}
    floats: dict[str, Cells] = {"exponents": {"fa": 3 * x}, "aligner": shift} if x else {}
    return {
        "multiplier": _array(y + 1, y + 1) if x else _array(bits, bits),
        "adders": {"fa": n if x else 2 * bits},
        **floats,
        "normaliser": _shared(shift, lanes),
        "accumulator": _shared({"fa": 24 + 2 * 8, "mux": 2 * 24 * log2(24), "ha": 24}, lanes),
        "dequantizer": _shared(_dequantizer(scale), lanes),
    }


def _array(w: int, v: int) -> Cells:
    return {"and": w * v, "fa": w * max(v - 2, 0), "ha": w if v > 1 else 0}


def _shared(cells: Cells, lanes: int) -> Cells:
    return {cell: count / lanes for cell, count in cells.items()}


def _dequantizer(scale: str) -> Cells:
    if scale == "e8m0":
        return {"fa": 2 * 8}
    if scale == "none":
        return {}
    one = _array(24, 4)
    return {cell: 2 * (count + (8 if cell == "fa" else 0)) for cell, count in one.items()}


def lane_transistors(exponent_bits: int, mantissa_bits: int, scale: str = "e8m0", lanes: int = 32) -> float:
    """Return the transistors per lane."""
    blocks = lane_cells(exponent_bits, mantissa_bits, scale, lanes)
    return sum(TRANSISTORS[cell] * count for cells in blocks.values() for cell, count in cells.items())


def widths(fmt: Format) -> tuple[int, int, str]:
    """Return exponent bits, mantissa bits and kind of scale of ``fmt`` as the model counts them.

    Every scale with a significand counts as E4M3; one per row or tensor costs nothing here.
    """
    element, scale = fmt.element, "none"
    if isinstance(fmt, Scaled) and fmt.block_size:
        scale = "e8m0" if fmt.scale.significand_bits == 1 else "e4m3"
    if isinstance(element, Minifloat):
        return element.exponent_bits, element.mantissa_bits, scale
    return 0, element.bits - 1, scale


def lane_area(fmt: Format, technology: Technology, lanes: int | None = None) -> float:
    """Return the combinational area per lane in µm²; lanes are a block's elements unless given."""
    x, y, scale = widths(fmt)
    transistors = lane_transistors(x, y, scale, lanes or fmt.block_size or 32)
    shrink = technology.price(Register(1)).area_um2 / load_technology("7nm").price(Register(1)).area_um2
    return transistors / 4 * UM2_PER_GATE_7NM * shrink
