"""Floating-point multiply-accumulate: any pair of minifloats, an explicit accumulator format.

Behaviour: the product is exact; it is added to the accumulator with one rounding to nearest even
(a fused multiply-add into a wider accumulator). ``lanes`` products are added one after the other.

Parts: significand multiplier, exponent adder, exponent difference and swap, alignment shifter,
add-or-subtract, negation, leading-zero count, normalisation shifter, exponent correction,
rounding, sticky bits, registers. Operands are priced as the synthesised units are: subnormals
are flushed in the priced datapath only when ``subnormals: false``; otherwise each operand gets a
leading-zero counter and a shifter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, parse_format
from hwsim.hardware.circuits import (
    Adder,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    OrTree,
    Part,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.pe.base import PE, Reason
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.spec.errors import UsageError


def add_round_odd(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x + y in float64, rounded to odd, so that a later rounding is as if of the exact sum.

    TwoSum gives the error of the float64 sum; where it is not zero and the sum is even, the sum
    moves one unit towards the exact value (Boldo and Melquiond 2008).
    """
    with np.errstate(invalid="ignore", over="ignore"):
        total = x + y
        back = total - x
        error = (x - (total - back)) + (y - back)
        inexact = np.isfinite(total) & (error != 0)
        even = (total.view(np.int64) & 1) == 0
        towards = np.where(error > 0, np.inf, -np.inf)
        odd: NDArray[np.float64] = np.where(inexact & even, np.nextafter(total, towards), total)
    return odd


def significand(fmt: Format) -> tuple[int, int]:
    """Return significand bits (hidden one included) and exponent bits of an operand format."""
    element = fmt.element
    if isinstance(element, Minifloat):
        return element.sig_bits, element.exponent_bits
    if isinstance(element, Integer):
        return element.bits - 1, 0
    raise UsageError(f"float_mac takes minifloats and integers, not {fmt.name}")


@dataclass(frozen=True)
class FloatMac(PE):
    """A multiplier of two minifloats into a floating-point accumulator."""

    accumulator: Minifloat
    subnormals: bool

    family: ClassVar[str] = "float_mac"
    glitch_family: ClassVar[str] = "float_mac"

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        return self.accumulator.bits

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Operands whose significand and exponent fit into the built ones."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if not isinstance(fmt.element, (Minifloat, Integer)):
                return Reason(f"{role} of {fmt.name} are neither minifloats nor integers")
            (sig, exponent), (built_sig, built_exponent) = significand(fmt), significand(built)
            if sig > built_sig or exponent > built_exponent:
                return Reason(f"{role} of {fmt.name} do not fit into a datapath built for {built.name}")
        return None

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle."""
        return 1

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the whole datapath (see the module)."""
        (ws, we), (as_, ae) = significand(self.w_format), significand(self.a_format)
        sig, exp = self.accumulator.sig_bits, self.accumulator.exponent_bits
        wide = max(sig, ws + as_) + 3  # the exact product or the sum, with guard, round and sticky
        n = self.lanes
        found = [
            Part("significand multiplier", "multiplier", Multiplier(as_, ws), count=n),
            Part("sign", "multiplier", XorRow(1), count=n, on_path=False),
            Part("exponent adder", "exponent", Adder(max(we, ae) + 1), count=n, on_path=False),
            Part("exponent difference", "exponent", Subtractor(exp), count=n),
            Part("magnitude compare", "exponent", Comparator(exp), count=n, on_path=False),
            Part("operand swap", "alignment", Mux(wide, 2), count=2 * n, on_path=False),
            Part("align", "alignment", Shifter(wide, wide), count=n),
            Part("sticky", "alignment", OrTree(wide), count=n, on_path=False),
            Part("add or subtract", "accumulator", Subtractor(wide), count=n),
            Part("negate", "accumulator", Incrementer(wide), count=n, on_path=False),
            Part("negate invert", "accumulator", XorRow(wide), count=n, on_path=False),
            Part("leading zeros", "normalisation", LeadingZeroCounter(wide), count=n),
            Part("normalise", "normalisation", Shifter(wide, wide), count=n),
            Part("exponent correction", "normalisation", Subtractor(exp), count=n, on_path=False),
            Part("round", "normalisation", Incrementer(sig), count=n),
            Part("accumulator", "register", Register(self.accumulator.bits)),
            Part("operands", "register", Register(n * (self.w_format.bits + self.a_format.bits)), on_path=False),
        ]
        if self.subnormals:
            for role, bits in (("weight", ws), ("activation", as_)):
                found.append(Part(f"{role} subnormals", "decode", LeadingZeroCounter(max(bits, 2)), count=n))
                found.append(Part(f"{role} pre-shift", "decode", Shifter(bits, max(bits, 2)), count=n))
        return tuple(found)

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return zeros, float64 (values of the accumulator format)."""
        return np.zeros(shape, dtype=np.float64)

    def accumulate(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """Add the exact products lane by lane, one rounding each."""
        products = w.element.decode(w_codes) * a.element.decode(a_codes)
        for lane in range(products.shape[-1]):
            acc = self.accumulator.quantize(add_round_odd(np.asarray(acc), products[..., lane]))
        return acc


@PES.register("float_mac")
def build(options: Mapping[str, Any]) -> FloatMac:
    """Build from ``{w_format, a_format or format, accumulator: fp32, lanes, subnormals: false}``."""
    w, a, rest = take_formats(options, "float_mac", ("accumulator", "lanes", "subnormals"))
    (ws, _), (as_, _) = significand(w), significand(a)
    accumulator = parse_format(str(rest.get("accumulator", "fp32")))
    if not isinstance(accumulator, Minifloat):
        raise UsageError(f"float_mac accumulator {accumulator.name}: valid: a float such as fp32, fp16, bf16")
    if ws + as_ > 53:
        raise UsageError(f"float_mac {w.name} × {a.name}: products of more than 53 bits are not modelled")
    if w.block_size or a.block_size:
        raise UsageError(f"float_mac {w.name} × {a.name}: block scales in the datapath are not modelled yet")
    return FloatMac(w, a, int(rest.get("lanes", 1)), accumulator, bool(rest.get("subnormals", False)))
