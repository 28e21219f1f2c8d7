"""Decoders between a buffer and the array: stored blocks become the operands that PEs multiply.

Of an element, by the type of its format:

* a minifloat is normalised if it may be subnormal, and its exponent rebiased;
* an integer gets its zero point subtracted, then a leading-zero counter and a shifter make it a float;
* a codebook is a table (:class:`~hwsim.hardware.circuits.Rom`) of its levels; packed ternary (TQ1_0) is taken out of
  its byte first, by a product with a power of three (ggml-quants.c, ``dequantize_row_tq1_0``).

Then its significand is multiplied by that of the block's scale. In super-blocks that scale is itself a product, of a
narrow share and an FP16 number, made once per sub-block; a minimum is such a product too, and subtracted in floating
point (ggml-quants.c, ``dequantize_row_q4_K`` and the like). What is longer than the result is rounded. Scales of rows
and tensors do not act here but on results.

Estimated: parts by these formulas, no synthesis of such a decoder was found. One decoder per element that the port
hands on per cycle, each with a scale path of its own. Decoders of several formats share parts as the modes of a PE do
(:mod:`hwsim.hardware.pe.sharing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil, frexp

import numpy as np

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.formats.block.scales import FP16
from hwsim.formats.block.split import SplitElement
from hwsim.formats.block.superblock import WIDE, SuperBlock
from hwsim.formats.element.codebook import Codebook
from hwsim.hardware.circuits import (
    Adder,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    Part,
    Register,
    Rom,
    Shifter,
    Subtractor,
    float_addition,
    float_product,
    largest,
)
from hwsim.hardware.pe.converted import Decoded
from hwsim.hardware.pe.datapaths import scale_has_exponent, scale_significand, subnormal_decode
from hwsim.hardware.pe.pipeline import DEQUANTIZER_FAMILY, pipelined
from hwsim.hardware.pe.sharing import shared_slots, slowest, working_parts
from hwsim.hardware.technology import PartsPrice, Technology, factor

#: Ternary digits of a byte are made with powers of three up to 3^4, of 7 bits.
POWER_BITS = 7


@dataclass(frozen=True)
class Decoders:
    """``count`` decoders at the port of one buffer, with their price while each of ``formats`` comes.

    Energies are per decoded element.
    """

    formats: tuple[Format, ...]
    to: Format
    count: int
    prices: tuple[PartsPrice, ...]

    @property
    def area_um2(self) -> float:
        """Area of all of them."""
        return self.count * self.prices[0].area_um2

    @property
    def leakage_nw(self) -> float:
        """Leakage of all of them."""
        return self.count * self.prices[0].leakage_nw

    @cached_property
    def by_format(self) -> Mapping[Format, PartsPrice]:
        """Prices by the format that comes."""
        return dict(zip(self.formats, self.prices, strict=True))

    def element_pj(self, fmt: Format) -> float:
        """Return the energy of one element of ``fmt``."""
        return self.by_format[fmt].energy_fj * 1e-3

    def clock_pj(self, fmt: Format) -> float:
        """Return the energy of the clock of all of them in a cycle, while ``fmt`` comes."""
        return self.count * self.by_format[fmt].clock_fj * 1e-3


def make_decoders(
    pe: Decoded, port_bits: Mapping[str, int], technology: Technology, clock_hz: float
) -> dict[str, Decoders]:
    """Return the decoders of ``pe`` by buffer (``w``, ``a``); ``port_bits`` hand on what PEs take per cycle.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    found = {}
    for key, formats, to in (("w", pe.decoded_w, pe.w_format), ("a", pe.decoded_a, pe.a_format)):
        if formats:
            count = ceil(port_bits[key] / ceil(to.bits_per_element))
            found[key] = Decoders(formats, to, count, _prices(formats, to, technology, clock_hz))
    return found


def _prices(formats: Sequence[Format], to: Format, technology: Technology, clock_hz: float) -> tuple[PartsPrice, ...]:
    """Return the price of a decoder of all ``formats`` while each of them comes."""
    bills = tuple(decoder_parts(fmt, to) for fmt in formats)
    if len(bills) == 1:
        return (pipelined(bills[0], DEQUANTIZER_FAMILY, to.bits, technology, clock_hz)[0],)
    slots, idle = shared_slots(bills), factor("idle", "multi")
    path = slowest(slots, len(bills))
    at_work = [working_parts(slots, number, path, idle) for number in range(len(bills))]
    return tuple(pipelined(parts, DEQUANTIZER_FAMILY, to.bits, technology, clock_hz)[0] for parts in at_work)


def decoder_parts(fmt: Format, to: Format) -> tuple[Part, ...]:
    """Return one decoder from ``fmt`` to an operand built as ``to``: a minifloat, or integers behind a table.

    Raises
    ------
    TypeError
        If :func:`~hwsim.hardware.pe.converted.decoded_as` has nothing for them.
    """
    element = to.element
    if isinstance(element, Integer):
        rom = Part("levels", "decode", Rom(2**fmt.element.bits, element.bits))
        return (*_packed(fmt), rom, Part("result", "register", Register(element.bits)))
    assert isinstance(element, Minifloat)
    parts, significand = _element(fmt, element)
    scale, often = list(_scale(fmt)), 1 / (fmt.block_size or 1)
    parts += [replace(part, activity=often, on_path=False) for part in scale]
    bits = _scale_bits(fmt)
    if bits > 1:
        parts.append(Part("scale multiplier", "dequantization", Multiplier(significand, bits)))
        significand += bits
    if scale_has_exponent(fmt):
        adder = Adder(element.exponent_bits + 1)
        parts.append(Part("scale exponent", "exponent", adder, on_path=False))
    if isinstance(fmt, SuperBlock) and fmt.asymmetric:
        parts += float_addition(element.exponent_bits, element.sig_bits, largest(element.sig_bits, significand))
    elif significand > element.sig_bits:
        rounding = float_product(element.exponent_bits, element.sig_bits)
        parts += [part for part in rounding if part.group == "normalisation"]
    parts.append(Part("result", "register", Register(element.bits)))
    return tuple(parts)


def _element(fmt: Format, to: Minifloat) -> tuple[list[Part], int]:
    """Return what makes an element a float, and the bits of its significand."""
    element, found = fmt.element, list(_packed(fmt))
    if isinstance(element, SplitElement):  # outliers are FP16 already
        found.append(Part("outlier", "decode", Mux(to.bits, 2)))
        element = element.code
    rebias = Part("exponent bias", "exponent", Adder(to.exponent_bits + 1), on_path=False)
    if isinstance(element, Codebook):
        significand = codebook_significand(element, to)
        words = 2**element.bits
        found.append(Part("levels", "decode", Rom(words, 1 + to.exponent_bits + max(significand - 1, 0))))
        return found, significand
    if isinstance(element, Minifloat):
        if element.exponent_bits < to.exponent_bits:  # its subnormals have a place as normal numbers
            found += subnormal_decode("stored", element.sig_bits)
        return [*found, rebias], element.sig_bits
    if not isinstance(element, Integer):
        raise TypeError(f"no decoder from {fmt.name}")
    bits = element.bits
    if isinstance(fmt, Scaled) and fmt.asymmetric and not isinstance(fmt, SuperBlock):
        bits = max(bits, fmt.zero_bits) + 1
        found.append(Part("zero point subtraction", "decode", Subtractor(bits)))
    found.append(Part("leading zeros", "decode", LeadingZeroCounter(bits)))
    found.append(Part("integer to float", "decode", Shifter(bits, bits)))
    return [*found, rebias], bits


def _packed(fmt: Format) -> Iterator[Part]:
    """Yield what takes a ternary digit out of a byte that holds five."""
    if isinstance(fmt, SuperBlock) and isinstance(fmt.element, Codebook) and not fmt.share_bits:
        yield Part("power of three", "decode", Multiplier(8, POWER_BITS))
        yield Part("third", "decode", Adder(10))


def _scale(fmt: Format) -> Iterator[Part]:
    """Yield what a block's scale, and minimum, take once per block."""
    if fmt.block_size:
        held = fmt.scale.bits if isinstance(fmt, Scaled) else FP16.bits
        shared = isinstance(fmt, SuperBlock) and 0 < fmt.share_bits < WIDE
        times = 2 if isinstance(fmt, SuperBlock) and fmt.asymmetric else 1
        if isinstance(fmt, SuperBlock) and shared:
            yield Part("share of scale", "dequantization", Multiplier(FP16.sig_bits, fmt.share_bits), count=times)
            held = 1 + FP16.exponent_bits + FP16.sig_bits + fmt.share_bits
        yield Part("scales", "register", Register(held), count=times)


def _scale_bits(fmt: Format) -> int:
    """Return the significand bits of a block's scale: in super-blocks the exact product of share and FP16."""
    return scale_significand(fmt) if isinstance(fmt, Scaled) else 0


@lru_cache(maxsize=256)
def codebook_significand(element: Codebook, to: Minifloat) -> int:
    """Return the significand bits that the levels of ``element`` need, once rounded to ``to``."""
    levels = [abs(v) for v in np.asarray(to.quantize(element.values())) if v]
    wholes = [int(frexp(v)[0] * 2**53) for v in levels]
    return max((whole // (whole & -whole)).bit_length() for whole in wholes)
