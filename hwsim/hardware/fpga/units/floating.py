"""Minifloats: products, products in fixed point, MACs and dot products with exact sums, rounded sums.

Parameters: ``E`` exponent and ``M`` mantissa bits, or ``fmt``; ``acc`` accumulator bits, ``w`` bits of fixed point,
``n`` products. Subnormals are kept but where the family says ``ftz``.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.formats.multiplier.lmul import offset_bits
from hwsim.formats.sums import lossless_float_bits
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    Negator,
    OrTree,
    Part,
    Placer,
    Register,
    Shifter,
    XorRow,
    float_addition,
    float_product,
)
from hwsim.hardware.fpga.unit import FAMILIES, LENGTH, Counted, Params, format_fields, times


def fields(p: Params) -> tuple[int, int]:
    """Return exponent and mantissa bits, given as such or as a format's name."""
    return format_fields(p["fmt"]) if "fmt" in p else (p["E"], p["M"])


def fixed_bits(exponent: int, mantissa: int) -> int:
    """Return the width of an exact product with its sign: 2 (2^E - 2) + 1 places for 2 (M + 1) bits, and the sign."""
    return 2 * ((1 << exponent) - 1) + 2 * mantissa + 1


def product(exponent: int, mantissa: int) -> list[Counted]:
    """Return an exact product: hidden bits, significands, and the sum of exponents."""
    found: list[Counted] = [Multiplier(mantissa + 1, mantissa + 1)]
    if exponent > 1:
        found += [Adder(exponent + 1), (2, OrTree(exponent))]
    return found


def placed(exponent: int, mantissa: int, bits: int, summed: bool) -> Placer:
    """Return what puts a product at the place that its exponent says: 2^(E+1) - 3 of them."""
    return Placer(bits, max(1, 2 * ((1 << exponent) - 1) - 1), fixed_bits(exponent, mantissa), summed)


@FAMILIES.register("fp_mul_unpacked")
def unpacked(p: Params) -> list[Counted]:
    """Sign, exponent sum and significand product."""
    return product(*fields(p))


@FAMILIES.register("fp_mul_to_fixed")
def to_fixed(p: Params) -> list[Counted]:
    """The product in two's complement fixed point."""
    exponent, mantissa = fields(p)
    return [
        *product(exponent, mantissa),
        placed(exponent, mantissa, 2 * mantissa + 2, False),
        Negator(fixed_bits(exponent, mantissa)),
    ]


@FAMILIES.register("fp_mac_kulisch")
def exact_mac(p: Params) -> list[Counted]:
    """The product in fixed point, its sign in the accumulator's adder: as wide as stated, or lossless."""
    exponent, mantissa = fields(p)
    acc = p["acc"] if "acc" in p else lossless_float_bits(fields(p), fields(p), LENGTH)
    return [
        *product(exponent, mantissa),
        placed(exponent, mantissa, 2 * mantissa + 2, True),
        Adder(acc),
        Register(acc),
    ]


@FAMILIES.register("fp_dot_fixed")
def exact_dot(p: Params) -> list[Counted]:
    """Products in fixed point under a tree of adders."""
    exponent, mantissa = fields(p)
    return [*times(p["n"], to_fixed(p)), AdderTree(p["n"], fixed_bits(exponent, mantissa))]


def _circuits(parts: Sequence[Part]) -> list[Counted]:
    return [(part.count, part.circuit) for part in parts]


@FAMILIES.register("fp_mul_rne_ftz")
def rounded_ftz(p: Params) -> list[Counted]:
    """A product that is rounded, subnormals flushed."""
    exponent, mantissa = fields(p)
    return [Multiplier(mantissa + 1, mantissa + 1), *_circuits(float_product(exponent, mantissa + 1))]


@FAMILIES.register("fp_mul_rounded_sat")
def rounded_saturated(p: Params) -> list[Counted]:
    """A product that is normalised, denormalised again where it is small, rounded and saturated."""
    exponent, mantissa = fields(p)
    bits, wide = 2 * mantissa + 2, exponent + 2
    return [
        *product(exponent, mantissa),
        LeadingZeroCounter(bits),
        Shifter(bits, bits),
        (3, Adder(wide)),  # exponent less leading zeros, the distance to the smallest, the exponent of the result
        (2, Comparator(wide)),
        (2, Mux(wide, 2)),
        Shifter(bits + 1, min(bits, 1 << wide)),
        (2, OrTree(bits)),
        Incrementer(exponent + mantissa),
        (2, Mux(exponent + mantissa, 2)),
    ]


@FAMILIES.register("fp_add_rne_ftz")
def rounded_sum(p: Params) -> list[Counted]:
    """A sum that is rounded, subnormals flushed."""
    exponent, mantissa = fields(p)
    return _circuits(float_addition(exponent, mantissa + 1, mantissa + 1))


def lmul(exponent: int, mantissa: int) -> list[Counted]:
    """Return the sum of both fields, and of its bits from the offset's place on with bias and offset."""
    return [Adder(exponent + mantissa), Adder(exponent + offset_bits(mantissa)), XorRow(1)]


@FAMILIES.register("lmul_bare")
def lmul_bare(p: Params) -> list[Counted]:
    """Adders alone."""
    return lmul(*fields(p))


@FAMILIES.register("lmul_zero_sat")
def lmul_full(p: Params) -> list[Counted]:
    """With zeros and saturation."""
    exponent, mantissa = fields(p)
    bits = exponent + mantissa
    return [*lmul(exponent, mantissa), (2, OrTree(bits)), Mux(bits, 2), AndRow(1)]


@FAMILIES.register("lmul_mac_kulisch")
def lmul_mac(p: Params) -> list[Counted]:
    """With zeros, put into fixed point and summed exactly."""
    exponent, mantissa = fields(p)
    fields_of = (exponent, mantissa)
    width = p["acc"] if "acc" in p else lossless_float_bits(fields_of, fields_of, LENGTH)
    return [
        *lmul(exponent, mantissa),
        (2, OrTree(exponent + mantissa)),
        placed(exponent, mantissa, mantissa + 1, True),
        Adder(width),
        Register(width),
    ]
