"""Integer multiply-accumulate: an accumulator that never rounds.

Its multiplier is unsigned where it is built for two unsigned formats, else signed, and an unsigned operand then takes a
bit more than its own: uint8 does not fit an int8 multiplier. Elements beside a zero point do: half the range is
subtracted from both, which turns over the code's highest bit.

Parts per PE: ``lanes`` multipliers, an adder tree, the accumulator adder, operand and
accumulator registers. Weights wider than the multiplier run in several passes of its width, each
shifted before it is added (one multiplexer row). Overflow wraps, as two's complement does.
The smallest accumulator that cannot overflow over n products has
``w + a + ceil(log2 n) + 1`` bits (minifloat paper, arXiv 2311.12359); 32 bits is the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Scaled
from hwsim.formats.sums import MAX_ACCUMULATOR, whole_product, wrapped
from hwsim.hardware.circuits import Adder, AdderTree, Multiplier, Mux, Part, Register
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.datapaths import dequantizer
from hwsim.hardware.pe.pairing import PAIRINGS, known_format, known_pair
from hwsim.hardware.pe.registry import (
    PES,
    accumulator_widths,
    take_accumulator_format,
    take_formats,
)
from hwsim.spec.errors import UsageError


def _integer(fmt: Format) -> Integer | None:
    element = fmt.element
    return element if isinstance(element, Integer) else None


def _signed(fmt: Format) -> bool:
    """Return whether elements need a sign at the multiplier; beside a zero point they are centred, and do."""
    element = _integer(fmt)
    return element is not None and (element.signed or (isinstance(fmt, Scaled) and fmt.asymmetric))


@dataclass(frozen=True)
class IntMac(PE):
    """``accumulator_bits`` wide integer MAC of ``lanes`` products per cycle."""

    accumulator_bits: int

    family: ClassVar[str] = "int_mac"
    glitch_family: ClassVar[str] = "integer_mac"

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        return self.accumulator_bits

    @property
    def signed(self) -> bool:
        """Whether the multiplier is: unless it is built for two unsigned operands."""
        return _signed(self.w_format) or _signed(self.a_format)

    @property
    def widths(self) -> tuple[int, int]:
        """Bits of weights and of activations at the multiplier."""
        return self._needed(self.w_format), self._needed(self.a_format)

    def _needed(self, fmt: Format) -> int:
        """Return the bits that an operand needs at this multiplier."""
        return fmt.element.bits + (self.signed and not _signed(fmt))

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Integers whose range fits the activation width; wider weights run in passes."""
        if _integer(w) is None or _integer(a) is None:
            return Reason("int_mac takes integers only")
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if _signed(fmt) and not self.signed:
                return Reason(f"{role} of {fmt.name} are signed, the datapath's {built.name} is not")
        needed, width = self._needed(a), self.widths[1]
        if needed > width:
            if needed > a.element.bits:
                return Reason(
                    f"activations of {a.name} are unsigned and need {needed} bits of the signed datapath's {width} "
                    f"({self.a_format.name}); it would take them built for {a.element.name} or int{needed}"
                )
            return Reason(f"activations of {needed} bits are wider than the datapath's {width}")
        return None

    def passes(self, w: Format) -> int:
        """Passes over the multiplier that a weight needs."""
        return ceil(self._needed(w) / self.widths[0])

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle per pass."""
        return self.passes(w)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return multipliers, tree, pass shifter, accumulator and registers."""
        (wb, ab), acc = self.widths, self.accumulator_bits
        tree = wb + ab
        found = [Part("multiplier", "multiplier", Multiplier(ab, wb, signed=self.signed), count=self.lanes)]
        if self.lanes > 1:
            found.append(Part("adder tree", "accumulator", AdderTree(self.lanes, tree)))
        if wb < 8:  # wider weights come in passes of wb bits, at most four
            found.append(Part("pass shifter", "alignment", Mux(tree, 2)))
        found += [
            Part("accumulator adder", "accumulator", Adder(acc), feeds_back=True),
            Part("accumulator", "register", Register(acc)),
            Part(
                "operands", "register", Register(self.lanes * (self.w_format.bits + self.a_format.bits)), on_path=False
            ),
        ]
        return tuple(found)

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Group scales act on the sums of a group."""
        return "sum" if w.block_size or a.block_size else "none"

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """Integer to float, times the scales, added in FP32."""
        return dequantizer(w, a, self.accumulator_bits)

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return zeros, int64."""
        return np.zeros(shape, dtype=np.int64)

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the products and wrap to the accumulator's width; scales act on sums, not here."""
        wi, ai = _integer(w), _integer(a)
        assert wi is not None
        assert ai is not None
        assert scales is None
        total = acc + (wi.integers(w_codes) * ai.integers(a_codes)).sum(axis=-1)
        return wrapped(total, self.accumulator_bits)

    def accumulate_along(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """All steps at once: who wraps at the end has wrapped after every step."""
        return self.accumulate(acc, w_codes, a_codes, w, a)

    def accumulate_many(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """All steps in one exact product: who wraps at the end has wrapped after every step."""
        wi, ai = _integer(w), _integer(a)
        assert wi is not None
        assert ai is not None
        return wrapped(acc + whole_product(ai.integers(a_codes), wi.integers(w_codes)), self.accumulator_bits)


@PES.register("int_mac")
def build(options: Mapping[str, Any]) -> IntMac:
    """Build an integer MAC from ``{w_format, a_format or format, accumulator: int32, lanes}``."""
    w, a, rest = take_formats(options, "int_mac", ("accumulator", "lanes"))
    if _integer(w) is None or _integer(a) is None:
        raise UsageError(
            f"pe: int_mac takes integer formats, not {w.name} × {a.name}; valid: int2 … int16, int4_g128, …"
        )
    accumulator = take_accumulator_format(rest, "int32")
    lanes = int(rest.get("lanes", 1))
    unsigned = not (_signed(w) or _signed(a))  # (2^w - 1)(2^a - 1) has w + a bits, and the sum a sign
    needed = w.bits + a.bits + (lanes - 1).bit_length() + unsigned
    signed = isinstance(accumulator, Integer) and accumulator.signed  # overflow wraps as two's complement
    if not signed or not needed <= accumulator.bits <= MAX_ACCUMULATOR:
        valid = accumulator_widths(needed)
        raise UsageError(f"pe.accumulator: {accumulator.name} does not hold these products; valid: {valid}")
    return IntMac(w, a, lanes, accumulator.bits)


@PAIRINGS.register("int_mac")
def pair(label: str) -> dict[str, Any] | None:
    """Claim integers (activations of the same width, at least 8 bits beside groups) and pairs of them."""
    fmt, pair_of = known_format(label), known_pair(label)
    if fmt is not None and isinstance(fmt.element, Integer):
        if not fmt.block_size or label == "mxint8":
            return {"family": "int_mac", "format": label}
        return {"family": "int_mac", "w_format": label, "a_format": f"int{max(8, fmt.bits)}"}
    if pair_of is not None and all(isinstance(f.element, Integer) for f in pair_of):
        return {"family": "int_mac", "w_format": pair_of[0].name, "a_format": pair_of[1].name}
    return None
