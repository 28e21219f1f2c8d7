"""Multiply-accumulate into a lossless accumulator: exact products of integers or minifloats, summed in fixed point.

A float's product is put at the place that its exponents say, its sign goes into the adder, and no sum is ever
rounded (Kulisch). The accumulator of sums of n = ``length`` products has (arXiv 2311.12359)

* integers of ra and rb bits: ra + rb + ceil(log2 n) + 1 bits;
* minifloats: 2^ea + ma + 2^eb + mb + ceil(log2 n) - 1 bits, ea, eb exponent and ma, mb mantissa bits;

and wraps beyond. With ``product: lmul`` an adder of exponent and mantissa fields with L-Mul's offset is in the place
of the multiplier; subnormal operands count as zero there. Infinities and NaN count as zero: fixed point has no place
for them. Nothing converts the sum back to a float; that is the vector unit's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat
from hwsim.formats.approximate import multiply
from hwsim.formats.multiplier.lmul import offset_bits
from hwsim.formats.sums import lossless_float_bits, lossless_integer_bits
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AddSubtract,
    Multiplier,
    OrTree,
    Part,
    Placer,
    Register,
    XorRow,
    largest,
)
from hwsim.hardware.pe.base import PE, Reason
from hwsim.hardware.pe.pairing import PAIRINGS, short_format
from hwsim.hardware.pe.registry import PES, take_choice, take_formats
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count

Product = Literal["exact", "lmul"]
PRODUCTS: tuple[str, ...] = ("exact", "lmul")

#: Products of a sum where none are named: the longest dot product of ResNet-18 (arXiv 2311.12359).
LENGTH = 4608
LENGTHS = range(1, (1 << 24) + 1)
#: Widest operand: products of all pairs of codes are tabulated.
WIDEST = 8
#: Widest accumulator that 64-bit integers hold with room for a step's products.
INT64_BITS = 62


@dataclass(frozen=True)
class ExactMac(PE):
    """``lanes`` exact products per step into a fixed-point accumulator."""

    length: int
    multiplication: Product

    family: ClassVar[str] = "exact_mac"
    lossless: ClassVar[bool] = True
    #: The accumulator's width is a power of two of exponent bits, which differ from format to format.
    stacks: ClassVar[bool] = False

    @property
    def glitch_family(self) -> str:  # type: ignore[override]
        """That of integer sums: a fixed-point adder follows the products."""
        return "integer_mac"

    @property
    def floats(self) -> bool:
        """Whether operands are minifloats."""
        return isinstance(self.w_format.element, Minifloat)

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        w, a = self.w_format, self.a_format
        if not self.floats:
            return lossless_integer_bits(w.bits, a.bits, self.length)
        return lossless_float_bits(_fields(w), _fields(a), self.length)

    def supports(self, w: Format, a: Format) -> Reason | None:
        """The pair that it is built for."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if fmt != built:
                return Reason(f"{role} of {fmt.name} are not the {built.name} whose places its accumulator has")
        return None

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle."""
        return 1

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return products, placing, the adder that takes signs, accumulator and registers."""
        n, acc = self.lanes, self.psum_bits
        found = self._integer_products() if not self.floats else self._float_products()
        if n > 1:
            found.append(Part("adder tree", "accumulator", AdderTree(n, self._product_bits)))
        adder = AddSubtract(acc) if self.floats and n == 1 else Adder(acc)
        return (
            *found,
            Part("accumulator adder", "accumulator", adder, feeds_back=True),
            Part("accumulator", "register", Register(acc)),
            Part("operands", "register", Register(n * (self.w_format.bits + self.a_format.bits)), on_path=False),
        )

    def _integer_products(self) -> list[Part]:
        circuit = Multiplier(self.a_format.bits, self.w_format.bits, signed=True)
        return [Part("multiplier", "multiplier", circuit, self.lanes)]

    def _float_products(self) -> list[Part]:
        (we, wm), (ae, am) = _fields(self.w_format), _fields(self.a_format)
        n, exponent = self.lanes, max(we, ae)
        bits, zeros = wm + am + 2, (we, ae)
        if self.multiplication == "lmul":
            found = [
                Part("field adder", "multiplier", Adder(we + wm), n),
                Part("bias and offset adder", "multiplier", Adder(we + offset_bits(wm)), n),
            ]
            bits, zeros = wm + 1, (we + wm, we + wm)
        else:
            found = [Part("significand multiplier", "multiplier", Multiplier(am + 1, wm + 1), n)]
            if exponent > 1:
                found.append(Part("exponent adder", "exponent", Adder(exponent + 1), n, on_path=False))
        found += [
            Part("sign", "multiplier", XorRow(1), n, on_path=False),
            *(Part("hidden bit", "decode", OrTree(size), n, on_path=False) for size in zeros if size > 1),
            Part("place", "alignment", Placer(bits, self._places, self._product_bits, summed=True), n),
        ]
        if n > 1:
            found.append(Part("signs", "accumulator", XorRow(self._product_bits), n))
        return found

    @property
    def _product_bits(self) -> int:
        """Width of a product with its sign, in fixed point."""
        if not self.floats:
            return self.w_format.bits + self.a_format.bits
        (we, wm), (ae, am) = _fields(self.w_format), _fields(self.a_format)
        return cast(int, 2**we + wm + 2**ae + am - 1)

    @property
    def _places(self) -> int:
        """Places that a product may have: each exponent but the lowest two, which are alike, moves it by one."""
        (we, _), (ae, _) = _fields(self.w_format), _fields(self.a_format)
        return cast(int, largest(1, 2**we + 2**ae - 3))

    @cached_property
    def _table(self) -> tuple[NDArray[Any], float]:
        """Products of all pairs of codes as whole numbers (w codes, a codes), and what one is worth."""
        w, a = np.arange(1 << self.w_format.bits), np.arange(1 << self.a_format.bits)
        if self.multiplication == "lmul":
            values = multiply("lmul_bitfield", cast(Minifloat, self.w_format.element), w[:, None], a[None, :])
        else:
            with np.errstate(invalid="ignore"):
                values = self.w_format.element.decode(w)[:, None] * self.a_format.element.decode(a)[None, :]
        values = np.where(np.isfinite(values), values, 0.0)
        unit = _last_place(values)
        whole = (values / unit).astype(object)
        counts = np.vectorize(int, otypes=[object])(whole)
        return counts.astype(self._dtype), unit

    @property
    def _dtype(self) -> Any:
        """How accumulators are held: 64-bit integers, or whole numbers of any size."""
        return object if self.psum_bits > INT64_BITS else np.int64

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return zeros: int64, or whole numbers of any size where the accumulator is wider."""
        return np.zeros(shape, dtype=self._dtype)

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the products; beyond the accumulator's width sums wrap as two's complement does."""
        counts, _ = self._table
        products = counts[np.asarray(w_codes, dtype=np.intp), np.asarray(a_codes, dtype=np.intp)]
        half, whole = (np.asarray(1 << bits, dtype=self._dtype) for bits in (self.psum_bits - 1, self.psum_bits))
        total = np.asarray(acc, dtype=self._dtype) + products.sum(axis=-1)
        return np.asarray(np.remainder(total + half, whole) - half, dtype=self._dtype)

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the accumulators, float64: rounded to it where they have more bits."""
        return np.asarray(acc, dtype=np.float64) * self._table[1]


def _fields(fmt: Format) -> tuple[int, int]:
    element = cast(Minifloat, fmt.element)
    return element.exponent_bits, element.mantissa_bits


def _last_place(values: NDArray[np.float64]) -> float:
    """Return the largest power of two of which all ``values`` are multiples; 1 where all are zero."""
    mantissa, exponent = np.frexp(np.abs(values[values != 0]))
    if not mantissa.size:
        return 1.0
    whole = (mantissa * 2.0**53).astype(np.int64)
    lowest = exponent - 53 + np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return float(np.ldexp(1.0, int(lowest.min())))


@PES.register("exact_mac")
def build(options: Mapping[str, Any]) -> ExactMac:
    """Build from ``{format or w_format and a_format, product: exact | lmul, length: 4608, lanes}``."""
    w, a, rest = take_formats(options, "exact_mac", ("product", "length", "lanes"))
    kinds = {type(fmt.element) for fmt in (w, a)}
    for fmt in (w, a):
        signed = isinstance(fmt.element, Integer) and fmt.element.signed
        if fmt.block_size or not (signed or isinstance(fmt.element, Minifloat)) or len(kinds) > 1:
            valid = "two signed integers or two minifloats, no blocks"
            raise UsageError(f"pe: exact_mac {w.name} × {a.name}: valid: {valid}")
        if fmt.bits > WIDEST:
            raise UsageError(f"pe: exact_mac {fmt.name}: valid: up to {WIDEST} bits")
    product = cast(Product, take_choice(rest, "exact_mac", "product", PRODUCTS))
    if product == "lmul" and (w != a or not isinstance(w.element, Minifloat) or w.element.mantissa_bits < 1):
        raise UsageError(
            f"pe: exact_mac {w.name} × {a.name}: L-Mul takes one float for both, with at least one mantissa bit"
        )
    length = take_count(rest, "length", LENGTH, LENGTHS, "pe.")
    return ExactMac(w, a, int(rest.get("lanes", 1)), length, product)


@PAIRINGS.register("exact_mac")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``exact_int8``, ``exact_e4m3`` and, with L-Mul's product, ``exact_lmul_e4m3``."""
    if not label.startswith("exact_"):
        return None
    name = label.removeprefix("exact_")
    bare = name.removeprefix("lmul_")
    fmt = short_format(bare)
    if fmt is None:
        return None
    return {"family": "exact_mac", "format": fmt.name, "product": PRODUCTS[int(bare != name)]}
