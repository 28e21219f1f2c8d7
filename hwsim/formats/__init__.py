"""Number formats: a library of its own.

>>> from hwsim import formats
>>> fmt = formats.get("mxfp4")
>>> fmt.quantize(x), fmt.bits_per_element

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``base``            what every format offers: quantize, encode, decode, values, bits
``element``         formats in which every element stands for itself; one file per family
``block``           scales, blocks, shared exponents, special values; one file per family
``rounding``        six directions of rounding, saturation or overflow
``names``           from names to formats, and formats of your own
``terms``           bit-serial terms of weights
``distributions``   named distributions of tensors
``accuracy``        SQNR and other measures of what a format loses
``approximate``     multipliers that only come close: L-Mul, Mitchell; their errors
``gemm``            what formats, accumulators and multipliers do to a GEMM's result
``multiplier``      one file per family of such multipliers
``published``       published perplexities and scores of quantized models, with their sources
``quality``         the best answer on accuracy there is: published, measured, or of a distribution
``sums``            additions as accumulators make them: one rounding, or wrapping
``digits``          non-zero digits of every code: Booth, NAF, EN-T, sign-magnitude, two's complement
``statistics``      bit statistics of tensors: codes, zeros, digits, essential bits, outliers
``tally``           counting over chunks, for ``statistics``
==================  ==========================================================================
"""

from __future__ import annotations

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.block.bitmod import BitMod, BitModElement
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat, minifloat
from hwsim.formats.names import format_names, parse_format, parse_pair, register
from hwsim.formats.statistics import BitStatistics, bit_statistics, digit_histogram, expected_maximum
from hwsim.formats.terms import Terms, bit_serial_terms, term_table

get = parse_format

__all__ = [
    "BitMod",
    "BitModElement",
    "BitStatistics",
    "ElementFormat",
    "Format",
    "Integer",
    "Minifloat",
    "Scaled",
    "Terms",
    "bit_serial_terms",
    "bit_statistics",
    "digit_histogram",
    "expected_maximum",
    "format_names",
    "get",
    "minifloat",
    "parse_format",
    "parse_pair",
    "register",
    "term_table",
]
