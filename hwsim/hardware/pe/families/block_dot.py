"""Dot product of block formats: MXFP4/6/8, MXINT8, NVFP4, BFP/MSFP; also of floats without blocks.

Per cycle ``lanes`` element products are aligned, added in one tree, scaled once and added to one
floating-point accumulator. Normalisation, rounding and scaling are shared by all lanes; that is
what sets this PE apart from ``float_mac``.

**Window.** Products are added as integers of ``window`` bits, sign included. By default that is
``n = min(r(w) + r(a), 24)`` with ``r = 2^x + y`` for x exponent and y mantissa bits and r = bits for
integers: for one format on both sides ``min(2^(x+1) + 2y, 24)``, as arXiv 2510.25602 (App. C) has it.

**Alignment.** ``fixed``: every product is shifted to its place above the smallest one. It needs
``n >= r(w) + r(a)`` and is exact. ``largest``: the largest exponent of the lanes is found and
products are shifted down to it. Bits below the window are dropped from magnitudes (towards zero).
``auto`` is ``fixed`` where it fits, else ``largest``. Subnormal and zero operands count with the
exponent of the smallest normal number; nothing is normalised before the tree.

**What rounds.** Products, tree and scaling are exact but for what falls out of the window. The
scaled sum of a step is added to the accumulator with one rounding to nearest even, saturating.

**Scales.** All lanes of a step share the scales of one block, so ``lanes`` divides the block size
of both operands. E8M0: two 8-bit exponent adds per step. E4M3, UE5M3: a product of significands,
and a multiplier on the sum. The FP32 scale per tensor of NVFP4 acts when outputs are quantized.

Estimated: the glitch factor of float elements is that of ``float_mac``, whose path (multiply, align,
add, normalise, round) is the nearest that was synthesised; of integer elements that of ``dot``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.formats.sums import add_rounded
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    Comparator,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    Negator,
    OrTree,
    Part,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.pe.base import Reason, Scaling
from hwsim.hardware.pe.datapaths import float_accumulate, scale_significand
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_choice, take_formats, take_minifloat
from hwsim.hardware.pe.summing import SummingPE
from hwsim.spec.errors import UsageError

Alignment = Literal["fixed", "largest"]

#: Widest window by default (arXiv 2510.25602, App. C), and the widest that is modelled in float64.
USUAL_WINDOW, WIDEST_WINDOW = 24, 32
#: Bits of a stored block scale.
SCALE_BITS = 8


def reach(element: Format) -> int:
    """Return the bits that fixed-point sums need per operand: 2^x + y of a float, those of an integer."""
    if isinstance(element, Minifloat):
        return int(2**element.exponent_bits) + element.mantissa_bits
    return element.bits


def significand_bits(element: Format) -> int:
    """Return the bits with which an element meets the multiplier; integers with their sign."""
    return element.sig_bits if isinstance(element, Minifloat) else element.bits


def exponents(element: Format, codes: NDArray[Any]) -> NDArray[np.int64]:
    """Return e with |value| < 2^(e+1) as the decoder gives it: from the exponent field alone."""
    if isinstance(element, Minifloat):
        field = np.maximum(element.fields(codes)[1], int(element.subnormals))
        return np.asarray(field - element.bias)
    whole = cast(Integer, element)
    top = whole.bits - 1 + int(np.log2(whole.last_place))
    return np.full(np.shape(codes), top, dtype=np.int64)


@dataclass(frozen=True)
class BlockDot(SummingPE):
    """``lanes`` products in one tree, scaled once, into one floating-point accumulator."""

    accumulator: Minifloat
    window: int
    alignment: Alignment

    family: ClassVar[str] = "block_dot"
    glitch_family: ClassVar[str] = "float_mac"

    @property
    def tree_bits(self) -> int:
        """Width of the sum of all lanes."""
        return self.window + (self.lanes - 1).bit_length()

    @property
    def scale_product_bits(self) -> int:
        """Significand bits of the product of both scales; 0 where scales are powers of two or missing."""
        both = [bits for bits in map(scale_significand, (self.w_format, self.a_format)) if bits > 1]
        return sum(both)

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Elements and scales that fit into the built ones; blocks that ``lanes`` divides."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            refused = _refusal(fmt, self.lanes)
            if refused:
                return Reason(f"{role} of {fmt.name} {refused}")
            if not self._fits(fmt, built):
                return Reason(f"{role} of {fmt.name} do not fit into a datapath built for {built.name}")
        return None

    def _fits(self, fmt: Format, built: Format) -> bool:
        one, other = fmt.element, built.element
        if isinstance(one, Minifloat) != isinstance(other, Minifloat):
            return False
        if isinstance(one, Minifloat) and one.exponent_bits > cast(Minifloat, other).exponent_bits:
            return False
        narrow = significand_bits(one) <= significand_bits(other)
        return narrow and scale_significand(fmt) <= scale_significand(built)

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Scales act inside the PE, on the tree's sum of each step."""
        return "product" if w.block_size or a.block_size else "none"

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return multipliers, exponents, aligners, tree, scale path, accumulator and registers."""
        w_element, a_element, n = self.w_format.element, self.a_format.element, self.lanes
        floats = [f for f in (w_element, a_element) if isinstance(f, Minifloat)]
        multiplier = Multiplier(significand_bits(a_element), significand_bits(w_element), signed=not floats)
        found = [Part("significand multiplier", "multiplier", multiplier, n)]
        if floats:
            found += self._float_lanes(floats)
        if n > 1:
            found.append(Part("adder tree", "accumulator", AdderTree(n, self.window)))
        found += [*self._scale_parts(), *self._normalise_sum()]
        found += float_accumulate(self.accumulator, self.tree_bits + self.scale_product_bits)
        bits = w_element.bits + a_element.bits
        found.append(Part("accumulator", "register", Register(self.accumulator.bits)))
        found.append(Part("operands", "register", Register(n * bits), on_path=False))
        return tuple(found)

    def _float_lanes(self, floats: list[Minifloat]) -> list[Part]:
        """Return what floats need per lane: hidden bits, exponents, aligner, negation.

        The carry of a negation goes into a free carry input of the tree.
        """
        n, exponent = self.lanes, self._exponent_bits(floats)
        found = [Part("hidden bit", "decode", OrTree(max(f.exponent_bits, 2)), n, on_path=False) for f in floats]
        for element in (self.w_format.element, self.a_format.element):
            if isinstance(element, Integer):  # two's complement beside sign and magnitude
                found.append(Part("magnitude", "decode", Negator(element.bits), n))
        if len(floats) == 2:
            found.append(Part("exponent adder", "exponent", Adder(exponent), n, on_path=False))
        found.append(Part("sign", "multiplier", XorRow(1), n, on_path=False))
        if self.alignment == "largest":
            found += self._largest(exponent)
            positions = self.window
        else:
            positions = sum(int(2**f.exponent_bits) - 2 for f in floats) + 1
        found.append(Part("align", "alignment", Shifter(self.window, positions), n))
        found.append(Part("negate", "accumulator", XorRow(self.window), n))
        return found

    def _exponent_bits(self, floats: list[Minifloat]) -> int:
        return max(f.exponent_bits for f in floats) + (len(floats) == 2)

    def _largest(self, exponent: int) -> list[Part]:
        """Return the tree that finds the largest exponent, and each lane's distance from it."""
        n, depth = self.lanes, (self.lanes - 1).bit_length()
        found = [Part("distance", "exponent", Subtractor(exponent), n)]
        if n > 1:
            found.append(Part("largest exponent", "exponent", Comparator(exponent), n - 1, in_series=depth))
            found.append(Part("select exponent", "exponent", Mux(exponent, 2), n - 1, in_series=depth))
        return found

    def _scale_parts(self) -> list[Part]:
        """Return the scale path, once per step: exponents are added, significands multiplied."""
        scales = [cast(Scaled, f).scale for f in (self.w_format, self.a_format) if f.block_size]
        if not scales:
            return []
        exponent = max(cast(Minifloat, scale.code).exponent_bits for scale in scales)
        found = [Part("scale registers", "register", Register(SCALE_BITS * len(scales)), on_path=False)]
        if len(scales) == 2:
            found.append(Part("scale exponents", "dequantization", Adder(exponent), on_path=False))
        found.append(Part("scaled exponent", "dequantization", Adder(exponent + 1), on_path=False))
        narrow = [scale.significand_bits for scale in scales if scale.significand_bits > 1]
        if len(narrow) == 2:
            found.append(Part("scale product", "dequantization", Multiplier(narrow[0], narrow[1]), on_path=False))
        if narrow:
            found.append(Part("scaled sum", "dequantization", Multiplier(self.tree_bits, sum(narrow))))
        return found

    def _normalise_sum(self) -> list[Part]:
        """Return what makes a float of the scaled sum: sign and magnitude, leading zeros, shift, exponent."""
        bits = self.tree_bits + self.scale_product_bits
        exponent = self.accumulator.exponent_bits
        return [
            Part("sum magnitude", "normalisation", Negator(bits)),
            Part("leading zeros of sum", "normalisation", LeadingZeroCounter(bits)),
            Part("normalise sum", "normalisation", Shifter(bits, bits)),
            Part("exponent of sum", "normalisation", Subtractor(exponent), on_path=False),
        ]

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[np.float64]:
        """Return the products as they enter the tree: cut below the window under the largest one."""
        products = w.element.decode(w_codes) * a.element.decode(a_codes)
        if self.alignment == "fixed":
            return products
        top = (exponents(w.element, w_codes) + exponents(a.element, a_codes)).max(axis=-1, keepdims=True)
        unit = top + 3 - self.window  # the sign, then 2^(top + 1), the largest place of a product
        return np.asarray(np.ldexp(np.trunc(np.ldexp(products, -unit)), unit))

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the scaled sum of one step with one rounding; ``scales`` are those of its one block.

        Raises
        ------
        ValueError
            If the lanes do not share one scale.
        """
        total = self.products(w_codes, a_codes, w, a).sum(axis=-1)
        if scales is not None:
            shared = scales[..., :1]
            if not np.array_equal(scales, np.broadcast_to(shared, scales.shape)):
                raise ValueError("block_dot: the lanes of a step do not share one scale")
            total = total * shared[..., 0]
        return add_rounded(self.accumulator, acc, total)


@dataclass(frozen=True)
class IntegerBlockDot(BlockDot):
    """A block dot product of integer elements: no exponents, no aligners in front of the tree."""

    glitch_family: ClassVar[str] = "dot"


def _refusal(fmt: Format, lanes: int) -> str:
    """Return why no block dot product of ``lanes`` takes ``fmt``, or nothing."""
    element = fmt.element
    scaled = isinstance(fmt, Scaled)
    if isinstance(fmt, Scaled) and (fmt.asymmetric or (fmt.block_size and fmt.scale.on_sums)):
        return f"have {'zero points' if fmt.asymmetric else fmt.scale.name + ' scales'}, which int_mac takes"
    whole = isinstance(element, Integer) and element.signed
    if not whole and not (isinstance(element, Minifloat) and element.signed and element.subnormals):
        return "are neither signed integers nor floats with subnormals"
    if not scaled and not isinstance(fmt, (Minifloat, Integer)):
        return "have a scale that it does not know"
    if fmt.block_size and fmt.block_size % lanes:
        return f"have blocks of {fmt.block_size}, which {lanes} lanes do not divide"
    return ""


@PES.register("block_dot")
def build(options: Mapping[str, Any]) -> BlockDot:
    """Build from ``{format, lanes: block size, window: auto, alignment: auto, accumulator: fp32}``."""
    given = {"format": "mxfp4", **options} if not {"format", "w_format"} & set(options) else dict(options)
    w, a, rest = take_formats(given, "block_dot", ("accumulator", "alignment", "lanes", "window"))
    blocks = [fmt.block_size for fmt in (w, a) if fmt.block_size]
    lanes = int(rest.get("lanes", min(blocks, default=16)))
    for fmt in (w, a):
        refused = _refusal(fmt, lanes)
        if refused:
            valid = "mxfp4, mxfp8_e4m3, mxint8, nvfp4, msfp12, fp8_e4m3; lanes that divide the block"
            raise UsageError(f"pe: block_dot: {fmt.name}: they {refused}; valid: {valid}")
    window = _window(rest, w, a)
    fits = window >= reach(w.element) + reach(a.element)
    asked = take_choice(rest, "block_dot", "alignment", ("auto", "fixed", "largest"))
    if asked == "fixed" and not fits:
        needed = reach(w.element) + reach(a.element)
        raise UsageError(f"pe.alignment: fixed needs a window of {needed} bits, not {window}; valid: largest")
    alignment: Alignment = "largest" if asked == "largest" or not fits else "fixed"
    accumulator = take_minifloat(rest, "block_dot", "accumulator", "fp32")
    integers = isinstance(w.element, Integer) and isinstance(a.element, Integer)
    kind = IntegerBlockDot if integers else BlockDot
    return kind(w, a, lanes, accumulator, window, "fixed" if integers else alignment)


def _window(options: Mapping[str, Any], w: Format, a: Format) -> int:
    """Return the window's width, checked: wide enough for one product, and for integers exact."""
    floats = isinstance(w.element, Minifloat) or isinstance(a.element, Minifloat)
    whole = reach(w.element) + reach(a.element)
    needed = significand_bits(w.element) + significand_bits(a.element) + 1 if floats else whole
    found = options.get("window", "auto")
    if found == "auto":
        found = max(min(whole, USUAL_WINDOW), needed)
    if not isinstance(found, int) or isinstance(found, bool) or not needed <= found <= WIDEST_WINDOW:
        valid = f"auto, or {needed} to {WIDEST_WINDOW} bits" if needed <= WIDEST_WINDOW else "narrower formats"
        raise UsageError(f"pe.window: {found!r} for {w.name} × {a.name}; valid: {valid}")
    return found


_LABEL = re.compile(r"(.+)_dot(\d+)?$")


@PAIRINGS.register("block_dot")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``mxfp4_dot32``, ``nvfp4_dot16``, ``fp8_e4m3_dot8`` and the like; no number means the whole block."""
    match = _LABEL.match(label)
    if match is None or known_format(match[1]) is None:
        return None
    lanes = {"lanes": int(match[2])} if match[2] else {}
    return {"family": "block_dot", "format": match[1], **lanes}
