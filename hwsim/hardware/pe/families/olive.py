"""OliVe's PE: pairs of an outlier and its victim are decoded to integer and shift, then multiplied as integers.

A decoder per operand looks at its neighbour in the pair (arXiv 2304.07493): beside the identifier
10…0 a code is an abfloat, base (2^(B-3) + m) shifted by e + 2; the identifier itself is 0; any other
code is an integer, shifted by 0. Bases multiply in a B × B multiplier, shifts add, and one shifter moves
the product. The format is that of :mod:`hwsim.formats.block.olive`. Activations are OliVe pairs or
plain integers. Steps hold whole pairs; a last code without a neighbour is an integer.

Published decoders have 13.53 um2 (4 bits) and 18.00 um2 (8 bits) at 22 nm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Scaled
from hwsim.formats.block.olive import EXPONENT_BITS, OliveElement
from hwsim.hardware.circuits import (
    AndRow,
    Incrementer,
    Mux,
    Negator,
    OrTree,
    Part,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import side_by_side
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, shifted_product, take_accumulator
from hwsim.spec.errors import UsageError

#: An abfloat is shifted by its exponent, 0 to 3, and 2 more.
MOST_SHIFT = 2**EXPONENT_BITS + 1
#: Bits of a shift.
SHIFT_BITS = MOST_SHIFT.bit_length()


def decoder(role: str, bits: int, count: float = 1) -> tuple[Part, ...]:
    """Return the decoder of one operand: identifier, abfloat's base and its negation, choice, victim to zero.

    The identifier is a constant: one gate per bit tells it.
    """
    return (
        Part(f"{role} identifier", "decode", OrTree(bits), count, on_path=False),
        Part(f"{role} base negate", "decode", Negator(bits - 1), count, on_path=False),
        Part(f"{role} exponent bias", "decode", Incrementer(EXPONENT_BITS), count, on_path=False),
        Part(f"{role} choice", "decode", Mux(bits + SHIFT_BITS, 2), count),
        Part(f"{role} victim", "decode", AndRow(bits), count),
    )


@dataclass(frozen=True)
class OlivePE(SummingPE):
    """``lanes`` products of decoded operands."""

    family: ClassVar[str] = "olive"
    integer_family: ClassVar[str] = "integer_mac"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Pairs of the built width, and integers that fit into the multiplier."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if isinstance(fmt.element, OliveElement):
                if fmt.element != built.element:
                    return Reason(f"{role} of {fmt.name} need a decoder; this one is built for {built.name}")
            elif not isinstance(fmt.element, Integer) or fmt.element.last_place != 1 or not fmt.element.signed:
                return Reason(f"{role} of {fmt.name} are neither OliVe pairs nor signed integers")
            elif fmt.bits > built.bits or (isinstance(fmt, Scaled) and fmt.asymmetric):
                return Reason(f"{role} of {fmt.name} do not fit into the multiplier of {built.bits} bits")
        return None

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return decoders, multipliers, shifters, and the sum."""
        n, sides = self.lanes, (("weight", self.w_format), ("activation", self.a_format))
        paired = [isinstance(fmt.element, OliveElement) for _, fmt in sides]
        decoders = [decoder(role, fmt.bits, n) for (role, fmt), is_pair in zip(sides, paired, strict=True) if is_pair]
        shifts = (MOST_SHIFT * paired[0], MOST_SHIFT * paired[1])
        bits = self.w_format.bits, self.a_format.bits
        product = sum(bits) + sum(shifts)
        return (*side_by_side(*decoders), *shifted_product(bits, shifts, n),
                *self.sum_parts(product))  # fmt: skip

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return products of bases, shifted by the sum of both shifts."""
        (w_base, w_shift), (a_base, a_shift) = decode(w, w_codes), decode(a, a_codes)
        return np.asarray((w_base * a_base) << (w_shift + a_shift))


def decode(fmt: Format, codes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return base and shift of codes in pairs along the last axis, as the decoder gives them."""
    given = np.asarray(codes, dtype=np.int64)
    if isinstance(fmt.element, Integer):
        return fmt.element.integers(given), np.zeros_like(given)
    element = fmt.element
    assert isinstance(element, OliveElement)
    marked = given == element.identifier
    outlier = _partners(marked) & ~marked
    index, mantissa = given & element.top, element.bits - 1 - EXPONENT_BITS
    # The abfloat code 0 stands for 0, as the format has it.
    base = np.where(index > 0, (index & (2**mantissa - 1)) + 2**mantissa, 0)
    base = np.where(given > element.top, -base, base)
    whole = np.where(given > element.top, given - 2**element.bits, given)
    shift = np.where(outlier, (index >> mantissa) + element.bits - 1 - mantissa, 0)
    return np.where(marked, 0, np.where(outlier, base, whole)), shift


def _partners(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the neighbours in each pair along the last axis; a last one alone has none."""
    length = marked.shape[-1]
    even = np.pad(marked, [*[(0, 0)] * (marked.ndim - 1), (0, length % 2)])
    return even.reshape(*even.shape[:-1], -1, 2)[..., ::-1].reshape(even.shape)[..., :length]


@PES.register("olive")
def build(options: Mapping[str, Any]) -> OlivePE:
    """Build from ``{w_format: olive4_g128, a_format: olive4_tensor or int4 …, lanes: 2, accumulator: int32}``."""
    given = (
        dict(options) if "format" in options else {"w_format": "olive4_g128", "a_format": "olive4_tensor", **options}
    )
    w, a, rest = take_formats(given, "olive", ("accumulator", "lanes"))
    if not isinstance(w.element, OliveElement):
        raise UsageError(f"pe.w_format: olive takes no {w.name}; valid: olive4_g128, olive8_tensor, …")
    whole = isinstance(a.element, Integer) and a.element.signed and a.element.last_place == 1 and a.bits <= 8
    if not (whole or isinstance(a.element, OliveElement)) or (isinstance(a, Scaled) and a.asymmetric):
        raise UsageError(f"pe.a_format: olive takes no {a.name}; valid: olive4_tensor, olive8_tensor, int2 … int8")
    lanes = int(rest.get("lanes", 2))
    if lanes % 2:
        raise UsageError(f"pe.lanes: olive decodes pairs; valid: even numbers, not {lanes}")
    product = w.bits + a.bits + MOST_SHIFT * (2 - whole)
    return OlivePE(w, a, lanes, take_accumulator(rest, "olive", w, product, lanes))


@PAIRINGS.register("olive")
def pair(label: str) -> dict[str, Any] | None:
    """Claim OliVe's formats, beside activations in pairs of the same width."""
    fmt = known_format(label)
    if fmt is None or not isinstance(fmt.element, OliveElement):
        return None
    return {"family": "olive", "w_format": label, "a_format": f"olive{fmt.bits}_tensor"}
