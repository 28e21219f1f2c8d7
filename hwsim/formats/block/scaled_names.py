"""What scaled formats are called.

``ELEMENT_GEOMETRY[_SCALE]`` names any of them:

* geometry ``g128``: 128 elements along the reduction; ``t16x16``: a tile of 16 rows by 16 elements;
  ``channel``: a whole row; ``tensor``: everything;
* scale as in :mod:`hwsim.formats.block.scales`; FP16 unless stated.

``int4_g128``, ``fp4_e2m1_g16_ue5m3``, ``nf4_g64_dq8``, ``int8_channel_fp32`` are examples. Scales fit the largest
magnitude, but the mean one of ternary and binary elements and the root mean square of posits (see
``fit`` of :class:`~hwsim.formats.base.ElementFormat`); what is scaled by these is not unchanged by a
second quantization. Shorter names:

* ``intB_asym_gG``: unsigned elements with an FP16 scale and an 8-bit zero point (the convention of
  BitMoD, arXiv 2411.11745 III-C). ``intB_asym`` has one scale per tensor, free of charge. ``intB_asym_gG_zZ``
  has zero points of Z bits: ``int4_asym_g128_z4`` is what GPTQ and AWQ checkpoints hold.
* ``mxfp4``, ``mxfp6_e2m3``, ``mxfp6_e3m2``, ``mxfp8_e4m3``, ``mxfp8_e5m2``, ``mxint8``: blocks of 32
  with an E8M0 scale (OCP MX v1.0). ``nvfp4``: FP4 E2M1 in blocks of 16 with E4M3 scales.
* ``bfpB_gG``: block floating point, B bits with the sign under an exponent that G elements share: another
  name of ``intB_gG_e8m0``. ``msfp12`` and the like: the same in blocks of 16, a sign and 3 bits (11: 2,
  …, 16: 7). ``dfx16``: dynamic fixed point, INT16 under one exponent per tensor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat
from hwsim.formats.block.geometry import Geometry
from hwsim.formats.block.metadata import ONE
from hwsim.formats.block.scaled import ZERO_POINT_BITS, Scaled
from hwsim.formats.block.scales import KINDS
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import minifloat
from hwsim.formats.registry import BLOCKS, ELEMENTS, REGISTERED, Family

MX_BLOCK, NV_BLOCK = 32, 16


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
_ASYMMETRIC = re.compile(r"int(\d+)_asym(?:_g(\d+)(?:_z(\d+))?)?$")


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
        bits, group, zero = int(match[1]), match[2], int(match[3] or ZERO_POINT_BITS)
        _check(name, 2 <= bits <= 16 and (group is None or 1 <= int(group) <= 65536), "2 to 16 bits")
        _check(
            name, match[3] is None or (match[3] == str(zero) and 2 <= zero < ZERO_POINT_BITS), "zero points of 2 to 7"
        )
        code = Integer(f"uint{bits}", bits, signed=False)
        geometry: Geometry = "group" if group else "tensor"
        return Scaled(
            name, code, int(group) if group else None, "fp16", asymmetric=True, geometry=geometry, zero_bits=zero
        )
    match = _ANY.match(name)
    code_of = None if match is None else _element(match["element"])
    if match is None or code_of is None:
        return None
    return _scaled(name, code_of, match["where"], match["scale"] or "fp16")


def _scaled(name: str, code: ElementFormat, where: str, scale: str) -> Scaled:
    if code.complex_valued:
        raise ValueError(f"{name}: {code.name} scales whole tensors of pairs; valid: {code.name}")
    bits = getattr(code, "bits", 0)
    _check(name, not isinstance(code, Integer) or 2 <= bits <= 16, "2 to 16 bits")
    if KINDS[scale].upper is None and not KINDS[scale].share(np.ones(1), code.fitted_value(code.block_fit), ONE).any():
        text = f"a scale in {scale} would be 0 even where the largest element is 1"
        raise ValueError(f"{name}: {text}; valid: {code.name}_{where}_fp32, or {code.name} without a scale")
    short = f"{code.name}_{where}" + ("" if scale == "fp16" else f"_{scale}")
    if where in ("channel", "tensor"):
        return Scaled(short, code, None, scale, geometry="channel" if where == "channel" else "tensor")
    sizes = [int(part) for part in where[1:].split("x")]
    _check(name, all(1 <= size <= 65536 for size in sizes), "2 to 16 bits")
    group = Scaled(short, code, sizes[-1], scale)
    return group if len(sizes) == 1 else replace(group, geometry="tile", tile_rows=sizes[0])


def _element(name: str) -> ElementFormat | None:
    if isinstance(known := REGISTERED.get(name), ElementFormat):
        return known
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
