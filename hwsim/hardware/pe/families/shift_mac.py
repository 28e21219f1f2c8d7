"""Weights that are sums of powers of two: a barrel shifter per power and adders, no multiplier.

* ``pot4`` and ``potNxK``: a code holds K signed powers; the index of each is the shift, 0 means none.
* ``fixN_qF_kK`` (K-hot fixed point, QFX, arXiv 2401.17544): a chain of K leading-one detectors finds
  the ones of the magnitude, each masked out for the next; the sign negates their sum.

A term is the activation shifted left from the smallest power, so that products are exact integers in
units of the weight's last place. Terms of a lane meet in an adder tree, then the lanes do.
Activations are integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import ElementFormat, Format, Integer, Scaled, parse_format
from hwsim.formats.digits import digit_table, whole_numbers
from hwsim.formats.element.khot import KHot
from hwsim.formats.element.logarithmic import PowerSum
from hwsim.hardware.circuits import (
    AdderTree,
    AndRow,
    LeadingZeroCounter,
    Negator,
    Part,
    Shifter,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, take_accumulator
from hwsim.spec.errors import UsageError

POT4 = parse_format("pot4").element
VALID = "pot4, pot3x2, pot4x2, fix8_q7_k3, …"


class Powers(NamedTuple):
    """What a weight is made of: arrays (terms, codes) of signs -1, 0, 1 and of shifts."""

    sign: NDArray[np.int64]
    shift: NDArray[np.int64]

    @property
    def terms(self) -> int:
        """Powers per weight."""
        return len(self.sign)

    @property
    def most(self) -> int:
        """The largest shift."""
        return int(self.shift.max())


def takes(element: ElementFormat) -> bool:
    """Return whether weights of ``element`` are sums of powers of two whose whole numbers fit into 16 bits."""
    known = element == POT4 or isinstance(element, (PowerSum, KHot))
    return known and whole_numbers(element) is not None


@lru_cache(maxsize=32)
def powers(element: ElementFormat) -> Powers:
    """Return sign and shift of the terms of every code, in units of the last place."""
    if isinstance(element, PowerSum):
        return _fields(element)
    if isinstance(element, KHot):
        return _ones(element)
    whole = whole_numbers(element)
    assert whole is not None
    size = np.abs(whole.values)
    shift = np.frexp(size.astype(np.float64))[1].astype(np.int64) - 1
    return Powers(np.sign(whole.values)[None], np.maximum(shift, 0)[None])


def _fields(element: PowerSum) -> Powers:
    codes, bits = np.arange(2**element.bits), element.term_bits
    found = [codes >> (term * bits) & (2**bits - 1) for term in range(element.terms)]
    index = np.array(found) & (2 ** (bits - 1) - 1)
    negative = np.array(found) >> (bits - 1)
    smallest = 2 ** (bits - 1) - 2
    shift = np.where(index > 0, smallest - (index - 1), 0)
    return Powers(np.where(index > 0, 1 - 2 * negative, 0), shift)


def _ones(element: KHot) -> Powers:
    digits = digit_table(element, "sign_magnitude")
    order = np.argsort(-(digits.digits != 0).astype(np.int64), axis=0, kind="stable")[: element.ones]
    there = np.take_along_axis(digits.digits, order, axis=0).astype(np.int64)
    return Powers(there * np.where(digits.negative, -1, 1), np.where(there != 0, order, 0))


@dataclass(frozen=True)
class ShiftMac(SummingPE):
    """``lanes`` weights of a few powers of two each."""

    family: ClassVar[str] = "shift_mac"
    integer_family: ClassVar[str] = "shift_add"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """The weights that it is built for, beside integers that fit."""
        if w.element != self.w_format.element:
            return Reason(f"weights of {w.name} are coded otherwise than the {self.w_format.name} it is built for")
        return self.takes_activation(a)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return decoders, gates, shifters and signs per term, the tree of a lane's terms, and the sum."""
        n, element, ab = self.lanes, self.w_format.element, self.a_format.bits
        made = powers(element)
        count, wide = n * made.terms, ab + made.most
        found = [
            Part("zero gate", "multiplier", AndRow(ab), count),
            Part("shift", "multiplier", Shifter(wide, max(2, made.most + 1)), count),
            Part("negate", "multiplier", Negator(wide + 1), count),
        ]
        if isinstance(element, KHot):
            magnitude = element.bits - 1
            one = LeadingZeroCounter(magnitude)
            found.append(Part("leading one", "decode", one, count, in_series=made.terms))
            if made.terms > 1:
                found.append(Part("mask", "decode", XorRow(magnitude), count - n, in_series=made.terms - 1))
        if made.terms > 1:
            found.append(Part("terms", "multiplier", AdderTree(made.terms, wide + 1), n))
        return (*found, *self.sum_parts(wide + 1 + (made.terms - 1).bit_length()))

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the sums of shifted and negated activations."""
        assert isinstance(a.element, Integer)
        made, codes = powers(w.element), np.asarray(w_codes, dtype=np.int64)
        activation = a.element.integers(a_codes)
        terms = [sign[codes] * (activation << shift[codes]) for sign, shift in zip(*made, strict=True)]
        return np.asarray(sum(terms))


@PES.register("shift_mac")
def build(options: Mapping[str, Any]) -> ShiftMac:
    """Build from ``{w_format: pot4, a_format: int8, lanes: 1, accumulator: int32}``."""
    given = dict(options) if "format" in options else {"w_format": "pot4", "a_format": "int8", **options}
    w, a, rest = take_formats(given, "shift_mac", ("accumulator", "lanes"))
    if w.element.complex_valued or not takes(w.element):
        raise UsageError(f"pe.w_format: shift_mac takes no {w.name}; valid: {VALID}")
    whole = isinstance(a.element, Integer) and a.bits <= 16
    if not whole or (isinstance(a, Scaled) and a.asymmetric):
        raise UsageError(f"pe.a_format: shift_mac takes no {a.name}; valid: symmetric integers of up to 16 bits")
    made, lanes = powers(w.element), int(rest.get("lanes", 1))
    product = a.bits + made.most + 1 + (made.terms - 1).bit_length()
    return ShiftMac(w, a, lanes, take_accumulator(rest, "shift_mac", a, product, lanes))


@PAIRINGS.register("shift_mac")
def pair(label: str) -> dict[str, Any] | None:
    """Claim power-of-two and K-hot weights beside INT8 activations."""
    fmt = known_format(label)
    if fmt is None or fmt.element.complex_valued or not takes(fmt.element):
        return None
    made = powers(fmt.element)
    if 8 + made.most + 1 + (made.terms - 1).bit_length() > 32:
        return None
    return {"family": "shift_mac", "w_format": label, "a_format": "int8"}
