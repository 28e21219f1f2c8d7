"""One-bit planes: a product of n × m bits as n·m one-bit dot products, shifted by i + j and added.

Per cycle ``planes`` units each take one plane of ``lanes`` weights and one of as many activations:
a row of gates, a counter of ones, a shift by i + j, and an adder. A step takes ceil(n·m / planes)
cycles: W6A6 has 36 plane products, W6A8 48 (FlexQ). Operands stay in registers while their planes
go by; a multiplexer per lane picks the plane.

* Integers: AND and popcount. The planes of two sign bits count positive, those of one negative.
  Unsigned integers have no negative plane.
* bipolar-INT (arXiv 2409.17870): bits are ±1, b_i stands for (2 b_i - 1) 2^i: XNOR, and 2p - K.

A pair of an integer and a bipolar number is refused: its planes would need the sum of the integers
as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Scaled, parse_format
from hwsim.hardware.circuits import Adder, AndRow, Incrementer, Mux, Part, Popcount, Register, Shifter, XorRow
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, last_place, take_accumulator
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count

#: Sums of signed planes: names that read as bipolar-INT.
BIPOLAR = {name: parse_format(name).element for name in ("binary", "bipolar2", "bipolar3", "bipolar4")}
#: Widest operands whose planes are taken apart.
MAX_BITS = 16


def bipolar(fmt: Format) -> bool:
    """Return whether the bits of ``fmt`` count ±1."""
    return fmt.element in BIPOLAR.values()


@dataclass(frozen=True)
class BitPlane(SummingPE):
    """``planes`` one-bit dot products of ``lanes`` per cycle."""

    planes: int

    family: ClassVar[str] = "bit_plane"
    integer_family: ClassVar[str] = "xnor"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Operands of the built kind that fit into the operand registers."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if bipolar(fmt) != bipolar(built) or not (bipolar(fmt) or isinstance(fmt.element, Integer)):
                return Reason(f"{role} of {fmt.name} have not the kind of bits that {built.name} has")
            if fmt.bits > built.bits or last_place(fmt) != last_place(built):
                return Reason(f"{role} of {fmt.name} do not fit into registers built for {built.name}")
        return None

    def plane_products(self, w: Format, a: Format) -> int:
        """Return the one-bit dot products of a step: the product of both widths."""
        return w.bits * a.bits

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """Return the plane products, ``planes`` at a time."""
        return ceil(self.plane_products(w, a) / self.planes)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return plane selection, gates, counter, shifter, sign and accumulator adder of each unit, and registers."""
        n, units, acc = self.lanes, self.planes, self.accumulator.bits
        wb, ab = self.w_format.bits, self.a_format.bits
        signed = bipolar(self.w_format)
        count = n.bit_length() + (1 if signed else 0)
        found = [
            Part("gates", "multiplier", XorRow(n) if signed else AndRow(n), units),
            Part("shift", "alignment", Shifter(min(acc, count + wb + ab), max(2, wb + ab - 1)), units),
            Part("accumulator adder", "accumulator", Adder(acc), units, in_series=units, feeds_back=True),
            Part("accumulator", "register", Register(acc)),
            Part("operands", "register", Register(n * (wb + ab)), on_path=False),
        ]
        found += [Part(f"{role} plane", "decode", Mux(n, bits), units, on_path=False)
                  for role, bits in (("weight", wb), ("activation", ab)) if bits > 1]  # fmt: skip
        if n > 1:
            found.append(Part("ones", "accumulator", Popcount(n), units))
        if signed:
            found.append(Part("minus lanes", "accumulator", Incrementer(count + 1), units))
        else:  # the carry into the accumulator adder completes the negation
            found.append(Part("sign of plane", "accumulator", XorRow(count + 1), units))
        return tuple(found)

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the weighted counts of all planes, one beside the other along the last axis."""
        ws, as_ = (np.asarray(codes, dtype=np.int64) for codes in (w_codes, a_codes))
        found = [
            wi * aj * self._count(ws >> i & 1, as_ >> j & 1)
            for i, wi in enumerate(place_values(w))
            for j, aj in enumerate(place_values(a))
        ]
        return np.stack(found, axis=-1)

    def _count(self, w_plane: NDArray[np.int64], a_plane: NDArray[np.int64]) -> NDArray[np.int64]:
        if bipolar(self.w_format):
            return np.asarray(2 * (1 - (w_plane ^ a_plane)).sum(axis=-1) - w_plane.shape[-1])
        return np.asarray((w_plane & a_plane).sum(axis=-1))


def place_values(fmt: Format) -> list[int]:
    """Return what the planes of ``fmt`` are worth, lowest first; the top one of two's complement is negative."""
    places = [1 << i for i in range(fmt.bits)]
    if isinstance(fmt.element, Integer) and fmt.element.signed:
        places[-1] = -places[-1]
    return places


@PES.register("bit_plane")
def build(options: Mapping[str, Any]) -> BitPlane:
    """Build from ``{w_format: int6, a_format: int6, lanes: 32, planes: 1, accumulator: int32}``."""
    given = dict(options) if "format" in options else {"w_format": "int6", "a_format": "int6", **options}
    w, a, rest = take_formats(given, "bit_plane", ("accumulator", "lanes", "planes"))
    if bipolar(w) != bipolar(a) or not all(bipolar(f) or isinstance(f.element, Integer) for f in (w, a)):
        raise UsageError(f"pe: bit_plane {w.name} × {a.name}: valid: two integers, or two of {', '.join(BIPOLAR)}")
    if max(w.bits, a.bits) > MAX_BITS or (isinstance(a, Scaled) and a.asymmetric):
        raise UsageError(f"pe: bit_plane {w.name} × {a.name}: valid: up to {MAX_BITS} bits, symmetric activations")
    lanes, planes = int(rest.get("lanes", 32)), take_count(rest, "planes", 1, range(1, w.bits * a.bits + 1), "pe.")
    accumulator = take_accumulator(rest, "bit_plane", parse_format("int8"), w.bits + a.bits, lanes)
    return BitPlane(w, a, lanes, accumulator, planes)


_LABEL = re.compile(r"bitplane_w(\d+)a(\d+)(_g\d+)?$")


@PAIRINGS.register("bit_plane")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``bitplane_w6a8`` and the like (integers, groups allowed) and bipolar-INT on both sides."""
    if match := _LABEL.match(label):
        return {"family": "bit_plane", "w_format": f"int{match[1]}{match[3] or ''}", "a_format": f"int{match[2]}"}
    fmt = known_format(label)
    if fmt is not None and fmt.element in [BIPOLAR[name] for name in BIPOLAR if name != "binary"]:
        return {"family": "bit_plane", "w_format": label, "a_format": fmt.element.name}
    return None
