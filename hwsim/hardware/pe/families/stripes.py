"""Stripes and Loom: operands come one bit after the other, cycles follow their widths.

``serial: activation`` (Stripes, MICRO 2016): ``lanes`` parallel weights meet one bit of as many
activations per cycle; AND rows, an adder tree, and a sum that doubles from bit to bit, highest first.
A step takes as many cycles as activations have bits, so that a 16-bit design with p bits is 16 / p as fast.

``serial: both`` (Loom, DAC 2018, arXiv 1706.07853): weights come bit by bit as well. Per cycle one bit of
``lanes`` weights meets one bit of as many activations; the inner sum runs over the bits of activations,
the outer one over those of weights. A step takes w · a cycles.

``bits_per_cycle`` bits of every activation are taken at once (Loom studies 1, 2 and 4). Bits of the
highest place are subtracted where they are signs. The precision is that of the formats: trimming it
further at run time to the largest operand of a group, as Loom can, is not modelled. What is used once per
step, or once per bit of a weight, has that many cycles for its carry: it is on no critical path.

Lanes are 16 in both papers. What turns words into bits is shared by the PEs that an operand is broadcast
to: 16, as a DaDianNao tile has 16 filters (estimated; Loom's grid is wider).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer
from hwsim.hardware.circuits import Adder, AdderTree, AndRow, Multiplier, Part, Popcount, Register, XorRow
from hwsim.hardware.pe.integers import IntegerPE, read_label, signed_bits, slices, take_integers
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_choice
from hwsim.hardware.pe.summing import take_accumulator
from hwsim.spec.options import take_count

SERIAL = ("activation", "both")
#: PEs that share what turns words into bits.
SHARED_BY = 16


@dataclass(frozen=True)
class Stripes(IntegerPE):
    """``lanes`` products of weights, whole or bit by bit, with ``bits_per_cycle`` bits of activations."""

    serial: str
    bits_per_cycle: int

    family: ClassVar[str] = "stripes"
    integer_family: ClassVar[str] = "bit_serial"

    def weight_size(self, element: Integer) -> int:
        """Bits in series; in parallel with a sign."""
        return element.bits if self.serial == "both" else signed_bits(element)

    def activation_size(self, element: Integer) -> int:
        """Bits."""
        return element.bits

    def slices_of(self, a: Format) -> int:
        """Return the cycles in which all bits of activations have come."""
        return ceil(a.bits / self.bits_per_cycle)

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle per slice of activations, and per bit of weights where they come in series."""
        return self.slices_of(a) * (w.bits if self.serial == "both" else 1)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return one-bit products, their sum, the sums over bits with their registers, the accumulator."""
        n, taken, both = self.lanes, self.bits_per_cycle, self.serial == "both"
        assert isinstance(self.w_format.element, Integer)
        wide = 1 if both else signed_bits(self.w_format.element)
        addend = wide + taken - 1
        inner = addend + (n - 1).bit_length() + 1
        row = AndRow(addend) if min(wide, taken) == 1 else Multiplier(wide, taken)
        found = [Part("bit products", "multiplier", row, n)]
        if n > 1:
            found.append(Part("lane sum", "accumulator", Popcount(n) if addend == 1 else AdderTree(n, addend)))
        found += self._bit_sum("activation", inner, self.a_format.bits, 1.0)
        slow = 1 / self.slices_of(self.a_format)
        if both:
            found += self._bit_sum("weight", inner + self.a_format.bits, self.w_format.bits, slow)
        last = 1 / self.cycles_per_step(self.w_format, self.a_format)
        return (*found, *self.closing_parts(last), *self._operands(last))

    @staticmethod
    def _bit_sum(role: str, addend: int, bits: int, activity: float) -> list[Part]:
        """Return the sum over the bits of an operand: negation for the sign's, adder, register."""
        total, on_path = addend + bits, activity == 1
        return [
            Part(f"sign of {role}s", "accumulator", XorRow(addend), activity=activity, on_path=on_path),
            Part(
                f"{role} bits adder", "accumulator", Adder(total), activity=activity, on_path=on_path, feeds_back=True
            ),
            Part(f"{role} bits sum", "register", Register(total), activity=activity, on_path=on_path),
        ]

    def _operands(self, per_step: float) -> tuple[Part, ...]:
        """Return the registers of what a cycle works on, and the share of words that are turned into bits."""
        n, wb, ab = self.lanes, self.w_format.bits, self.a_format.bits
        words = (ab + wb) if self.serial == "both" else ab
        held = Part("activation bits", "register", Register(n * self.bits_per_cycle), on_path=False)
        turned = Part("words in turn", "register", Register(n * words), 1 / SHARED_BY, on_path=False)
        if self.serial == "both":
            slow = 1 / self.slices_of(self.a_format)
            return held, Part("weight bits", "register", Register(n), activity=slow, on_path=False), turned
        return held, Part("weights", "register", Register(n * wb), activity=per_step, on_path=False), turned

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the sum of a step, doubled from bit to bit, highest first."""
        assert isinstance(w.element, Integer)
        assert isinstance(a.element, Integer)
        weights = w.element.integers(w_codes)
        planes = slices(weights, 1, w.bits) if self.serial == "both" else [weights]
        bits = slices(a.element.integers(a_codes), self.bits_per_cycle, self.slices_of(a))
        total = np.zeros(weights.shape[:-1], dtype=np.int64)
        for plane in reversed(planes):
            inner = np.zeros(weights.shape[:-1], dtype=np.int64)
            for piece in reversed(bits):
                inner = (inner << self.bits_per_cycle) + (plane * piece).sum(axis=-1)
            total = (total << 1) + inner
        return np.asarray(total[..., None])


@PES.register("stripes")
def build(options: Mapping[str, Any]) -> Stripes:
    """Build from ``{w_format: int8, a_format: int8, serial: activation or both, bits_per_cycle: 1, lanes: 16}``."""
    w, a, rest = take_integers(options, "stripes", ("accumulator", "lanes", "serial", "bits_per_cycle"))
    serial, lanes = take_choice(rest, "stripes", "serial", SERIAL), int(rest.get("lanes", 16))
    taken = take_count(rest, "bits_per_cycle", 1, range(1, a.bits + 1), "pe.")
    accumulator = take_accumulator(rest, "stripes", a, w.bits + a.bits, lanes)
    return Stripes(w, a, lanes, accumulator, serial, taken)


@PAIRINGS.register("stripes")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``stripes_w8a8``, ``loom_w4a8_g128`` and the like."""
    for prefix, serial in zip(("stripes", "loom"), SERIAL, strict=True):
        if formats := read_label(label, prefix):
            return {"family": "stripes", "serial": serial, **formats}
    return None
