"""Ternary weights: every lane adds, subtracts or skips its activation; there is no multiplier.

The code of a weight {-1, 0, 1} (BitNet b1.58, arXiv 2402.17764) is two's complement: bit 0 lets the
activation through, bit 1 negates it. Integer lanes negate with a row of XOR and an increment, as the
synthesised units do, and meet in an adder tree of one more bit. FP16 lanes flip the sign and are
added one after the other. Additions are as many as weights that are not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, parse_format
from hwsim.hardware.circuits import (
    AndRow,
    Negator,
    Part,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, check_operands, hidden_bit, take_accumulator

TERNARY = parse_format("ternary").element


@dataclass(frozen=True)
class Ternary(SummingPE):
    """``lanes`` conditional adders of integers or floats."""

    family: ClassVar[str] = "ternary"
    integer_family: ClassVar[str] = "ternary"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Ternary weights, scaled or not, beside the activations that it is built for."""
        if w.element != TERNARY:
            return Reason(f"weights of {w.name} are not ternary")
        return self.takes_activation(a)

    def additions(self, w_codes: NDArray[Any]) -> int:
        """Return the additions and subtractions that weights take: one per weight that is not zero."""
        return int(np.count_nonzero(TERNARY.decode(w_codes)))

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return gating and negation per lane, then the sum."""
        act, n = self.a_format.element, self.lanes
        gate = Part("zero gate", "multiplier", AndRow(act.bits), n)
        if isinstance(act, Minifloat):
            sign = Part("sign", "multiplier", XorRow(1), n, on_path=False)
            return (gate, sign, hidden_bit(act, n), *self.sum_parts(act.sig_bits))
        return (
            gate,
            Part("negate", "multiplier", Negator(act.bits + 1, bool(n > 1)), n),
            *self.sum_parts(act.bits + 1),
        )

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return activations, their negatives, or zeros."""
        weights = TERNARY.decode(w_codes)
        if isinstance(a.element, Integer):
            return weights.astype(np.int64) * a.element.integers(a_codes)
        return weights * a.element.decode(a_codes)


@PES.register("ternary")
def build(options: Mapping[str, Any]) -> Ternary:
    """Build from ``{w_format: ternary, a_format: int8 or fp16, lanes: 8, accumulator: int32 or fp32}``."""
    given = dict(options) if "format" in options else {"w_format": "ternary", "a_format": "int8", **options}
    w, a, rest = take_formats(given, "ternary", ("accumulator", "lanes"))
    check_operands("ternary", w, a, "ternary", (TERNARY,))
    lanes = int(rest.get("lanes", 8))
    return Ternary(w, a, lanes, take_accumulator(rest, "ternary", a, a.bits + 1, lanes))


@PAIRINGS.register("ternary")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ternary weights beside INT8 activations; ``ternary_a16`` has FP16 activations."""
    fmt = known_format(label.removesuffix("_a16"))
    if fmt is None or fmt.element != TERNARY:
        return None
    return {"family": "ternary", "w_format": fmt.name, "a_format": "fp16" if label.endswith("_a16") else "int8"}
