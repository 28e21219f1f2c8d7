"""Float MAC whose multiplier adds fields: ``mitchell`` or ``fpma``, as :mod:`hwsim.formats.approximate` has them.

The product is one integer addition of exponent and mantissa fields; the constants (bias and, for
``fpma``, the compensation) enter beside both operands in a row of half adders. ``fpma`` normalises
subnormal operands with a leading-zero counter and a shifter each; ``mitchell`` flushes them. The
product is exact as defined and is added to the accumulator with one rounding to nearest even. L-Mul
has a family of its own, with its two semantics.

Cost and behaviour belong to one object. The multiplier saves much and the MAC little: the
accumulator stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from numpy.typing import NDArray

from hwsim.formats import Format, Minifloat
from hwsim.formats.approximate import check_operand, multiply
from hwsim.hardware.circuits import Adder, Incrementer, OrTree, Part, XorRow
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import side_by_side, subnormal_decode
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_choice, take_formats, take_minifloat
from hwsim.hardware.pe.summing import SummingPE
from hwsim.spec.errors import UsageError

#: Multipliers whose hardware is one addition of fields.
KINDS = ("fpma", "mitchell")


@dataclass(frozen=True)
class ApproxMac(SummingPE):
    """``lanes`` products by addition of fields."""

    multiplier: str

    family: ClassVar[str] = "approx_mac"
    float_family: ClassVar[str] = "lmul_mac"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """The one format that it is built for, on both sides."""
        for role, fmt in (("weights", w), ("activations", a)):
            if fmt != self.w_format:
                return Reason(f"{role} of {fmt.name}: fields of one format are added, here {self.w_format.name}")
        return None

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the multiplier and the sum."""
        fmt = cast(Minifloat, self.w_format)
        return (*multiplier_parts(fmt, self.multiplier, self.lanes), *self.sum_parts(fmt.sig_bits))

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the multiplier's products."""
        return multiply(self.multiplier, cast(Minifloat, w.element), w_codes, a_codes)


def multiplier_parts(fmt: Minifloat, multiplier: str, lanes: int) -> tuple[Part, ...]:
    """Return ``lanes`` multipliers: constant row, field adder, sign, zero detection, subnormals for fpma."""
    fields = fmt.exponent_bits + fmt.mantissa_bits
    found = [
        Part("constants", "multiplier", Incrementer(fields + 1), lanes),
        Part("field adder", "multiplier", Adder(fields + 1), lanes),
        Part("sign", "multiplier", XorRow(1), lanes, on_path=False),
        Part("zero detection", "decode", OrTree(max(fmt.exponent_bits, 2)), 2 * lanes, on_path=False),
    ]
    if multiplier == "fpma":
        decoders = [subnormal_decode(role, fmt.sig_bits, lanes) for role in ("weight", "activation")]
        found = [*side_by_side(*decoders), *found]
    return tuple(found)


@PES.register("approx_mac")
def build(options: Mapping[str, Any]) -> ApproxMac:
    """Build from ``{format: bf16, multiplier: fpma | mitchell, accumulator: fp32, lanes: 1}``."""
    given = options if {"format", "w_format"} & set(options) else {"format": "bf16", **options}
    w, a, rest = take_formats(given, "approx_mac", ("accumulator", "lanes", "multiplier"))
    kind = take_choice(rest, "approx_mac", "multiplier", KINDS)
    if w != a:
        raise UsageError(f"pe: approx_mac {w.name} × {a.name}: valid: one float for both, such as fp8_e4m3, bf16")
    check_operand(kind, w)
    accumulator = take_minifloat(rest, "approx_mac", "accumulator", "fp32")
    return ApproxMac(w, a, int(rest.get("lanes", 1)), accumulator, kind)


@PAIRINGS.register("approx_mac")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``fpma_bf16``, ``mitchell_fp8_e4m3`` and the like."""
    kind, _, name = label.partition("_")
    fmt = known_format(name)
    if kind not in KINDS or not isinstance(fmt, Minifloat):
        return None
    return {"family": "approx_mac", "format": fmt.name, "multiplier": kind}
