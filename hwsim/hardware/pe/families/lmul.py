"""L-Mul: a multiplication by addition, with a floating-point accumulator (arXiv 2410.00907).

Two semantics are known, and neither has the other's error or cost:

* ``bitfield``: exponent and mantissa fields are added as one integer with a constant.
* ``formula``: the value as the paper writes it, which can reach 3.x: a narrow adder for the
  fractions, a multiplexer that renormalises, and the exponent adder.

The products themselves are those of :mod:`hwsim.formats.multiplier.lmul`. Each is exact as defined
and is added to the accumulator with one rounding to nearest even. Cost and behaviour belong to one
object, so a design never gets one semantics' cost with the other's accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Minifloat
from hwsim.formats.approximate import MULTIPLIERS
from hwsim.hardware.circuits import Adder, Incrementer, Mux, OrTree, Part, Register, XorRow
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import float_accumulate
from hwsim.hardware.pe.pairing import PAIRINGS, short_format
from hwsim.hardware.pe.registry import PES, take_choice, take_formats, take_minifloat
from hwsim.hardware.pe.summing import SummingPE
from hwsim.spec.errors import UsageError

Semantics = Literal["bitfield", "formula"]
SEMANTICS: tuple[str, ...] = ("bitfield", "formula")


@dataclass(frozen=True)
class LMul(SummingPE):
    """An adder in the place of a multiplier, and a floating-point accumulator."""

    accumulator: Minifloat
    semantics: Semantics

    family: ClassVar[str] = "lmul"
    glitch_family: ClassVar[str] = "lmul_mac"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """The one format that it is built for, on both sides."""
        for role, fmt in (("weights", w), ("activations", a)):
            if fmt != self.w_format:
                return Reason(f"{role} of {fmt.name}: L-Mul adds fields of one format, here {self.w_format.name}")
        return None

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return adders in the place of the multiplier, then the accumulator and the registers."""
        fmt, n = cast(Minifloat, self.w_format), self.lanes
        significand = fmt.sig_bits + (1 if self.semantics == "formula" else 0)
        return (
            *self._product(fmt, n),
            Part("sign", "multiplier", XorRow(1), count=n, on_path=False),
            Part("zero detection", "decode", OrTree(max(fmt.exponent_bits, 2)), count=2 * n, on_path=False),
            *float_accumulate(self.accumulator, significand, n),
            Part("accumulator", "register", Register(self.accumulator.bits)),
            Part("operands", "register", Register(2 * n * fmt.bits), on_path=False),
        )

    def _product(self, fmt: Minifloat, n: int) -> tuple[Part, ...]:
        e, m = fmt.exponent_bits, fmt.mantissa_bits
        if self.semantics == "bitfield":
            return (
                Part("field adder", "multiplier", Adder(e + m), count=n),
                Part("constant adder", "multiplier", Incrementer(e + m), count=n),
            )
        return (
            Part("fraction adder", "multiplier", Adder(max(m, 1)), count=n),
            Part("offset adder", "multiplier", Incrementer(m + 2), count=n),
            Part("renormalise", "multiplier", Mux(m + 2, 2), count=n),
            Part("exponent adder", "exponent", Adder(e + 1), count=n, on_path=False),
            Part("bias adder", "exponent", Adder(e + 1), count=n, on_path=False),
        )

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[np.float64]:
        """Return the L-Mul products."""
        return MULTIPLIERS.get(f"lmul_{self.semantics}")(cast(Minifloat, w.element), w_codes, a_codes)


@PES.register("lmul")
def build(options: Mapping[str, Any]) -> LMul:
    """Build from ``{format, semantics: bitfield | formula, accumulator: fp32, lanes}``."""
    w, a, rest = take_formats(options, "lmul", ("accumulator", "lanes", "semantics"))
    if w != a or not isinstance(w, Minifloat):
        raise UsageError(f"pe: lmul {w.name} × {a.name}: valid: one float for both, such as fp8_e4m3, bf16")
    if w.mantissa_bits < 1 or w.exponent_bits + w.mantissa_bits < 2:
        raise UsageError(f"pe: lmul {w.name}: valid: floats with at least one mantissa bit")
    semantics = cast(Semantics, take_choice(rest, "lmul", "semantics", SEMANTICS))
    accumulator = take_minifloat(rest, "lmul", "accumulator", "fp32")
    return LMul(w, a, int(rest.get("lanes", 1)), accumulator, semantics)


@PAIRINGS.register("lmul")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``lmul_e4m3``, ``lmul_bf16`` and the like; ``_formula`` behind it names the other semantics."""
    if not label.startswith("lmul_"):
        return None
    name = label.removeprefix("lmul_")
    bare = name.removesuffix("_formula")
    fmt = short_format(bare)
    if fmt is None:
        return None
    return {"family": "lmul", "format": fmt.name, "semantics": SEMANTICS[int(bare != name)]}
