"""Floating-point multiply-accumulate: any pair of minifloats, an explicit accumulator format.

Behaviour: the product is exact; it is added to the accumulator with one rounding to nearest even
(a fused multiply-add into a wider accumulator). With ``product: FORMAT`` it is not fused: the product
is rounded to that format first, before block scales act on it. ``lanes`` products are added one after
the other.

Block scales: powers of two (MX) and E4M3 (NVFP4) act on every product, in the exponent adder and,
for E4M3, in two more multipliers. FP16 scales of integer groups act on the sum of a group, in a
dequantizer. The one FP32 scale per tensor of NVFP4 acts when outputs are quantized again.

Parts: significand multiplier, exponent adder, exponent difference and swap, alignment shifter,
add-or-subtract, negation, leading-zero count, normalisation shifter, exponent correction,
rounding, sticky bits, registers.

Subnormals: with ``subnormals: true`` every operand gets a leading-zero counter and a shifter; with
``false`` it has neither, and subnormal operands count as zero. ``auto`` keeps them in formats of up
to 8 bits, whose definitions (OCP OFP8, MX) rely on them, and flushes them in wider ones, as the
synthesised units do. Integer operands are always normalised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.formats.sums import sum_products
from hwsim.hardware.circuits import Adder, Multiplier, Part, Register, XorRow, float_product
from hwsim.hardware.pe.base import Reason, Scaling
from hwsim.hardware.pe.datapaths import dequantizer, float_accumulate, scale_significand, side_by_side, subnormal_decode
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_flag, take_formats, take_minifloat
from hwsim.hardware.pe.summing import SummingPE
from hwsim.spec.errors import UsageError

#: Values of formats of so many bits are looked up.
LISTED_BITS = 16


def significand(fmt: Format) -> tuple[int, int]:
    """Return significand bits (hidden one included) and exponent bits of an operand format."""
    element = fmt.element
    if isinstance(element, Minifloat):
        return element.sig_bits, element.exponent_bits
    if isinstance(element, Integer):
        return element.bits - element.signed, 0
    raise UsageError(f"pe: float_mac takes minifloats and integers, not {fmt.name}")


def scales_sums(fmt: Format) -> bool:
    """Return whether the scale of ``fmt`` acts on group sums: wide ones are too costly for every product."""
    return isinstance(fmt, Scaled) and fmt.scale.on_sums and fmt.block_size is not None


def product_scale(fmt: Format) -> int:
    """Return the significand bits of a scale that acts on every product; 0 where none does."""
    return 0 if scales_sums(fmt) else scale_significand(fmt)


@dataclass(frozen=True)
class FloatMac(SummingPE):
    """A multiplier of two minifloats into a floating-point accumulator."""

    accumulator: Minifloat
    subnormals: bool | None
    product: Minifloat | None = field(default=None, kw_only=True)

    family: ClassVar[str] = "float_mac"
    glitch_family: ClassVar[str] = "float_mac"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Operands whose significand, exponent and scale fit into the built ones."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if not isinstance(fmt.element, (Minifloat, Integer)):
                return Reason(f"{role} of {fmt.name} are neither minifloats nor integers")
            if isinstance(fmt.element, Integer) and not isinstance(built.element, Integer):
                return Reason(f"{role} of {fmt.name} need a datapath that is built for integers")
            if isinstance(fmt, Scaled) and fmt.asymmetric:
                return Reason(f"{role} of {fmt.name} have a zero point, which a float MAC cannot subtract")
            (sig, exponent), (built_sig, built_exponent) = self.operand_bits(fmt), self.operand_bits(built)
            if sig > built_sig or exponent > built_exponent or product_scale(fmt) > product_scale(built):
                return Reason(f"{role} of {fmt.name} do not fit into a datapath built for {built.name}")
        return None

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Sums for FP16 scales, products for the others."""
        if scales_sums(w) or scales_sums(a):
            return "sum"
        return "product" if w.block_size or a.block_size else "none"

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """FP32 sum times the FP16 scales, added in FP32."""
        return dequantizer(w if scales_sums(w) else w.element, a if scales_sums(a) else a.element, None)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the whole datapath (see the module)."""
        (ws, we), (as_, ae) = self.operand_bits(self.w_format), self.operand_bits(self.a_format)
        n = self.lanes
        scale = [product_scale(self.w_format), product_scale(self.a_format)]
        found = [
            Part("significand multiplier", "multiplier", Multiplier(as_, ws), count=n, beside_bits=max(we, ae) + 2),
            Part("sign", "multiplier", XorRow(1), count=n, on_path=False),
            Part("exponent adder", "exponent", Adder(max(we, ae) + 1), count=n, on_path=False),
            Part("exponent bias", "exponent", Adder(max(we, ae) + 1), count=n, on_path=False),
            *self._scale_parts(self._product_bits, *scale),
            *self._rounding_parts(n),
            *float_accumulate(self.accumulator, self._product_bits + sum(s for s in scale if s > 1), n),
            Part("accumulator", "register", Register(self.accumulator.bits)),
            Part("operands", "register", Register(n * (self.w_format.bits + self.a_format.bits)), on_path=False),
        ]
        decoders = [
            subnormal_decode(role, bits, n)
            for role, fmt, bits in (("weight", self.w_format, ws), ("activation", self.a_format, as_))
            if self.keeps_subnormals(fmt)
        ]
        return (*side_by_side(*decoders), *found)

    def operand_bits(self, fmt: Format) -> tuple[int, int]:
        """Return significand and exponent bits with which an operand of ``fmt`` meets the multiplier."""
        return significand(fmt)

    def keeps_subnormals(self, fmt: Format) -> bool:
        """Return whether subnormal operands of ``fmt`` are normalised instead of flushed to zero."""
        if isinstance(fmt.element, Integer):
            return True
        return fmt.element.bits <= 8 if self.subnormals is None else self.subnormals

    @property
    def _product_bits(self) -> int:
        """Significand bits of what is added."""
        exact = self.operand_bits(self.w_format)[0] + self.operand_bits(self.a_format)[0]
        return exact if self.product is None else self.product.sig_bits

    def _rounding_parts(self, count: int) -> list[Part]:
        """Return what rounds products; none where they are exact."""
        if self.product is None:
            return []
        rounding = float_product(self.product.exponent_bits, self.product.sig_bits)
        return [
            replace(part, role=f"{part.role} product", count=count)
            for part in rounding
            if part.group == "normalisation"
        ]

    def _scale_parts(self, product_bits: int, w_scale: int, a_scale: int) -> list[Part]:
        """Return the parts that scale products: exponents are added, significands multiplied."""
        if not w_scale and not a_scale:
            return []
        both = w_scale + a_scale
        exponent = 8  # E8M0; an E4M3 scale needs half of it
        found = [
            Part("scale exponents", "exponent", Adder(exponent), on_path=False),
            Part("scaled exponent", "exponent", Adder(exponent + 1), count=self.lanes, on_path=False),
            Part("scales", "register", Register(8 * ((w_scale > 0) + (a_scale > 0))), on_path=False),
        ]
        if w_scale > 1 and a_scale > 1:
            found.append(Part("scale product", "dequantization", Multiplier(w_scale, a_scale)))
        if both > 2:
            found.append(Part("scaled product", "dequantization", Multiplier(product_bits, both), count=self.lanes))
        return found

    def _operand(self, fmt: Format, codes: NDArray[Any]) -> NDArray[np.float64]:
        element = fmt.element
        if self.keeps_subnormals(fmt) or not isinstance(element, Minifloat):
            return element.decode(codes) if element.bits > LISTED_BITS else element.listed[codes]
        if element.bits > LISTED_BITS:
            return element.flush_subnormals(element.decode(codes))
        return np.asarray(element.listed_normal[codes])

    def accumulate_along(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """All steps at once: lanes are added one after the other, and so are those of different steps."""
        return self.accumulate(acc, w_codes, a_codes, w, a)

    def accumulate_many(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """Operands are decoded once; lanes are added one after the other, as steps are."""
        if self.product is not None or type(self).products is not FloatMac.products:
            return super().accumulate_many(acc, w_codes, a_codes, w, a)
        return sum_products(self.accumulator, acc, self._operand(a, a_codes), self._operand(w, w_codes))

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[np.float64]:
        """Return the products, exact or rounded."""
        found = self._operand(w, w_codes) * self._operand(a, a_codes)
        return found if self.product is None else self.product.quantize(found)


@PES.register("float_mac")
def build(options: Mapping[str, Any]) -> FloatMac:
    """Build from ``{w_format, a_format or format, accumulator: fp32, lanes, subnormals: auto, product: exact}``."""
    w, a, rest = take_formats(options, "float_mac", ("accumulator", "lanes", "subnormals", "product"))
    (ws, _), (as_, _) = significand(w), significand(a)
    accumulator = take_minifloat(rest, "float_mac", "accumulator", "fp32")
    bits = ws + as_ + product_scale(w) + product_scale(a)
    if bits > 53:
        raise UsageError(f"pe: float_mac {w.name} × {a.name}: products of more than 53 bits are not modelled")
    for fmt in (w, a):
        if isinstance(fmt, Scaled) and fmt.asymmetric:
            raise UsageError(f"pe: float_mac {fmt.name}: zero points need int_mac")
    product = _take_product(rest)
    return FloatMac(
        w, a, int(rest.get("lanes", 1)), accumulator, take_flag(rest, "float_mac", "subnormals"), product=product
    )


def _take_product(options: Mapping[str, Any]) -> Minifloat | None:
    if options.get("product", "exact") == "exact":
        return None
    try:
        return take_minifloat(options, "float_mac", "product", "fp16")
    except UsageError as error:
        raise UsageError(f"{error}; or exact, which rounds no product") from None


@PAIRINGS.register("float_mac")
def pair(label: str) -> dict[str, Any] | None:
    """Claim floats and float blocks (both operands), ``w4a16``-like pairs; ``_unfused`` rounds products of floats."""
    from hwsim.hardware.pe.pairing import known_format, known_pair

    bare = known_format(label.removesuffix("_unfused")) if label.endswith("_unfused") else None
    if bare is not None and isinstance(bare, Minifloat):
        return {"family": "float_mac", "format": bare.name, "product": bare.name, "accumulator": "fp32"}
    fmt, pair_of = known_format(label), known_pair(label)
    if fmt is not None and isinstance(fmt.element, Minifloat):
        return {"family": "float_mac", "format": fmt.name, "accumulator": "fp32"}
    if pair_of is not None and isinstance(pair_of[1].element, Minifloat):
        w, a = pair_of
        return {"family": "float_mac", "w_format": w.name, "a_format": a.name, "accumulator": "fp32"}
    return None
