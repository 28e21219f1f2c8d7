"""ANT's PE for flint: a leading-zero detector gives base and shift of a code, then integers multiply.

flint of B bits has a sign and B - 1 bits of magnitude, which is base · 2^shift: below half of its codes
the integer itself, above them a value whose leading zeros tell the shift (ANT, MICRO 2022). The bases
have B - 1 bits with sign. hwsim's codes count magnitudes upwards; ANT's order of them differs, which
is wiring. Activations are flint of the same width or integers up to it. A product is the product of
the bases shifted by the sum of the shifts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Scaled, parse_format
from hwsim.hardware.circuits import LeadingZeroCounter, Mux, Part, Shifter
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import side_by_side
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, shifted_product, take_accumulator
from hwsim.spec.errors import UsageError

FLINT = {name: parse_format(name).element for name in ("flint4", "flint5")}


def is_flint(fmt: Format) -> bool:
    """Return whether elements of ``fmt`` are flint."""
    return fmt.element in FLINT.values()


def base_and_shift(fmt: Format, codes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what the decoder makes of codes: a base that fits into B - 2 bits and a sign, and a shift."""
    given = np.asarray(codes, dtype=np.int64)
    if isinstance(fmt.element, Integer):
        return fmt.element.integers(given), np.zeros_like(given)
    value = fmt.element.decode(given).astype(np.int64)
    size = np.frexp(np.abs(value).astype(np.float64))[1]  # bits of the magnitude
    shift = np.maximum(size - (fmt.bits - 2), 0)
    return np.where(value < 0, -(np.abs(value) >> shift), value >> shift), shift.astype(np.int64)


def most_shift(fmt: Format) -> int:
    """Return the largest shift of ``fmt``: 3 for flint4, 4 for flint5, 0 for integers."""
    return int(base_and_shift(fmt, np.arange(2**fmt.bits))[1].max()) if is_flint(fmt) else 0


@dataclass(frozen=True)
class Ant(SummingPE):
    """``lanes`` products of flint or integers."""

    family: ClassVar[str] = "ant"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Flint of the built width; integers that fit into the multiplier."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if is_flint(fmt):
                if fmt.element != built.element:
                    return Reason(f"{role} of {fmt.name} need a decoder; this one is built for {built.name}")
            elif not isinstance(fmt.element, Integer) or fmt.element.last_place != 1 or not fmt.element.signed:
                return Reason(f"{role} of {fmt.name} are neither flint nor signed integers")
            elif fmt.bits > base_bits(built) or (isinstance(fmt, Scaled) and fmt.asymmetric):
                return Reason(f"{role} of {fmt.name} do not fit into the multiplier of {base_bits(built)} bits")
        return None

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return decoders, multipliers, shifters, and the sum."""
        n, sides = self.lanes, (("weight", self.w_format), ("activation", self.a_format))
        found = side_by_side(*(decoder(role, fmt.bits, n) for role, fmt in sides if is_flint(fmt)))
        bases, shifts = (tuple(of(fmt) for _, fmt in sides) for of in (base_bits, most_shift))
        product = sum(bases) + sum(shifts)
        return (*found, *shifted_product((bases[0], bases[1]), (shifts[0], shifts[1]), n), *self.sum_parts(product))

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return products of bases, shifted by the sum of both shifts."""
        (w_base, w_shift), (a_base, a_shift) = base_and_shift(w, w_codes), base_and_shift(a, a_codes)
        return np.asarray((w_base * a_base) << (w_shift + a_shift))


def decoder(role: str, bits: int, count: float = 1) -> tuple[Part, ...]:
    """Return the decoder of one flint operand: leading zeros, base, and the choice between it and the integer."""
    return (
        Part(f"{role} leading zeros", "decode", LeadingZeroCounter(bits - 2), count),
        Part(f"{role} base", "decode", Shifter(bits - 2, bits - 2), count, on_path=False),
        Part(f"{role} choice", "decode", Mux(bits - 2, 2), count),
    )


def base_bits(fmt: Format) -> int:
    """Return the width with which an operand meets the multiplier, sign included."""
    return fmt.bits - 1 if is_flint(fmt) else fmt.bits


@PES.register("ant")
def build(options: Mapping[str, Any]) -> Ant:
    """Build from ``{w_format: flint4, a_format: flint4 or int4 …, lanes: 1, accumulator: int32}``."""
    given = dict(options) if "format" in options else {"w_format": "flint4", "a_format": "flint4", **options}
    w, a, rest = take_formats(given, "ant", ("accumulator", "lanes"))
    if not is_flint(w):
        raise UsageError(f"pe.w_format: ant takes no {w.name}; valid: {', '.join(FLINT)}, flint4_g128, …")
    whole = isinstance(a.element, Integer) and a.element.signed and a.element.last_place == 1 and a.bits <= 8
    if not (whole or is_flint(a)) or (isinstance(a, Scaled) and a.asymmetric):
        raise UsageError(f"pe.a_format: ant takes no {a.name}; valid: {', '.join(FLINT)}, int2 … int8")
    lanes = int(rest.get("lanes", 1))
    product = base_bits(w) + base_bits(a) + most_shift(w) + most_shift(a)
    return Ant(w, a, lanes, take_accumulator(rest, "ant", w, product, lanes))


@PAIRINGS.register("ant")
def pair(label: str) -> dict[str, Any] | None:
    """Claim flint, with activations in flint of the same width."""
    fmt = known_format(label)
    if fmt is None or not is_flint(fmt):
        return None
    return {"family": "ant", "w_format": label, "a_format": fmt.element.name}
