"""K-hot fixed point ``fixN_qF_kK``: fixed point whose magnitudes have at most K non-zero bits.

A product with such a constant is at most K shifts and additions, so that no multiplier is needed
(the multiplier-free quantization of QFX, arXiv 2401.17544). Counted are the ones of the plain binary
magnitude ("K-hot"), not the non-zero digits of a signed-digit code: 7 has three. That reading, the
code and the rounding to the nearest are choices of this library: only the abstract was at hand.

A code is a sign and a magnitude m of N - 1 bits and stands for ±m · 2^-F. Codes with more than K ones
are unused: the constants are stored as ordinary fixed point, though fewer codes would do. The code of
-0 is read as 0 and never written. A number takes the nearest value that is left; halfway it takes the
lower one, and it saturates. There is no code for NaN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.element.codebook import MAX_BITS, Tabulated
from hwsim.formats.registry import ELEMENTS, Family

MAX_FRACTION_BITS = 32


@dataclass(frozen=True)
class KHot(Tabulated):
    """Sign and magnitude of ``bits`` bits, ``fraction_bits`` of them fraction, at most ``ones`` of them one."""

    name: str
    bits: int
    fraction_bits: int
    ones: int

    def _levels(self) -> NDArray[np.float64]:
        whole = np.arange(2 ** (self.bits - 1))
        count = np.sum((whole[:, None] >> np.arange(self.bits - 1)) & 1, axis=-1)
        magnitudes = np.where(count <= self.ones, np.ldexp(whole.astype(np.float64), -self.fraction_bits), np.nan)
        return np.concatenate([magnitudes, -magnitudes])


_PATTERN = re.compile(r"fix(\d+)_q(\d+)_k(\d+)$")


def parse(name: str) -> KHot | None:
    """Return the K-hot format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If a width or the number of ones is out of range.
    """
    match = _PATTERN.match(name)
    if match is None:
        return None
    bits, fraction_bits, ones = (int(text) for text in match.groups())
    if not 2 <= bits <= MAX_BITS or fraction_bits > MAX_FRACTION_BITS or not 1 <= ones < bits:
        raise ValueError(
            f"{name}: valid: 2 to {MAX_BITS} bits with 0 to {MAX_FRACTION_BITS} fraction bits, 1 to N - 1 ones"
        )
    return KHot(name, bits, fraction_bits, ones)


def names() -> list[str]:
    """Return the usual names of the family; any ``fixN_qF_kK`` is read."""
    return ["fix8_q4_k2", "fix8_q7_k1", "fix8_q7_k3"]


ELEMENTS.register("khot")(Family(parse, names))
