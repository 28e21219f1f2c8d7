"""FIGNA's PE: floating-point activations, aligned to their block's largest, times narrow integers, as integers.

A block is the ``lanes`` activations of a step. A unit that a row of PEs shares finds the largest
exponent, shifts every significand to it, keeps ``extra_bits`` below the significand's last place
(rounding to nearest even) and negates. The PEs multiply these integers with theirs, add them in a
tree, normalise, and add to a floating-point accumulator with one rounding (FIGNA, HPCA 2024).

With as many extra bits as a significand has, the default, an activation 2^-11 of the largest one is
still exact beside FP16; the paper's own width was not reachable. The aligner is priced per PE as
1 / ``shared``, the PEs that an activation is broadcast to; 16 is a choice of this library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.hardware.circuits import (
    AdderTree,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    Part,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import float_accumulate
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_formats, take_minifloat
from hwsim.hardware.pe.summing import SummingPE
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count

MAX_WEIGHT = 8
#: Exponent below those of every format: blocks of zeros.
LOWEST = -1000


@dataclass(frozen=True)
class Figna(SummingPE):
    """``lanes`` integer products under one exponent."""

    accumulator: Minifloat
    extra_bits: int
    shared: int

    family: ClassVar[str] = "figna"
    glitch_family: ClassVar[str] = "dot"

    @property
    def aligned_bits(self) -> int:
        """Width of an aligned activation, with the sign and the carry of its rounding."""
        return cast(Minifloat, self.a_format).sig_bits + self.extra_bits + 2

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Signed integers that fit into the multiplier; the activation format that it is built for."""
        if not isinstance(w.element, Integer) or not w.element.signed or (isinstance(w, Scaled) and w.asymmetric):
            return Reason(f"weights of {w.name} are no signed integers")
        if w.bits > self.w_format.bits:
            return Reason(f"weights of {w.name} do not fit into the multiplier's {self.w_format.bits} bits")
        if a != self.a_format:
            return Reason(f"activations of {a.name} are not the {self.a_format.name} that it is built for")
        return None

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the share of the aligner, multipliers, tree, normalisation, accumulation, registers."""
        n, wide, wb = self.lanes, self.aligned_bits, self.w_format.bits
        product = wide + wb
        total = product + (n - 1).bit_length()
        found = [*self._aligner(), Part("multiplier", "multiplier", Multiplier(wide, wb), n)]
        if n > 1:
            found.append(Part("adder tree", "accumulator", AdderTree(n, product)))
        return (
            *found,
            Part("leading zeros of sum", "normalisation", LeadingZeroCounter(total)),
            Part("normalise sum", "normalisation", Shifter(total, total)),
            *float_accumulate(self.accumulator, total),
            Part("accumulator", "register", Register(self.accumulator.bits)),
            Part("weights", "register", Register(n * wb), on_path=False),
        )

    def _aligner(self) -> tuple[Part, ...]:
        """Return this PE's share of largest exponent, shifters and negation; activations in, integers out."""
        act, n, wide = cast(Minifloat, self.a_format), self.lanes, self.aligned_bits
        count = n / self.shared
        compared, depth = (n - 1) / self.shared, (n - 1).bit_length()
        largest = (
            Part("largest exponent", "exponent", Comparator(act.exponent_bits), compared, in_series=depth),
            Part("select exponent", "exponent", Mux(act.exponent_bits, 2), compared, in_series=depth),
        )
        return (
            *(largest if n > 1 else ()),
            Part("exponent difference of block", "exponent", Subtractor(act.exponent_bits), count),
            Part("align to block", "alignment", Shifter(wide, wide), count),
            Part("round aligned", "alignment", Incrementer(wide), count),
            Part("negate aligned", "alignment", XorRow(wide), count),
            Part("block activations", "register", Register(act.bits), count, on_path=False),
            Part("aligned activations", "register", Register(wide), count, on_path=False),
        )

    def align(self, values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return integers of values along the last axis and the power of two that they count, per block."""
        act = cast(Minifloat, self.a_format)
        exponent = np.where(values != 0, np.frexp(values)[1] - 1, LOWEST)
        unit = np.maximum(exponent.max(axis=-1), act.min_exponent) - act.mantissa_bits - self.extra_bits
        return np.rint(np.ldexp(values, -unit[..., None])).astype(np.int64), unit.astype(np.int64)

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[np.float64]:
        """Return the integer dot product of the step's block, one value for all lanes."""
        assert isinstance(w.element, Integer)
        aligned, unit = self.align(a.element.decode(a_codes))
        total = (w.element.integers(w_codes) * aligned).sum(axis=-1)
        return np.asarray(np.ldexp(total * w.element.last_place, unit))[..., None]


@PES.register("figna")
def build(options: Mapping[str, Any]) -> Figna:
    """Build from ``{w_format: int4_g128, a_format: fp16, lanes: 16, extra_bits, shared: 16, accumulator: fp32}``."""
    given = {"w_format": "int4_g128", "a_format": "fp16", **options}
    w, a, rest = take_formats(given, "figna", ("accumulator", "extra_bits", "lanes", "shared"))
    good = isinstance(w.element, Integer) and w.element.signed and w.bits <= MAX_WEIGHT
    if not good or (isinstance(w, Scaled) and w.asymmetric):
        raise UsageError(f"pe.w_format: figna takes no {w.name}; valid: int2 … int{MAX_WEIGHT}, int4_g128, …")
    if not isinstance(a, Minifloat) or a.bits > 16:
        raise UsageError(f"pe.a_format: figna takes no {a.name}; valid: floats of up to 16 bits, such as fp16, bf16")
    lanes = int(rest.get("lanes", 16))
    extra = take_count(rest, "extra_bits", a.sig_bits, range(25), "pe.")
    bits = a.sig_bits + extra + w.bits + (lanes - 1).bit_length()
    if bits > 53:
        raise UsageError(f"pe: figna sums of {bits} bits are not modelled; valid: up to 53, fewer lanes or extra bits")
    accumulator = take_minifloat(rest, "figna", "accumulator", "fp32")
    return Figna(w, a, lanes, accumulator, extra, take_count(rest, "shared", 16, range(1, 1025), "pe."))


_LABEL = re.compile(r"figna_w(\d+)(_g\d+)?(_bf16)?$")


@PAIRINGS.register("figna")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``figna_w4``, ``figna_w4_g128`` and the like beside FP16, ``…_bf16`` beside BF16."""
    match = _LABEL.match(label)
    if match is None:
        return None
    activation = "bf16" if match[3] else "fp16"
    return {"family": "figna", "w_format": f"int{match[1]}{match[2] or ''}", "a_format": activation}
