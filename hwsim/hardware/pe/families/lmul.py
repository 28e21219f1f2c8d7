"""L-Mul: a multiplication by addition, with a floating-point accumulator (arXiv 2410.00907).

For operands (1 + x) 2^i and (1 + y) 2^j with m mantissa bits, an offset of 2^-l stands for x·y:
l = m up to 3, l = 3 for m = 4, l = 4 above. Two semantics are known, and neither has the other's
error or cost:

* ``bitfield``: exponent and mantissa fields are added as one integer with a constant. A carry of
  the fractions runs into the exponent and what is left of them is not halved.
* ``formula``: the value of ``(1 + x + y + 2^-l) 2^(i+j)`` as written, which can reach 3.x: a
  narrow adder for the fractions, a multiplexer that renormalises, and the exponent adder.

Signs by XOR. Subnormal operands count as zero, as in the synthesised units. The product is exact
as defined and is added to the accumulator with one rounding to nearest even. Cost and behaviour
belong to one object, so a design never gets one semantics' cost with the other's accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Minifloat
from hwsim.hardware.circuits import Adder, Incrementer, Mux, OrTree, Part, Register, XorRow
from hwsim.hardware.pe.arithmetic import add_rounded
from hwsim.hardware.pe.base import PE, Reason
from hwsim.hardware.pe.datapaths import float_accumulate
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_choice, take_formats, take_minifloat
from hwsim.spec.errors import UsageError

Semantics = Literal["bitfield", "formula"]
SEMANTICS: tuple[str, ...] = ("bitfield", "formula")


def offset_bits(mantissa_bits: int) -> int:
    """Return l(m), the exponent of the offset 2^-l (arXiv 2410.00907, equation 1)."""
    if mantissa_bits <= 3:
        return mantissa_bits
    return 3 if mantissa_bits == 4 else 4


def lmul(fmt: Minifloat, w_codes: NDArray[Any], a_codes: NDArray[Any], semantics: Semantics) -> NDArray[np.float64]:
    """Return the L-Mul products of two arrays of codes of ``fmt``, exactly as ``semantics`` defines them.

    Subnormal operands are zero. Where an operand is infinite or NaN the product is the usual one.
    """
    (ws, we, wm), (as_, ae, am) = fmt.fields(w_codes), fmt.fields(a_codes)
    m, l_bits = fmt.mantissa_bits, offset_bits(fmt.mantissa_bits)
    fraction = (wm + am) * 2.0**-m + 2.0**-l_bits
    power = we + ae - 2 * fmt.bias
    if semantics == "bitfield":
        carry = np.floor(fraction)
        fraction, power = fraction - carry, power + carry.astype(np.int64)
    value = np.where((we > 0) & (ae > 0), np.ldexp(1.0 + fraction, power), 0.0)
    value = np.where((ws ^ as_) == 1, -value, value)
    w_value, a_value = fmt.decode(w_codes), fmt.decode(a_codes)
    special = ~(np.isfinite(w_value) & np.isfinite(a_value))
    if special.any():
        with np.errstate(invalid="ignore"):
            value = np.where(special, w_value * a_value, value)
    return value


@dataclass(frozen=True)
class LMul(PE):
    """An adder in the place of a multiplier, and a floating-point accumulator."""

    accumulator: Minifloat
    semantics: Semantics

    family: ClassVar[str] = "lmul"
    glitch_family: ClassVar[str] = "lmul_mac"

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        return self.accumulator.bits

    def supports(self, w: Format, a: Format) -> Reason | None:
        """The one format that it is built for, on both sides."""
        for role, fmt in (("weights", w), ("activations", a)):
            if fmt != self.w_format:
                return Reason(f"{role} of {fmt.name}: L-Mul adds fields of one format, here {self.w_format.name}")
        return None

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle."""
        return 1

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
                Part("constant adder", "multiplier", Adder(e + m), count=n),
            )
        return (
            Part("fraction adder", "multiplier", Adder(max(m, 1)), count=n),
            Part("offset adder", "multiplier", Incrementer(m + 2), count=n),
            Part("renormalise", "multiplier", Mux(m + 2, 2), count=n),
            Part("exponent adder", "exponent", Adder(e + 1), count=n, on_path=False),
            Part("bias adder", "exponent", Adder(e + 1), count=n, on_path=False),
        )

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return zeros, float64 (values of the accumulator format)."""
        return np.zeros(shape, dtype=np.float64)

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the L-Mul products lane by lane, one rounding each."""
        assert scales is None
        products = lmul(cast(Minifloat, w.element), w_codes, a_codes, self.semantics)
        for lane in range(products.shape[-1]):
            acc = add_rounded(self.accumulator, acc, products[..., lane])
        return acc


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
    fmt = known_format(bare) or known_format(_full_name(bare))
    if fmt is None:
        return None
    return {"family": "lmul", "format": fmt.name, "semantics": SEMANTICS[int(bare != name)]}


def _full_name(short: str) -> str:
    """Return ``fp8_e4m3`` for ``e4m3``."""
    exponent, _, mantissa = short.removeprefix("e").partition("m")
    if not (short.startswith("e") and exponent.isdecimal() and mantissa.isdecimal()):
        return short
    return f"fp{1 + int(exponent) + int(mantissa)}_{short}"
