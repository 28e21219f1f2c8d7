"""What binary floating point formats are called.

``fpB_eXmY``, of which the width may be left out: ``e4m3`` is ``fp8_e4m3``. A suffix chooses other special
codes than the usual ones (:mod:`hwsim.formats.element.minifloat`):

* ``fp8_e4m3ieee``: infinities and NaN at the top exponent;
* ``fp8_e3m4finite``: every code is a number, here up to 31 instead of 15.5;
* ``fp8_e4m3fn``, ``fp6_e2m3fn``: no infinities, which these have not anyway;
* ``fp8_e4m3fnuz``: finite, one NaN in the place of -0, bias one higher;
* ``fp8_e4m3b11fnuz``: another bias.

``tf32`` has 19 bits and takes 32 in memory. Scales are unsigned: ``ue4m3`` and ``ue5m3`` (top code NaN),
``ue8m0`` (powers of two from 2^-127 on, no zero, NaN at 255), which OCP MX calls ``e8m0``; the signed
format of these widths is ``fp9_e8m0``.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hwsim.formats.element.minifloat import SCALES, Minifloat, Special, minifloat
from hwsim.formats.registry import ELEMENTS, Family

NAMED = {
    "fp32": minifloat(8, 23, "fp32"),
    "tf32": replace(minifloat(8, 10, "tf32"), stored_bits=32),
    "bf16": minifloat(8, 7, "bf16"),
    "fp16": minifloat(5, 10, "fp16"),
    **SCALES,
}
#: Names of numpy, ml_dtypes and OCP.
ALIASES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float8_e8m0fnu": "ue8m0", "e8m0": "ue8m0",
           "float8_e4m3": "e4m3ieee"}  # fmt: skip
_FOREIGN = re.compile(r"^float\d+_(e\d+m\d+)")
_PATTERN = re.compile(r"(?:fp(\d+)_)?e(\d+)m(\d+)(?:b(\d+))?(fnuz|fn|ieee|finite)?$")
_SUFFIXES: dict[str, Special] = {"fnuz": "fnuz", "ieee": "ieee", "finite": "finite"}


def parse(name: str) -> Minifloat | None:
    """Return the minifloat called ``name``, or None when the name is of another family.

    The names of ml_dtypes are read, as ``float8_e4m3fn``; its ``float8_e4m3`` is the one with infinities.

    Raises
    ------
    ValueError
        If the widths do not add up or are out of range.
    """
    name = ALIASES.get(name, _FOREIGN.sub(r"\1", name))
    if name in NAMED:
        return NAMED[name]
    match = _PATTERN.match(name)
    if match is None:
        return None
    exponent_bits, mantissa_bits = int(match[2]), int(match[3])
    if match[1] is not None and int(match[1]) != 1 + exponent_bits + mantissa_bits:
        raise ValueError(f"{name}: 1 + {exponent_bits} + {mantissa_bits} bits are not {match[1]}")
    if not 1 <= exponent_bits <= 8 or not 0 <= mantissa_bits <= 23:
        raise ValueError(f"{name}: valid: 1 to 8 exponent bits and 0 to 23 mantissa bits")
    usual = minifloat(exponent_bits, mantissa_bits)
    if match[5] == "fn" and usual.special == "ieee":
        raise ValueError(f"{name}: fn is e4m3, or a format of up to 8 bits without infinities")
    special = _SUFFIXES.get(match[5] or "", usual.special)
    bias = None if match[4] is None else int(match[4])
    if (special, bias) == (usual.special, None):
        return usual
    if bias is not None and not -64 <= bias <= 191:
        raise ValueError(f"{name}: valid: biases of up to 191")
    full = usual.name + ("" if bias is None else f"b{bias}") + (match[5] or "")
    return Minifloat(full, exponent_bits, mantissa_bits, special, bias)


def names() -> list[str]:
    """Return the usual names of the family; any ``fpB_eXmY`` is read."""
    fp8 = ["fp8_e4m3", "fp8_e5m2", "fp8_e3m4", "fp8_e4m3fnuz", "fp8_e5m2fnuz", "fp8_e4m3b11fnuz", "fp8_e4m3ieee"]
    return [*NAMED, *fp8, "fp6_e2m3", "fp6_e3m2", "fp4_e2m1", "fp4_e1m2", "fp4_e3m0"]


ELEMENTS.register("minifloat")(Family(parse, names))
