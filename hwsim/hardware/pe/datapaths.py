"""Runs of parts that several PEs share: floating-point accumulation, operand decode, dequantization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwsim.formats import BitMod, Format, Minifloat, Scaled
from hwsim.formats.block.olive import Olive
from hwsim.formats.block.scales import FP16
from hwsim.formats.block.superblock import WIDE, SuperBlock
from hwsim.hardware.circuits import (
    Adder,
    LeadingZeroCounter,
    Multiplier,
    Part,
    Register,
    Shifter,
    Subtractor,
    float_addition,
    largest,
    path_levels,
    remembered,
    total,
)
from hwsim.hardware.technology import factor

#: Sums of scaled groups are kept in FP32 (exponent and significand bits).
SUM_EXPONENT, SUM_SIGNIFICAND = 8, 24


@remembered(1024)
def float_accumulate(accumulator: Minifloat, product_bits: int, count: int = 1) -> tuple[Part, ...]:
    """Return the parts that add a product of ``product_bits`` to a floating-point accumulator.

    ``count`` adders lie in series. Activity: relative to random operands on every input, most of an
    aligned sum stands still (``factors.csv``, kind activity).
    """
    active = factor("activity", "float_accumulate")
    sig = accumulator.sig_bits
    found = float_addition(accumulator.exponent_bits, sig, largest(sig, product_bits))
    return tuple(replace(part, count=count, activity=active, in_series=count, feeds_back=True) for part in found)


def subnormal_decode(role: str, significand_bits: int, count: int = 1) -> tuple[Part, ...]:
    """Return the parts that normalise a subnormal operand: a leading-zero counter and a shifter."""
    bits = largest(significand_bits, 2)
    return (
        Part(f"{role} subnormals", "decode", LeadingZeroCounter(bits), count=count),
        Part(f"{role} pre-shift", "decode", Shifter(significand_bits, bits), count=count),
    )


def side_by_side(*decoders: Sequence[Part]) -> tuple[Part, ...]:
    """Return the parts of decoders that work at the same time: the slowest alone is on the path."""
    levels = [total(path_levels(parts)) for parts in decoders]
    slowest = max(range(len(decoders)), key=levels.__getitem__, default=0)
    return tuple(
        part if number == slowest else replace(part, on_path=False)
        for number, parts in enumerate(decoders)
        for part in parts
    )


def dequantizer(w: Format, a: Format, integer_bits: int | None) -> tuple[Part, ...]:
    """Return one dequantizer of group sums: convert, multiply by each operand's scale, add in FP32.

    ``integer_bits`` is the width of an integer sum; None for a sum that is floating point already.
    An asymmetric operand also needs the sum of the other operand's elements times its zero point
    subtracted; that product is counted here (the element sums are shared by a whole row or column).
    Scales of super-blocks are products of a share and an FP16 number, those under a run's of a share and an FP32 one;
    so are minima, which have no scale in common
    with the sum and are subtracted from it in FP32 (ggml-quants.c, ``ggml_vec_dot_q4_K_q8_K``). Estimated.
    """
    sig = SUM_SIGNIFICAND
    found: list[Part] = []
    for fmt, other in ((w, a), (a, w)):
        if isinstance(fmt, SuperBlock):
            found += _super_block_parts(fmt, other)
        elif isinstance(fmt, Scaled) and fmt.scale.run:
            share = Multiplier(SUM_SIGNIFICAND, fmt.scale.bits)
            found.append(Part("share of scale", "dequantization", share))
        elif isinstance(fmt, Scaled) and fmt.asymmetric and integer_bits:
            element_sum = other.bits + ((fmt.block_size or 1) - 1).bit_length()
            found.append(Part("zero point", "dequantization", Multiplier(element_sum, fmt.zero_bits)))
            found.append(Part("zero point subtraction", "dequantization", Subtractor(integer_bits)))
    if integer_bits:
        found.append(Part("leading zeros", "dequantization", LeadingZeroCounter(integer_bits)))
        found.append(Part("integer to float", "dequantization", Shifter(integer_bits, integer_bits)))
    for role, fmt in (("weight", w), ("activation", a)):
        bits = scale_significand(fmt)
        if bits > 1:
            found.append(Part(f"{role} scale multiplier", "dequantization", Multiplier(sig, bits)))
        if scale_has_exponent(fmt):
            found.append(Part(f"{role} scale exponent", "dequantization", Adder(SUM_EXPONENT + 1), on_path=False))
    total = float_accumulate(Minifloat("fp32", SUM_EXPONENT, sig - 1, "ieee"), sig)
    found += [Part(p.role, "dequantization", p.circuit, p.count, p.activity, p.on_path) for p in total]
    found.append(Part("result", "dequantization", Register(1 + SUM_EXPONENT + sig - 1)))
    return tuple(found)


def _super_block_parts(fmt: SuperBlock, other: Format) -> tuple[Part, ...]:
    """Return what a dequantizer of super-blocks has besides a scale multiplier: shares of scales, minima."""
    found = []
    minima = 1 if fmt.asymmetric else 0
    if fmt.share_bits and fmt.share_bits < WIDE:
        share = Multiplier(FP16.sig_bits, fmt.share_bits)
        found.append(Part("share of scale", "dequantization", share, count=1 + minima))
    if minima:
        element_sum = other.bits + ((fmt.block_size or 1) - 1).bit_length()
        found += [
            Part("sum of elements", "dequantization", LeadingZeroCounter(element_sum), on_path=False),
            Part("sum to float", "dequantization", Shifter(element_sum, element_sum), on_path=False),
            Part(
                "minimum multiplier", "dequantization", Multiplier(element_sum, scale_significand(fmt)), on_path=False
            ),
        ]
        subtraction = float_accumulate(Minifloat("fp32", SUM_EXPONENT, SUM_SIGNIFICAND - 1, "ieee"), SUM_SIGNIFICAND)
        found += [
            Part(f"minimum {p.role}", "dequantization", p.circuit, p.count, on_path=p.on_path) for p in subtraction
        ]
    return tuple(found)


def scale_has_exponent(fmt: Format) -> bool:
    """Return whether blocks of ``fmt`` have a scale that is no integer share of another one."""
    if isinstance(fmt, BitMod):
        return fmt.scale_kind == "fp16"
    if isinstance(fmt, Scaled):
        return bool(fmt.block_size) and not fmt.scale.per_row
    return bool(fmt.block_size)


def scale_significand(fmt: Format) -> int:
    """Return the significand bits of the scale of ``fmt``: 0 without blocks, 1 for powers of two."""
    if not fmt.block_size:
        return 0
    if isinstance(fmt, BitMod):
        return FP16.sig_bits if fmt.scale_kind == "fp16" else fmt.scale_bits
    if isinstance(fmt, Olive):
        return FP16.sig_bits
    if not isinstance(fmt, Scaled):
        raise TypeError(f"{fmt.name} has blocks but no scale that is known")
    if isinstance(fmt, SuperBlock) and fmt.share_bits and fmt.share_bits < WIDE:
        return FP16.sig_bits + fmt.share_bits
    return fmt.scale.significand_bits
