"""Binary weights ±1: XNOR and popcount beside binary activations, conditional negation beside numbers.

With both operands ±1, a product is +1 where the bits agree: K lanes are K XNOR gates, a counter of
ones p, and the sum 2p - K. The doubling is wiring, and -K a constant that an increment row adds. A
step with fewer lanes has the constant of the lanes in use.

Beside integers or floats a lane adds or subtracts its activation and never skips it.
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
    Incrementer,
    Negator,
    Part,
    Popcount,
    Register,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, check_operands, hidden_bit, take_accumulator

BINARY = parse_format("binary").element


@dataclass(frozen=True)
class Binary(SummingPE):
    """``lanes`` one-bit weights."""

    family: ClassVar[str] = "binary"

    @property
    def glitch_family(self) -> str:  # type: ignore[override]
        """Popcounts, adders of conditionally negated numbers (as ternary), or floating-point sums."""
        if self.a_format.element == BINARY:
            return "xnor"
        return "ternary" if self.whole else "float_mac"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Binary weights beside the kind of activation that it is built for."""
        if w.element != BINARY:
            return Reason(f"weights of {w.name} are not binary")
        if self.a_format.element == BINARY:
            return None if a.element == BINARY else Reason(f"activations of {a.name} are not binary")
        return self.takes_activation(a)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return XNOR, counter and constant, or negation and tree, with accumulator and registers."""
        act, n = self.a_format.element, self.lanes
        if act == BINARY:
            return self._popcount()
        if isinstance(act, Minifloat):
            sign = Part("sign", "multiplier", XorRow(1), n, on_path=False)
            return (sign, hidden_bit(act, n), *self.sum_parts(act.sig_bits))
        return (
            Part("negate", "multiplier", Negator(act.bits + 1), n),
            *self.sum_parts(act.bits + 1),
        )

    def _popcount(self) -> tuple[Part, ...]:
        n = self.lanes
        counter = (Part("ones", "accumulator", Popcount(n)),) if n > 1 else ()
        return (
            Part("XNOR", "multiplier", XorRow(n)),
            *counter,
            Part("minus lanes", "accumulator", Incrementer(n.bit_length() + 1)),
            Part("accumulator adder", "accumulator", Adder(self.accumulator.bits), feeds_back=True),
            Part("accumulator", "register", Register(self.accumulator.bits)),
            Part("operands", "register", Register(2 * n), on_path=False),
        )

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return ±activations; beside binary ones 2p - K in one sum along the lanes."""
        if a.element == BINARY:
            agree = 1 - ((np.asarray(w_codes, dtype=np.int64) ^ np.asarray(a_codes, dtype=np.int64)) & 1)
            return np.asarray(2 * agree.sum(axis=-1, keepdims=True) - agree.shape[-1])
        weights = BINARY.decode(w_codes)
        if isinstance(a.element, Integer):
            return weights.astype(np.int64) * a.element.integers(a_codes)
        return weights * a.element.decode(a_codes)


@PES.register("binary")
def build(options: Mapping[str, Any]) -> Binary:
    """Build from ``{w_format: binary, a_format: binary, int8 or fp16, lanes: 32, accumulator: int16 …}``."""
    given = dict(options) if "format" in options else {"w_format": "binary", "a_format": "binary", **options}
    w, a, rest = take_formats(given, "binary", ("accumulator", "lanes"))
    xnor = a.element == BINARY
    check_operands("binary", w, parse_format("int2") if xnor else a, "binary", (BINARY,))
    lanes = int(rest.get("lanes", 32 if xnor else 8))
    if xnor:
        rest.setdefault("accumulator", "int16")
    return Binary(w, a, lanes, take_accumulator(rest, "binary", a, a.bits + 1, lanes))


@PAIRINGS.register("binary")
def pair(label: str) -> dict[str, Any] | None:
    """Claim binary weights: ``binary`` with binary activations, ``…_a8`` with INT8 and ``…_a16`` with FP16."""
    bare, _, width = label.partition("_a")
    fmt = known_format(bare)
    activations = {"": "binary", "8": "int8", "16": "fp16"}
    if fmt is None or fmt.element != BINARY or width not in activations:
        return None
    return {"family": "binary", "w_format": fmt.name, "a_format": activations[width]}
